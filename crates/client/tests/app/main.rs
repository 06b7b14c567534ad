//! The app and its realms against the server itself, in this process, over sockets.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

#[path = "../shared/choices.rs"]
#[expect(dead_code, reason = "others use more of it")]
mod choices;
mod kills;
mod large;
mod realms;
mod resets;
mod server;
#[path = "../sync/service.rs"]
mod service;
mod stock;
mod users;
