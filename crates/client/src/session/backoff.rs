//! How long to wait before trying again. Spec: client, section 6.1.

use std::time::Duration;

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::Backoff as ServerBackoff;

use super::random::Random;

/// What went wrong, as far as repetitions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no answer, or the connection broke off.
    Network,
    /// An attempt to connect or a PONG took too long.
    Timeout,
    /// HTTP.
    Status(u16),
    /// A close frame.
    Closed(u16),
    /// An error that the server told.
    Server(ErrorCode),
    /// The server broke the protocol.
    Violation,
}

/// How delays grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Growth {
    first: Duration,
    most: Duration,
    factor: u32,
}

/// The delays of one connection or one session.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// The latest failure, and the delay after it without its random part.
    latest: Option<(Failure, Duration)>,
}

/// What [`ErrorCode::SessionClosed`] is always answered with.
const AFTER_SESSION_CLOSED: Duration = Duration::from_secs(1);

/// The random part that is taken off: up to one quarter.
const JITTER: u32 = 4;

impl Backoff {
    /// The delay after a failure: longer each time for the same one.
    pub(super) fn delay(
        &mut self,
        failure: Failure,
        growth: Growth,
        random: &mut Random,
    ) -> Duration {
        if failure == Failure::Server(ErrorCode::SessionClosed) {
            return AFTER_SESSION_CLOSED;
        }
        let delay = match self.latest {
            Some((latest, delay)) if latest == failure => delay.saturating_mul(growth.factor),
            _ => growth.first,
        };
        let delay = delay.min(growth.most);
        self.latest = Some((failure, delay));
        delay.saturating_sub(random.up_to(delay / JITTER))
    }

    /// It works again.
    pub(super) fn reset(&mut self) {
        self.latest = None;
    }

    /// Whether the latest failure was this one.
    pub(super) fn repeats(&self, failure: Failure) -> bool {
        self.latest.is_some_and(|(latest, _)| latest == failure)
    }
}

impl Default for Growth {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), most: Duration::from_secs(300), factor: 2 }
    }
}

impl From<ServerBackoff> for Growth {
    /// Never so short that a server could keep a device busy.
    fn from(backoff: ServerBackoff) -> Self {
        let first = Duration::from_secs(backoff.interval_s.max(1).into());
        let most = Duration::from_secs(backoff.max_delay_s.into()).max(first);
        Self { first, most, factor: backoff.multiplier.max(1) }
    }
}
