//! Access tokens that do not run out. Spec: client, section 6.3; App Services API, section 11.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use hyper::Method;

use super::error::AppError;
use super::service::{Call, refused};
use super::transport::TransportError;
use super::user::User;
use super::{Unkept, answer};
use crate::causes::with_causes;
use crate::transport::{AuthFailure, Authenticator, Route};

/// The refreshes that are under way, by the ids of the users.
#[derive(Debug, Default)]
pub(super) struct Refreshes(Mutex<BTreeMap<Arc<str>, Refresh>>);

/// What all who wait for a refresh wait for.
type Refresh = Shared<BoxFuture<'static, Result<(), AppError>>>;

/// Takes a refresh off the list, however it ends.
struct Ended(User);

/// A token that is valid for less may run out before the server sees it.
const LITTLE_S: i64 = 30;

impl User {
    /// Gets a new access token, and with it the current custom data.
    ///
    /// Callers at the same time share one request; it is brought to its end even if nobody waits for it any more.
    ///
    /// # Errors
    ///
    /// [`AppError::SessionEnded`] if the server gives none (401 or 403): the user is logged out then. Otherwise, as
    /// with [`AppError::Network`], the old token stays.
    pub async fn refresh(&self) -> Result<(), AppError> {
        let shared = {
            let mut running = self.refreshes();
            let begin = || {
                let ended = Ended(self.clone());
                let task = tokio::spawn(async move { ended.0.refresh_now().await });
                let result =
                    async { task.await.unwrap_or_else(|e| Err(TransportError::new(e).into())) };
                result.boxed().shared()
            };
            running.entry(Arc::clone(&self.id)).or_insert_with(begin).clone()
        };
        shared.await
    }

    /// Makes a call with the access token; if the server does not take it, once more with a new one.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Bytes, AppError> {
        let service = &self.app.inner.service;
        let token = self.access_token()?;
        match service.call(call, Some(&token)).await {
            Err(error) if refused(&error, &[401]).is_some() => {
                self.replace_token(&token).await?;
                service.call(call, Some(&self.access_token()?)).await
            }
            result => result,
        }
    }

    /// Makes a call with the refresh token; if the server does not take it, the user is logged out.
    pub(super) async fn call_with_refresh_token(&self, call: &Call<'_>) -> Result<Bytes, AppError> {
        let token = self.refresh_token()?;
        let result = self.app.inner.service.call(call, Some(&token)).await;
        match result {
            Err(error) => match refused(&error, &[401]) {
                Some(refusal) => {
                    self.end_session(&token).await;
                    Err(AppError::SessionEnded(refusal))
                }
                None => Err(error),
            },
            result => result,
        }
    }

    /// Gets another token than this one, unless somebody did already.
    async fn replace_token(&self, token: &str) -> Result<(), AppError> {
        if self.access_token()? == token { self.refresh().await } else { Ok(()) }
    }

    async fn refresh_now(&self) -> Result<(), AppError> {
        let refresh_token = self.refresh_token()?;
        let call = Call {
            name: "refresh",
            method: Method::POST,
            path: "/auth/session".into(),
            body: None,
        };
        let body = match self.app.inner.service.call(&call, Some(&refresh_token)).await {
            Ok(body) => body,
            Err(error) => match refused(&error, &[401, 403]) {
                Some(refusal) => {
                    self.end_session(&refresh_token).await;
                    return Err(AppError::SessionEnded(refusal));
                }
                None => return Err(error),
            },
        };
        let malformed = |fault| call.malformed(fault);
        let fields = answer::object(&body).map_err(malformed)?;
        let access = answer::access_token(&fields).map_err(malformed)?;
        let id = Arc::clone(&self.id);
        let kept = self.app.change(Unkept::Apply, move |accounts| {
            let tokens = accounts.get_mut(&id).and_then(|account| account.tokens.as_mut());
            // Who has logged out meanwhile stays logged out.
            if let Some(tokens) = tokens.filter(|tokens| tokens.refresh.0 == refresh_token) {
                tokens.access = access.clone();
            }
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, user = self.id(), "a new access token cannot be kept");
        }
        self.access_token().map(drop)
    }

    /// Logs the user out since the server does not take this refresh token.
    async fn end_session(&self, refresh_token: &str) {
        let (id, refused) = (Arc::clone(&self.id), refresh_token.to_owned());
        let kept = self.app.change(Unkept::Apply, move |accounts| {
            let tokens = accounts.get(&id).and_then(|account| account.tokens.as_ref());
            if tokens.is_some_and(|tokens| tokens.refresh.0 == refused) {
                accounts.log_out(&id);
            }
        });
        let kept = kept.await;
        self.pause_realms().await;
        if let Err(error) = kept {
            tracing::warn!(%error, user = self.id(), "that a session has ended cannot be kept");
        }
    }

    fn refreshes(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Refresh>> {
        self.app.inner.refreshes.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authenticator for User {
    fn route(&self) -> BoxFuture<'_, Result<Route, AuthFailure>> {
        let service = &self.app.inner.service;
        Box::pin(async {
            match service.location().await {
                Ok(location) => Ok(Route { url: location.sync.clone(), is_confirmed: true }),
                Err(error) => match service.base.guessed_sync(&service.app_id) {
                    Some(url) => Ok(Route { url, is_confirmed: false }),
                    None => Err(failure(&error)),
                },
            }
        })
    }

    fn refresh_route(&self) -> BoxFuture<'_, Result<(), AuthFailure>> {
        Box::pin(async {
            let asked = self.app.inner.service.refresh_location().await;
            asked.map(drop).map_err(|error| failure(&error))
        })
    }

    fn access_token(&self) -> BoxFuture<'_, Result<String, AuthFailure>> {
        Box::pin(async {
            let fresh_enough = self.seconds_left().map_err(|error| failure(&error))? >= LITTLE_S;
            if !fresh_enough
                && let Err(error) = self.refresh().await
                && let failure @ AuthFailure::LoggedOut(_) = failure(&error)
            {
                return Err(failure);
            }
            User::access_token(self).map_err(|error| failure(&error))
        })
    }

    fn refresh_access_token(&self) -> BoxFuture<'_, Result<(), AuthFailure>> {
        Box::pin(async { self.refresh().await.map_err(|error| failure(&error)) })
    }

    fn logged_out(&self, reason: &str) {
        tracing::warn!(user = self.id(), reason, "the server does not let the user in any more");
        let (app, id) = (self.app.clone(), Arc::clone(&self.id));
        tokio::task::spawn_blocking(move || {
            if let Err(error) = app.change_blocking(Unkept::Apply, |accounts| accounts.log_out(&id))
            {
                tracing::warn!(%error, user = &*id, "a logout cannot be kept");
            }
        });
    }
}

fn failure(error: &AppError) -> AuthFailure {
    let text = with_causes(error);
    match error {
        AppError::SessionEnded(_) | AppError::NotLoggedIn(_) => AuthFailure::LoggedOut(text),
        _ => AuthFailure::Unavailable(text),
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.refreshes().remove(&self.0.id);
    }
}
