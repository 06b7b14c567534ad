//! A self-hosted Device Sync server for the unmodified Realm SDKs.

pub mod app;
pub mod auth;
pub mod clock;
pub mod http;
pub mod realm;
pub mod serve;
pub mod session;
