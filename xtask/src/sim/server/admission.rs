//! Who may connect: logins and tokens, as the real server has them.

use std::time::Duration;

use bailiwick_server::auth::token::{ACCESS_LIFETIME_S, TokenKey, TokenKind};
use bailiwick_server::auth::{AccessIdentity, AuthError, holder, live_session};
use bailiwick_storage::account::{Accounts, Identity, LoginSession, User};

use super::EPOCH_MS;
use crate::sim::agenda::Time;
use crate::sim::choices::Choices;
use crate::sim::limits::Limits;

/// What a login gives to a device.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    /// When the access token ends.
    pub(crate) access_until: Time,
    /// When the login ends, unless somebody ends it.
    pub(crate) until: Time,
    session: LoginSession,
}

/// Signs and checks the tokens; the accounts are in the store.
pub(super) struct Admission {
    key: TokenKey,
    access_lifetime: Duration,
    login_lifetime: Duration,
}

/// The object id of the simulated app.
const DOMAIN_ID: &str = "65a0000000000000000000ff";

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            key: TokenKey::new(&[7; TokenKey::MIN_SECRET_LEN], DOMAIN_ID),
            access_lifetime: limits.access_lifetime,
            login_lifetime: limits.login_lifetime,
        }
    }

    /// Logs a user in, who is made if need be. `number` names the login.
    pub(super) fn log_in(
        &self,
        accounts: &dyn Accounts,
        user_id: &str,
        number: u64,
        now: Time,
    ) -> Result<Login, AuthError> {
        let now_ms = ms(now);
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
            // Tokens know of whole seconds only.
            expires_ms: ms(now + self.login_lifetime) / 1000 * 1000,
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
        let mut login = Login {
            access_token: String::new(),
            refresh_token: self.key.sign_refresh(&session, &identity),
            access_until: Time::ZERO,
            until: Time::from_millis(session.expires_ms - EPOCH_MS),
            session,
        };
        self.sign(&mut login, now, self.access_lifetime);
        Ok(login)
    }

    /// Who holds an access token.
    pub(super) fn verify(
        &self,
        accounts: &dyn Accounts,
        access_token: &str,
        now: Time,
    ) -> Result<AccessIdentity, AuthError> {
        let grant = self.key.verify(access_token, TokenKind::Access, ms(now))?;
        holder(accounts, &grant, ms(now))
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

    /// A new access token for a login.
    pub(super) fn refresh(
        &self,
        accounts: &dyn Accounts,
        login: &mut Login,
        now: Time,
    ) -> Result<(), AuthError> {
        let grant = self.key.verify(&login.refresh_token, TokenKind::Refresh, ms(now))?;
        let (session, _) = live_session(accounts, &grant, ms(now))?;
        login.session = session;
        self.sign(login, now, self.access_lifetime);
        Ok(())
    }

    /// The access token of a login ends now.
    pub(super) fn expire(&self, login: &mut Login, now: Time) {
        self.sign(login, now, Duration::ZERO);
    }

    /// A token that nobody must be let in with, made from a login that is good.
    pub(super) fn forged(&self, login: &Login, now: Time, choices: &mut Choices) -> String {
        let (begin_ms, secret) = (ms(now), [7; TokenKey::MIN_SECRET_LEN]);
        match choices.below(5) {
            0 => login.refresh_token.clone(),
            1 => TokenKey::new(&secret, "65a0000000000000000000fe")
                .sign_access(&login.session, begin_ms),
            2 => TokenKey::new(&[8; TokenKey::MIN_SECRET_LEN], DOMAIN_ID)
                .sign_access(&login.session, begin_ms),
            3 => self.key.sign_access(&login.session, begin_ms - ACCESS_LIFETIME_S * 1000),
            _ => {
                // All but the bits of a signature's end, of which some mean nothing.
                let mut bytes = login.access_token.clone().into_bytes();
                let at = choices.below(bytes.len() - 2);
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                String::from_utf8(bytes).expect("it is ASCII")
            }
        }
    }

    /// Signs an access token that was good for as long as a real one, and is for so long from now on.
    fn sign(&self, login: &mut Login, now: Time, left: Duration) {
        let begin_ms = (ms(now + left) - ACCESS_LIFETIME_S * 1000) / 1000 * 1000;
        login.access_token = self.key.sign_access(&login.session, begin_ms);
        login.access_until = Time::from_millis(begin_ms + ACCESS_LIFETIME_S * 1000)
            .saturating_sub(Time::from_millis(EPOCH_MS));
    }
}

/// Milliseconds since 1970.
fn ms(now: Time) -> u64 {
    EPOCH_MS + u64::try_from(now.as_millis()).expect("worlds end before that")
}
