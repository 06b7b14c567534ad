use bson::Decimal128;
use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &str, bits: u128, written: &str) {
    let decimal: Decimal = text.parse().unwrap();
    assert_eq!(format!("{:032x}", decimal.to_bits()), format!("{bits:032x}"), "{text}");
    assert_eq!(decimal.to_string(), written);
    assert_eq!(written.parse(), Ok(decimal));
}

#[test]
fn text_and_bits_belong_together() {
    check("0", 0x3040 << 112, "0");
    check("1", 0x3040 << 112 | 0x1, "1");
    check("-1.50", 0xb03c << 112 | 0x96, "-1.50");
    check("+0.001234", 0x3034 << 112 | 0x4d2, "0.001234");
    check(".5", 0x303e << 112 | 0x5, "0.5");
    check("5.", 0x3040 << 112 | 0x5, "5");
    check("12345E+3", 0x3046 << 112 | 0x3039, "1.2345E+7");
    check("1e-7", 0x3032 << 112 | 0x1, "1E-7");
    check("0.0000001", 0x3032 << 112 | 0x1, "1E-7");
    check("1E+6111", 0x5ffe << 112 | 0x1, "1E+6111");
    check("1E+6144", 0x5ffe << 112 | 10_u128.pow(33), "1.000000000000000000000000000000000E+6144");
    check("1E-6176", 1, "1E-6176");
    check("10E-6177", 1, "1E-6176");
    check("0E+99999999999999999999", 0x5ffe << 112, "0E+6111");
    check("-0", 0xb040 << 112, "-0");
    check(
        "9999999999999999999999999999999999",
        0x3040 << 112 | MAX_COEFFICIENT,
        "9999999999999999999999999999999999",
    );
    check(
        "10000000000000000000000000000000000",
        0x3042 << 112 | 10_u128.pow(33),
        "1.000000000000000000000000000000000E+34",
    );
    check("inf", INFINITY, "Infinity");
    check("-Infinity", SIGN | INFINITY, "-Infinity");
    check("nan", NAN, "NaN");
}

#[test]
fn other_text_is_refused() {
    for (text, error) in [
        ("", DecimalError::Malformed),
        ("-", DecimalError::Malformed),
        (".", DecimalError::Malformed),
        ("1.2.3", DecimalError::Malformed),
        ("1e", DecimalError::Malformed),
        ("1e+-1", DecimalError::Malformed),
        ("1 ", DecimalError::Malformed),
        ("\u{661}", DecimalError::Malformed),
        ("12345678901234567890123456789012345", DecimalError::Inexact),
        ("0.10000000000000000000000000000000001", DecimalError::Inexact),
        ("1E+6145", DecimalError::OutOfRange),
        ("1E-6177", DecimalError::OutOfRange),
        ("1E+99999999999999999999", DecimalError::OutOfRange),
    ] {
        assert_eq!(text.parse::<Decimal>(), Err(error), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_number_or_an_error(text in "[-+]?[0-9.]{0,40}([eE][-+]?[0-9]{0,5})?|.{0,20}") {
        if let Ok(decimal) = text.parse::<Decimal>() {
            prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
        }
    }

    #[test]
    fn text_is_that_of_mongodb(is_negative: bool, coefficient in 0..=MAX_COEFFICIENT, shift in 0_u32..34, exponent in -6176_i64..=6111) {
        let decimal = pack(is_negative, coefficient / 10_u128.pow(shift), exponent).unwrap();
        let reference = Decimal128::from_bytes(decimal.to_bits().to_le_bytes());
        prop_assert_eq!(decimal.to_string(), reference.to_string());
        prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
    }

    #[test]
    fn any_bits_have_a_text(bits: u128) {
        let text = Decimal::from_bits(bits).to_string();
        let reference = Decimal128::from_bytes(bits.to_le_bytes());
        prop_assert_eq!(&text, &reference.to_string());
        prop_assert!(text.parse::<Decimal>().is_ok());
    }
}
