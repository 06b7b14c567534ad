//! Somebody who has logged in.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::Method;
use serde_json::{Map, Value};

use super::accounts::Account;
use super::service::Call;
use super::{
    AnswerFault, ApiKeys, App, AppError, Credentials, CredentialsFault, Identity, Profile, Unkept,
};

/// Somebody who has logged in to an [`App`]. Clones are the same user.
#[derive(Clone)]
pub struct User {
    pub(super) app: App,
    pub(super) id: Arc<str>,
}

/// Whether a user can do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserState {
    /// Logged in, whether the server can be reached or not.
    LoggedIn,
    /// Known to this device, but has to log in again.
    LoggedOut,
    /// Not known to this device any more.
    Removed,
}

impl User {
    pub(super) fn new(app: &App, id: &str) -> Self {
        Self { app: app.clone(), id: Arc::from(id) }
    }

    /// Ends the session, here and then on the server. An anonymous user is removed: there is no way back in.
    ///
    /// What the server says does not matter: after this the device has no tokens any more. The user's realms stay;
    /// those that are open do not sync until the user logs in again.
    ///
    /// # Errors
    ///
    /// [`AppError::Users`] if that can't be kept for the moment; then only this process knows that the user is logged
    /// out.
    pub async fn log_out(&self) -> Result<(), AppError> {
        let Ok(token) = self.refresh_token() else { return Ok(()) };
        let id = Arc::clone(&self.id);
        let kept = self.app.change(Unkept::Apply, move |accounts| accounts.log_out(&id)).await;
        self.pause_realms().await;
        let call = Call { method: Method::DELETE, ..Call::get("log out", "/auth/session") };
        if let Err(error) = self.app.inner.service.call(&call, Some(&token)).await {
            tracing::debug!(%error, user = self.id(), "the server was not told of a logout");
        }
        kept
    }

    /// Adds another way to log in. The user is not anonymous any more.
    ///
    /// # Errors
    ///
    /// [`AppError::Credentials`] for anonymous ones; [`AppError::Server`] if they belong to another user or
    /// are not accepted; otherwise as [`App::log_in`].
    pub async fn link(&self, credentials: Credentials) -> Result<(), AppError> {
        if credentials.is_anonymous() {
            return Err(CredentialsFault::LinkAnonymous.into());
        }
        let (call, login) = self.app.send_credentials(&credentials, Some(self)).await?;
        if login.user_id != *self.id {
            return Err(call.malformed(AnswerFault::OtherUser));
        }
        let profile = self.app.profile(login.access.as_str()).await?;
        let id = Arc::clone(&self.id);
        let change = self.app.change(Unkept::Apply, move |accounts| {
            let Some(account) = accounts.get_mut(&id) else { return };
            let Some(tokens) = &mut account.tokens else { return };
            tokens.access = login.access.clone();
            if let Some(refresh) = &login.refresh {
                tokens.refresh = refresh.clone();
            }
            account.profile = profile.clone();
        });
        change.await
    }

    /// Reads the profile again.
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh), which is tried if the access token has ended.
    pub async fn refresh_profile(&self) -> Result<(), AppError> {
        let call = Call::get("get profile", "/auth/profile");
        let body = self.call(&call).await?;
        let profile = Profile::read(&body).map_err(|fault| call.malformed(fault))?;
        let id = Arc::clone(&self.id);
        let change = self.app.change(Unkept::Apply, move |accounts| {
            if let Some(account) = accounts.get_mut(&id) {
                account.profile = profile.clone();
            }
        });
        change.await
    }

    /// Deletes the account on the server, for good; afterwards the device forgets the user, but keeps the files.
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh), which is tried if the access token has ended.
    pub async fn delete(&self) -> Result<(), AppError> {
        let call = Call { method: Method::DELETE, ..Call::get("delete user", "/auth/delete") };
        self.call(&call).await?;
        let id = Arc::clone(&self.id);
        let kept = self.app.change(Unkept::Apply, move |accounts| accounts.remove(&id)).await;
        self.pause_realms().await;
        kept
    }

    /// The API keys with which programs of the user log in.
    pub fn api_keys(&self) -> ApiKeys<'_> {
        ApiKeys { user: self }
    }

    /// The app.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// What the server calls the user.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the user can do anything.
    pub fn state(&self) -> UserState {
        match self.app.known().accounts.get(&self.id) {
            None => UserState::Removed,
            Some(Account { tokens: None, .. }) => UserState::LoggedOut,
            Some(_) => UserState::LoggedIn,
        }
    }

    /// The ways in which the user can log in, in the order in which they were linked.
    pub fn identities(&self) -> Vec<Identity> {
        self.profile().identities
    }

    /// What the server told of the user at the last login; nothing of one who was removed.
    pub fn profile(&self) -> Profile {
        self.account(|account| account.profile.clone()).unwrap_or_default()
    }

    /// What the app keeps of the user, as Extended JSON, as of the last [`refresh`](Self::refresh). Empty if
    /// logged out.
    pub fn custom_data(&self) -> Map<String, Value> {
        let data = |account: &Account| Some(account.tokens.as_ref()?.access.user_data().clone());
        self.account(data).flatten().unwrap_or_default()
    }

    /// What the server calls this device; `None` if it gave it no name.
    pub fn device_id(&self) -> Option<String> {
        let id = self.account(|account| account.device_id.clone())?;
        id.bytes().any(|byte| byte != b'0').then_some(id)
    }

    /// Whether there is no way to log in again.
    pub fn is_anonymous(&self) -> bool {
        self.account(Account::is_anonymous).unwrap_or(false)
    }

    /// Where the user's realms are.
    pub fn folder(&self) -> PathBuf {
        self.app.inner.folder.join(&*self.id)
    }

    /// The token for requests to the server that this library does not make. It may have ended.
    ///
    /// # Errors
    ///
    /// [`AppError::NotLoggedIn`].
    pub fn access_token(&self) -> Result<String, AppError> {
        self.tokens(|tokens| tokens.access.as_str().to_owned())
    }

    pub(super) fn refresh_token(&self) -> Result<String, AppError> {
        self.tokens(|tokens| tokens.refresh.0.clone())
    }

    /// How long the access token is valid.
    pub(super) fn seconds_left(&self) -> Result<i64, AppError> {
        let now_s = self.app.inner.clock.now_s();
        self.tokens(|tokens| tokens.access.seconds_left(now_s))
    }

    fn tokens<T>(&self, read: impl FnOnce(&super::Tokens) -> T) -> Result<T, AppError> {
        let tokens = self.account(|account| account.tokens.as_ref().map(read)).flatten();
        tokens.ok_or_else(|| AppError::NotLoggedIn(self.state()))
    }

    fn account<T>(&self, read: impl FnOnce(&Account) -> T) -> Option<T> {
        self.app.known().accounts.get(&self.id).map(read)
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("User").field("id", &self.id).field("state", &state).finish_non_exhaustive()
    }
}

impl fmt::Display for UserState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoggedIn => "logged in",
            Self::LoggedOut => "logged out",
            Self::Removed => "removed",
        })
    }
}
