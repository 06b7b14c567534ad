//! Connections to servers that do what a test wants.

mod connector;
mod http;
mod link;
mod peer;
mod websocket;
