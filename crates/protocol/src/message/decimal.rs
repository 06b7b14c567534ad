//! Decimal integers, as headers and entries are made of: 0 to 2^63-1 in their only spelling.
//!
//! Refusing other spellings costs no real device anything, and makes printing the inverse of parsing.
//! Spec: wire protocol, section 2.

/// The greatest number of the contract, so that every field also fits a signed integer.
pub(crate) const MAX: u64 = i64::MAX.unsigned_abs();

/// Why a number was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberFault {
    /// The input ends, or goes on with something else than a digit.
    #[error("a digit is missing")]
    Missing,
    /// A zero in front of other digits.
    #[error("leading zero")]
    LeadingZero,
    /// Above the greatest value of the field, or below the least.
    #[error("out of range")]
    OutOfRange,
    /// What follows the number is not the separator.
    #[error("not followed by its separator")]
    Separator,
}

/// Reads the number at the start of `input`; what follows its digits is returned, too.
pub(crate) fn read(input: &[u8]) -> Result<(u64, &[u8]), NumberFault> {
    let len = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = input.split_at(len);
    match digits {
        [] => return Err(NumberFault::Missing),
        [b'0', _, ..] => return Err(NumberFault::LeadingZero),
        _ => (),
    }
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    match value {
        Some(value) if value <= MAX => Ok((value, rest)),
        _ => Err(NumberFault::OutOfRange),
    }
}

/// Appends the digits of `number`.
pub(crate) fn push(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    let mut left = number;
    loop {
        out.push(b'0' + u8::try_from(left % 10).expect("a remainder of ten is a digit"));
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out[start..].reverse();
}

/// How many digits `number` has.
pub(crate) fn len(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        let check = |text: &str, expected| {
            assert_eq!(read(text.as_bytes()).map(|(number, _)| number), expected, "{text:?}");
        };
        check("0", Ok(0));
        check("0 1", Ok(0));
        check("10\n", Ok(10));
        check("9223372036854775807", Ok(MAX));
        check("9223372036854775808", Err(NumberFault::OutOfRange));
        check("18446744073709551616", Err(NumberFault::OutOfRange));
        check("99999999999999999999999999", Err(NumberFault::OutOfRange));
        check("", Err(NumberFault::Missing));
        check(" 1", Err(NumberFault::Missing));
        check("+1", Err(NumberFault::Missing));
        check("-1", Err(NumberFault::Missing));
        check("00", Err(NumberFault::LeadingZero));
        check("01", Err(NumberFault::LeadingZero));
    }

    #[test]
    fn what_is_printed_is_read_back() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, MAX] {
            let mut out = b"x".to_vec();
            push(&mut out, number);
            assert_eq!(out, format!("x{number}").into_bytes());
            assert_eq!(out.len(), 1 + len(number));
            assert_eq!(read(&out[1..]), Ok((number, &[][..])));
        }
    }
}
