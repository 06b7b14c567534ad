//! What one message may cost: bounds that hold before anything is allocated for it.
//!
//! Spec: wire protocol, sections 3.3 and 4.4.

/// The longest header with its line feed: the name and twelve numbers of 19 digits, and some room.
pub const MAX_HEADER_LEN: usize = 272;

/// The longest partition value in a BIND, in bytes.
pub const MAX_PATH_LEN: usize = 1024;

/// The longest access token in a BIND, in bytes. Devices before realm-core 11.10 repeat theirs there, with
/// all custom claims.
pub const MAX_TOKEN_LEN: usize = 8 * 1024;

/// Bodies up to this length are never compressed.
pub const COMPRESSION_THRESHOLD: usize = 1024;

/// The least limit for a plain body that no ordinary upload exceeds: devices stop before 16 MiB of changesets,
/// and after 128 KiB of short ones, whose entry headers take the rest.
///
/// A single transaction above that is sent all the same; a deployment decides whether to raise its limit.
pub const DEFAULT_MAX_PLAIN_LEN: usize = 18 * 1024 * 1024;
