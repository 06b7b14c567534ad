//! Users and their login sessions, and where they are kept.

use crate::store::StorageError;

/// A user of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// 24 hexadecimal digits.
    pub id: String,
    /// How the user can log in, in the order of linking.
    pub identities: Vec<Identity>,
    /// When the user was created, in milliseconds since 1970-01-01T00:00:00Z.
    pub created_ms: u64,
    /// A disabled user cannot log in, refresh or connect.
    pub disabled: bool,
}

/// One way in which a user can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Names the identity within the provider.
    pub id: String,
    /// `anon-user`, `local-userpass`, ...
    pub provider_type: String,
    /// 24 hexadecimal digits.
    pub provider_id: String,
}

/// One login of one user on one device; a refresh token names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSession {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// The device, 24 hexadecimal digits.
    pub device_id: String,
    /// When it was opened, in milliseconds since 1970-01-01T00:00:00Z.
    pub created_ms: u64,
    /// When its refresh token ends, in the same unit.
    pub expires_ms: u64,
}

/// Keeps users, login sessions and the secret that signs tokens. Each change is durable when the method returns.
pub trait Accounts: std::fmt::Debug + Send + Sync + 'static {
    /// The value stored under a name, or `proposal`, which is stored if there was none (atomically).
    fn secret(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StorageError>;

    /// Adds or replaces a user.
    fn put_user(&self, user: &User) -> Result<(), StorageError>;

    /// One user.
    fn user(&self, id: &str) -> Result<Option<User>, StorageError>;

    /// Adds a user and a session at once.
    fn create_user(&self, user: &User, session: &LoginSession) -> Result<(), StorageError>;

    /// Adds or replaces a session.
    fn put_session(&self, session: &LoginSession) -> Result<(), StorageError>;

    /// One session, unless it was revoked.
    fn session(&self, id: &str) -> Result<Option<LoginSession>, StorageError>;

    /// Ends a session; whether there was one.
    fn revoke_session(&self, id: &str) -> Result<bool, StorageError>;

    /// Removes a user together with all their sessions; whether there was such a user.
    fn delete_user(&self, id: &str) -> Result<bool, StorageError>;
}
