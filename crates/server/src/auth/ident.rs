//! Identifiers of users, sessions, devices and providers: 24 hexadecimal digits, as clients expect them.

use std::fmt;

/// Twelve bytes, written as 24 lower-case hexadecimal digits.
///
/// Clients only compare them; the digits carry no meaning. All zeros stand for "none" in a client, so
/// [`random`](Self::random) does not give them out and [`parse`](Self::parse) does not take them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ident([u8; Ident::LEN]);

impl Ident {
    /// Bytes in an identifier.
    pub const LEN: usize = 12;

    /// A new identifier that nobody can guess.
    ///
    /// # Errors
    ///
    /// When the operating system has no random bytes to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; Self::LEN];
        while bytes == [0; Self::LEN] {
            getrandom::fill(&mut bytes)?;
        }
        Ok(Self(bytes))
    }

    /// Reads 24 hexadecimal digits, of either case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        (bytes != [0; Self::LEN]).then_some(Self(bytes))
    }

    /// The identifier that has these bytes.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The twelve bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ident({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_24_hexadecimal_digits_that_are_not_all_zero_are_an_ident() {
        check("5F000000000000000000000c", Some("5f000000000000000000000c"));
        check("000000000000000000000000", None);
        check("5f000000000000000000000", None);
        check("5f000000000000000000000c0", None);
        check("5g000000000000000000000c", None);
        check("", None);
    }

    #[test]
    fn random_idents_differ() {
        assert_ne!(Ident::random().unwrap(), Ident::random().unwrap());
    }

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(
            Ident::parse(text).map(|ident| ident.to_string()).as_deref(),
            expected,
            "{text}"
        );
    }
}
