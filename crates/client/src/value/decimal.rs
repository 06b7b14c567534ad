//! Decimal numbers.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use bailiwick_protocol::changeset::Decimal as WireDecimal;

/// A decimal number of up to 34 digits, by the bits of IEEE 754 decimal128 with a binary coefficient.
///
/// Equality is bit by bit: 1.0 and 1.00 are different. As text it is what it was written as, or scientific
/// notation where that would take zeros; nothing is ever rounded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal(u128);

/// The text is not a decimal number that can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// It is not a number.
    #[error("the text is not a decimal number")]
    Malformed,
    /// It has more than 34 significant digits.
    #[error("the number has more than 34 significant digits")]
    Inexact,
    /// It is too great or too near to zero.
    #[error("the number is out of range")]
    OutOfRange,
}

/// The greatest coefficient: 34 digits.
const MAX_COEFFICIENT: u128 = 10_u128.pow(34) - 1;
const BIAS: i64 = 6176;
const MIN_EXPONENT: i64 = -BIAS;
const MAX_EXPONENT: i64 = 6111;
const SIGN: u128 = 1 << 127;
const INFINITY: u128 = 0x78 << 120;
const NAN: u128 = 0x7c << 120;

impl Decimal {
    /// The number of these bits.
    pub fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits.
    pub fn to_bits(self) -> u128 {
        self.0
    }

    /// `coefficient` times ten to the power of `exponent`, if that can be held exactly.
    ///
    /// # Errors
    ///
    /// [`DecimalError::Inexact`] or [`DecimalError::OutOfRange`].
    pub fn new(coefficient: i128, exponent: i32) -> Result<Self, DecimalError> {
        pack(coefficient < 0, coefficient.unsigned_abs(), exponent.into())
    }

    /// Whether it is not a number.
    pub fn is_nan(self) -> bool {
        self.0 & NAN == NAN
    }

    /// Whether it is an infinity.
    pub fn is_infinite(self) -> bool {
        !self.is_nan() && self.0 & INFINITY == INFINITY
    }

    /// Coefficient and exponent of a finite number. Coefficients beyond 34 digits are 0, as the standard says.
    fn unpack(self) -> (u128, i64) {
        let (coefficient, exponent) = if self.0 >> 125 & 3 == 3 {
            (0, self.0 >> 111)
        } else {
            (self.0 & ((1 << 113) - 1), self.0 >> 113)
        };
        let exponent = i64::try_from(exponent & 0x3fff).expect("it has 14 bits") - BIAS;
        (if coefficient > MAX_COEFFICIENT { 0 } else { coefficient }, exponent)
    }
}

/// Moves the exponent into its range where the coefficient allows it.
fn pack(
    is_negative: bool,
    mut coefficient: u128,
    mut exponent: i64,
) -> Result<Decimal, DecimalError> {
    while coefficient > MAX_COEFFICIENT {
        if !coefficient.is_multiple_of(10) {
            return Err(DecimalError::Inexact);
        }
        (coefficient, exponent) = (coefficient / 10, exponent + 1);
    }
    if coefficient == 0 {
        exponent = exponent.clamp(MIN_EXPONENT, MAX_EXPONENT);
    }
    while exponent > MAX_EXPONENT && coefficient <= MAX_COEFFICIENT / 10 {
        (coefficient, exponent) = (coefficient * 10, exponent - 1);
    }
    while exponent < MIN_EXPONENT && coefficient.is_multiple_of(10) {
        (coefficient, exponent) = (coefficient / 10, exponent + 1);
    }
    if !(MIN_EXPONENT..=MAX_EXPONENT).contains(&exponent) {
        return Err(DecimalError::OutOfRange);
    }
    let biased = u128::try_from(exponent + BIAS).expect("the exponent is in its range");
    Ok(Decimal(if is_negative { SIGN } else { 0 } | biased << 113 | coefficient))
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (is_negative, number) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let sign = if is_negative { SIGN } else { 0 };
        if ["infinity", "inf"].iter().any(|name| number.eq_ignore_ascii_case(name)) {
            return Ok(Self(sign | INFINITY));
        }
        if number.eq_ignore_ascii_case("nan") {
            return Ok(Self(sign | NAN));
        }
        let (digits, exponent) = match number.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, read_exponent(exponent)?),
            None => (number, 0),
        };
        let (integral, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if integral.is_empty() && fraction.is_empty() {
            return Err(DecimalError::Malformed);
        }
        let mut coefficient = 0;
        // Zeros that no other digit has followed yet, once there is no room for them in the coefficient.
        let mut zeros = 0_i64;
        let mut decimals = 0_i64;
        for (is_fraction, digit) in integral
            .bytes()
            .map(|digit| (false, digit))
            .chain(fraction.bytes().map(|digit| (true, digit)))
        {
            if !digit.is_ascii_digit() {
                return Err(DecimalError::Malformed);
            }
            decimals = decimals.saturating_add(is_fraction.into());
            if coefficient <= MAX_COEFFICIENT / 10 && zeros == 0 {
                coefficient = coefficient * 10 + u128::from(digit - b'0');
            } else if digit == b'0' {
                zeros = zeros.saturating_add(1);
            } else {
                return Err(DecimalError::Inexact);
            }
        }
        let exponent = exponent.saturating_add(zeros).saturating_sub(decimals);
        pack(is_negative, coefficient, exponent)
    }
}

/// An exponent so great that no coefficient saves it is as good as any.
fn read_exponent(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(DecimalError::Malformed);
    }
    let exponent = digits.parse().unwrap_or(i64::MAX / 2);
    Ok(if text.starts_with('-') { -exponent } else { exponent })
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nan() {
            return f.write_str("NaN");
        }
        if self.0 & SIGN != 0 {
            f.write_char('-')?;
        }
        if self.is_infinite() {
            return f.write_str("Infinity");
        }
        let (coefficient, exponent) = self.unpack();
        let digits = coefficient.to_string();
        let len = i64::try_from(digits.len()).expect("there are at most 34 digits");
        // The exponent of the first digit. Which numbers are written plainly is what the standard says.
        let scientific = exponent + len - 1;
        if exponent > 0 || scientific < -6 {
            let (first, others) = digits.split_at(1);
            let point = if others.is_empty() { "" } else { "." };
            return write!(f, "{first}{point}{others}E{scientific:+}");
        }
        let integral_len = usize::try_from(len + exponent).unwrap_or(0);
        let (integral, fraction) = digits.split_at(integral_len);
        f.write_str(if integral.is_empty() { "0" } else { integral })?;
        if exponent < 0 {
            f.write_char('.')?;
            (len + exponent..0).try_for_each(|_| f.write_char('0'))?;
            f.write_str(fraction)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal({self})")
    }
}

/// Zero with exponent 0, which new objects hold.
impl Default for Decimal {
    fn default() -> Self {
        0.into()
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        pack(number < 0, number.unsigned_abs().into(), 0).expect("it has at most 19 digits")
    }
}

impl From<WireDecimal> for Decimal {
    fn from(decimal: WireDecimal) -> Self {
        Self(decimal.0)
    }
}

impl From<Decimal> for WireDecimal {
    fn from(decimal: Decimal) -> Self {
        Self(decimal.0)
    }
}

#[cfg(test)]
mod tests;
