//! Exact comparison of decimal128 numbers, with each other and with binary numbers.
//!
//! Spec: applying, section 6.10.

use std::cmp::Ordering;

use bailiwick_protocol::changeset::Decimal;

/// The greatest coefficient of a canonical number: 34 digits.
const MAX_COEFFICIENT: u128 = 10_u128.pow(34) - 1;
const EXPONENT_BIAS: i32 = 6176;

/// A decimal, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parts {
    /// All its bits; they order the NaNs.
    Nan(u128),
    Infinity {
        negative: bool,
    },
    Finite {
        negative: bool,
        coefficient: u128,
        exponent: i32,
    },
}

/// Compares by numeric value. NaNs come before all numbers, in the order of their bits.
pub(super) fn compare(a: Decimal, b: Decimal) -> Ordering {
    compare_parts(parts(a), parts(b))
}

/// Compares with an integer, exactly.
pub(super) fn compare_with_int(a: Decimal, b: i64) -> Ordering {
    let b = Parts::Finite { negative: b < 0, coefficient: b.unsigned_abs().into(), exponent: 0 };
    compare_parts(parts(a), b)
}

/// Compares with a double as it is in decimal, rounded to 15 digits.
pub(super) fn compare_with_double(a: Decimal, b: f64) -> Ordering {
    compare_parts(parts(a), from_binary(b, 15))
}

/// Compares with a float as it is in decimal, rounded to 7 digits.
pub(super) fn compare_with_float(a: Decimal, b: f32) -> Ordering {
    compare_parts(parts(a), from_binary(b.into(), 7))
}

fn parts(decimal: Decimal) -> Parts {
    let bits = decimal.0;
    let negative = bits >> 127 == 1;
    // The five bits after the sign tell the special values: 11111 NaN, 11110 infinity.
    match bits >> 122 & 0x1f {
        0x1f => Parts::Nan(bits),
        0x1e => Parts::Infinity { negative },
        // 11xxx is a coefficient beyond 34 digits, which counts as zero.
        0x18..=0x1d => Parts::Finite { negative, coefficient: 0, exponent: 0 },
        _ => {
            let coefficient = bits & ((1 << 113) - 1);
            let biased = i32::try_from(bits >> 113 & 0x3fff).expect("it has 14 bits");
            Parts::Finite {
                negative,
                coefficient: if coefficient > MAX_COEFFICIENT { 0 } else { coefficient },
                exponent: biased - EXPONENT_BIAS,
            }
        }
    }
}

/// The decimal of `digits` digits that is nearest to a binary number, by way of one of 34 digits.
///
/// Two roundings are what the reference does, and both take a tie to the even neighbour.
fn from_binary(value: f64, digits: u32) -> Parts {
    if value.is_nan() {
        return Parts::Nan(0x7c << 120);
    }
    let negative = value.is_sign_negative();
    if value.is_infinite() {
        return Parts::Infinity { negative };
    }
    let text = format!("{:.33e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let coefficient = mantissa
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |sum: u128, digit| sum * 10 + u128::from(digit - b'0'));
    let exponent: i32 = exponent.parse().expect("the exponent is a small integer");
    let unit = 10_u128.pow(34 - digits);
    let (mut rounded, rest) = (coefficient / unit, coefficient % unit);
    match rest.cmp(&(unit / 2)) {
        Ordering::Greater => rounded += 1,
        Ordering::Equal => rounded += rounded % 2,
        Ordering::Less => (),
    }
    Parts::Finite { negative, coefficient: rounded * unit, exponent: exponent - 33 }
}

fn compare_parts(a: Parts, b: Parts) -> Ordering {
    match (a, b) {
        (Parts::Nan(a), Parts::Nan(b)) => a.cmp(&b),
        (Parts::Nan(_), _) => Ordering::Less,
        (_, Parts::Nan(_)) => Ordering::Greater,
        _ => match (sign(a), sign(b)) {
            (1, 1) => compare_magnitudes(a, b),
            (-1, -1) => compare_magnitudes(b, a),
            (a, b) => a.cmp(&b),
        },
    }
}

/// 0 for both zeros.
fn sign(parts: Parts) -> i8 {
    match parts {
        Parts::Finite { coefficient: 0, .. } | Parts::Nan(_) => 0,
        Parts::Finite { negative, .. } | Parts::Infinity { negative } => {
            if negative {
                -1
            } else {
                1
            }
        }
    }
}

/// Compares without the signs; neither is zero or NaN.
fn compare_magnitudes(a: Parts, b: Parts) -> Ordering {
    let rank = |parts| i32::from(matches!(parts, Parts::Infinity { .. }));
    match (a, b) {
        (
            Parts::Finite { coefficient: a, exponent: a_exponent, .. },
            Parts::Finite { coefficient: b, exponent: b_exponent, .. },
        ) => {
            let (a_digits, b_digits) = (a.ilog10().cast_signed(), b.ilog10().cast_signed());
            // Where the first digits have the same weight, both fit side by side: at most 35 digits each.
            (a_digits + a_exponent).cmp(&(b_digits + b_exponent)).then_with(|| {
                let digits = a_digits.max(b_digits);
                let scaled = |c: u128, d: i32| c * 10_u128.pow((digits - d).cast_unsigned());
                scaled(a, a_digits).cmp(&scaled(b, b_digits))
            })
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(coefficient: i128, exponent: i32) -> Decimal {
        let biased = u128::from((exponent + EXPONENT_BIAS).cast_unsigned());
        let sign = u128::from(coefficient < 0);
        Decimal(sign << 127 | biased << 113 | coefficient.unsigned_abs())
    }

    const INFINITY: Decimal = Decimal(0x78 << 120);
    const NEGATIVE_INFINITY: Decimal = Decimal(0xf8 << 120);
    const NAN: Decimal = Decimal(0x7c << 120);

    #[test]
    fn decimals_compare_by_value() {
        let ascending = [
            NAN,
            Decimal::REALM_NULL,
            NEGATIVE_INFINITY,
            decimal(-1, 6111),
            decimal(-12, 0),
            decimal(-11, 0),
            decimal(-1, -6176),
            decimal(0, 0),
            decimal(1, -6176),
            decimal(9_999_999_999_999_999_999_999_999_999_999_999, -34),
            decimal(1, 0),
            decimal(1_000_000_000_000_000_000_000_000_000_000_001, -33),
            decimal(1, 6111),
            INFINITY,
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(*a, *b), i.cmp(&j), "{i} and {j}");
            }
        }
        let equal = [
            (decimal(10, -1), decimal(1, 0)),
            (decimal(1, 33), decimal(10_i128.pow(33), 0)),
            (decimal(0, 5), Decimal(decimal(0, 0).0 | 1 << 127)),
            // Coefficients beyond 34 digits are zero, in either form.
            (decimal(10_i128.pow(34), 0), decimal(0, 0)),
            (Decimal(0x6c << 120 | 7), decimal(0, 0)),
        ];
        for (a, b) in equal {
            assert_eq!(compare(a, b), Ordering::Equal, "{a:?} and {b:?}");
        }
    }

    #[test]
    fn integers_compare_exactly() {
        assert_eq!(compare_with_int(decimal(i64::MIN.into(), 0), i64::MIN), Ordering::Equal);
        assert_eq!(compare_with_int(decimal(15, -1), 1), Ordering::Greater);
        assert_eq!(compare_with_int(decimal(15, -1), 2), Ordering::Less);
        assert_eq!(compare_with_int(NAN, i64::MIN), Ordering::Less);
    }

    #[test]
    fn binary_numbers_are_rounded_first() {
        assert_eq!(compare_with_double(decimal(1, -1), 0.1), Ordering::Equal);
        assert_eq!(compare_with_float(decimal(1, -1), 0.1), Ordering::Equal);
        assert_eq!(compare_with_double(decimal(1, -1), f64::from(0.1_f32)), Ordering::Less);
        assert_eq!(compare_with_double(decimal(1, 308), 1e308), Ordering::Equal);
        assert_eq!(compare_with_double(decimal(5, -324), 5e-324), Ordering::Greater);
        assert_eq!(compare_with_double(INFINITY, f64::INFINITY), Ordering::Equal);
        assert_eq!(compare_with_double(decimal(0, 0), -0.0), Ordering::Equal);
        assert_eq!(compare_with_float(decimal(1, 0), f32::NAN), Ordering::Greater);
    }
}
