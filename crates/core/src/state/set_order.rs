//! The order in which sets hold their elements, which is also what makes two elements equal.
//!
//! Spec: applying, section 6.10.

use std::cmp::Ordering;

use bailiwick_protocol::changeset::Decimal;

use super::{Value, decimal};
use crate::schema::ValueType;

/// The order of a set's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOrder {
    /// Null first, then by rank and value. Numbers of all types are compared with each other.
    Mixed,
    /// Null between the NaNs and the negative numbers, as a set of decimals has it; else as `Mixed`.
    Decimal,
}

impl SetOrder {
    /// The order of a set of values of this type.
    pub fn of(value_type: ValueType) -> Self {
        match value_type {
            ValueType::Decimal => Self::Decimal,
            _ => Self::Mixed,
        }
    }

    /// Compares two elements. Collections and embedded objects, which a set cannot hold, are all equal.
    ///
    /// Equality of decimals and binary numbers is not transitive, since binary numbers are rounded for it:
    /// a mixed set that holds both can depend on the order of insertion, here as in the reference.
    pub fn compare(self, a: &Value, b: &Value) -> Ordering {
        match self {
            Self::Mixed => compare(a, b),
            Self::Decimal => decimal::compare(decimal_or_null(a), decimal_or_null(b)),
        }
    }
}

/// Null is the greatest NaN that is ever stored.
fn decimal_or_null(value: &Value) -> Decimal {
    match value {
        Value::Decimal(decimal) => *decimal,
        _ => Decimal::REALM_NULL,
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Binary(a), Value::Binary(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::ObjectId(a), Value::ObjectId(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Link(a), Value::Link(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Int(a), Value::Float(b)) => compare_int_with_double(*a, (*b).into()),
        (Value::Int(a), Value::Double(b)) => compare_int_with_double(*a, *b),
        (Value::Int(a), Value::Decimal(b)) => decimal::compare_with_int(*b, *a).reverse(),
        (Value::Float(a), Value::Int(b)) => compare_int_with_double(*b, (*a).into()).reverse(),
        (Value::Float(a), Value::Float(b)) => compare_floats(*a, *b),
        (Value::Float(a), Value::Double(b)) => compare_doubles((*a).into(), *b),
        (Value::Float(a), Value::Decimal(b)) => decimal::compare_with_float(*b, *a).reverse(),
        (Value::Double(a), Value::Int(b)) => compare_int_with_double(*b, *a).reverse(),
        (Value::Double(a), Value::Float(b)) => compare_doubles(*a, (*b).into()),
        (Value::Double(a), Value::Double(b)) => compare_doubles(*a, *b),
        (Value::Double(a), Value::Decimal(b)) => decimal::compare_with_double(*b, *a).reverse(),
        (Value::Decimal(a), Value::Int(b)) => decimal::compare_with_int(*a, *b),
        (Value::Decimal(a), Value::Float(b)) => decimal::compare_with_float(*a, *b),
        (Value::Decimal(a), Value::Double(b)) => decimal::compare_with_double(*a, *b),
        (Value::Decimal(a), Value::Decimal(b)) => decimal::compare(*a, *b),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Float(_) | Value::Double(_) | Value::Decimal(_) => 2,
        Value::String(_) => 3,
        Value::Binary(_) => 4,
        Value::Timestamp(_) => 5,
        Value::ObjectId(_) => 6,
        Value::Uuid(_) => 7,
        Value::Link(_) => 8,
        Value::List(_) | Value::Set(_) | Value::Dictionary(_) | Value::Object(_) => 9,
    }
}

/// NaNs come before all numbers, in the order of their bits. 0 and -0 are equal.
fn compare_floats(a: f32, b: f32) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()).then_with(|| a.to_bits().cmp(&b.to_bits())))
}

/// As [`compare_floats`].
fn compare_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()).then_with(|| a.to_bits().cmp(&b.to_bits())))
}

/// Exact, beyond 2^53 too.
fn compare_int_with_double(a: i64, b: f64) -> Ordering {
    /// 2^63, the first double that is greater than every `i64`.
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() || b < -BOUND {
        return Ordering::Greater;
    }
    if b >= BOUND {
        return Ordering::Less;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the integral part is within the bounds")]
    let integral = b.trunc() as i64;
    a.cmp(&integral).then_with(|| 0.0.partial_cmp(&b.fract()).expect("a fraction is not NaN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_values_are_ordered_by_rank_and_value() {
        let decimal_one_and_a_half = Value::Decimal(Decimal((0x303e << 112) | 0xf));
        let ascending = [
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Double(f64::NAN),
            Value::Double(f64::NEG_INFINITY),
            Value::Int(i64::MIN),
            Value::Double(-1.5),
            Value::Int(-1),
            Value::Double(-0.5),
            Value::Int(0),
            Value::Float(0.5),
            Value::Int(1),
            decimal_one_and_a_half,
            Value::Int(2),
            Value::Double(9_007_199_254_740_992.0),
            Value::Int(9_007_199_254_740_993),
            Value::Int(i64::MAX),
            Value::Double(9_223_372_036_854_775_808.0),
            Value::Float(f32::INFINITY),
            Value::String("".into()),
            Value::String("a".into()),
            Value::Binary((*b"").into()),
            Value::Binary((*b"a").into()),
            Value::ObjectId([0; 12]),
            Value::Uuid([0; 16]),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(SetOrder::Mixed.compare(a, b), i.cmp(&j), "{a:?} and {b:?}");
            }
        }
    }

    #[test]
    fn numbers_of_equal_value_are_equal() {
        let ones = [
            Value::Int(1),
            Value::Float(1.0),
            Value::Double(1.0),
            Value::Decimal(Decimal((0x303e << 112) | 0xa)),
        ];
        let zeros = [
            Value::Int(0),
            Value::Float(-0.0),
            Value::Double(0.0),
            Value::Decimal(Decimal(0xb040 << 112)),
        ];
        for equal in [ones, zeros] {
            for a in &equal {
                for b in &equal {
                    assert_eq!(SetOrder::Mixed.compare(a, b), Ordering::Equal, "{a:?} and {b:?}");
                }
            }
        }
    }
}
