//! Writing integers, and what can be wrong with one that is read.

/// Why an integer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntegerFault {
    /// The input ends inside.
    #[error("the input ends inside an integer")]
    Truncated,
    /// It goes on after the last byte that its kind can have.
    #[error("an integer has too many bytes")]
    TooLong,
    /// Its value does not fit its kind.
    #[error("an integer is too large")]
    TooLarge,
    /// Its kind has no negative values.
    #[error("an integer that cannot be negative is negative")]
    Negative,
    /// It is longer than its value needs.
    #[error("an integer is longer than its value needs")]
    Overlong,
}

/// Writes a signed integer: at most 10 bytes.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    let negative = value < 0;
    let magnitude = if negative { !value } else { value };
    write_magnitude(out, magnitude.cast_unsigned(), if negative { SIGN } else { 0 });
}

/// Writes an unsigned integer: at most 10 bytes.
pub fn write_u64(out: &mut Vec<u8>, value: u64) {
    write_magnitude(out, value, 0);
}

/// Writes the coefficient of a decimal, at most 113 bits: at most 17 bytes.
pub fn write_u128(out: &mut Vec<u8>, mut value: u128) {
    while value >> 6 != 0 {
        out.push(CONTINUES | low_bits(value));
        value >>= 7;
    }
    out.push(low_bits(value));
}

pub(super) const CONTINUES: u8 = 0x80;
pub(super) const SIGN: u8 = 0x40;

#[inline]
fn write_magnitude(out: &mut Vec<u8>, mut magnitude: u64, sign: u8) {
    while magnitude >> 6 != 0 {
        out.push(CONTINUES | low_bits(magnitude.into()));
        magnitude >>= 7;
    }
    out.push(low_bits(magnitude.into()) | sign);
}

#[inline]
fn low_bits(value: u128) -> u8 {
    (value & 0x7f) as u8
}
