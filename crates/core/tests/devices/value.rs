//! Choices, and the values that apps write.

use bailiwick_core::schema::ValueType;
use bailiwick_protocol::changeset::{Decimal, Payload, Timestamp};

/// Choices that follow from a seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed >> 33) % sides as u64).expect("it is below a usize")
    }

    /// True once in `sides`.
    pub(super) fn is(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }

    pub(super) fn int(&mut self) -> Payload {
        Payload::Int(self.small(6))
    }

    /// A number below `sides`.
    pub(super) fn small(&mut self, sides: u8) -> i64 {
        i64::try_from(self.roll(sides.into())).expect("it is below a u8")
    }
}

/// What a mixed value may be besides numbers, texts and links.
pub(super) const MIXED: [ValueType; 8] = [
    ValueType::Bool,
    ValueType::Binary,
    ValueType::Timestamp,
    ValueType::ObjectId,
    ValueType::Uuid,
    ValueType::Float,
    ValueType::Double,
    ValueType::Decimal,
];
/// How many of these are no numbers, of which only one type may be in a set.
pub(super) const NO_NUMBERS: usize = 5;

/// How many of the numbers below may be in one set, and in one field or list of numbers of one type.
pub(super) const IN_SETS: usize = 4;
pub(super) const IN_FIELDS: usize = 6;
pub(super) const ALL: usize = 7;
const DOUBLES: [f64; ALL] =
    [0.0, 1.5, f64::INFINITY, -1.5, f64::NAN, f64::from_bits(0xfff8_0000_0000_0001), -0.0];
const FLOATS: [f32; ALL] =
    [0.0, 1.5, f32::INFINITY, -1.5, f32::NAN, f32::from_bits(0xffc0_0001), -0.0];
/// 0, 1, infinity, -1, then a NaN, 1.0, and -0.
const DECIMALS: [u128; ALL] = [
    0x3040 << 112,
    0x3040 << 112 | 1,
    0x7800 << 112,
    0xb040 << 112 | 1,
    0x7c00 << 112,
    0x303e << 112 | 0xa,
    0xb040 << 112,
];
const TIMESTAMPS: [(i64, i32); 4] = [(0, 0), (0, 1), (-1, -1), (1, 0)];

/// A value of a type that is neither mixed nor a link.
pub(super) fn plain(value_type: ValueType, numbers: usize, dice: &mut Dice) -> Payload {
    let number = dice.roll(numbers);
    let byte = u8::try_from(number % 3).expect("it is below 3");
    match value_type {
        ValueType::Bool => Payload::Bool(byte == 0),
        ValueType::String => text(dice),
        ValueType::Binary => Payload::Binary([&b""[..], b"a", b"\0\xff"][number % 3].into()),
        ValueType::Timestamp => {
            let (seconds, nanoseconds) = TIMESTAMPS[number % TIMESTAMPS.len()];
            Payload::Timestamp(Timestamp { seconds, nanoseconds })
        }
        ValueType::Float => Payload::Float(FLOATS[number]),
        ValueType::Double => Payload::Double(DOUBLES[number]),
        ValueType::Decimal => Payload::Decimal(Decimal(DECIMALS[number])),
        ValueType::ObjectId => Payload::ObjectId([byte; 12]),
        ValueType::Uuid => Payload::Uuid([byte; 16]),
        _ => dice.int(),
    }
}

pub(super) fn text(dice: &mut Dice) -> Payload {
    Payload::String(["", "a", "b", "long enough"][dice.roll(4)].into())
}
