//! BIND: a device opens a session for a partition. Spec: wire protocol, sections 3.1 and 3.3.

use bytes::Bytes;

use crate::ident::SessionIdent;
use crate::message::error::ParseError;
use crate::message::head::{self, Head, size};
use crate::message::limits::{MAX_PATH_LEN, MAX_TOKEN_LEN};

pub(super) const NAME: &str = "bind";

/// A device opens a session for a partition.
#[derive(Clone, PartialEq, Eq)]
pub struct Bind {
    /// The session, numbered by the device.
    pub session: SessionIdent,
    /// The partition value: the Extended JSON text of one BSON value, as the device wrote it.
    pub path: String,
    /// The access token again, as devices before realm-core 11.10 repeat it; empty from others.
    pub token: String,
    /// Whether the device has no client file ident yet and asks for one.
    pub need_client_file_ident: bool,
    /// Whether a server binds that serves devices of its own; no device does.
    pub is_subserver: bool,
}

impl Bind {
    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let session = head.session()?;
        let path_len = head.number("path_size")?;
        let token_len = head.number("token_size")?;
        let need_client_file_ident = head.flag("need_client_file_ident")?;
        let is_subserver = head.flag("is_subserver")?;
        // Neither exceeds 2^63-1, so the sum can't overflow.
        head.end_with_size(path_len + token_len, body)?;
        let path_len = usize::try_from(path_len).expect("both parts add up to a length in memory");
        let (path, token) = body.split_at(path_len);
        check_length("path", path, 1, MAX_PATH_LEN)?;
        check_length("token", token, 0, MAX_TOKEN_LEN)?;
        let (path, token) = (head::text(NAME, path)?, head::text(NAME, token)?);
        Ok(Self { session, path, token, need_client_file_ident, is_subserver })
    }

    pub(super) fn print_to(&self, out: &mut Vec<u8>) {
        let fields = [
            self.session.0,
            size(self.path.len()),
            size(self.token.len()),
            u64::from(self.need_client_file_ident),
            u64::from(self.is_subserver),
        ];
        head::push(out, NAME, &fields);
        out.extend_from_slice(self.path.as_bytes());
        out.extend_from_slice(self.token.as_bytes());
    }
}

fn check_length(
    part: &'static str,
    bytes: &[u8],
    least: usize,
    most: usize,
) -> Result<(), ParseError> {
    let len = bytes.len();
    if (least..=most).contains(&len) {
        Ok(())
    } else {
        Err(ParseError::Length { message: NAME, part, len, least, most })
    }
}

/// Leaves the token out.
impl std::fmt::Debug for Bind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bind")
            .field("session", &self.session)
            .field("path", &self.path)
            .field("token_len", &self.token.len())
            .field("need_client_file_ident", &self.need_client_file_ident)
            .field("is_subserver", &self.is_subserver)
            .finish()
    }
}
