//! A measurement: what devices do from one instant to another, and what that takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::fleet::{Fleet, POLL};
use super::histogram::Histogram;
use super::process::Usage;
use super::recorder::{INTERVAL, Totals, Window};
use super::server::Server;

/// One that is under way.
pub(super) struct Measurement<'a> {
    fleet: &'a Fleet,
    server: Option<&'a Server>,
    start: Instant,
    before: Totals,
    samples: Vec<Sample>,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) window: Window,
    pub(super) elapsed: Duration,
    /// One at the beginning and one after each interval.
    pub(super) samples: Vec<Sample>,
    /// Bytes of sync messages that devices have sent in that time.
    pub(super) sent_len: u64,
    /// Bytes of sync messages that they have received in that time.
    pub(super) received_len: u64,
    /// The counts when all had arrived.
    pub(super) after: Totals,
    /// Why that was not waited for any longer.
    pub(super) missing: Option<String>,
}

/// How things are at some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    /// What the server has used, if it was started here and still runs.
    pub(super) server: Option<Usage>,
    /// Checkpoints that the server has made, if that can be known.
    pub(super) checkpoints: Option<u64>,
    /// What the load generator has used.
    pub(super) own: Usage,
}

impl<'a> Measurement<'a> {
    /// What was to be written before is none of its concern.
    pub(super) fn begin(fleet: &'a Fleet, server: Option<&'a Server>) -> Result<Self> {
        let (before, samples) = (fleet.totals(), vec![Sample::take(server)?]);
        fleet.recorder().begin();
        Ok(Self { fleet, server, start: Instant::now(), before, samples })
    }

    /// Goes on for so long, whether anything happens or not.
    pub(super) async fn run_for(&mut self, duration: Duration) -> Result<()> {
        while self.start.elapsed() < duration {
            sleep(POLL).await;
            self.sample()?;
        }
        Ok(())
    }

    /// Goes on until it is so, for as long as anything happens.
    pub(super) async fn run_until(&mut self, mut is_so: impl FnMut(&Totals) -> bool) -> Result<()> {
        let fleet = self.fleet;
        let mut sampled = Ok(());
        let is_over = |totals: &Totals| {
            sampled = self.sample();
            sampled.is_err() || is_so(totals)
        };
        fleet.until(is_over).await?;
        sampled
    }

    /// What is to be written from now on is none of its concern; `stop` ends that. Waits for what was to be written before.
    pub(super) async fn end(mut self, stop: impl FnOnce()) -> Result<Measured> {
        self.fleet.recorder().close();
        let elapsed = self.start.elapsed();
        let totals = self.fleet.totals();
        self.samples.push(Sample::take(self.server)?);
        stop();
        let missing = self.fleet.settle().await.err().map(|error| error.to_string());
        let window = self.fleet.recorder().end().context("another measurement has begun")?;
        Ok(Measured {
            window,
            elapsed,
            samples: self.samples,
            sent_len: totals.sent_len - self.before.sent_len,
            received_len: totals.received_len - self.before.received_len,
            after: self.fleet.totals(),
            missing,
        })
    }

    fn sample(&mut self) -> Result<()> {
        // Those that follow each other fast are told apart.
        self.server.and_then(Server::checkpoints);
        let count = u32::try_from(self.samples.len())?;
        if self.start.elapsed() >= INTERVAL * count {
            self.samples.push(Sample::take(self.server)?);
        }
        Ok(())
    }
}

impl Measured {
    /// Checkpoints that the server has made in that time, if that can be known.
    pub(super) fn checkpoints(&self) -> Option<u64> {
        let [first, .., last] = &self.samples[..] else { return None };
        last.checkpoints_since(first)
    }

    /// Receipts of what was to be written while checkpoints were made: in the intervals in which one has ended, and
    /// those before.
    pub(super) fn receipts_beside_checkpoints(&self) -> Histogram {
        let mut receipts = Histogram::default();
        let has_checkpoint =
            |samples: &[Sample]| samples[1].checkpoints_since(&samples[0]) > Some(0);
        for (number, interval) in self.window.intervals.iter().enumerate() {
            let mut samples = self.samples.windows(2).skip(number).take(2);
            if samples.any(has_checkpoint) {
                receipts.add(&interval.receipts);
            }
        }
        receipts
    }
}

impl Sample {
    fn take(server: Option<&Server>) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            // One that has ended uses nothing; what that leads to is found elsewhere.
            server: server.and_then(|server| server.usage().ok()),
            checkpoints: server.and_then(Server::checkpoints),
            own: Usage::of(std::process::id())?,
        })
    }

    /// Processors kept busy since an earlier sample: by the load generator, and by the server.
    pub(super) fn cores_since(&self, earlier: &Self) -> (f64, Option<f64>) {
        let seconds = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        let cores = |now: Usage, before: Usage| {
            now.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds.max(f64::MIN_POSITIVE)
        };
        let server = self.server.zip(earlier.server);
        (cores(self.own, earlier.own), server.map(|(now, before)| cores(now, before)))
    }

    pub(super) fn checkpoints_since(&self, earlier: &Self) -> Option<u64> {
        Some(self.checkpoints?.saturating_sub(earlier.checkpoints?))
    }
}
