//! What the machine can do at best, measured beside everything else: a figure means little without it.

mod disk;
mod socket;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

pub(super) use socket::BareServer;

/// The raw limits of the machine.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Limits {
    /// Appending 100 bytes to a file, and `fdatasync`.
    pub(super) sync_s: f64,
    /// redb commits of one row of 1 KiB, as redb makes them if it is asked for nothing else, a second.
    pub(super) one_row: f64,
    /// Rows a second in redb commits of 100 of them.
    pub(super) hundred_rows: f64,
    /// A small WebSocket message to another process and back.
    pub(super) echo_s: f64,
}

/// How long each of the limits is measured.
const SLICE: Duration = Duration::from_millis(400);
/// How long [trips] are measured: their slowest percent has to be more than one.
const TRIPS_SLICE: Duration = Duration::from_secs(3);

impl Limits {
    /// Measures them all, one after the other, on the disk of `dir`. Takes some seconds.
    pub(super) async fn measure(dir: &Path, server: &BareServer) -> Result<Self> {
        let dir = dir.to_owned();
        let on_disk = tokio::task::spawn_blocking(move || -> Result<_> {
            let rows = |each| disk::rows_per_second(&dir, each, SLICE);
            Ok((disk::median_sync(&dir, SLICE)?, rows(1)?, rows(100)?))
        });
        let (sync, one_row, hundred_rows) = on_disk.await??;
        let echo = socket::median_echo(server, SLICE).await?;
        Ok(Self { sync_s: sync.as_secs_f64(), one_row, hundred_rows, echo_s: echo.as_secs_f64() })
    }

    /// The medians of several measurements.
    pub(super) fn median(all: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| median(all.iter().map(of));
        Self {
            sync_s: median(|it| it.sync_s),
            one_row: median(|it| it.one_row),
            hundred_rows: median(|it| it.hundred_rows),
            echo_s: median(|it| it.echo_s),
        }
    }

    /// How much the one that varied most did, among these measurements: the largest divided by the smallest.
    pub(super) fn spread(all: &[Self]) -> f64 {
        let spread = |of: fn(&Self) -> f64| {
            let values = || all.iter().map(of);
            values().fold(0.0, f64::max) / values().fold(f64::INFINITY, f64::min)
        };
        let spreads = [
            spread(|it| it.sync_s),
            spread(|it| it.one_row),
            spread(|it| it.hundred_rows),
            spread(|it| it.echo_s),
        ];
        spreads.into_iter().fold(1.0, f64::max)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |s: f64| s * 1e6;
        writeln!(f, "this machine     medians of what was measured in between")?;
        writeln!(f, "  fdatasync      {:.0} µs after appending 100 bytes", us(self.sync_s))?;
        writeln!(f, "  redb           {:.0} commits/s of one row of 1 KiB", self.one_row)?;
        writeln!(f, "                 {:.0} rows/s in commits of 100", self.hundred_rows)?;
        writeln!(f, "  WebSocket      {:.0} µs for an echo of 100 bytes", us(self.echo_s))
    }
}

/// The machine was not the same all the time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise(f64);

/// How much a limit may vary.
const STEADY: f64 = 2.0;

impl Noise {
    /// None if no limit varied more than it may.
    pub(super) fn of(spread: f64) -> Option<Self> {
        (spread > STEADY).then_some(Self(spread))
    }
}

impl fmt::Display for Noise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(spread) = self;
        write!(f, "noisy            a limit of the machine varied {spread:.1} x: ratios say little")
    }
}

/// How long one echo and one sync take together, in seconds, `rate` times a second for a while. A machine that rests
/// in between takes longer for either than one that does nothing else.
pub(super) async fn trips(dir: &Path, server: &BareServer, rate: f64) -> Result<Vec<f64>> {
    let (mut file, mut echo) = (disk::Appended::new(dir)?, socket::Echo::new(server).await?);
    let mut due = tokio::time::interval(Duration::from_secs_f64(rate.recip()));
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < TRIPS_SLICE {
        due.tick().await;
        let echoed = echo.send().await?;
        // It blocks, and nobody else has anything to do here.
        times.push((echoed + file.append()?).as_secs_f64());
    }
    Ok(times)
}

/// The one in the middle; of an even number, the upper one. NaN if there are none.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    percentile(values.collect(), 50)
}

/// The smallest that is larger than so many percent of all. NaN if there are none.
pub(super) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * percent / 100).copied().unwrap_or(f64::NAN)
}
