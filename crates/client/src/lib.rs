//! The place of a Rust client for Realm Device Sync. **There is nothing here yet.**
//!
//! To sync from a device today, use one of the official Realm SDKs with `bailiwick-server`. To read or write the wire
//! format from Rust, see `bailiwick-protocol`; to merge and apply changesets, `bailiwick-core`.
