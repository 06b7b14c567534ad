//! Who may connect: logins and tokens, as the real server has them.

use bailiwick_server::auth::token::{TokenKey, TokenKind};
use bailiwick_server::auth::{AccessIdentity, AuthError, holder, live_session};
use bailiwick_storage::account::{Accounts, Identity, LoginSession, User};

/// What a login gives to a device.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
}

/// Signs and checks the tokens; the accounts are in the store.
pub(super) struct Admission {
    key: TokenKey,
}

/// The object id of the simulated app.
const DOMAIN_ID: &str = "65a0000000000000000000ff";
/// How long a login lasts, in milliseconds, unless it is ended: longer than any world.
const LOGIN_LIFETIME_MS: u64 = 10 * 365 * 86_400_000;

impl Admission {
    pub(super) fn new() -> Self {
        Self { key: TokenKey::new(&[7; TokenKey::MIN_SECRET_LEN], DOMAIN_ID) }
    }

    /// Logs a user in, who is made if need be. `number` names the login.
    pub(super) fn login(
        &self,
        accounts: &dyn Accounts,
        user_id: &str,
        number: u64,
        now_ms: u64,
    ) -> Result<Login, AuthError> {
        let identity = Identity {
            id: format!("identity of {user_id}"),
            provider_type: "anon-user".to_owned(),
            provider_id: DOMAIN_ID.to_owned(),
        };
        let session = LoginSession {
            id: format!("login {number}"),
            user_id: user_id.to_owned(),
            device_id: format!("device of login {number}"),
            created_ms: now_ms,
            expires_ms: now_ms + LOGIN_LIFETIME_MS,
        };
        if accounts.user(user_id)?.is_some() {
            accounts.put_session(&session)?;
        } else {
            let user = User {
                id: user_id.to_owned(),
                identities: vec![identity.clone()],
                created_ms: now_ms,
                disabled: false,
            };
            accounts.create_user(&user, &session)?;
        }
        Ok(Login {
            access_token: self.key.sign_access(&session, now_ms),
            refresh_token: self.key.sign_refresh(&session, &identity),
        })
    }

    /// Who holds an access token.
    pub(super) fn verify(
        &self,
        accounts: &dyn Accounts,
        access_token: &str,
        now_ms: u64,
    ) -> Result<AccessIdentity, AuthError> {
        let grant = self.key.verify(access_token, TokenKind::Access, now_ms)?;
        holder(accounts, &grant, now_ms)
    }

    /// Ends a login.
    pub(super) fn log_out(
        &self,
        accounts: &dyn Accounts,
        refresh_token: &str,
    ) -> Result<(), AuthError> {
        let grant = self.key.verify_ignoring_expiry(refresh_token, TokenKind::Refresh)?;
        accounts.revoke_session(&grant.session_id)?;
        Ok(())
    }

    /// A new access token.
    pub(super) fn refresh(
        &self,
        accounts: &dyn Accounts,
        refresh_token: &str,
        now_ms: u64,
    ) -> Result<String, AuthError> {
        let grant = self.key.verify(refresh_token, TokenKind::Refresh, now_ms)?;
        let (session, _) = live_session(accounts, &grant, now_ms)?;
        Ok(self.key.sign_access(&session, now_ms))
    }
}
