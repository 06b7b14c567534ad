//! Bounds and times of the server and of devices: those of a real one, or such small ones that worlds reach them.

use std::time::Duration;

use super::choices::Choices;

/// What both sides are configured with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long an access token is valid.
    pub(crate) access_lifetime: Duration,
    /// How long a login lasts, unless it is ended.
    pub(crate) login_lifetime: Duration,
    /// How often the server looks up that a login still exists.
    pub(crate) access_check_interval: Duration,
    /// When the server takes a connection on which it hears nothing for dead.
    pub(crate) idle_timeout: Duration,
    /// Bytes of uploads that wait in one partition before devices are turned away.
    pub(crate) max_backlog_len: usize,
    /// The longest body of an UPLOAD: more than an honest device ever sends.
    pub(crate) max_upload_len: usize,
    /// The most sessions of one connection: more than an honest device ever has.
    pub(crate) max_sessions: usize,
    /// The length of the log of the server's store.
    pub(crate) log_len: usize,
    /// How often devices send a PING, and how long they wait for its PONG.
    pub(crate) ping_period: Duration,
    pub(crate) pong_timeout: Duration,
    /// How long a device keeps a connection that no session needs.
    pub(crate) linger: Duration,
    /// Bytes of DOWNLOADs that wait in a device before it reads no more.
    pub(crate) max_queued_len: usize,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Limits {
    pub(crate) fn new(devices: usize, choices: &mut Choices) -> Self {
        let seconds = Duration::from_secs;
        let (access, check) = *choices.pick(&[(3, 1), (3, 1), (20, 5), (1800, 1800)]);
        let (period, patience) = *choices.pick(&[(1, 2), (5, 5), (60, 120)]);
        Self {
            access_lifetime: seconds(access),
            login_lifetime: *choices.pick(&[DAY * 20, DAY * 3650]),
            access_check_interval: seconds(check),
            idle_timeout: seconds(*choices.pick(&[10, 90, 240])),
            // Whoever is turned away comes back later each time: that must not be the rule.
            max_backlog_len: *choices.pick(&[1000, 4000, 256 << 20]) * (devices / 5 * 10).max(1),
            max_upload_len: *choices.pick(&[192 << 10, 192 << 10, 18 << 20]),
            max_sessions: *choices.pick(&[3, 1000]),
            log_len: *choices.pick(&[16 << 10, 48 << 10, 128 << 10]),
            ping_period: seconds(period),
            pong_timeout: seconds(patience),
            linger: seconds(*choices.pick(&[1, 30])),
            max_queued_len: *choices.pick(&[0, 1000, 4 << 20]),
        }
    }
}
