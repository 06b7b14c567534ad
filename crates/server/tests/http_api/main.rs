//! The HTTP API, request by request, without a socket.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod cors;
mod errors;
mod location;
mod login;
mod service;
mod session;
mod storage;
mod tokens;
