//! What a seed stands for: how many devices there are, what they are like, what goes wrong and how often.

use std::time::Duration;

use bailiwick_client::session::ResetMode;
use bailiwick_protocol::protocol_version::ProtocolVersion;

use super::app::{Clocks, Memory, Style};
use super::choices::Choices;
use super::fault::{Fault, Faults};
use super::limits::Limits;
use super::network::Weather;
use super::sabotage::Sabotage;

/// What to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What all choices follow from.
    pub seed: u64,
    /// After so many events for four devices nothing more goes wrong and nobody writes.
    pub steps: u64,
    /// Faults that never strike, whatever the seed says.
    pub without: Faults,
    /// What the simulation itself does wrong, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

/// After so many events for four devices a world ends, unless told.
pub const STEPS: u64 = 800;

impl Scenario {
    /// The usual scenario of a seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, steps: STEPS, without: Faults::NONE, sabotage: None }
    }
}

/// The shortest pause that faults keep pace with.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);

/// What devices hear of it when all is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Healing {
    /// That their connections are gone, and that there is a network again, as operating systems tell it.
    Told,
    /// Nothing, if they have a connection that does not work any more: they find out by themselves.
    Silent,
}

/// What follows from the seed.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) devices: usize,
    pub(crate) partitions: usize,
    pub(crate) users: usize,
    pub(crate) style: Style,
    /// About how long an app that is busy waits between two transactions.
    pub(crate) pause: Duration,
    /// After so many events all is healed, and everybody has to come in step.
    pub(crate) round_len: u64,
    pub(crate) weather: Weather,
    pub(crate) limits: Limits,
    /// What devices hear of it when all is healed.
    pub(crate) healing: Healing,
    /// What devices do when they have to reset.
    pub(crate) reset_mode: ResetMode,
    /// About how often each fault strikes, if it does.
    pub(crate) intervals: Vec<(Fault, Duration)>,
}

impl Plan {
    pub(crate) fn new(scenario: &Scenario, choices: &mut Choices) -> Self {
        let devices = match choices.below(16) {
            0 => 8 + choices.below(13),
            1..=3 => 5 + choices.below(4),
            _ => 3 + choices.below(2),
        };
        let (oldest, newest) = (ProtocolVersion::MIN.number(), ProtocolVersion::MAX.number());
        let lowest = oldest.max(*choices.pick(&[2, 4, 7, 9, 11, 13, newest, newest]));
        let pause = Duration::from_millis(*choices.pick(&[20, 200, 2000, 10_000, 60_000]));
        // Many that write at once have far too much to tell each other.
        let pause = if devices > 8 { pause.max(Duration::from_secs(2)) } else { pause };
        let interval = |fault: &Fault, choices: &mut Choices| {
            // Drawn whether or not the fault may strike, so that the others stay the same without it.
            let (is_there, rarity) = (choices.below(5) < 2, *choices.pick(&[1, 3, 15]));
            // Not so often that devices, which wait for a second before they try again, hardly ever connect.
            let interval = pause.max(SHORTEST_PAUSE) * rarity;
            (is_there && !scenario.without.has(*fault)).then_some((*fault, interval))
        };
        let intervals = Fault::ALL.iter().filter_map(|fault| interval(fault, choices));
        let intervals: Vec<_> = intervals.collect();
        let strikes = |fault| intervals.iter().any(|(other, _)| *other == fault);
        let clocks = if strikes(Fault::ClockSkew) { Clocks::Jumping } else { Clocks::Steady };
        let memory = if strikes(Fault::Restore) { Memory::UpToBackup } else { Memory::Everything };
        let limits = Limits::new(devices, &mut choices.fork());
        // A server that gives up connections between two PINGs has all devices come back later each time.
        let healing = match choices.below(3) {
            0 if limits.idle_timeout > limits.ping_period => Healing::Silent,
            _ => Healing::Told,
        };
        Self {
            devices,
            partitions: 1 + choices.below(if devices > 8 { 5 } else { 3 }),
            users: 1 + choices.below(3),
            style: Style { lowest, clocks, memory },
            pause,
            round_len: if choices.one_in(3) { u64::MAX } else { 100 + choices.below(400) as u64 },
            weather: Weather {
                latency: Duration::from_micros(*choices.pick(&[200, 5000, 50_000, 150_000])),
                jitter: Duration::from_micros(*choices.pick(&[0, 1000, 50_000])),
                bandwidth: *choices.pick(&[50_000, 1_000_000, 100_000_000]),
            },
            reset_mode: *choices.pick(&[
                ResetMode::Recover,
                ResetMode::RecoverOrDiscard,
                ResetMode::DiscardLocal,
            ]),
            healing,
            limits,
            intervals,
        }
    }

    /// Whether a fault strikes at all.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.intervals.iter().any(|(other, _)| *other == fault)
    }
}
