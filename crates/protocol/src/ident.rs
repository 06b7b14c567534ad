//! Names that the wire gives to sessions and client files: newtypes, so that none passes for another.
//!
//! Spec: wire protocol, sections 2 and 5.1.

use std::fmt;

/// Defines a newtype over `u64` that prints and parses as a decimal integer.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}
pub(crate) use number;

number! {
    /// One session of a connection, chosen by the device; 0 is the connection itself (errors, logs).
    SessionIdent
}

number! {
    /// A client file within one partition, allocated by the server: 2 and up.
    ///
    /// 0 means "the sender itself" in an UPLOAD and "the server itself" in a stored entry; 1 is the
    /// server on the wire.
    FileIdent
}

number! {
    /// A secret or check value, 1 to 2^63-1; 0 stands for "none".
    Salt
}

impl FileIdent {
    /// "The peer itself": the author in an UPLOAD, the server in a stored entry.
    pub const SELF: Self = Self(0);
    /// The server, as devices see it.
    pub const SERVER: Self = Self(1);
    /// The first ident that is given to a device.
    pub const FIRST_CLIENT: Self = Self(2);
}

impl SessionIdent {
    /// The connection as a whole.
    pub const CONNECTION: Self = Self(0);
}
