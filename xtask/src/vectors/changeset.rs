//! The suites of changeset bytes: `changesets`, `invalid` and `lenient`.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bailiwick_core::apply::{ApplyError, Fault, Refusal};
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::changeset::json::ChangesetJson;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Context;

/// A changeset and what it means.
#[derive(Deserialize)]
struct Case {
    #[serde(with = "hex")]
    hex: Vec<u8>,
    /// Only if the bytes are not those that an encoder writes.
    reencoded: Option<String>,
    strings: Value,
    instructions: Value,
}

/// The bytes decode to the instructions, and the instructions encode to the bytes.
pub(super) fn valid(case: &Value, _: &Context) -> Result<()> {
    let case = Case::deserialize(case)?;
    let changeset = Changeset::decode(&case.hex)?;
    let json = serde_json::to_value(ChangesetJson::from(&changeset))?;
    same("strings", &json["strings"], &case.strings)?;
    same("instructions", &json["instructions"], &case.instructions)?;

    let expected = case.reencoded.unwrap_or_else(|| hex::encode(&case.hex));
    same_bytes("encoded", &changeset, &expected)?;
    let stated = json!({ "strings": case.strings, "instructions": case.instructions });
    let stated = ChangesetJson::deserialize(&stated).context("the stated instructions")?;
    let stated = Changeset::try_from(&stated).context("the stated instructions")?;
    same_bytes("encoded from JSON", &stated, &expected)?;

    let again = Changeset::decode(&changeset.encode()).context("its own encoding")?;
    // Without instructions the strings are not written.
    ensure!(again == changeset || changeset.is_empty(), "its own encoding means something else");
    Ok(())
}

/// The bytes do not decode, and the error says where.
pub(super) fn invalid(case: &Value, _: &Context) -> Result<()> {
    #[derive(Deserialize)]
    struct Case {
        #[serde(with = "hex")]
        hex: Vec<u8>,
        error: String,
    }

    let case = Case::deserialize(case)?;
    let Err(error) = Changeset::decode(&case.hex) else {
        bail!("it decodes, but must be refused: {}", case.error);
    };
    ensure!(error.offset <= case.hex.len(), "the offset is outside of the input: {error}");
    Ok(())
}

/// What the reference accepts and no device writes: refused in the layer that the case names, or accepted.
pub(super) fn lenient(case: &Value, context: &Context) -> Result<()> {
    #[derive(Deserialize)]
    struct Case {
        #[serde(with = "hex")]
        hex: Vec<u8>,
        strict: Strict,
        layer: Layer,
        rule: String,
    }

    #[derive(Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Strict {
        Accept,
        Reject,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Layer {
        Decode,
        Check,
        Schema,
    }

    let Case { hex, strict, layer, rule } = Case::deserialize(case)?;
    if strict == Strict::Accept {
        valid(case, context)?;
        return Changeset::decode(&hex)?.check().with_context(|| format!("{rule} is allowed"));
    }
    let changeset = Changeset::decode(&hex);
    let refused = match layer {
        Layer::Decode => changeset.is_err(),
        Layer::Check => changeset.context("only the check refuses it")?.check().is_err(),
        Layer::Schema => is_bad_key(&changeset.context("only the schema refuses it")?)?,
    };
    ensure!(refused, "it is accepted, but must be refused: {rule}");
    Ok(())
}

/// Whether the changeset names a dictionary key that cannot be, in the realm that all such cases fit: class `Task`
/// with an integer key, `map` a dictionary of anything, the object 1.
fn is_bad_key(changeset: &Changeset) -> Result<bool> {
    let realm = json!({
        "strings": ["Task", "_id", "map"],
        "instructions": [
            {
                "op": "AddTable", "table": "Task", "kind": "topLevel",
                "pkField": "_id", "pkType": "int", "pkNullable": false,
            },
            {
                "op": "AddColumn", "table": "Task", "field": "map", "type": "null", "nullable": true,
                "collection": "dictionary", "keyType": "string",
            },
            { "op": "CreateObject", "table": "Task", "object": { "type": "int", "value": 1 } },
        ],
    });
    let mut state = State::default();
    let _ = state.apply(&Changeset::try_from(&ChangesetJson::deserialize(realm)?)?)?;
    match state.apply(changeset) {
        Ok(_) => Ok(false),
        Err(ApplyError::Refused(Refusal { fault: Fault::BadKey(_), .. })) => Ok(true),
        Err(error) => Err(error).context("it is refused, but not for its key"),
    }
}

fn same(what: &str, found: &Value, expected: &Value) -> Result<()> {
    let (Some(found), Some(expected)) = (found.as_array(), expected.as_array()) else {
        bail!("{what} is not an array");
    };
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        ensure!(found == expected, "{what} {i}: {found}, expected {expected}");
    }
    let (found, expected) = (found.len(), expected.len());
    ensure!(found == expected, "{found} {what}, expected {expected}");
    Ok(())
}

fn same_bytes(what: &str, changeset: &Changeset, expected: &str) -> Result<()> {
    let found = hex::encode(changeset.encode());
    if found == expected {
        return Ok(());
    }
    let same = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count() / 2;
    Err(anyhow!("{what}: {found}, expected {expected}: they differ at byte {same}"))
}
