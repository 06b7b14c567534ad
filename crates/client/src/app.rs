//! The server's side of users: who logs in, with what, and the tokens that prove it.
//!
//! An [`App`] is an app on a server, as one device sees it; a [`User`] is somebody who has logged in there. Users
//! are kept in the folder that the application names, so that it starts offline with its user and their realms.
//!
//! ```no_run
//! use bailiwick_client::app::{App, AppConfig, Credentials};
//!
//! # async fn example() -> Result<(), bailiwick_client::app::AppError> {
//! let app = App::new(AppConfig::new("http://localhost:9090", "inventory-abcde", "./data"))?;
//! let user = match app.current_user() {
//!     Some(user) => user,
//!     None => app.log_in(Credentials::anonymous()).await?,
//! };
//! println!("{} on {}", user.id(), app.app_id());
//! # Ok(())
//! # }
//! ```
//!
//! Users and realms are encrypted with a key that the application keeps, in the key store of its system for example:
//!
//! ```
//! use bailiwick_client::{App, AppConfig, EncryptionKey};
//!
//! # fn key_from_the_key_store() -> [u8; 64] { [7; 64] }
//! # let folder = tempfile::tempdir()?;
//! let mut config = AppConfig::new("https://sync.example.com", "inventory-abcde", folder.path());
//! config.encryption_key = Some(EncryptionKey::new(key_from_the_key_store()));
//! let app = App::new(config)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! <folder>/<app id>/users                                     who has logged in
//! <folder>/<app id>/<user id>/<hash of the partition>.realm   their realms
//! ```
//!
//! Spec: App Services API; client, section 6.3.

mod accounts;
mod address;
mod answer;
mod api_keys;
mod config;
mod credentials;
mod email_password;
mod error;
mod open;
mod service;
mod session;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod user;
mod users_file;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Method;

pub use accounts::{Identity, Profile};
pub use api_keys::{ApiKey, ApiKeys};
pub use config::AppConfig;
pub use credentials::Credentials;
pub use email_password::EmailPassword;
pub use error::{
    AnswerFault, AppError, ConfigError, CredentialsFault, RedirectFault, ServerError, TokenFault,
};
pub use open::{OpenRealmError, RealmBuilder};
pub use transport::{HttpTransport, MAX_ANSWER_LEN, TransportError};
pub use user::{User, UserState};
pub use users_file::UsersFileError;

use accounts::{Account, Accounts, Tokens};
use address::{AppId, Origin};
use answer::Login;
use config::{Clock, Direct};
use open::Realms;
use service::{Call, Service};
use session::Refreshes;
use users_file::UsersFile;

/// An app on a server, as one device sees it. Clones are the same app.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    service: Service,
    /// The folder of the app.
    folder: PathBuf,
    file: UsersFile,
    known: Mutex<Known>,
    refreshes: Refreshes,
    realms: Realms,
    /// Two anonymous logins at a time are one.
    logging_in: tokio::sync::Mutex<()>,
    clock: Clock,
    config: AppConfig,
}

/// The users, as far as this process knows.
#[derive(Debug)]
struct Known {
    /// What the file held when it was last read or written.
    accounts: Accounts,
    /// There is more to it than in the file, which could not be written.
    is_ahead: bool,
}

/// What becomes of a change of the users if it can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unkept {
    /// It does not happen.
    Undo,
    /// It happens in this process, since there is no way back, and is kept together with the next change.
    Apply,
}

impl App {
    /// Reads who has logged in before; asks no server.
    ///
    /// # Errors
    ///
    /// [`AppError::Config`] for a base URL or an app id that cannot be one; [`AppError::Users`] if the users that the
    /// folder keeps cannot be read: the file is damaged, of a newer version, or encrypted with another key.
    pub fn new(config: AppConfig) -> Result<Self, AppError> {
        let base = Origin::base(&config.base_url)?;
        let app_id = AppId::parse(&config.app_id)?;
        let folder = config.folder.join(app_id.as_str());
        let file = UsersFile::in_folder(&folder, config.encryption_key.as_ref());
        let known = Mutex::new(Known { accounts: file.read()?, is_ahead: false });
        let transport = config.transport.clone();
        let transport = transport.unwrap_or_else(|| Arc::new(Direct(config.connector.clone())));
        let inner = Inner {
            service: Service::new(base, app_id, transport, config.request_timeout),
            folder,
            file,
            known,
            refreshes: Refreshes::default(),
            realms: Realms::default(),
            logging_in: tokio::sync::Mutex::default(),
            clock: config.clock.clone(),
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Logs a user in, who becomes the current one.
    ///
    /// Anonymous credentials give the anonymous user who is logged in already, if there is one; then no server is
    /// asked.
    ///
    /// # Errors
    ///
    /// [`AppError::InvalidCredentials`] if the server does not accept them, [`AppError::Server`] if it refuses for
    /// another reason: the user is disabled, the provider is off. [`AppError::Network`] and [`AppError::Malformed`] if
    /// there is no answer, or none that makes sense. [`AppError::Users`] if the user can't be kept.
    pub async fn log_in(&self, credentials: Credentials) -> Result<User, AppError> {
        let _logging_in = self.inner.logging_in.lock().await;
        if credentials.is_anonymous()
            && let Some(user) = self.anonymous_user()
        {
            self.switch_user(&user).await?;
            return Ok(user);
        }
        let (call, login) = self.send_credentials(&credentials, None).await?;
        let refresh = login.refresh.ok_or(AnswerFault::Missing("refresh_token"));
        let refresh = refresh.map_err(|fault| call.malformed(fault))?;
        let profile = self.profile(login.access.as_str()).await?;
        let user = User::new(self, &login.user_id);
        let account = Account {
            id: login.user_id,
            device_id: login.device_id,
            profile,
            tokens: Some(Tokens { access: login.access, refresh }),
        };
        self.change(Unkept::Undo, move |accounts| accounts.log_in(account.clone())).await?;
        user.resume_realms().await;
        Ok(user)
    }

    /// What users with an e-mail address and a password do before they log in.
    pub fn email_password(&self) -> EmailPassword<'_> {
        EmailPassword { app: self }
    }

    /// The user who has logged in or was switched to last, if still logged in.
    pub fn current_user(&self) -> Option<User> {
        self.known().accounts.current().map(|id| User::new(self, id))
    }

    /// The users of this device, logged in or not; the one who logged in last comes last.
    pub fn users(&self) -> Vec<User> {
        self.known().accounts.ids().map(|id| User::new(self, id)).collect()
    }

    /// Makes a user the current one.
    ///
    /// # Errors
    ///
    /// [`AppError::NotLoggedIn`], or [`AppError::Users`] if that can't be kept.
    pub async fn switch_user(&self, user: &User) -> Result<(), AppError> {
        let id = user.id().to_owned();
        let state = user.state();
        if state != UserState::LoggedIn {
            return Err(AppError::NotLoggedIn(state));
        }
        self.change(Unkept::Undo, move |accounts| {
            accounts.switch(&id);
        })
        .await
    }

    /// The client app id.
    pub fn app_id(&self) -> &str {
        self.inner.service.app_id.as_str()
    }

    /// Where the files of the app are.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    fn anonymous_user(&self) -> Option<User> {
        self.known().accounts.anonymous().map(|account| User::new(self, &account.id))
    }

    /// Logs in, or extends the user whom the token belongs to.
    async fn send_credentials(
        &self,
        credentials: &Credentials,
        link: Option<&User>,
    ) -> Result<(Call<'static>, Login), AppError> {
        let service = &self.inner.service;
        let suffix = if link.is_some() { "?link=true" } else { "" };
        let provider = credentials.provider_type();
        let call = Call {
            name: if link.is_some() { "link" } else { "log in" },
            method: Method::POST,
            path: service.app_path(&format!("auth/providers/{provider}/login{suffix}")).into(),
            body: Some(credentials.body(&service.app_id)?),
        };
        let body = match link {
            Some(user) => user.call(&call).await?,
            None => service.call(&call, None).await.map_err(not_accepted)?,
        };
        let login = Login::read(&body).map_err(|fault| call.malformed(fault))?;
        Ok((call, login))
    }

    async fn profile(&self, token: &str) -> Result<Profile, AppError> {
        let call = Call::get("get profile", "/auth/profile");
        let body = self.inner.service.call(&call, Some(token)).await?;
        Profile::read(&body).map_err(|fault| call.malformed(fault))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // It is replaced as a whole.
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the users, in the file and here.
    async fn change(
        &self,
        unkept: Unkept,
        change: impl Fn(&mut Accounts) + Send + 'static,
    ) -> Result<(), AppError> {
        let app = self.clone();
        let changing = tokio::task::spawn_blocking(move || app.change_blocking(unkept, change));
        changing.await.map_err(TransportError::new)?
    }

    fn change_blocking(
        &self,
        unkept: Unkept,
        change: impl Fn(&mut Accounts),
    ) -> Result<(), AppError> {
        let base = |stored| {
            let known = self.known();
            if known.is_ahead { known.accounts.clone() } else { stored }
        };
        let tell = |accounts| *self.known() = Known { accounts, is_ahead: false };
        let kept = self.inner.file.update(base, &change, tell);
        if kept.is_err() && unkept == Unkept::Apply {
            let mut known = self.known();
            change(&mut known.accounts);
            known.is_ahead = true;
        }
        Ok(kept?)
    }
}

/// A login that is refused for what was sent.
fn not_accepted(error: AppError) -> AppError {
    match error {
        AppError::Server(error)
            if error.status == 401
                && !matches!(error.error_code.as_deref(), Some("UserDisabled")) =>
        {
            AppError::InvalidCredentials(error)
        }
        other => other,
    }
}
