//! Whether a reset may be made, and in which mode; the record that tells loops from first attempts.
//!
//! Spec: client, section 7.6. Other than there, the record has a stage, so that a reset during which the process ends
//! is not taken for one that was made in vain.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::version::OriginTimestamp;

use super::ResetRefused;
use crate::local::{Batch, Change, EffectiveMode, Origin, PendingReset, ResetStage, Snapshot};
use crate::session::ResetMode;

/// How often a reset is begun that never came to its end, because the process ended each time.
const MAX_ATTEMPTS: u32 = 3;

/// What the server demands and the application wants.
#[derive(Clone, Debug)]
pub struct ResetDemand {
    /// What the application wants to become of local changes.
    pub mode: ResetMode,
    /// What the server demands.
    pub action: Action,
    /// The error that demands it.
    pub code: ErrorCode,
    /// What the error says.
    pub message: String,
}

/// Decides about a reset of the main file. Answers the mode to use, and the batch that records the attempt.
///
/// `now` is the time for the record, `library_version` usually [`PendingReset::LIBRARY_VERSION`].
///
/// # Errors
///
/// Why the application has to decide; see [`ResetRefused`].
pub fn guard(
    main: &Snapshot,
    demand: &ResetDemand,
    now: OriginTimestamp,
    library_version: &str,
) -> Result<(ResetMode, Batch), ResetRefused> {
    let wanted = wanted_mode(demand)?;
    if main.pending_reset().is_some_and(is_given_up) {
        return Err(ResetRefused::Manual);
    }
    let found = main.pending_reset().filter(|record| {
        record.library_version == library_version
            && record.action == demand.action
            && (record.stage == ResetStage::Applied || is_about(record, main))
    });
    let interrupted = found
        .filter(|record| record.stage == ResetStage::Started && record.attempts < MAX_ATTEMPTS);
    let mode = match (interrupted, found) {
        (Some(record), _) => resume(record.mode, wanted),
        (None, Some(record)) => after_vain_attempt(record.mode, wanted)?,
        (None, None) => wanted,
    };
    let record = PendingReset {
        library_version: library_version.to_owned(),
        time: now,
        mode: effective(mode),
        action: demand.action,
        code: demand.code,
        message: demand.message.clone(),
        stage: ResetStage::Started,
        attempts: 1 + interrupted
            .filter(|record| record.mode == effective(mode))
            .map_or(0, |record| record.attempts),
        client_file: main.state().client_file,
        integrated: main.state().progress.download.server_version,
    };
    Ok((mode, record_only(main, Some(record))))
}

/// Records that the reset that has begun cannot be made, so that it is not begun again. A file that was given up
/// stays so.
pub fn fail(main: &Snapshot) -> Batch {
    let record = main.pending_reset().cloned();
    record_only(
        main,
        record.map(|record| match record.stage {
            ResetStage::GivenUp => record,
            _ => PendingReset { stage: ResetStage::Failed, ..record },
        }),
    )
}

/// Forgets the record of a reset that is through. A file that was given up stays so.
pub fn end(main: &Snapshot) -> Batch {
    record_only(main, main.pending_reset().filter(|record| is_given_up(record)).cloned())
}

/// Whether the application has given the file up.
pub(crate) fn is_given_up(record: &PendingReset) -> bool {
    record.stage == ResetStage::GivenUp
}

/// Marks a fresh copy, right after it was made, with the file that it is to replace.
pub fn mark_fresh_copy(main: &Snapshot, fresh: &Snapshot) -> Batch {
    let record = PendingReset {
        library_version: PendingReset::LIBRARY_VERSION.to_owned(),
        time: OriginTimestamp(0),
        mode: EffectiveMode::Recover,
        action: Action::ClientReset,
        code: ErrorCode::Unknown(0),
        message: String::new(),
        stage: ResetStage::Started,
        attempts: 0,
        client_file: main.state().client_file,
        integrated: main.state().progress.download.server_version,
    };
    record_only(fresh, Some(record))
}

/// Whether a fresh copy that was found was made for the main file as it is: it may go on where it was interrupted.
///
/// One that was taken over and could not be removed is for a client file that the main file does not have any more.
/// To go on with it would be wrong: its client file is in use, and the server does not send a client file what was
/// uploaded under it.
pub fn is_fresh_copy_of(main: &Snapshot, fresh: &Snapshot) -> bool {
    let (own, its) = (main.state().client_file, fresh.state().client_file);
    let is_marked = fresh.pending_reset().is_some_and(|record| record.client_file == own);
    is_marked && (its.is_none() || its != own)
}

/// What application and server agree on, whatever happened before.
fn wanted_mode(demand: &ResetDemand) -> Result<ResetMode, ResetRefused> {
    if demand.mode == ResetMode::Manual {
        return Err(ResetRefused::Manual);
    }
    match (demand.action, demand.mode) {
        (Action::ClientResetNoRecovery, ResetMode::Recover) => Err(ResetRefused::RecoveryForbidden),
        (Action::ClientResetNoRecovery, _) => Ok(ResetMode::DiscardLocal),
        (
            Action::ClientReset | Action::MigrateToFlexibleSync | Action::RevertToPartitionSync,
            mode,
        ) => Ok(mode),
        _ => Err(ResetRefused::NotDemanded),
    }
}

/// Whether the file is as it was when the reset began: not if the server has served it since.
fn is_about(record: &PendingReset, main: &Snapshot) -> bool {
    let state = main.state();
    record.client_file == state.client_file
        && record.integrated == state.progress.download.server_version
}

/// The mode of a reset that is begun again. One that was downgraded stays so.
fn resume(before: EffectiveMode, wanted: ResetMode) -> ResetMode {
    match (before, wanted) {
        (EffectiveMode::DiscardLocal, ResetMode::RecoverOrDiscard) => ResetMode::DiscardLocal,
        _ => wanted,
    }
}

/// The mode after a reset that did not help.
fn after_vain_attempt(before: EffectiveMode, wanted: ResetMode) -> Result<ResetMode, ResetRefused> {
    match (before, wanted) {
        (EffectiveMode::Recover, ResetMode::RecoverOrDiscard | ResetMode::DiscardLocal) => {
            Ok(ResetMode::DiscardLocal)
        }
        _ => Err(ResetRefused::Cycle),
    }
}

fn effective(mode: ResetMode) -> EffectiveMode {
    match mode {
        ResetMode::DiscardLocal => EffectiveMode::DiscardLocal,
        _ => EffectiveMode::Recover,
    }
}

/// A batch that changes the record and nothing else.
pub(super) fn record_only(file: &Snapshot, record: Option<PendingReset>) -> Batch {
    Batch {
        origin: Origin::Reset,
        state: file.state().clone(),
        reset: Change::To(record),
        ..Batch::default()
    }
}
