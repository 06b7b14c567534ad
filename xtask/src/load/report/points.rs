//! The course of a round, interval by interval.

use super::{Latency, Point, as_f64};
use crate::load::measurement::Measured;
use crate::load::recorder::{INTERVAL, Interval};

/// A rest at the end that is shorter than this is left out: nothing can be said of it.
const SHORTEST: f64 = 0.1;

/// A point for each interval of a round that began after `start` seconds of measurement, also for those in which nothing
/// happened.
pub(super) fn points(round: &Measured, start: f64) -> Vec<Point> {
    let (interval_s, elapsed_s) = (INTERVAL.as_secs_f64(), round.elapsed.as_secs_f64());
    let mut points = Vec::new();
    for number in 0_u32.. {
        let begin = interval_s * f64::from(number);
        let length = interval_s.min(elapsed_s - begin);
        if length < SHORTEST {
            break;
        }
        let nothing = Interval::default();
        let interval = round.window.intervals.get(number as usize).unwrap_or(&nothing);
        let receipts = Latency::of(&interval.receipts);
        // If the load generator was busy, there may be fewer samples than intervals.
        let samples = round.samples.get(number as usize..).and_then(|rest| rest.first_chunk());
        let cores = samples.map(|[before, after]| after.cores_since(before));
        points.push(Point {
            second: start + begin + length,
            acknowledged_per_second: as_f64(interval.acknowledged) / length,
            p50_ms: receipts.p50_ms,
            p99_ms: receipts.p99_ms,
            server_cores: cores.and_then(|(_, server)| server),
            own_cores: cores.map_or(f64::NAN, |(own, _)| own),
            checkpoints: samples.and_then(|[before, after]| after.checkpoints_since(before)),
        });
    }
    points
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::load::measurement::Sample;
    use crate::load::process::Usage;
    use crate::load::recorder::{Totals, Window};

    /// A round in which so many changesets were acknowledged in each interval.
    fn round(elapsed_ms: u64, acknowledged: &[u64]) -> Measured {
        let start = Instant::now();
        let elapsed = Duration::from_millis(elapsed_ms);
        let interval = |&acknowledged| Interval { acknowledged, ..Interval::default() };
        let sample = |number| {
            let since = (INTERVAL * number).min(elapsed);
            let own = Usage { cpu: since / 4, ..Usage::default() };
            Sample { at: start + since, server: None, checkpoints: Some(number.into()), own }
        };
        Measured {
            window: Window::of(acknowledged.iter().map(interval).collect()),
            elapsed,
            samples: (0..=u32::try_from(elapsed_ms.div_ceil(500)).unwrap()).map(sample).collect(),
            sent_len: 0,
            received_len: 0,
            after: Totals::default(),
            missing: None,
        }
    }

    #[track_caller]
    fn check(elapsed_ms: u64, acknowledged: &[u64], expected: &[(f64, f64)]) {
        let points = points(&round(elapsed_ms, acknowledged), 10.0);
        let shown = points.iter().map(|it| (it.second, it.acknowledged_per_second));
        let shown: Vec<_> = shown.collect();
        assert_eq!(shown.len(), expected.len(), "{shown:?}");
        for (shown, expected) in shown.iter().zip(expected) {
            let close = |left: f64, right: f64| (left - right).abs() < 1e-6;
            assert!(close(shown.0, expected.0) && close(shown.1, expected.1), "{shown:?}");
        }
        for point in &points {
            assert!((point.own_cores - 0.25).abs() < 1e-6, "{point:?}");
            assert_eq!(point.checkpoints, Some(1));
        }
    }

    #[test]
    fn whole_intervals_are_points() {
        check(1000, &[50, 100], &[(10.5, 100.0), (11.0, 200.0)]);
    }

    #[test]
    fn a_partial_interval_is_divided_by_its_own_length() {
        check(1250, &[50, 50, 25], &[(10.5, 100.0), (11.0, 100.0), (11.25, 100.0)]);
    }

    #[test]
    fn a_tiny_rest_is_left_out() {
        check(1004, &[50, 50, 1], &[(10.5, 100.0), (11.0, 100.0)]);
    }

    #[test]
    fn what_stands_still_is_shown_to_the_end() {
        check(2000, &[50], &[(10.5, 100.0), (11.0, 0.0), (11.5, 0.0), (12.0, 0.0)]);
        check(500, &[], &[(10.5, 0.0)]);
    }
}
