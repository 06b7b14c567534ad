//! The suite `merge`: two concurrent histories, and what each becomes for the other.

mod convergence;

use anyhow::{Context as _, Result, bail, ensure};
use bailiwick_core::merge::{Concurrent, merge};
use bailiwick_protocol::changeset::{Changeset, Instruction, StringTable};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use serde::Deserialize;
use serde_json::Value;

use self::convergence::Side;
use super::Context;

#[derive(Deserialize)]
struct Case {
    /// The state before both sides; in a file of pairs it stands beside them all.
    base: Option<Vec<String>>,
    local: Vec<Entry>,
    remote: Vec<Entry>,
    local_out: Option<Vec<String>>,
    remote_out: Option<Vec<String>>,
    error: Option<String>,
    quirk: Option<String>,
    /// Whether both orders lead to the same state with the reference; not if nobody knows.
    converges: Option<bool>,
}

#[derive(Deserialize)]
struct Entry {
    origin_timestamp: u64,
    origin_file_ident: u64,
    #[serde(with = "hex")]
    hex: Vec<u8>,
}

/// Both sides become what the case states, byte for byte, and lead to the same state; or they contradict each other in
/// the stated way.
///
/// Without a base, the states are left out.
pub(super) fn check(case: &Value, context: &Context) -> Result<()> {
    let case = Case::deserialize(case)?;
    let mut local = concurrent(&case.local).context("local")?;
    let mut remote = concurrent(&case.remote).context("remote")?;
    let outcome = merge(&mut local, &mut remote);
    if let Some(expected) = case.error {
        let Err(error) = outcome else { bail!("it merges, but must fail: {expected}") };
        let is_schema_mismatch = expected.starts_with("Schema mismatch");
        ensure!(error.is_schema_mismatch() == is_schema_mismatch, "expected {expected}: {error}");
        return Ok(());
    }
    outcome?;

    let local_out = reciprocal(&case.local, &local);
    let remote_out: Vec<_> = remote.iter().map(|entry| entry.changeset().encode()).collect();
    let found = [local_out, remote_out];
    let expected = [case.local_out, case.remote_out];
    let [local, remote] =
        expected.map(|it| decode(&it.context("there are neither outputs nor an error")?));
    let expected = [local?, remote?];
    let base = case.base.as_deref().map(decode).transpose()?;
    if let (Some(true), Some(base)) = (case.converges, base.as_ref().or(context.base.as_ref())) {
        let [local, remote] = [(&case.local, &found[0]), (&case.remote, &found[1])]
            .map(|(made, merged)| Side { made: made.iter().map(|it| &*it.hex).collect(), merged });
        convergence::check(base, &local, &remote)?;
    }
    if found == expected {
        return Ok(());
    }
    // Which of two SetErases the reference drops depends on where their texts stand in its buffers.
    let is_excused = case.quirk.as_deref() == Some("seterase-raw-compare");
    for (what, found, expected) in
        [("local_out", &found[0], &expected[0]), ("remote_out", &found[1], &expected[1])]
    {
        ensure!(found.len() == expected.len(), "{what}: {} changesets", found.len());
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let same = found == expected
                || is_excused && without_set_erases(found)? == without_set_erases(expected)?;
            let [found, expected] = [found, expected].map(hex::encode);
            ensure!(same, "{what} {i}: {found}, expected {expected}");
        }
    }
    Ok(())
}

fn concurrent(entries: &[Entry]) -> Result<Vec<Concurrent>> {
    entries
        .iter()
        .map(|entry| {
            Ok(Concurrent::new(
                Changeset::decode(&entry.hex)?,
                OriginTimestamp(entry.origin_timestamp),
                FileIdent(entry.origin_file_ident),
            ))
        })
        .collect()
}

/// What the peer stores of its own changesets: the bytes that came, unless the merge changed something.
fn reciprocal(entries: &[Entry], merged: &[Concurrent]) -> Vec<Vec<u8>> {
    let bytes = |(entry, merged): (&Entry, &Concurrent)| {
        if merged.is_dirty() { merged.changeset().encode() } else { entry.hex.clone() }
    };
    entries.iter().zip(merged).map(bytes).collect()
}

fn decode(changesets: &[String]) -> Result<Vec<Vec<u8>>> {
    changesets.iter().map(|changeset| Ok(hex::decode(changeset)?)).collect()
}

fn without_set_erases(bytes: &[u8]) -> Result<Changeset> {
    let mut changeset = Changeset::decode(bytes)?;
    changeset
        .instructions
        .retain(|instruction| !matches!(instruction, Instruction::SetErase { .. }));
    if changeset.is_empty() {
        changeset.strings = StringTable::default();
    }
    Ok(changeset)
}
