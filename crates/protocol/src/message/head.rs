//! The first line of a message: its name, and fields separated by exactly one space.
//!
//! Spec: wire protocol, section 2.

use bytes::Bytes;

use crate::ident::{FileIdent, Salt, SessionIdent};
use crate::message::decimal::{self, NumberFault};
use crate::message::error::ParseError;
use crate::message::limits::MAX_HEADER_LEN;
use crate::version::{ClientVersion, ServerVersion};

/// A message, split at its first line feed.
#[derive(Debug)]
pub(crate) struct Split<'a> {
    pub(crate) name: &'a [u8],
    /// The fields, each with the space before it.
    pub(crate) fields: &'a [u8],
    pub(crate) body: Bytes,
}

/// Splits a message into name, fields and body; the body shares the memory of `payload`.
pub(crate) fn split(payload: &Bytes) -> Result<Split<'_>, ParseError> {
    let start = &payload[..payload.len().min(MAX_HEADER_LEN)];
    let end = start.iter().position(|&byte| byte == b'\n').ok_or(ParseError::NoHeader)?;
    let line = &start[..end];
    let name_len = line.iter().position(|&byte| byte == b' ').unwrap_or(end);
    let (name, fields) = line.split_at(name_len);
    Ok(Split { name, fields, body: payload.slice(end + 1..) })
}

/// Reads the fields of one header in their order.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    message: &'static str,
    rest: &'a [u8],
}

impl<'a> Head<'a> {
    pub(crate) fn new(message: &'static str, fields: &'a [u8]) -> Self {
        Self { message, rest: fields }
    }

    /// The next field.
    pub(crate) fn number(&mut self, field: &'static str) -> Result<u64, ParseError> {
        let fault = |fault| ParseError::Field { message: self.message, field, fault };
        let digits = self.rest.strip_prefix(b" ").ok_or(fault(NumberFault::Missing))?;
        let (number, rest) = decimal::read(digits).map_err(fault)?;
        if !matches!(rest, [] | [b' ', ..]) {
            return Err(fault(NumberFault::Separator));
        }
        self.rest = rest;
        Ok(number)
    }

    /// The next field, which may not be zero.
    fn positive(&mut self, field: &'static str) -> Result<u64, ParseError> {
        match self.number(field)? {
            0 => Err(self.out_of_range(field)),
            number => Ok(number),
        }
    }

    /// The next field, which is 0 or 1.
    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, ParseError> {
        match self.number(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.out_of_range(field)),
        }
    }

    /// The session that the message belongs to; never the connection.
    pub(crate) fn session(&mut self) -> Result<SessionIdent, ParseError> {
        match self.number("session")? {
            0 => Err(ParseError::NoSession { message: self.message }),
            number => Ok(SessionIdent(number)),
        }
    }

    /// The session that the message belongs to, or the connection.
    pub(crate) fn session_or_connection(&mut self) -> Result<SessionIdent, ParseError> {
        self.number("session").map(SessionIdent)
    }

    /// A file ident as the server gives it away: neither nobody nor the server.
    pub(crate) fn allocated_file_ident(&mut self) -> Result<FileIdent, ParseError> {
        self.positive("file_ident").map(FileIdent)
    }

    /// A salt as the server gives it away: never "none".
    pub(crate) fn allocated_salt(&mut self) -> Result<Salt, ParseError> {
        self.positive("file_ident_salt").map(Salt)
    }

    pub(crate) fn salt(&mut self, field: &'static str) -> Result<Salt, ParseError> {
        self.number(field).map(Salt)
    }

    pub(crate) fn server_version(
        &mut self,
        field: &'static str,
    ) -> Result<ServerVersion, ParseError> {
        self.number(field).map(ServerVersion)
    }

    pub(crate) fn client_version(
        &mut self,
        field: &'static str,
    ) -> Result<ClientVersion, ParseError> {
        self.number(field).map(ClientVersion)
    }

    /// A number of an error.
    pub(crate) fn code(&mut self) -> Result<u32, ParseError> {
        let number = self.number("code")?;
        u32::try_from(number).map_err(|_| self.out_of_range("code"))
    }

    /// There are no more fields.
    pub(crate) fn end(self) -> Result<(), ParseError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(ParseError::TrailingFields { message: self.message })
        }
    }

    /// There are no more fields, and the body has the announced size.
    pub(crate) fn end_with_size(self, announced: u64, body: &Bytes) -> Result<(), ParseError> {
        let message = self.message;
        self.end()?;
        check_size(message, announced, body)
    }

    /// There are no more fields, and no body.
    pub(crate) fn end_without_body(self, body: &Bytes) -> Result<(), ParseError> {
        self.end_with_size(0, body)
    }

    pub(crate) fn out_of_range(&self, field: &'static str) -> ParseError {
        ParseError::Field { message: self.message, field, fault: NumberFault::OutOfRange }
    }
}

/// The body has exactly the announced size.
pub(crate) fn check_size(
    message: &'static str,
    announced: u64,
    body: &Bytes,
) -> Result<(), ParseError> {
    if u64::try_from(body.len()) == Ok(announced) {
        Ok(())
    } else {
        Err(ParseError::Size { message, announced, actual: body.len() })
    }
}

/// The body as text.
pub(crate) fn text(message: &'static str, body: &[u8]) -> Result<String, ParseError> {
    std::str::from_utf8(body)
        .map(str::to_owned)
        .map_err(|source| ParseError::NotUtf8 { message, source })
}

/// Appends a header with its line feed.
pub(crate) fn push(out: &mut Vec<u8>, message: &str, fields: &[u64]) {
    out.extend_from_slice(message.as_bytes());
    for &field in fields {
        out.push(b' ');
        decimal::push(out, field);
    }
    out.push(b'\n');
}

/// The length of something in memory, as a field.
pub(crate) fn size(len: usize) -> u64 {
    u64::try_from(len).expect("a length in memory fits 64 bits")
}
