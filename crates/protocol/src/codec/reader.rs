//! Reads fields off a byte string.

use super::varint::{CONTINUES, IntegerFault, SIGN};

/// A position in a byte string.
///
/// A read that fails leaves the position somewhere inside the field.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.position == self.bytes.len()
    }

    /// The next `len` bytes, or `None` if there are not so many.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes[self.position..].get(..len)?;
        self.position += len;
        Some(taken)
    }

    /// The next `N` bytes, or `None` if there are not so many.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.bytes[self.position..].first_chunk()?;
        self.position += N;
        Some(*taken)
    }

    /// A signed 64-bit integer.
    ///
    /// # Errors
    ///
    /// Any [`IntegerFault`] but [`Negative`](IntegerFault::Negative).
    #[inline]
    pub fn i64(&mut self) -> Result<i64, IntegerFault> {
        let (magnitude, negative) = self.magnitude(i64::MAX.cast_unsigned(), 10)?;
        let magnitude = magnitude.cast_signed();
        Ok(if negative { !magnitude } else { magnitude })
    }

    /// A signed 32-bit integer.
    ///
    /// # Errors
    ///
    /// Any [`IntegerFault`] but [`Negative`](IntegerFault::Negative).
    pub fn i32(&mut self) -> Result<i32, IntegerFault> {
        let (magnitude, negative) = self.magnitude(i32::MAX.cast_unsigned().into(), 5)?;
        let magnitude = i32::try_from(magnitude).expect("bounded by the largest value");
        Ok(if negative { !magnitude } else { magnitude })
    }

    /// An unsigned 64-bit integer.
    ///
    /// # Errors
    ///
    /// Any [`IntegerFault`].
    #[inline]
    pub fn u64(&mut self) -> Result<u64, IntegerFault> {
        self.unsigned(u64::MAX, 10)
    }

    /// An unsigned 32-bit integer.
    ///
    /// # Errors
    ///
    /// Any [`IntegerFault`].
    #[inline]
    pub fn u32(&mut self) -> Result<u32, IntegerFault> {
        let value = self.unsigned(u32::MAX.into(), 5)?;
        Ok(u32::try_from(value).expect("bounded by the largest value"))
    }

    /// An unsigned 8-bit integer.
    ///
    /// # Errors
    ///
    /// Any [`IntegerFault`].
    #[inline]
    pub fn u8(&mut self) -> Result<u8, IntegerFault> {
        let value = self.unsigned(u8::MAX.into(), 2)?;
        Ok(u8::try_from(value).expect("bounded by the largest value"))
    }

    /// The coefficient of a decimal: unsigned, 113 bits.
    ///
    /// # Errors
    ///
    /// Any [`IntegerFault`].
    pub fn u128(&mut self) -> Result<u128, IntegerFault> {
        const BITS: u32 = 113;
        const LONGEST: u32 = 17;
        let mut value = 0;
        let mut previous = None;
        for i in 0..LONGEST {
            let byte = self.byte()?;
            let shift = 7 * i;
            if byte & CONTINUES != 0 {
                if i == LONGEST - 1 {
                    return Err(IntegerFault::TooLong);
                }
                value |= u128::from(byte & !CONTINUES) << shift;
                previous = Some(byte);
                continue;
            }
            if byte & SIGN != 0 {
                return Err(IntegerFault::Negative);
            }
            if u128::from(byte) > ((1 << BITS) - 1) >> shift {
                return Err(IntegerFault::TooLarge);
            }
            check_shortest(byte, previous)?;
            return Ok(value | u128::from(byte) << shift);
        }
        unreachable!("the last round returns")
    }

    #[inline]
    fn unsigned(&mut self, max: u64, longest: u32) -> Result<u64, IntegerFault> {
        match self.magnitude(max, longest)? {
            (value, false) => Ok(value),
            (_, true) => Err(IntegerFault::Negative),
        }
    }

    /// The magnitude of an integer whose largest value is `max`, and whether it is negative.
    #[inline]
    fn magnitude(&mut self, max: u64, longest: u32) -> Result<(u64, bool), IntegerFault> {
        let mut value = 0;
        let mut previous = None;
        for i in 0..longest {
            let byte = self.byte()?;
            let shift = 7 * i;
            if byte & CONTINUES != 0 {
                if i == longest - 1 {
                    return Err(IntegerFault::TooLong);
                }
                value |= u64::from(byte & !CONTINUES) << shift;
                previous = Some(byte);
                continue;
            }
            let last = byte & !SIGN;
            if u64::from(last) > max >> shift {
                return Err(IntegerFault::TooLarge);
            }
            check_shortest(last, previous)?;
            value |= u64::from(last) << shift;
            // The groups before the last can hold more than a short kind allows.
            if value > max {
                return Err(IntegerFault::TooLarge);
            }
            return Ok((value, byte & SIGN != 0));
        }
        unreachable!("the last round returns")
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, IntegerFault> {
        let byte = *self.bytes.get(self.position).ok_or(IntegerFault::Truncated)?;
        self.position += 1;
        Ok(byte)
    }
}

/// A last group of zero is only needed if the six bits of the one before would not have done.
#[inline]
fn check_shortest(last: u8, previous: Option<u8>) -> Result<(), IntegerFault> {
    match previous {
        Some(previous) if last == 0 && previous & SIGN == 0 => Err(IntegerFault::Overlong),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{write_i64, write_u64, write_u128};
    use super::*;

    #[test]
    fn examples_of_the_format() {
        let cases: &[(i64, &[u8])] = &[
            (0, &[0x00]),
            (-1, &[0x40]),
            (63, &[0x3f]),
            (64, &[0xc0, 0x00]),
            (-64, &[0x7f]),
            (-65, &[0xc0, 0x40]),
            (300, &[0xac, 0x02]),
            (8192, &[0x80, 0xc0, 0x00]),
            (i64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x40]),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            write_i64(&mut out, *value);
            assert_eq!(&out, bytes, "{value}");
            assert_eq!(Reader::new(bytes).i64(), Ok(*value));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(signed: i64, unsigned: u64, wide in 0_u128..1 << 113) {
            let mut out = Vec::new();
            write_i64(&mut out, signed);
            write_u64(&mut out, unsigned);
            write_u128(&mut out, wide);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.i64(), Ok(signed));
            prop_assert_eq!(reader.u64(), Ok(unsigned));
            prop_assert_eq!(reader.u128(), Ok(wide));
            prop_assert!(reader.is_at_end());
        }

        /// Whatever is read is written back to the same bytes: there is only one form.
        #[test]
        fn what_is_read_is_written(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.i64() {
                let mut out = Vec::new();
                write_i64(&mut out, value);
                prop_assert_eq!(&out[..], &bytes[..reader.position()]);
            }
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.u128() {
                let mut out = Vec::new();
                write_u128(&mut out, value);
                prop_assert_eq!(&out[..], &bytes[..reader.position()]);
            }
        }
    }
}
