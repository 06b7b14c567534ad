//! The `JSON_ERROR` that devices send. Spec: wire protocol, sections 3.1 and 5.4.

use bytes::Bytes;
use serde::Deserialize;

use crate::error_code::ErrorCode;
use crate::ident::SessionIdent;
use crate::message::error::ParseError;
use crate::message::head::{self, Head, size};

/// A device could not make use of what the server sent. The session stays, but is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// The session, or the connection.
    pub session: SessionIdent,
    /// What was wrong; mostly [`ErrorCode::BadChangeset`]. It may be any number.
    pub code: ErrorCode,
    /// What the device says about it: JSON by rule, but nothing depends on that.
    pub body: String,
}

impl ClientError {
    pub(super) const NAME: &str = "json_error";

    /// What happened, in the device's words: `message` of the body, or else all of it.
    pub fn message(&self) -> String {
        #[derive(Deserialize)]
        struct JsonBody {
            message: String,
        }
        match serde_json::from_str::<JsonBody>(&self.body) {
            Ok(body) => body.message,
            Err(_) => self.body.clone(),
        }
    }

    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let code = ErrorCode::from_number(head.code()?);
        let len = head.number("size")?;
        let session = head.session_or_connection()?;
        head.end_with_size(len, body)?;
        Ok(Self { session, code, body: head::text(Self::NAME, body)? })
    }

    pub(super) fn print_to(&self, out: &mut Vec<u8>) {
        let fields = [u64::from(self.code.number()), size(self.body.len()), self.session.0];
        head::push(out, Self::NAME, &fields);
        out.extend_from_slice(self.body.as_bytes());
    }
}
