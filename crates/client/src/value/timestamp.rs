//! Points in time.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bailiwick_protocol::changeset::Timestamp as WireTimestamp;

/// A point in time, in nanoseconds since 1970-01-01T00:00:00Z, before or after it.
///
/// As text it is a date and time of RFC 3339, in UTC; years beyond 9999 and before 0 have a sign, as in ISO 8601.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(WireTimestamp);

/// The text is not a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a date and time of RFC 3339, such as 2024-02-29T12:30:00.5Z")]
pub struct TimestampError;

const NANOSECONDS: i32 = 1_000_000_000;
const DAY_S: i64 = 86_400;

impl Timestamp {
    /// Now, by the clock of this computer.
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Whole seconds since 1970, and nanoseconds after them (or before them if both are negative).
    ///
    /// `None` if there are a thousand million nanoseconds or more, or the signs are opposite.
    pub fn new(seconds: i64, nanoseconds: i32) -> Option<Self> {
        let fits = -NANOSECONDS < nanoseconds && nanoseconds < NANOSECONDS;
        let is_opposite = i64::from(nanoseconds).signum() * seconds.signum() < 0;
        (fits && !is_opposite).then_some(Self(WireTimestamp { seconds, nanoseconds }))
    }

    /// Milliseconds since 1970.
    pub fn from_millis(milliseconds: i64) -> Self {
        let nanoseconds =
            i32::try_from(milliseconds % 1000).expect("it is less than 1000") * 1_000_000;
        Self(WireTimestamp { seconds: milliseconds / 1000, nanoseconds })
    }

    /// Whole seconds since 1970, towards 1970.
    pub fn seconds(self) -> i64 {
        self.0.seconds
    }

    /// The nanoseconds beyond [`seconds`](Self::seconds), of the same sign.
    pub fn nanoseconds(self) -> i32 {
        self.0.nanoseconds
    }

    /// From seconds, and nanoseconds that are never negative.
    fn from_floor(seconds: i64, nanoseconds: i32) -> Self {
        if seconds < 0 && nanoseconds > 0 {
            Self(WireTimestamp { seconds: seconds + 1, nanoseconds: nanoseconds - NANOSECONDS })
        } else {
            Self(WireTimestamp { seconds, nanoseconds })
        }
    }

    /// The inverse of [`from_floor`](Self::from_floor); one second less than an `i64` holds is possible.
    fn floor(self) -> (i128, i32) {
        let WireTimestamp { seconds, nanoseconds } = self.0;
        if nanoseconds < 0 {
            (i128::from(seconds) - 1, nanoseconds + NANOSECONDS)
        } else {
            (seconds.into(), nanoseconds)
        }
    }
}

impl From<WireTimestamp> for Timestamp {
    fn from(timestamp: WireTimestamp) -> Self {
        Self(timestamp)
    }
}

impl From<Timestamp> for WireTimestamp {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.0
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let (distance, is_before) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (after, false),
            Err(before) => (before.duration(), true),
        };
        let seconds = i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
        let nanoseconds = distance.subsec_nanos().cast_signed();
        Self(if is_before {
            WireTimestamp { seconds: -seconds, nanoseconds: -nanoseconds }
        } else {
            WireTimestamp { seconds, nanoseconds }
        })
    }
}

/// Fails for times that the system's clock does not know.
impl TryFrom<Timestamp> for SystemTime {
    type Error = Timestamp;

    fn try_from(timestamp: Timestamp) -> Result<Self, Timestamp> {
        let WireTimestamp { seconds, nanoseconds } = timestamp.0;
        let distance = Duration::new(seconds.unsigned_abs(), nanoseconds.unsigned_abs());
        let time = if seconds < 0 || nanoseconds < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.ok_or(timestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = self.floor();
        let days = seconds.div_euclid(DAY_S.into());
        let second = seconds.rem_euclid(DAY_S.into());
        let (year, month, day) = date(days);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+05}")?,
        }
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match nanoseconds {
            0 => (),
            _ if nanoseconds % 1_000_000 == 0 => write!(f, ".{:03}", nanoseconds / 1_000_000)?,
            _ if nanoseconds % 1000 == 0 => write!(f, ".{:06}", nanoseconds / 1000)?,
            _ => write!(f, ".{nanoseconds:09}")?,
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        parse(text.as_bytes()).ok_or(TimestampError)
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let mut input = text;
    let sign = take_any(&mut input, b"+-");
    // A year of 12 digits is beyond what seconds in an i64 can reach.
    let year_len = input.iter().take_while(|byte| byte.is_ascii_digit()).take(12).count();
    if year_len < 4 || (sign.is_none() && year_len != 4) {
        return None;
    }
    let year = number(&mut input, year_len)?;
    let year = if sign == Some(b'-') { -year } else { year };
    let month = part(&mut input, b"-", 1..=12)?;
    let day = part(&mut input, b"-", 1..=31)?;
    let hour = part(&mut input, b"Tt ", 0..=23)?;
    let minute = part(&mut input, b":", 0..=59)?;
    let second = part(&mut input, b":", 0..=59)?;
    let nanoseconds = fraction(&mut input)?;
    let offset_s = offset(&mut input)?;
    let days = days(year, month, day);
    if !input.is_empty() || date(days) != (year, month, day) {
        return None;
    }
    let seconds = days * i128::from(DAY_S) + hour * 3600 + minute * 60 + second - offset_s;
    if seconds == i128::from(i64::MIN) - 1 && nanoseconds > 0 {
        // The second before the first one, as far as it can be told.
        return Timestamp::new(i64::MIN, nanoseconds - NANOSECONDS);
    }
    Some(Timestamp::from_floor(i64::try_from(seconds).ok()?, nanoseconds))
}

fn part(input: &mut &[u8], before: &[u8], range: std::ops::RangeInclusive<i128>) -> Option<i128> {
    take_any(input, before)?;
    number(input, 2).filter(|number| range.contains(number))
}

/// Nanoseconds, if there is a point; nine digits at most.
fn fraction(input: &mut &[u8]) -> Option<i32> {
    if take_any(input, b".").is_none() {
        return Some(0);
    }
    let len = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&len) {
        return None;
    }
    let digits = i32::try_from(number(input, len)?).ok()?;
    Some(digits * 10_i32.pow(9 - u32::try_from(len).ok()?))
}

fn offset(input: &mut &[u8]) -> Option<i128> {
    let sign = match take_any(input, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = number(input, 2).filter(|hours| *hours < 24)?;
    Some(sign * (hours * 3600 + part(input, b":", 0..=59)? * 60))
}

fn take_any(input: &mut &[u8], among: &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first().filter(|(first, _)| among.contains(first))?;
    *input = rest;
    Some(*first)
}

fn number(input: &mut &[u8], len: usize) -> Option<i128> {
    let (digits, rest) = input.split_at_checked(len)?;
    *input = rest;
    digits.iter().try_fold(0, |number: i128, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i128::from(digit - b'0'))
    })
}

/// Days of 400 years, after which the Gregorian calendar repeats itself.
const ERA_DAYS: i128 = 146_097;
/// From 0000-03-01, where an era of years that begin in March starts, to 1970-01-01.
const EPOCH_DAYS: i128 = 719_468;

/// Year, month and day of the Gregorian calendar, days after 1970-01-01.
fn date(days: i128) -> (i128, i128, i128) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, again and again.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (era * 400 + year_of_era + i128::from(is_next_year), month, day)
}

/// The inverse of [`date`].
fn days(year: i128, month: i128, day: i128) -> i128 {
    let year = if month <= 2 { year - 1 } else { year };
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * ERA_DAYS + day_of_era - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(seconds: i64, nanoseconds: i32, text: &str) {
        let timestamp = Timestamp::new(seconds, nanoseconds).unwrap();
        assert_eq!(timestamp.to_string(), text);
        assert_eq!(text.parse(), Ok(timestamp));
    }

    #[test]
    fn timestamps_are_written_in_utc() {
        check(0, 0, "1970-01-01T00:00:00Z");
        check(0, -1, "1969-12-31T23:59:59.999999999Z");
        check(-1, 0, "1969-12-31T23:59:59Z");
        check(1_709_209_800, 500_000_000, "2024-02-29T12:30:00.500Z");
        check(951_782_400, 1_000, "2000-02-29T00:00:00.000001Z");
        check(-62_167_219_200, 0, "0000-01-01T00:00:00Z");
        check(-62_167_219_201, 0, "-0001-12-31T23:59:59Z");
        check(253_402_300_800, 0, "+10000-01-01T00:00:00Z");
        check(i64::MAX, 999_999_999, "+292277026596-12-04T15:30:07.999999999Z");
        check(i64::MIN, -999_999_999, "-292277022657-01-27T08:29:51.000000001Z");
    }

    #[test]
    fn offsets_are_taken_off() {
        for text in [
            "2024-02-29T12:30:00.5Z",
            "2024-02-29t14:00:00.50+01:30",
            "2024-02-28 22:30:00.5-14:00",
        ] {
            assert_eq!(
                text.parse(),
                Ok(Timestamp::new(1_709_209_800, 500_000_000).unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "now",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00.1234567890Z",
            "2024-01-01T00:00:00Zx",
            "20240-01-01T00:00:00Z",
            "+999999999999-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    #[test]
    fn seconds_and_nanoseconds_have_one_sign() {
        for (seconds, nanoseconds) in [(1, -1), (-1, 1), (0, NANOSECONDS), (0, -NANOSECONDS)] {
            assert_eq!(Timestamp::new(seconds, nanoseconds), None);
        }
    }

    proptest! {
        #[test]
        fn text_and_system_time_read_back(seconds: i64, nanoseconds in 0..NANOSECONDS) {
            let nanoseconds = if seconds < 0 { -nanoseconds } else { nanoseconds };
            let timestamp = Timestamp::new(seconds, nanoseconds).unwrap();
            prop_assert_eq!(timestamp.to_string().parse(), Ok(timestamp));
            if let Ok(time) = SystemTime::try_from(timestamp) {
                prop_assert_eq!(Timestamp::from(time), timestamp);
            }
        }

        #[test]
        fn milliseconds_are_kept(milliseconds: i64) {
            let timestamp = Timestamp::from_millis(milliseconds);
            let back = i128::from(timestamp.seconds()) * 1000 + i128::from(timestamp.nanoseconds() / 1_000_000);
            prop_assert_eq!(back, i128::from(milliseconds));
        }

        #[test]
        fn any_text_is_a_timestamp_or_an_error(text in "[0-9TZ:.+ -]{0,40}|.{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
