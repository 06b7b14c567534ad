//! UNBIND and UNBOUND: the device ends a session, the server confirms. Spec: wire protocol, section 6.3.

use bytes::Bytes;

use crate::ident::SessionIdent;
use crate::message::error::ParseError;
use crate::message::head::{self, Head};

/// A device ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbind {
    /// The session.
    pub session: SessionIdent,
}

/// The last message of a session that the device ended; never after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbound {
    /// The session.
    pub session: SessionIdent,
}

impl Unbind {
    pub(super) const NAME: &str = "unbind";

    pub(super) fn parse(head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        only_session(head, body).map(|session| Self { session })
    }

    pub(super) fn print_to(self, out: &mut Vec<u8>) {
        head::push(out, Self::NAME, &[self.session.0]);
    }
}

impl Unbound {
    pub(super) const NAME: &str = "unbound";

    pub(super) fn parse(head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        only_session(head, body).map(|session| Self { session })
    }

    pub(super) fn print_to(self, out: &mut Vec<u8>) {
        head::push(out, Self::NAME, &[self.session.0]);
    }
}

fn only_session(mut head: Head<'_>, body: &Bytes) -> Result<SessionIdent, ParseError> {
    let session = head.session()?;
    head.end_without_body(body)?;
    Ok(session)
}
