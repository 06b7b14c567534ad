//! PING and PONG: a device makes sure that the connection lives. Spec: wire protocol, sections 1.7 and 3.

use bytes::Bytes;

use crate::message::error::ParseError;
use crate::message::head::{self, Head};

/// A device makes sure that the connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The device's clock, in milliseconds from some point of its own.
    pub timestamp_ms: u64,
    /// How long the last answer took, in milliseconds; 0 the first time.
    pub round_trip_time_ms: u64,
}

/// The answer to a PING, exactly one for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// The timestamp of the PING.
    pub timestamp_ms: u64,
}

impl Ping {
    pub(super) const NAME: &str = "ping";

    /// The answer.
    pub fn pong(self) -> Pong {
        Pong { timestamp_ms: self.timestamp_ms }
    }

    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let timestamp_ms = head.number("timestamp")?;
        let round_trip_time_ms = head.number("rtt")?;
        head.end_without_body(body)?;
        Ok(Self { timestamp_ms, round_trip_time_ms })
    }

    pub(super) fn print_to(self, out: &mut Vec<u8>) {
        head::push(out, Self::NAME, &[self.timestamp_ms, self.round_trip_time_ms]);
    }
}

impl Pong {
    pub(super) const NAME: &str = "pong";

    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let timestamp_ms = head.number("timestamp")?;
        head.end_without_body(body)?;
        Ok(Self { timestamp_ms })
    }

    pub(super) fn print_to(self, out: &mut Vec<u8>) {
        head::push(out, Self::NAME, &[self.timestamp_ms]);
    }
}
