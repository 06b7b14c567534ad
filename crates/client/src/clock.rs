//! The time of writes. What is pure is told it; only drivers look.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bailiwick_protocol::version::OriginTimestamp;

/// 2015-01-01T00:00:00Z, from which changesets count.
const EPOCH: Duration = Duration::from_secs(1_420_070_400);

/// The time of a write that is made now.
pub fn origin_timestamp() -> OriginTimestamp {
    at(SystemTime::now())
}

fn at(time: SystemTime) -> OriginTimestamp {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = since_1970.saturating_sub(EPOCH).as_millis();
    OriginTimestamp(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_counts_from_2015() {
        assert_eq!(at(UNIX_EPOCH), OriginTimestamp(0));
        assert_eq!(at(UNIX_EPOCH + EPOCH), OriginTimestamp(0));
        assert_eq!(at(UNIX_EPOCH + EPOCH + Duration::from_millis(5)), OriginTimestamp(5));
    }
}
