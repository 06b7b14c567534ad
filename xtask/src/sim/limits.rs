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
}

const DAY: Duration = Duration::from_secs(86_400);

impl Limits {
    pub(crate) fn new(choices: &mut Choices) -> Self {
        let seconds = |choices: &mut Choices, from: &[u64]| {
            let longest = *from.last().expect("there are some");
            // Often as they are in a real server.
            Duration::from_secs(if choices.one_in(3) { longest } else { *choices.pick(from) })
        };
        Self {
            access_lifetime: seconds(choices, &[3, 20, 1800]),
            login_lifetime: if choices.yes() { DAY * 3650 } else { DAY * 20 },
            access_check_interval: seconds(choices, &[1, 5, 1800]),
        }
    }
}
