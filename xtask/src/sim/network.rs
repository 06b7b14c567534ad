//! What is on its way on one connection, in both directions.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::agenda::Time;
use super::choices::Choices;

/// A connection, as long as either end knows of it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: Peer,
    pub(crate) to_server: Pipe,
    pub(crate) to_device: Pipe,
    /// Whether the device has it.
    pub(crate) is_device_there: bool,
    /// Whether the server has it.
    pub(crate) is_server_there: bool,
}

/// Who is at the end that is not the server's, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Device(usize),
    Rogue(usize),
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToDevice,
}

/// One direction of a connection: bytes that arrive in order, some time later, or never.
#[derive(Debug)]
pub(crate) struct Pipe {
    weather: Weather,
    /// When each message has arrived as a whole.
    flying: VecDeque<(Time, Bytes)>,
    /// When all that was sent has left.
    free_at: Time,
    last_arrival: Time,
    /// Nothing more gets through.
    is_cut: bool,
    /// Whether the end of sending is to be told, and was not yet.
    pub(crate) is_writing: bool,
}

/// How a network is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    /// Bytes a second.
    pub(crate) bandwidth: u64,
}

impl Link {
    pub(crate) fn new(peer: Peer, weather: Weather) -> Self {
        Self {
            peer,
            to_server: Pipe::new(weather),
            to_device: Pipe::new(weather),
            is_device_there: true,
            is_server_there: true,
        }
    }

    pub(crate) fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToDevice => &mut self.to_device,
        }
    }

    /// Whether there is somebody at the end to which this direction leads.
    pub(crate) fn is_there(&self, direction: Direction) -> bool {
        match direction {
            Direction::ToServer => self.is_server_there,
            Direction::ToDevice => self.is_device_there,
        }
    }

    /// Whether what one end does can reach the other.
    pub(crate) fn is_whole(&self) -> bool {
        !self.to_server.is_cut && !self.to_device.is_cut
    }

    /// Whether nothing is wrong with it: it is whole, and nothing is held up.
    pub(crate) fn is_calm(&self, now: Time) -> bool {
        let is_prompt = |pipe: &Pipe| pipe.free_at <= now + Duration::from_secs(1);
        self.is_whole() && is_prompt(&self.to_server) && is_prompt(&self.to_device)
    }

    /// Breaks the connection at some byte of what is on its way in each direction.
    pub(crate) fn cut(&mut self, now: Time, choices: &mut Choices) {
        self.to_server.cut(now, choices);
        self.to_device.cut(now, choices);
    }
}

impl Pipe {
    fn new(weather: Weather) -> Self {
        Self {
            weather,
            flying: VecDeque::new(),
            free_at: Time::ZERO,
            last_arrival: Time::ZERO,
            is_cut: false,
            is_writing: false,
        }
    }

    /// Sends a message; says when it arrives, if it does.
    pub(crate) fn send(
        &mut self,
        now: Time,
        message: Bytes,
        choices: &mut Choices,
    ) -> Option<Time> {
        let Weather { latency, jitter, bandwidth } = self.weather;
        let len = u64::try_from(message.len()).expect("lengths are short");
        let duration = Duration::from_nanos(len.saturating_mul(1_000_000_000) / bandwidth.max(1));
        self.free_at = self.free_at.max(now) + duration;
        if self.is_cut {
            return None;
        }
        let jitter = choices.time_below(jitter);
        self.last_arrival = self.last_arrival.max(self.free_at + latency + jitter);
        self.flying.push_back((self.last_arrival, message));
        Some(self.last_arrival)
    }

    /// The next message, if it has arrived.
    pub(crate) fn receive(&mut self, now: Time) -> Option<Bytes> {
        if self.has_arrived(now) {
            self.flying.pop_front().map(|(_, message)| message)
        } else {
            None
        }
    }

    /// Whether a message has arrived that nobody took.
    pub(crate) fn has_arrived(&self, now: Time) -> bool {
        self.flying.front().is_some_and(|(at, _)| *at <= now)
    }

    /// When everything that gets through has arrived.
    pub(crate) fn ends_at(&self) -> Time {
        self.last_arrival
    }

    /// When all that was sent has left.
    pub(crate) fn free_at(&self) -> Time {
        self.free_at
    }

    /// Holds up whatever is sent from now on.
    pub(crate) fn stall(&mut self, until: Time) {
        self.free_at = self.free_at.max(until);
    }

    /// The rest of what is on its way is lost from some byte on; a message that has lost its end never arrives.
    fn cut(&mut self, now: Time, choices: &mut Choices) {
        if std::mem::replace(&mut self.is_cut, true) {
            return;
        }
        let in_flight = self.flying.iter().position(|(at, _)| *at > now);
        let arrived = in_flight.unwrap_or(self.flying.len());
        let len: usize = self.flying.range(arrived..).map(|(_, message)| message.len()).sum();
        let mut left = choices.below(len + 1);
        let mut kept = arrived;
        for (_, message) in self.flying.range(arrived..) {
            let Some(rest) = left.checked_sub(message.len()) else { break };
            left = rest;
            kept += 1;
        }
        self.flying.truncate(kept);
        self.last_arrival = self.flying.back().map_or(now, |(at, _)| *at).max(now);
    }
}
