//! UUIDs.

use std::fmt;
use std::str::FromStr;

use super::{IdentifierError, PrimaryKey};

/// An identifier of 16 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// A new random identifier (version 4 of RFC 9562).
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers.
    pub fn new_v4() -> Self {
        let mut id = [0; 16];
        getrandom::fill(&mut id).expect("the operating system has random numbers");
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        Self(id)
    }
}

/// Where the hyphens stand in the text.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl FromStr for Uuid {
    type Err = IdentifierError;

    /// Reads 32 hexadecimal digits in five groups of 8, 4, 4, 4 and 12.
    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        const ERROR: IdentifierError = IdentifierError("a UUID: 8-4-4-4-12 hexadecimal digits");
        let bytes = text.as_bytes();
        if bytes.len() != 36 || HYPHENS.iter().any(|at| bytes[*at] != b'-') {
            return Err(ERROR);
        }
        let digits: Vec<u8> = (0..36)
            .filter(|position| !HYPHENS.contains(position))
            .map(|position| bytes[position])
            .collect();
        let mut id = [0; 16];
        hex::decode_to_slice(digits, &mut id).map_err(|_| ERROR)?;
        Ok(Self(id))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uuid({self})")
    }
}

impl From<Uuid> for PrimaryKey {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn new_ids_are_of_version_4() {
        for _ in 0..100 {
            let text = Uuid::new_v4().to_string();
            assert_eq!(&text[14..15], "4", "{text}");
            assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        }
        assert_ne!(Uuid::new_v4(), Uuid::new_v4());
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "3b241101e2bb42558caf4136c566a962",
            "3b241101-e2bb-4255-8caf-4136c566a96",
            "3b241101-e2bb-4255-8caf-4136c566a96g",
            "3b241101--2bb-4255-8caf-4136c566a962",
            "3b241101-e2bb-4255-8caf-4136c566\u{e9}62",
        ] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(bytes: [u8; 16]) {
            let id = Uuid(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
