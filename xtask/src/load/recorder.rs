//! What is counted while devices work.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::histogram::Histogram;

/// Counts what all devices do; one for all of them.
#[derive(Debug)]
pub(super) struct Recorder {
    /// What times are counted from.
    epoch: Instant,
    /// Since the beginning.
    pub(super) totals: Totals,
    /// What went wrong, and how often.
    pub(super) errors: BTreeMap<String, u64>,
    window: Option<Window>,
}

/// How much has happened since the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    /// Devices that have had all that was there before them.
    pub(super) ready: u64,
    /// Writers whose class the server knows.
    pub(super) declared: u64,
    /// Changesets that were written.
    pub(super) written: u64,
    /// Those of them that the server has acknowledged.
    pub(super) acknowledged: u64,
    /// Those of these that are only counted.
    pub(super) untimed: u64,
    /// Changesets that came from other devices, each counted once for each device that it came to.
    pub(super) received: u64,
    /// How many receipts what is acknowledged leads to.
    pub(super) awaited: u64,
    /// Bytes of sync messages.
    pub(super) sent_len: u64,
    /// Bytes of sync messages.
    pub(super) received_len: u64,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ready, written, acknowledged, received, awaited, .. } = self;
        write!(
            f,
            "{ready} devices got as far as to write, {acknowledged} of {written} changesets are acknowledged, and {received} of {awaited} receipts have come"
        )
    }
}

/// What happens during a measurement.
#[derive(Clone, Debug)]
pub(super) struct Window {
    began: Instant,
    pub(super) intervals: Vec<Interval>,
}

/// A part of a measurement.
#[derive(Clone, Debug, Default)]
pub(super) struct Interval {
    /// From the write to the acknowledgement.
    pub(super) acknowledged: Histogram,
    /// From the write to its receipt on another device.
    pub(super) received: Histogram,
}

/// How long an interval is.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

/// Kinds of errors that are told apart.
const MAX_ERRORS: usize = 20;

impl Recorder {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { epoch, totals: Totals::default(), errors: BTreeMap::new(), window: None }
    }

    /// Nanoseconds since the beginning.
    pub(super) fn time_ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn begin(&mut self) {
        let window = Window { began: Instant::now(), intervals: Vec::new() };
        self.window = Some(window);
    }

    /// What happened since [`begin`](Self::begin).
    pub(super) fn end(&mut self) -> Option<Window> {
        self.window.take()
    }

    /// What was to be written at that time is acknowledged, and will come to `peers` others. It is counted only, if
    /// there is no time.
    pub(super) fn acknowledged(&mut self, written_ns: Option<u64>, peers: u64, now: Instant) {
        self.totals.acknowledged += 1;
        self.totals.awaited += peers;
        self.totals.untimed += u64::from(written_ns.is_none());
        let now_ns = self.time_ns(now);
        if let (Some(window), Some(written_ns)) = (&mut self.window, written_ns) {
            window.interval(now).acknowledged.record(now_ns.saturating_sub(written_ns));
        }
    }

    /// What was to be written at that time has come to another device.
    pub(super) fn received(&mut self, written_ns: Option<u64>, now: Instant) {
        self.totals.received += 1;
        let now_ns = self.time_ns(now);
        if let (Some(window), Some(written_ns)) = (&mut self.window, written_ns) {
            window.interval(now).received.record(now_ns.saturating_sub(written_ns));
        }
    }

    pub(super) fn error(&mut self, text: String) {
        let is_new = !self.errors.contains_key(&text);
        let text = if is_new && self.errors.len() >= MAX_ERRORS { "others".into() } else { text };
        *self.errors.entry(text).or_default() += 1;
    }
}

impl Window {
    fn interval(&mut self, now: Instant) -> &mut Interval {
        let elapsed = now.saturating_duration_since(self.began).as_nanos();
        let index = usize::try_from(elapsed / INTERVAL.as_nanos()).unwrap_or(usize::MAX);
        while self.intervals.len() <= index {
            self.intervals.push(Interval::default());
        }
        &mut self.intervals[index]
    }

    /// All intervals together.
    pub(super) fn sum(&self) -> Interval {
        let mut sum = Interval::default();
        for interval in &self.intervals {
            sum.acknowledged.add(&interval.acknowledged);
            sum.received.add(&interval.received);
        }
        sum
    }
}
