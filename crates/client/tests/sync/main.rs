//! Devices of this crate and a server in one process, over real sockets. No test waits for a time; all wait for events.

mod connection;
mod convergence;
mod device;
mod endings;
mod faults;
mod proxy;
mod service;
mod tokens;
mod waits;
