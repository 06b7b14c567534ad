//! MARK: a device asks to be told when it has everything up to now. Spec: wire protocol, section 6.4.

use std::fmt;

use bytes::Bytes;

use crate::ident::{SessionIdent, number};
use crate::message::error::ParseError;
use crate::message::head::{self, Head};

pub(super) const NAME: &str = "mark";

number! {
    /// The number of a MARK within its session: 1, 2, 3, ...
    RequestIdent
}

/// A device asks, or the server says, that the device has got the history up to its head of when it asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The session.
    pub session: SessionIdent,
    /// Which MARK; in an answer, the latest that it is for.
    pub request_ident: RequestIdent,
}

impl Mark {
    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let session = head.session()?;
        let request_ident = RequestIdent(head.number("request_ident")?);
        head.end_without_body(body)?;
        Ok(Self { session, request_ident })
    }

    pub(super) fn print_to(self, out: &mut Vec<u8>) {
        head::push(out, NAME, &[self.session.0, self.request_ident.0]);
    }
}
