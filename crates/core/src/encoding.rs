//! The bytes that schemas and objects are made of when they are stored.
//!
//! Unsigned integers are LEB128 in their shortest form or not: only the value counts. Signed integers are
//! zigzag coded first. Texts and binaries stand behind their length. These encodings are our own and have
//! nothing to do with the wire.

/// Why stored bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// Written by a later release.
    #[error("the format version is {0}, which this release does not know")]
    Version(u8),
    /// A field runs past the end.
    #[error("the bytes end inside a field")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("{0} bytes are left over")]
    Trailing(usize),
    /// A field holds what the writer never writes.
    #[error("{0}")]
    Invalid(&'static str),
}

/// Appends an unsigned integer.
pub(crate) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends an unsigned integer of 32 bits.
pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    put_u64(out, value.into());
}

/// Appends a count or a length.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_u64(out, len as u64);
}

/// Appends a signed integer.
pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Appends bytes behind their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Reads what the functions above wrote.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), EncodingError> {
        match self.rest.len() {
            0 => Ok(()),
            len => Err(EncodingError::Trailing(len)),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, EncodingError> {
        let (&byte, rest) = self.rest.split_first().ok_or(EncodingError::Truncated)?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, EncodingError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(EncodingError::Invalid("a boolean is neither 0 nor 1")),
        }
    }

    pub(crate) fn u64(&mut self) -> Result<u64, EncodingError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(EncodingError::Invalid("an integer has more than 64 bits"))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, EncodingError> {
        u32::try_from(self.u64()?)
            .map_err(|_| EncodingError::Invalid("an integer has more than 32 bits"))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, EncodingError> {
        let zigzag = self.u64()?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// A count of things that take at least one byte each, so that it can be trusted when reserving memory.
    pub(crate) fn count(&mut self) -> Result<usize, EncodingError> {
        let count = usize::try_from(self.u64()?).map_err(|_| EncodingError::Truncated)?;
        if count > self.rest.len() { Err(EncodingError::Truncated) } else { Ok(count) }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], EncodingError> {
        let len = self.count()?;
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, EncodingError> {
        std::str::from_utf8(self.bytes()?)
            .map_err(|_| EncodingError::Invalid("a text is not UTF-8"))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], EncodingError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(EncodingError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_come_back(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            put_u64(&mut out, unsigned);
            put_i64(&mut out, signed);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.u64(), Ok(unsigned));
            prop_assert_eq!(reader.i64(), Ok(signed));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn an_announced_length_is_compared_with_what_is_left() {
        let mut out = Vec::new();
        put_u64(&mut out, u64::MAX);
        assert_eq!(Reader::new(&out).bytes(), Err(EncodingError::Truncated));
        assert_eq!(
            Reader::new(&[0x80; 11]).u64(),
            Err(EncodingError::Invalid("an integer has more than 64 bits"))
        );
    }
}
