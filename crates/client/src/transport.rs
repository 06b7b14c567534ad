//! The network: connections to a server, HTTP requests, the sync WebSocket, and the task that drives a
//! [`session::Connection`](crate::session) between a socket, files and a clock.
//!
//! Applications meet the [`SyncHandle`] of a realm:
//!
//! ```no_run
//! use bailiwick_client::{Realm, SyncError};
//! use futures_util::StreamExt as _;
//!
//! # async fn example(realm: &Realm) -> Result<(), SyncError> {
//! let sync = realm.sync().expect("the realm was opened by a user");
//! let mut errors = sync.errors();
//! tokio::spawn(async move {
//!     while let Some(error) = errors.next().await {
//!         eprintln!("{error}{}", if error.is_fatal() { "; sync has ended" } else { "" });
//!     }
//! });
//! let mut progress = sync.progress();
//! tokio::spawn(async move {
//!     while progress.changed().await.is_ok() {
//!         if let Some(progress) = *progress.borrow_and_update() {
//!             println!("{} of {} bytes uploaded", progress.uploaded, progress.uploadable);
//!         }
//!     }
//! });
//! sync.wait_for_upload().await?;
//! sync.wait_for_download().await?;
//!
//! sync.pause().await; // Reading and writing go on.
//! sync.resume().await;
//! # Ok(())
//! # }
//! ```

mod authenticator;
mod connection;
mod connector;
mod driver;
mod endpoint;
mod handle;
mod http;
mod link;
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
pub use link::{Link, LinkEvent};
pub use progress::SyncProgress;
pub use stream::Stream;
pub use tls::Tls;
pub use websocket::WebSocket;

#[cfg(test)]
mod tests;
