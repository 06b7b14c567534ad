//! What a merge is for: both sides end with the same objects.

use anyhow::{Context as _, Result, bail};
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;

/// One side of a merge: changesets as they were made, and as they are for the other side.
pub(super) struct Side<'a> {
    pub(super) made: Vec<&'a [u8]>,
    pub(super) merged: &'a [Vec<u8>],
}

/// From `base`, our changesets and then theirs merged lead to the same objects as theirs and then ours merged.
pub(super) fn check(base: &[Vec<u8>], ours: &Side, theirs: &Side) -> Result<()> {
    let mut state = State::default();
    apply(&mut state, base.iter().map(Vec::as_slice)).context("the base")?;
    let ours_first = after(state.clone(), ours, theirs).context("local first")?;
    let theirs_first = after(state, theirs, ours).context("remote first")?;
    if ours_first == theirs_first {
        return Ok(());
    }
    let (ours_first, theirs_first) = (ours_first.to_string(), theirs_first.to_string());
    let differs = ours_first.lines().zip(theirs_first.lines()).find(|(a, b)| a != b);
    let (a, b) = differs.unwrap_or(("shorter or longer", "the other"));
    bail!("they do not converge: local first leads to {a:?}, remote first to {b:?}")
}

fn after(mut state: State, first: &Side, second: &Side) -> Result<State> {
    apply(&mut state, first.made.iter().copied()).context("as made")?;
    apply(&mut state, second.merged.iter().map(Vec::as_slice)).context("as merged")?;
    Ok(state)
}

fn apply<'a>(state: &mut State, changesets: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    for (i, changeset) in changesets.enumerate() {
        let applied = Changeset::decode(changeset).map(|changeset| state.apply(&changeset));
        let _ = applied?.with_context(|| format!("changeset {i}"))?;
    }
    Ok(())
}
