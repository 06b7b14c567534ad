//! A reset that makes local changes again on top of the server's state.
//!
//! The changesets that the server has not acknowledged are replayed, in the form that they have after all that was
//! integrated since they were written. What they say of objects, fields, dictionaries and sets holds in the
//! server's state as well. Positions in lists may not: they are translated for elements that the replay itself has
//! inserted, and a list that is touched at another position becomes as a whole what the device has.
//!
//! Each changeset becomes one that does in the server's state what the replay did, with the version and the time of
//! the original. Spec: client, section 7.5.

mod copy;
mod edit;
mod import;
mod places;
mod replay;
mod runs;
#[cfg(test)]
mod tests;
mod tracker;

use bailiwick_protocol::changeset::{Changeset, DecodeLimits};
use bailiwick_protocol::ident::FileIdent;

use super::ResetFailure;
use super::takeover::Target;
use crate::local::{Batch, HistoryEntry, Snapshot};
use replay::Replay;

/// The batch that makes the main file what the fresh copy is, with local changes that the server has not acknowledged
/// on top of it.
///
/// These changes are all that the history holds afterwards, in the form in which the server is to get them. Only
/// objects that differ are written. Takes memory for what the changes touch and for the differences of both files.
///
/// # Errors
///
/// See [`ResetFailure`]. Local changes that do not fit are an error, while those to objects that the server does not
/// have any more are not: they are left out.
pub fn recover(main: &Snapshot, fresh: &Snapshot) -> Result<Batch, ResetFailure> {
    let mut replay = Replay::new(main, fresh);
    let mut history = Vec::new();
    let mut pending = main
        .history(main.state().progress.upload.client_version)?
        .filter(|entry| entry.as_ref().map_or(true, HistoryEntry::is_uploadable))
        .peekable();
    while let Some(entry) = pending.next().transpose()? {
        let version = entry.version;
        let changeset = entry.reciprocal.as_ref().unwrap_or(&entry.changeset);
        let changeset = Changeset::decode_within(changeset, &DecodeLimits::NONE)
            .map_err(|error| ResetFailure::Unreadable(version, error))?;
        let mut recovered = replay.changeset(&changeset).map_err(|stop| stop.at(version))?;
        if pending.peek().is_none() {
            recovered = replay.complete(recovered).map_err(|stop| stop.at(version))?;
        }
        if !recovered.is_empty() {
            history.push(HistoryEntry {
                version,
                origin_file_ident: FileIdent::SELF,
                origin_timestamp: entry.origin_timestamp,
                remote_version: fresh.state().progress.download.server_version,
                changeset: recovered.encode().into(),
                reciprocal: None,
            });
        }
    }
    Target { fresh, recovered: replay.finish(), history }.replace(main)
}
