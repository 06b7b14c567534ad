//! The name of an app in URLs.

use std::fmt;
use std::str::FromStr;

/// A client app id, such as `inventory-abcde`: letters, digits, `-` and `_`, so it needs no escaping in URLs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppId(String);

/// A text that cannot be an [`AppId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an app id: it has 1 to {max} letters, digits, '-' and '_'", max = AppId::MAX_LEN)]
pub struct InvalidAppId(pub String);

impl AppId {
    /// Characters in the longest id.
    pub const MAX_LEN: usize = 128;

    /// The id as it stands in URLs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppId {
    type Err = InvalidAppId;

    fn from_str(text: &str) -> Result<Self, InvalidAppId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAppId(text.to_owned()))
        }
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
