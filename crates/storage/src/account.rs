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

/// Keeps users, login sessions and the secret that signs tokens.
///
/// Each change is durable, and seen by every later call, when the method returns; each is made as a whole
/// or not at all. Whether a session's user exists is for the caller to know.
///
/// # Errors
///
/// Every method fails as those of [`Store`](crate::store::Store#errors) do. After a change that failed
/// it is unknown whether it was made, until the store is opened again.
pub trait Accounts: std::fmt::Debug + Send + Sync + 'static {
    /// The value stored under a name, or `proposal`, which is stored if there was none. Of several
    /// proposals at the same time one wins, and all callers get that one.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn secret(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StorageError>;

    /// Adds or replaces a user.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn put_user(&self, user: &User) -> Result<(), StorageError>;

    /// One user.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn user(&self, id: &str) -> Result<Option<User>, StorageError>;

    /// Adds or replaces a user and a session at once.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn create_user(&self, user: &User, session: &LoginSession) -> Result<(), StorageError>;

    /// Adds or replaces a session.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn put_session(&self, session: &LoginSession) -> Result<(), StorageError>;

    /// One session, unless it was revoked. A session that has ended by its date is still answered.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn session(&self, id: &str) -> Result<Option<LoginSession>, StorageError>;

    /// Ends a session; whether there was one.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn revoke_session(&self, id: &str) -> Result<bool, StorageError>;

    /// Removes a user and all the user's sessions at once; whether there was such a user. Sessions of
    /// a user who does not exist are removed too.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn delete_user(&self, id: &str) -> Result<bool, StorageError>;
}
