//! Devices of this crate and a server in one process, over real sockets. No test waits for a time; all wait for events.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod connection;
mod convergence;
mod device;
mod endings;
mod faults;
mod login;
mod proxy;
mod resets;
mod service;
mod tokens;
mod waits;
