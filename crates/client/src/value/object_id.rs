//! Identifiers that devices make without asking anybody.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{IdentifierError, PrimaryKey};

/// An identifier of 12 bytes: seconds since 1970 (4), random bytes of this process (5), a counter (3).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 12]);

impl ObjectId {
    /// A new identifier, different from all others.
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers.
    pub fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // The seconds wrap around in 2106, as everywhere.
        let seconds = u32::try_from(since_1970.as_secs() & u64::from(u32::MAX))
            .expect("all other bits are masked");
        let process = &*PROCESS;
        let count = process.counter.fetch_add(1, Ordering::Relaxed);
        let mut id = [0; 12];
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[4..9].copy_from_slice(&process.random);
        id[9..].copy_from_slice(&count.to_be_bytes()[1..]);
        Self(id)
    }

    /// The second in which it was made, since 1970.
    pub fn seconds(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

/// What the identifiers of this process have in common.
struct Process {
    random: [u8; 5],
    /// Starts anywhere; its lower 24 bits are used.
    counter: AtomicU32,
}

static PROCESS: LazyLock<Process> = LazyLock::new(|| {
    let mut random = [0; 5];
    let mut start = [0; 4];
    getrandom::fill(&mut random).expect("the operating system has random numbers");
    getrandom::fill(&mut start).expect("the operating system has random numbers");
    Process { random, counter: AtomicU32::new(u32::from_be_bytes(start)) }
});

impl FromStr for ObjectId {
    type Err = IdentifierError;

    /// Reads 24 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        let mut id = [0; 12];
        match hex::decode_to_slice(text, &mut id) {
            Ok(()) => Ok(Self(id)),
            Err(_) => Err(IdentifierError("an ObjectId: 24 hexadecimal digits")),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

impl From<ObjectId> for PrimaryKey {
    fn from(id: ObjectId) -> Self {
        Self::ObjectId(id.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn new_ids_are_different() {
        let ids: BTreeSet<_> = (0..10_000).map(|_| ObjectId::new()).collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "0", "65f3c1a2b4d5e6f708192", "65f3c1a2b4d5e6f70819200g"] {
            assert!(text.parse::<ObjectId>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(bytes: [u8; 12]) {
            let id = ObjectId(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
