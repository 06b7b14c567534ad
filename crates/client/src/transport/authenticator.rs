//! What a connection needs of the user whose it is.

use std::fmt;

use futures_util::future::BoxFuture;
use hyper::Uri;

/// A user who is logged in, as connections see them.
///
/// Calls may come at the same time; what one has got, another need not ask for again.
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Where the sync WebSocket is: what the location service said, or what is guessed before it has answered.
    ///
    /// Asks the service if it never answered. `Unavailable` is for an address that cannot even be guessed.
    fn route(&self) -> BoxFuture<'_, Result<Route, AuthFailure>>;

    /// Asks the location service again, since the server is not where it was.
    ///
    /// The next [`route`](Self::route) is what it says; if it does not answer, what it said before.
    fn refresh_route(&self) -> BoxFuture<'_, Result<(), AuthFailure>>;

    /// The access token to connect with.
    ///
    /// Gets another one first if it has expired; if that is impossible for the moment, the expired one is good
    /// enough: the server decides (spec: client, section 6.3).
    fn access_token(&self) -> BoxFuture<'_, Result<String, AuthFailure>>;

    /// Gets another access token, since the server does not take the one that it was given.
    fn refresh_access_token(&self) -> BoxFuture<'_, Result<(), AuthFailure>>;

    /// The server does not let this user in any more.
    fn logged_out(&self, reason: &str);
}

/// Where the sync WebSocket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `{ws_hostname}/api/client/v2.0/app/{app_id}/realm-sync`, with a query or without.
    pub url: Uri,
    /// Whether the location service has said so; otherwise it is a guess.
    pub is_confirmed: bool,
}

/// Why there is no token or location.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthFailure {
    /// The user has to log in again.
    #[error("the user is logged out: {0}")]
    LoggedOut(String),
    /// The same may succeed later.
    #[error("the server cannot be asked: {0}")]
    Unavailable(String),
}
