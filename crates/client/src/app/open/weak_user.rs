//! A user as the connection holds on to one: not at all, so that an app can be dropped.

use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;

use crate::app::{App, Inner, User};
use crate::transport::{AuthFailure, Authenticator, Route};

/// A user, who may be gone together with the app.
#[derive(Debug)]
pub(super) struct WeakUser {
    app: Weak<Inner>,
    id: Arc<str>,
}

impl WeakUser {
    pub(super) fn new(user: &User) -> Self {
        Self { app: Arc::downgrade(&user.app.inner), id: Arc::clone(&user.id) }
    }

    fn upgrade(&self) -> Result<User, AuthFailure> {
        let gone = || AuthFailure::Unavailable("the app is not used any more".to_owned());
        let inner = self.app.upgrade().ok_or_else(gone)?;
        Ok(User { app: App { inner }, id: Arc::clone(&self.id) })
    }
}

impl Authenticator for WeakUser {
    fn route(&self) -> BoxFuture<'_, Result<Route, AuthFailure>> {
        Box::pin(async { self.upgrade()?.route().await })
    }

    fn refresh_route(&self) -> BoxFuture<'_, Result<(), AuthFailure>> {
        Box::pin(async { self.upgrade()?.refresh_route().await })
    }

    fn access_token(&self) -> BoxFuture<'_, Result<String, AuthFailure>> {
        Box::pin(async { Authenticator::access_token(&self.upgrade()?).await })
    }

    fn refresh_access_token(&self) -> BoxFuture<'_, Result<(), AuthFailure>> {
        Box::pin(async { self.upgrade()?.refresh_access_token().await })
    }

    fn logged_out(&self, reason: &str) {
        if let Ok(user) = self.upgrade() {
            user.logged_out(reason);
        }
    }
}
