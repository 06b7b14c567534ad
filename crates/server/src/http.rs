//! The HTTP side: the client API of the Realm SDKs, in front of and beside the sync WebSocket.
//!
//! It is the only part that knows of HTTP. What an SDK asks before it syncs is its location, a login, and
//! its profile; then, now and then, a new access token (spec: App Services client API).

mod auth;
pub mod base_url;
pub mod cors;
pub mod error;
mod location;
pub mod router;
pub mod token;
pub mod websocket;
