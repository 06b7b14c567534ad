//! Who a client is: logins, sessions, and the tokens that prove them.
//!
//! [`Authenticator`] stands between the HTTP side and the [`Accounts`] of the storage. It never asks a
//! clock: whoever calls says what time it is. A token is accepted only while its session is open and its
//! user exists and is enabled, so a logout or a deletion ends it at once.

pub mod ident;
pub mod provider;
pub mod token;

use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bailiwick_storage::account::{Accounts, Identity, LoginSession, User};
use bailiwick_storage::store::StorageError;
use tokio::sync::{Semaphore, watch};

use crate::app::AppId;
use crate::auth::ident::Ident;
use crate::auth::provider::Provider;
use crate::auth::token::{TokenError, TokenGrant, TokenKey, TokenKind};

/// Opens, checks and ends the login sessions of one app.
#[derive(Debug)]
pub struct Authenticator {
    accounts: Arc<dyn Accounts>,
    key: TokenKey,
    anonymous_provider_id: Ident,
    failure: watch::Sender<bool>,
    /// Bounds the threads that wait for the disk: they are also needed for everything else that blocks.
    changes: Arc<Semaphore>,
}

/// Changes of the accounts at a time; more wait without a thread.
const MAX_CHANGES: usize = 16;

/// What a successful login gives to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// For requests and the WebSocket.
    pub access_token: String,
    /// For new access tokens.
    pub refresh_token: String,
    /// 24 hexadecimal digits.
    pub user_id: String,
    /// 24 hexadecimal digits.
    pub device_id: String,
}

/// Who holds a valid access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessIdentity {
    /// 24 hexadecimal digits.
    pub user_id: String,
    /// The login session, 24 hexadecimal digits.
    pub session_id: String,
    /// 24 hexadecimal digits.
    pub device_id: String,
    /// When the access token ends, in milliseconds since 1970-01-01T00:00:00Z.
    pub expires_ms: u64,
}

/// Why a login, or a token, was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The token itself is bad.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The user has logged out, the session's time is over, or it was never there.
    #[error("the session has ended")]
    SessionEnded,
    /// The user was deleted.
    #[error("the user does not exist")]
    UserGone,
    /// An administrator has disabled the user.
    #[error("the user is disabled")]
    UserDisabled,
    /// The accounts cannot be read or written.
    #[error("the storage failed")]
    Storage(#[from] StorageError),
    /// No identifier could be made.
    #[error("the operating system gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// The server stops before the answer came.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl Authenticator {
    /// The authenticator of an app; makes the app's signing key and identifiers at the first call.
    ///
    /// Blocks on the storage, so it is for start-up.
    ///
    /// # Errors
    ///
    /// When the storage fails, when the stored key is too short or an identifier has the wrong length
    /// ([`StorageError::Corrupt`]), or when there are no random bytes.
    pub fn open(accounts: Arc<dyn Accounts>, app: &AppId) -> Result<Self, AuthError> {
        let mut proposal = [0; TokenKey::MIN_SECRET_LEN];
        getrandom::fill(&mut proposal)?;
        let secret = accounts.secret("token-signing-key", &proposal)?;
        if secret.len() < TokenKey::MIN_SECRET_LEN {
            return Err(StorageError::Corrupt("the key that signs tokens is too short").into());
        }
        let domain_id = stored_ident(&*accounts, &format!("app/{app}/domain-id"))?;
        let anonymous_provider_id =
            stored_ident(&*accounts, &format!("app/{app}/provider-id/anon-user"))?;
        let key = TokenKey::new(&secret, domain_id.to_string());
        let (failure, _) = watch::channel(false);
        let changes = Arc::new(Semaphore::new(MAX_CHANGES));
        Ok(Self { accounts, key, anonymous_provider_id, failure, changes })
    }

    /// Turns true when a change of the accounts has failed: what the storage holds is not known until it is opened
    /// again.
    pub fn has_failed(&self) -> watch::Receiver<bool> {
        self.failure.subscribe()
    }

    /// The app's object id, 24 hexadecimal digits: `domain_id` in profiles.
    pub fn domain_id(&self) -> &str {
        self.key.domain_id()
    }

    /// Makes a new user without credentials and logs them in.
    ///
    /// A client that already has an anonymous user does not ask again, so each call means a new one.
    /// `device` is what the client was told at an earlier login, if there was one.
    ///
    /// # Errors
    ///
    /// When the storage fails or there are no random bytes.
    pub async fn login_anonymous(
        &self,
        device: Option<Ident>,
        now_ms: u64,
    ) -> Result<Login, AuthError> {
        let provider = Provider::Anonymous;
        let identity = Identity {
            id: Ident::random()?.to_string(),
            provider_type: provider.name().to_owned(),
            provider_id: self.anonymous_provider_id.to_string(),
        };
        let user = User {
            id: Ident::random()?.to_string(),
            identities: vec![identity.clone()],
            created_ms: now_ms,
            disabled: false,
        };
        let session = LoginSession {
            id: Ident::random()?.to_string(),
            user_id: user.id.clone(),
            device_id: device.map_or_else(Ident::random, Ok)?.to_string(),
            created_ms: now_ms,
            expires_ms: now_ms.saturating_add(provider.refresh_lifetime_ms()),
        };
        let login = Login {
            access_token: self.key.sign_access(&session, now_ms),
            refresh_token: self.key.sign_refresh(&session, &identity),
            user_id: user.id.clone(),
            device_id: session.device_id.clone(),
        };
        self.change(move |accounts| accounts.create_user(&user, &session)).await?;
        Ok(login)
    }

    /// Who holds this access token; for the WebSocket, and for whatever else acts in a user's name.
    ///
    /// # Errors
    ///
    /// Why it is not accepted, or that the storage failed.
    pub async fn verify_access(
        &self,
        token: &str,
        now_ms: u64,
    ) -> Result<AccessIdentity, AuthError> {
        let grant = self.key.verify(token, TokenKind::Access, now_ms)?;
        self.on_accounts(move |accounts| Ok(holder(accounts, &grant, now_ms))).await?
    }

    /// Whether the login that an accepted token stood for is still there; the token may have expired.
    ///
    /// # Errors
    ///
    /// When the storage failed.
    pub async fn is_alive(&self, access: &AccessIdentity, now_ms: u64) -> Result<bool, AuthError> {
        let access = access.clone();
        self.on_accounts(move |accounts| Ok(is_alive(accounts, &access, now_ms))).await?
    }

    /// The user who holds this access token.
    ///
    /// # Errors
    ///
    /// As [`verify_access`](Self::verify_access).
    pub async fn user(&self, access_token: &str, now_ms: u64) -> Result<User, AuthError> {
        let grant = self.key.verify(access_token, TokenKind::Access, now_ms)?;
        Ok(self.live_session(&grant, now_ms).await?.1)
    }

    /// A new access token for the session of this refresh token.
    ///
    /// # Errors
    ///
    /// As [`verify_access`](Self::verify_access).
    pub async fn refresh(&self, refresh_token: &str, now_ms: u64) -> Result<String, AuthError> {
        let grant = self.key.verify(refresh_token, TokenKind::Refresh, now_ms)?;
        let (session, _) = self.live_session(&grant, now_ms).await?;
        Ok(self.key.sign_access(&session, now_ms))
    }

    /// Ends the session of this refresh token.
    ///
    /// It may have ended before, and its user may be gone: a client that deleted its user logs out
    /// afterwards, and expects that to work.
    ///
    /// # Errors
    ///
    /// When the token is not a refresh token of this app, or the storage failed.
    pub async fn logout(&self, refresh_token: &str) -> Result<(), AuthError> {
        let grant = self.key.verify_ignoring_expiry(refresh_token, TokenKind::Refresh)?;
        self.change(move |accounts| accounts.revoke_session(&grant.session_id)).await?;
        Ok(())
    }

    /// Deletes the user who holds this access token, with all their sessions.
    ///
    /// # Errors
    ///
    /// As [`verify_access`](Self::verify_access).
    pub async fn delete_user(&self, access_token: &str, now_ms: u64) -> Result<(), AuthError> {
        let user = self.user(access_token, now_ms).await?;
        self.change(move |accounts| accounts.delete_user(&user.id)).await?;
        Ok(())
    }

    async fn live_session(
        &self,
        grant: &TokenGrant,
        now_ms: u64,
    ) -> Result<(LoginSession, User), AuthError> {
        let grant = grant.clone();
        self.on_accounts(move |accounts| Ok(live_session(accounts, &grant, now_ms))).await?
    }

    /// Changes the accounts. That this has failed is told although nobody may wait for the answer any more.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&dyn Accounts) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, AuthError> {
        let failure = self.failure.clone();
        let place = Arc::clone(&self.changes).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        self.on_accounts(move |accounts| {
            let _place = place; // The thread goes on when whoever asked has gone.
            // As in a commit, a panic of the store is a failure of it.
            let changed = catch_unwind(AssertUnwindSafe(|| change(accounts)))
                .unwrap_or_else(|_| Err(StorageError::backend("the store has panicked")));
            if let Err(StorageError::Backend(_) | StorageError::Stopped) = &changed {
                failure.send_replace(true);
            }
            changed
        })
        .await
    }

    /// Runs what blocks where it may; a panic in there goes on in the caller.
    async fn on_accounts<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Accounts) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, AuthError> {
        let accounts = Arc::clone(&self.accounts);
        match tokio::task::spawn_blocking(move || work(&*accounts)).await {
            Ok(answer) => Ok(answer?),
            Err(stopped) => match stopped.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                Err(_) => Err(AuthError::ShuttingDown),
            },
        }
    }
}

/// The session that a genuine token names, and its user, if both may still be used. Blocks on the storage.
///
/// # Errors
///
/// Why they may not, or that the storage failed.
pub fn live_session(
    accounts: &dyn Accounts,
    grant: &TokenGrant,
    now_ms: u64,
) -> Result<(LoginSession, User), AuthError> {
    let session = accounts.session(&grant.session_id)?;
    let user = accounts.user(&grant.user_id)?.ok_or(AuthError::UserGone)?;
    let session = session
        .filter(|session| session.user_id == user.id && now_ms < session.expires_ms)
        .ok_or(AuthError::SessionEnded)?;
    if user.disabled { Err(AuthError::UserDisabled) } else { Ok((session, user)) }
}

/// Who holds a genuine access token that grants this. Blocks on the storage.
///
/// # Errors
///
/// As [`live_session`].
pub fn holder(
    accounts: &dyn Accounts,
    grant: &TokenGrant,
    now_ms: u64,
) -> Result<AccessIdentity, AuthError> {
    let (session, _) = live_session(accounts, grant, now_ms)?;
    Ok(AccessIdentity {
        user_id: session.user_id,
        session_id: session.id,
        device_id: session.device_id,
        expires_ms: grant.expires_s.saturating_mul(1000),
    })
}

/// Whether the login that an accepted token stood for is still there; the token may have expired. Blocks on the
/// storage.
///
/// # Errors
///
/// When the storage failed.
pub fn is_alive(
    accounts: &dyn Accounts,
    access: &AccessIdentity,
    now_ms: u64,
) -> Result<bool, AuthError> {
    let grant = TokenGrant {
        session_id: access.session_id.clone(),
        user_id: access.user_id.clone(),
        device_id: access.device_id.clone(),
        expires_s: access.expires_ms / 1000,
    };
    match live_session(accounts, &grant, now_ms) {
        Ok(_) => Ok(true),
        Err(AuthError::SessionEnded | AuthError::UserGone | AuthError::UserDisabled) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The identifier that is kept under this name; a new one at the first call.
fn stored_ident(accounts: &dyn Accounts, name: &str) -> Result<Ident, AuthError> {
    let stored = accounts.secret(name, Ident::random()?.as_bytes())?;
    let bytes = <[u8; Ident::LEN]>::try_from(stored)
        .map_err(|_| StorageError::Corrupt("an identifier does not have twelve bytes"))?;
    Ok(Ident::from_bytes(bytes))
}
