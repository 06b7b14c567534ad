//! `Sec-WebSocket-Protocol`: which mode and which version of the protocol a connection speaks.
//!
//! Devices offer one token for each version, the newest first, and crash on an answer that they did not offer. So the
//! answer is a part of the offer, and there is none without one. Spec: wire protocol, sections 1.1 and 1.2.

use std::ops::RangeInclusive;

use crate::protocol_version::ProtocolVersion;

/// What a connection synchronises: the prefix of its tokens says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SyncMode {
    /// Whole partitions.
    Partition,
    /// What queries select.
    Flexible,
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement<'a> {
    /// What to answer, to the letter: the token as the device offered it.
    pub token: &'a str,
    /// The mode.
    pub mode: SyncMode,
    /// The version.
    pub version: ProtocolVersion,
}

/// Why there is no agreement. The answer is HTTP 400 with this text, never 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// No token of any sync protocol.
    #[error("no sync protocol is offered in Sec-WebSocket-Protocol")]
    NothingOffered,
    /// Some tokens, but none of a version that the server speaks.
    #[error("no offered version of the sync protocol is spoken here, which is {least} to {most}")]
    NoCommonVersion {
        /// The oldest version of the server.
        least: ProtocolVersion,
        /// The newest.
        most: ProtocolVersion,
    },
    /// Tokens of both modes.
    #[error("both modes of sync are offered for one connection")]
    MixedModes,
    /// More than any device offers.
    #[error("Sec-WebSocket-Protocol is longer than {MAX_OFFER_LEN} bytes")]
    TooLong,
}

/// The longest offer that is looked at, all headers together: devices offer some 400 bytes.
const MAX_OFFER_LEN: usize = 4096;

/// Chooses the newest version that is both offered and `spoken`.
///
/// `headers` are the values of all `Sec-WebSocket-Protocol` headers. Tokens are separated by commas, with or without
/// blanks around them, and have their version after `#` or `/`. Foreign tokens are ignored, and so are ranges of
/// versions, which no device offers: the answer to one would be a token that was not offered.
///
/// # Errors
///
/// See [`HandshakeError`].
pub fn negotiate<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
    spoken: RangeInclusive<ProtocolVersion>,
) -> Result<Agreement<'a>, HandshakeError> {
    let mut left = MAX_OFFER_LEN;
    let mut mode = None;
    let mut best: Option<Agreement<'a>> = None;
    for header in headers {
        left = left.checked_sub(header.len() + 1).ok_or(HandshakeError::TooLong)?;
        for offer in header.split(|&byte| byte == b',').filter_map(Offer::parse) {
            if *mode.get_or_insert(offer.mode) != offer.mode {
                return Err(HandshakeError::MixedModes);
            }
            let Some(agreement) = offer.agreement(&spoken) else { continue };
            if best.is_none_or(|best| agreement.version > best.version) {
                best = Some(agreement);
            }
        }
    }
    match (best, mode) {
        (Some(agreement), _) => Ok(agreement),
        (None, None) => Err(HandshakeError::NothingOffered),
        (None, Some(_)) => {
            Err(HandshakeError::NoCommonVersion { least: *spoken.start(), most: *spoken.end() })
        }
    }
}

/// What a device offers that speaks all versions: the value of `Sec-WebSocket-Protocol`.
pub fn offer(mode: SyncMode) -> String {
    offer_of(mode, &(ProtocolVersion::MIN..=ProtocolVersion::MAX))
}

/// What a device offers that speaks these versions only.
pub fn offer_of(mode: SyncMode, versions: &RangeInclusive<ProtocolVersion>) -> String {
    let prefix = mode.prefix();
    let versions = ProtocolVersion::newest_first().filter(|version| versions.contains(version));
    let tokens = versions.map(|version| format!("{prefix}#{version}"));
    tokens.collect::<Vec<_>>().join(", ")
}

impl SyncMode {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Partition => "com.mongodb.realm-sync",
            Self::Flexible => "com.mongodb.realm-query-sync",
        }
    }
}

/// One token that names a sync protocol.
struct Offer<'a> {
    token: &'a str,
    mode: SyncMode,
    /// What follows the separator.
    version: &'a str,
}

impl<'a> Offer<'a> {
    fn parse(token: &'a [u8]) -> Option<Self> {
        let token = str::from_utf8(token.trim_ascii()).ok()?;
        let (prefix, version) = token.split_once(['#', '/'])?;
        let mode = [SyncMode::Partition, SyncMode::Flexible]
            .into_iter()
            .find(|mode| mode.prefix() == prefix)?;
        Some(Self { token, mode, version })
    }

    fn agreement(&self, spoken: &RangeInclusive<ProtocolVersion>) -> Option<Agreement<'a>> {
        let is_plain = matches!(self.version.as_bytes(), [b'1'..=b'9', ..]);
        let number = self.version.parse().ok().filter(|_| is_plain)?;
        let version = ProtocolVersion::new(number).filter(|version| spoken.contains(version))?;
        Some(Agreement { token: self.token, mode: self.mode, version })
    }
}
