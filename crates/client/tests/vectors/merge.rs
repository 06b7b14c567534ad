//! The vectors `merge`: local entries, a DOWNLOAD that is concurrent with all of them, and what both become.

use bailiwick_core::state::State;
use bailiwick_protocol::changeset::{Changeset, Instruction, StringTable};
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use serde_json::Value as Json;

use crate::cases::{bytes, list, vectors};
use crate::device::{Author, Device};

/// What all pairs begin with.
pub(crate) fn base_of_pairs() -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(vectors("merge/pairs-base.json")).unwrap();
    list(&serde_json::from_str::<Json>(&text).unwrap()["base"])
}

/// One side of a case.
struct Side {
    authors: Vec<Author>,
    made: Vec<Vec<u8>>,
    /// What becomes of it, unless the sides contradict each other.
    merged: Option<Vec<Vec<u8>>>,
}

/// The device wrote one side, and the server sends the other.
///
/// A device has one author, so it is given the incoming side where the local one has several: a merge comes to the
/// same if the sides are exchanged.
pub(crate) fn check(case: &Json, base: Option<&[Vec<u8>]>) -> Result<(), String> {
    let base = base.map_or_else(|| list(&case["base"]), <[_]>::to_vec);
    let (local, remote) = (side(case, "local"), side(case, "remote"));
    let (ours, theirs) = if local.has_one_author() { (local, remote) } else { (remote, local) };
    assert!(ours.has_one_author(), "neither side can be a device");

    let device = Device::new(ours.authors[0].ident);
    let server = Author { timestamp: OriginTimestamp(0), ident: FileIdent(1_000_000) };
    let base: Vec<_> = base.into_iter().map(|changeset| (server, changeset)).collect();
    device.download(&base).map_err(|code| format!("the base is refused: {code:?}"))?;
    for (author, made) in ours.authors.iter().zip(&ours.made) {
        match device.commit(author.timestamp, made) {
            // No device writes some things that can be merged all the same.
            Err(why) if !case["converges"].is_null() => return Err(why),
            _ => (),
        }
    }
    let written = device.state();
    let download: Vec<_> =
        theirs.authors.iter().copied().zip(theirs.made.iter().cloned()).collect();
    let outcome = device.download(&download);

    let (Some(ours_merged), Some(theirs_merged)) = (&ours.merged, &theirs.merged) else {
        return expect(outcome, Err(ErrorCode::BadChangeset));
    };
    let is_excused = case["quirk"] == "seterase-raw-compare";
    let Some(expected) = applied(written, theirs_merged) else {
        // The reference cannot apply what it merged either.
        return if is_excused { Ok(()) } else { expect(outcome, Err(ErrorCode::BadChangeset)) };
    };
    expect(outcome, Ok(()))?;
    let mut found = Vec::new();
    for entry in device.history() {
        found.push(entry.reciprocal.unwrap_or(entry.changeset).to_vec());
    }
    let same = found.len() == ours_merged.len()
        && found.iter().zip(ours_merged).all(|(found, expected)| {
            canonical(found, is_excused) == canonical(expected, is_excused)
        });
    if !same {
        let [found, expected] = [&found, ours_merged].map(|forms| forms.iter().map(hex::encode));
        return Err(format!(
            "reciprocals {:?}, expected {:?}",
            found.collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        ));
    }
    if !is_excused && device.state() != expected {
        return Err(format!("the objects are {:?}, expected {expected:?}", device.state()));
    }
    Ok(())
}

impl Side {
    fn has_one_author(&self) -> bool {
        self.authors.iter().all(|author| author.ident == self.authors[0].ident)
    }
}

fn side(case: &Json, name: &str) -> Side {
    let entries = case[name].as_array().unwrap();
    let author = |entry: &Json| Author {
        timestamp: OriginTimestamp(entry["origin_timestamp"].as_u64().unwrap()),
        ident: FileIdent(entry["origin_file_ident"].as_u64().unwrap()),
    };
    Side {
        authors: entries.iter().map(author).collect(),
        made: entries.iter().map(|entry| bytes(&entry["hex"])).collect(),
        merged: case.get(format!("{name}_out")).map(list),
    }
}

fn expect(found: Result<(), ErrorCode>, expected: Result<(), ErrorCode>) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?}, expected {expected:?}")) }
}

/// The objects after changesets that were merged; `None` if they cannot be applied.
fn applied(mut state: State, changesets: &[Vec<u8>]) -> Option<State> {
    for changeset in changesets {
        let _ = state.apply(&Changeset::decode(changeset).unwrap()).ok()?;
    }
    Some(state)
}

/// A changeset without the differences that mean nothing.
fn canonical(bytes: &[u8], is_excused: bool) -> Vec<u8> {
    let mut changeset = Changeset::decode(bytes).unwrap();
    if is_excused {
        // Which of two SetErases the reference drops depends on where their texts stand in its buffers.
        changeset.instructions.retain(|it| !matches!(it, Instruction::SetErase { .. }));
    }
    if changeset.is_empty() {
        changeset.strings = StringTable::default();
    }
    changeset.encode()
}
