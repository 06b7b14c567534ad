//! The app and its realms against the server itself, in this process, over sockets.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod realms;
mod resets;
mod server;
#[path = "../sync/service.rs"]
mod service;
mod stock;
mod users;
