//! The sync protocol over real sockets, against a server in this process.
//!
//! Every message that the server sends in any of these tests goes through [`real_client::RealClient`], which
//! fails the test where a device would crash, close the connection or stay away. Spec: wire protocol.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod changesets;
mod peer;
mod real_client;
mod service;

mod upgrade;

mod grammar;
mod ident;
mod lifecycle;

mod download;
mod mark;
mod refusal;
mod upload;

mod partitions;
mod versions;

mod endings;
mod limits;
