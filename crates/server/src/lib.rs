//! A self-hosted Device Sync server for the unmodified Realm SDKs; the program is `bailiwick`.
//!
//! A program can also run it inside itself, for instance in a test:
//!
//! ```
//! use std::sync::Arc;
//!
//! use bailiwick_server::app::App;
//! use bailiwick_server::http::base_url::Addressing;
//! use bailiwick_server::serve::{ServeConfig, Server};
//! use bailiwick_storage::memory::MemoryStore;
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App::read("../../examples/inventory".as_ref())?;
//! let store = Arc::new(MemoryStore::default());
//! let server = Server::new(app, store, Addressing::FromHost, ServeConfig::default())?;
//!
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! println!("base URL: http://{}", listener.local_addr()?);
//! let (stop, stopped) = tokio::sync::oneshot::channel();
//! let running = tokio::spawn(server.run(listener, async { drop(stopped.await) }));
//!
//! // Devices sync until somebody says:
//! stop.send(()).ok();
//! running.await??;
//! # Ok(())
//! # }
//! ```
//!
//! What an upload becomes and what a device may be told is decided by `bailiwick-core` and `bailiwick-protocol`;
//! here are the sockets, clocks and disks around them.

pub mod app;
pub mod auth;
pub mod clock;
pub mod dump;
pub mod http;
pub mod realm;
pub mod serve;
pub mod session;
