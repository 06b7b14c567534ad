//! PING and PONG. Spec: client, section 2, item 3.

use std::time::Duration;

use bailiwick_protocol::message::{Ping, Pong};

use super::config::ConnectionConfig;
use super::io::Time;
use super::random::Random;

/// When to send the next PING, and how long to wait for its PONG.
#[derive(Debug)]
pub(super) struct Heartbeat {
    next_at: Time,
    /// The PING that was not answered yet.
    sent: Option<Sent>,
    /// How long the last answer took, in milliseconds.
    round_trip_time_ms: u64,
    /// Somebody wants to know at once whether the connection lives.
    is_urgent: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Time,
    timestamp_ms: u64,
    give_up_at: Time,
}

/// The random part of the time between PINGs: up to one tenth.
const JITTER: u32 = 10;

impl Heartbeat {
    /// Of a new connection.
    pub(super) fn new(now: Time, config: &ConnectionConfig, random: &mut Random) -> Self {
        let next_at = now + random.up_to(config.ping_period);
        Self { next_at, sent: None, round_trip_time_ms: 0, is_urgent: false }
    }

    /// The PING that is due.
    pub(super) fn ping(&mut self, now: Time, config: &ConnectionConfig) -> Option<Ping> {
        if self.sent.is_some() || now < self.next_at {
            return None;
        }
        let timestamp_ms = milliseconds(now);
        self.sent = Some(Sent { at: now, timestamp_ms, give_up_at: now + config.pong_timeout });
        Some(Ping { timestamp_ms, round_trip_time_ms: self.round_trip_time_ms })
    }

    /// Takes a PONG; false if it answers no PING.
    pub(super) fn pong(
        &mut self,
        now: Time,
        pong: Pong,
        config: &ConnectionConfig,
        random: &mut Random,
    ) -> bool {
        let Some(sent) = self.sent.take_if(|sent| sent.timestamp_ms == pong.timestamp_ms) else {
            return false;
        };
        self.is_urgent = false;
        self.round_trip_time_ms = milliseconds(now.saturating_sub(sent.at));
        let period = config.ping_period;
        let delay = period.saturating_sub(random.up_to(period / JITTER));
        self.next_at = (sent.at + delay).max(now);
        true
    }

    /// Sends a PING now; if there is no PONG, the connection is made anew without delay.
    pub(super) fn hurry(&mut self, now: Time) {
        self.is_urgent = true;
        self.next_at = self.next_at.min(now);
    }

    /// Nothing was read for a while, so that the PONG may be among what is to be read.
    pub(super) fn extend(&mut self, now: Time, config: &ConnectionConfig) {
        if let Some(sent) = &mut self.sent {
            sent.give_up_at = now + config.pong_timeout;
        }
    }

    /// When something is to be done.
    pub(super) fn deadline(&self) -> Time {
        self.sent.map_or(self.next_at, |sent| sent.give_up_at)
    }

    /// Whether a PING was not answered yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.sent.is_some()
    }

    /// Whether the PONG is overdue.
    pub(super) fn is_dead(&self, now: Time) -> bool {
        self.sent.is_some_and(|sent| now >= sent.give_up_at)
    }

    /// Whether the connection is to be made anew without delay if it is dead.
    pub(super) fn is_urgent(&self) -> bool {
        self.is_urgent
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
