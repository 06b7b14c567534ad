//! The network: connections to a server, HTTP requests, the sync WebSocket, and the task that drives a
//! [`session::Connection`](crate::session) between a socket, files and a clock.

mod authenticator;
mod connection;
mod connector;
mod driver;
mod endpoint;
mod handle;
mod http;
mod progress;
mod stream;
mod tls;
mod websocket;

pub use authenticator::{AuthFailure, Authenticator, Route};
pub use connection::{RealmStorage, SyncConfig, SyncConnection, SyncRealm};
pub use connector::{Connector, Unreachable};
pub use endpoint::{Endpoint, EndpointError};
pub use handle::{SyncHandle, SyncNotice, SyncStatus};
pub use http::{HttpError, request};
pub use progress::SyncProgress;
pub use stream::Stream;
pub use tls::Tls;

#[cfg(test)]
mod tests;
