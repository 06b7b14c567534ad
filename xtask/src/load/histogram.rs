//! Durations, counted in buckets of about 1.6 % width: any number of them in the same few KiB.

use std::time::Duration;

/// A bucket is at most one 64th as wide as what is in it.
const STEPS: usize = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// How often which durations occurred.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// By bucket; as many as were needed.
    counts: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Histogram {
    pub(super) fn record(&mut self, ns: u64) {
        let bucket = bucket(ns);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    pub(super) fn add(&mut self, other: &Self) {
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// The duration that `per_mille` of all do not exceed; `None` if there are none.
    pub(super) fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let rank = (self.count * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_nanos(upper_end(bucket).min(self.max_ns)))
    }
}

/// Small numbers have a bucket each; then each power of two has as many buckets.
fn bucket(ns: u64) -> usize {
    let power = ns.checked_ilog2().unwrap_or(0).saturating_sub(STEP_BITS);
    let step = usize::try_from(ns >> power).expect("it is less than two powers of the steps");
    power as usize * STEPS + step
}

/// The largest number of a bucket.
fn upper_end(bucket: usize) -> u64 {
    let power = (bucket / STEPS).saturating_sub(1);
    let step = (bucket - power * STEPS) as u64;
    ((step + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_narrow_and_holds_what_belongs_there() {
        for ns in (0..2000).chain((0..60).flat_map(|power| [(1 << power) - 1, 3 << power])) {
            let bucket = bucket(ns);
            assert!(ns <= upper_end(bucket), "{ns}");
            assert!(upper_end(bucket) - ns <= ns / STEPS as u64, "{ns}: {}", upper_end(bucket));
        }
        for ns in 1..2000 {
            assert!(bucket(ns) - bucket(ns - 1) <= 1, "{ns}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let (mut all, mut half) = (Histogram::default(), Histogram::default());
        assert_eq!(all.quantile(500), None);
        for ns in 1..=50 {
            all.record(ns);
            half.record(ns + 50);
        }
        all.add(&half);
        let quantile = |per_mille| all.quantile(per_mille).unwrap().as_nanos();
        assert_eq!((quantile(500), quantile(10), quantile(0)), (50, 1, 1));
        assert_eq!((quantile(1000), all.max().as_nanos(), all.count()), (100, 100, 100));
    }
}
