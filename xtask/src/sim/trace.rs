//! What happened, as one number.

use super::agenda::Time;

/// A hash over everything that has happened, in order. Two runs with the same hash were the same run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    count: u64,
}

/// What kind of thing happened: part of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    ToServer,
    ToDevice,
    Lost,
    Store,
    Write,
    Wake,
    Died,
    Fault,
    Committed,
    Healed,
}

impl Trace {
    /// Notes one thing: when, what, whose, and the bytes that belong to it.
    pub(crate) fn note(&mut self, now: Time, kind: Kind, who: u64, bytes: &[u8]) {
        self.count += 1;
        self.mix(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
        self.mix(kind as u64 ^ who << 8);
        self.mix(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
    }

    pub(crate) fn hash(self) -> u64 {
        self.hash
    }

    /// How many things were noted.
    pub(crate) fn count(self) -> u64 {
        self.count
    }

    fn mix(&mut self, word: u64) {
        let x = (self.hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = x ^ (x >> 29);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(notes: &[(u64, Kind, u64, &[u8])]) -> u64 {
        let mut trace = Trace::default();
        for &(at, kind, who, bytes) in notes {
            trace.note(Time::from_millis(at), kind, who, bytes);
        }
        trace.hash()
    }

    #[test]
    fn whatever_differs_gives_another_hash() {
        let one: (u64, Kind, u64, &[u8]) = (1, Kind::Store, 2, b"some bytes");
        let same = hash(&[one]);
        assert_eq!(hash(&[one]), same);
        for other in [
            (2, Kind::Store, 2, &b"some bytes"[..]),
            (1, Kind::Write, 2, b"some bytes"),
            (1, Kind::Store, 3, b"some bytes"),
            (1, Kind::Store, 2, b"some bytez"),
            (1, Kind::Store, 2, b"some bytes\0"),
        ] {
            assert_ne!(hash(&[other]), same, "{other:?}");
            assert_ne!(hash(&[one, other]), hash(&[other, one]), "{other:?}");
        }
    }
}
