//! The suite `integers`: the variable-length integers of changesets, alone.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bailiwick_protocol::codec::{IntegerFault, Reader, write_i64, write_u64, write_u128};
use serde::Deserialize;
use serde_json::Value;

use super::Context;

#[derive(Deserialize)]
struct Case {
    kind: Kind,
    #[serde(with = "hex")]
    hex: Vec<u8>,
    /// The class of the error; else the reference reads a value.
    error: Option<String>,
    value: Option<String>,
    consumed: Option<usize>,
    /// Whether an encoder writes these bytes; a strict decoder refuses any others.
    canonical: Option<bool>,
    #[serde(default, with = "hex::serde")]
    reencoded: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    I64,
    I32,
    U64,
    U32,
    U8,
    U128,
}

/// A canonical integer is read to its value and written to its bytes; all others are refused.
pub(super) fn check(case: &Value, _: &Context) -> Result<()> {
    let case = Case::deserialize(case)?;
    let mut reader = Reader::new(&case.hex);
    let found = case.kind.read(&mut reader);
    if let Some(error) = &case.error {
        ensure!(found.is_err(), "it is read as {found:?}, but must be refused: {error}");
        return Ok(());
    }
    let value = case.value.as_deref().context("a case has an error or a value")?;
    let value = parse(value).with_context(|| format!("the value {value}"))?;
    match case.canonical {
        Some(true) => {
            ensure!(found == Ok(value), "{found:?}, expected {value:?}");
            ensure!(
                Some(reader.position()) == case.consumed,
                "{} bytes consumed",
                reader.position()
            );
            case.kind.must_write(value, &case.hex[..reader.position()])
        }
        Some(false) => {
            ensure!(found.is_err(), "it is read as {found:?}, but is not the shortest form");
            case.kind.must_write(value, &case.reencoded)
        }
        None => bail!("a case with a value says whether it is canonical"),
    }
}

/// A value of any kind: two's complement in as many bits as the largest one has.
type Bits = i128;

fn parse(value: &str) -> Result<Bits> {
    match value.strip_prefix("0x") {
        Some(digits) => Ok(u128::from_str_radix(digits, 16)?.cast_signed()),
        None => Ok(value.parse()?),
    }
}

impl Kind {
    fn read(self, reader: &mut Reader) -> Result<Bits, IntegerFault> {
        match self {
            Self::I64 => reader.i64().map(Into::into),
            Self::I32 => reader.i32().map(Into::into),
            Self::U64 => reader.u64().map(Into::into),
            Self::U32 => reader.u32().map(Into::into),
            Self::U8 => reader.u8().map(Into::into),
            Self::U128 => reader.u128().map(u128::cast_signed),
        }
    }

    fn must_write(self, value: Bits, expected: &[u8]) -> Result<()> {
        let mut bytes = Vec::new();
        match self {
            Self::I64 | Self::I32 => write_i64(&mut bytes, value.try_into()?),
            Self::U64 | Self::U32 | Self::U8 => write_u64(&mut bytes, value.try_into()?),
            Self::U128 => write_u128(&mut bytes, value.cast_unsigned()),
        }
        if bytes == expected {
            return Ok(());
        }
        Err(anyhow!("written as {}, expected {}", hex::encode(bytes), hex::encode(expected)))
    }
}
