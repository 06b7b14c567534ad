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

/// What happens during a measurement, and what comes later of what was to be written then: leaving that out would hide
/// whatever was slow at the end.
#[derive(Clone, Debug)]
pub(super) struct Window {
    begin_ns: u64,
    /// None until it is over.
    end_ns: Option<u64>,
    pub(super) intervals: Vec<Interval>,
}

/// A part of a measurement.
#[derive(Clone, Debug, Default)]
pub(super) struct Interval {
    /// Changesets that were acknowledged in it.
    pub(super) acknowledged: u64,
    /// From the write to the acknowledgement, of what was to be written in it.
    pub(super) acknowledgements: Histogram,
    /// From the write to its receipt on another device, of what was to be written in it.
    pub(super) receipts: Histogram,
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

    /// A measurement begins.
    pub(super) fn begin(&mut self) {
        let begin_ns = self.time_ns(Instant::now());
        self.window = Some(Window { begin_ns, end_ns: None, intervals: Vec::new() });
    }

    /// It is over, but what was to be written until now may still come.
    pub(super) fn close(&mut self) {
        let end_ns = self.time_ns(Instant::now());
        if let Some(window) = &mut self.window {
            window.end_ns = Some(end_ns);
        }
    }

    /// What was measured since [`begin`](Self::begin). Nothing more is waited for.
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
        let (Some(window), Some(written_ns)) = (&mut self.window, written_ns) else { return };
        if let Some(interval) = window.interval(now_ns) {
            interval.acknowledged += 1;
        }
        if let Some(interval) = window.interval(written_ns) {
            interval.acknowledgements.record(now_ns.saturating_sub(written_ns));
        }
    }

    /// What was to be written at that time has come to another device.
    pub(super) fn received(&mut self, written_ns: Option<u64>, now: Instant) {
        self.totals.received += 1;
        let now_ns = self.time_ns(now);
        let (Some(window), Some(written_ns)) = (&mut self.window, written_ns) else { return };
        if let Some(interval) = window.interval(written_ns) {
            interval.receipts.record(now_ns.saturating_sub(written_ns));
        }
    }

    pub(super) fn error(&mut self, text: String) {
        let is_new = !self.errors.contains_key(&text);
        let text = if is_new && self.errors.len() >= MAX_ERRORS { "others".into() } else { text };
        *self.errors.entry(text).or_default() += 1;
    }
}

impl Window {
    #[cfg(test)]
    pub(super) fn of(intervals: Vec<Interval>) -> Self {
        Self { begin_ns: 0, end_ns: None, intervals }
    }

    /// The one that a time belongs to; none before the beginning and after the end.
    fn interval(&mut self, at_ns: u64) -> Option<&mut Interval> {
        let since_ns = at_ns.checked_sub(self.begin_ns)?;
        if self.end_ns.is_some_and(|end_ns| at_ns >= end_ns) {
            return None;
        }
        let index = usize::try_from(u128::from(since_ns) / INTERVAL.as_nanos()).ok()?;
        while self.intervals.len() <= index {
            self.intervals.push(Interval::default());
        }
        Some(&mut self.intervals[index])
    }

    /// All intervals together.
    pub(super) fn sum(&self) -> Interval {
        let mut sum = Interval::default();
        for interval in &self.intervals {
            sum.add(interval);
        }
        sum
    }
}

impl Interval {
    pub(super) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.acknowledgements.add(&other.acknowledgements);
        self.receipts.add(&other.receipts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_to_be_written_in_time_counts_however_late_it_comes() {
        let mut recorder = Recorder::new(Instant::now());
        let early_ns = recorder.time_ns(Instant::now());
        std::thread::sleep(Duration::from_millis(1));
        recorder.begin();
        let inside = Instant::now();
        let inside_ns = recorder.time_ns(inside);
        recorder.acknowledged(Some(early_ns), 1, inside);
        std::thread::sleep(Duration::from_millis(1));
        recorder.close();
        let late = inside + Duration::from_secs(9);
        recorder.acknowledged(Some(inside_ns), 1, late);
        recorder.received(Some(inside_ns), late);
        let late_ns = recorder.time_ns(late);
        recorder.received(Some(late_ns), late);
        recorder.received(None, late);

        let Interval { acknowledged, acknowledgements, receipts } = recorder.end().unwrap().sum();
        assert_eq!(acknowledged, 1, "the early one came in time, the other one did not");
        assert_eq!((acknowledgements.count(), receipts.count()), (1, 1));
        assert_eq!((acknowledgements.max(), receipts.max()), (late - inside, late - inside));
        assert_eq!(recorder.totals.received, 3);
    }
}
