//! The table of section 7.6, and the stages that it does not know.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::version::OriginTimestamp;

use crate::local::{Batch, LocalFile, ResetStage};
use crate::reset::{self, ResetDemand, ResetRefused};
use crate::session::ResetMode::{self, DiscardLocal, Manual, Recover, RecoverOrDiscard};

const VERSION: &str = "1";

fn guard(
    file: &LocalFile,
    mode: ResetMode,
    action: Action,
    version: &str,
) -> Result<ResetMode, ResetRefused> {
    let demand =
        ResetDemand { mode, action, code: ErrorCode::from_number(208), message: String::new() };
    let writer = file.write();
    let snapshot = writer.snapshot().unwrap();
    let (mode, batch) = reset::guard(&snapshot, &demand, OriginTimestamp(1), version)?;
    writer.commit(&batch).unwrap();
    Ok(mode)
}

fn begin(file: &LocalFile, mode: ResetMode) -> Result<ResetMode, ResetRefused> {
    guard(file, mode, Action::ClientReset, VERSION)
}

/// Goes on as if the reset had been made, or could not be made.
fn end_with(file: &LocalFile, stage: ResetStage) {
    let writer = file.write();
    let mut batch = reset::fail(&writer.snapshot().unwrap());
    if let crate::local::Change::To(Some(record)) = &mut batch.reset {
        record.stage = stage;
    }
    writer.commit(&batch).unwrap();
}

#[test]
fn a_second_reset_before_the_end_of_the_first_is_a_cycle() {
    let table = [
        (DiscardLocal, DiscardLocal, Err(ResetRefused::Cycle)),
        (DiscardLocal, Recover, Err(ResetRefused::Cycle)),
        (DiscardLocal, RecoverOrDiscard, Err(ResetRefused::Cycle)),
        (Recover, Recover, Err(ResetRefused::Cycle)),
        (Recover, RecoverOrDiscard, Ok(DiscardLocal)),
        (Recover, DiscardLocal, Ok(DiscardLocal)),
        (RecoverOrDiscard, RecoverOrDiscard, Ok(DiscardLocal)),
    ];
    for (first, second, expected) in table {
        for stage in [ResetStage::Applied, ResetStage::Failed] {
            let file = LocalFile::in_memory();
            assert_eq!(begin(&file, first), Ok(first));
            end_with(&file, stage);
            assert_eq!(begin(&file, second), expected, "{first:?}, then {second:?}");
        }
    }
}

#[test]
fn a_reset_that_is_through_is_forgotten() {
    let file = LocalFile::in_memory();
    begin(&file, Recover).unwrap();
    end_with(&file, ResetStage::Applied);
    let writer = file.write();
    writer.commit(&reset::end(&writer.snapshot().unwrap())).unwrap();
    drop(writer);
    assert_eq!(file.snapshot().unwrap().pending_reset(), None);
    assert_eq!(begin(&file, Recover), Ok(Recover));
}

#[test]
fn another_demand_or_another_version_begins_anew() {
    let file = LocalFile::in_memory();
    begin(&file, DiscardLocal).unwrap();
    end_with(&file, ResetStage::Applied);
    let version = guard(&file, DiscardLocal, Action::ClientReset, "2");
    assert_eq!(version, Ok(DiscardLocal));
    end_with(&file, ResetStage::Applied);
    let action = guard(&file, DiscardLocal, Action::RevertToPartitionSync, "2");
    assert_eq!(action, Ok(DiscardLocal));
}

#[test]
fn the_server_can_forbid_recovery() {
    let forbidden =
        |mode| guard(&LocalFile::in_memory(), mode, Action::ClientResetNoRecovery, VERSION);
    assert_eq!(forbidden(Recover), Err(ResetRefused::RecoveryForbidden));
    assert_eq!(forbidden(RecoverOrDiscard), Ok(DiscardLocal));
    assert_eq!(forbidden(DiscardLocal), Ok(DiscardLocal));
    assert_eq!(forbidden(Manual), Err(ResetRefused::Manual));
    let other = guard(&LocalFile::in_memory(), Recover, Action::DeleteRealm, VERSION);
    assert_eq!(other, Err(ResetRefused::NotDemanded));
}

#[test]
fn an_interrupted_reset_is_begun_three_times() {
    let file = LocalFile::in_memory();
    for attempt in 1..=3 {
        assert_eq!(begin(&file, RecoverOrDiscard), Ok(RecoverOrDiscard));
        assert_eq!(file.snapshot().unwrap().pending_reset().unwrap().attempts, attempt);
    }
    // It seems to be recovery that ends the process.
    for _ in 1..=3 {
        assert_eq!(begin(&file, RecoverOrDiscard), Ok(DiscardLocal));
    }
    assert_eq!(begin(&file, RecoverOrDiscard), Err(ResetRefused::Cycle));
}

#[test]
fn an_interrupted_reset_that_the_server_went_past_does_not_count() {
    let file = LocalFile::in_memory();
    for _ in 1..=3 {
        begin(&file, Recover).unwrap();
    }
    let writer = file.write();
    let mut state = writer.snapshot().unwrap().state().clone();
    state.version.0 += 1;
    state.progress.download.server_version.0 += 1;
    writer.commit(&Batch { state, ..Batch::default() }).unwrap();
    drop(writer);
    assert_eq!(begin(&file, Recover), Ok(Recover));
    assert_eq!(file.snapshot().unwrap().pending_reset().unwrap().attempts, 1);
}

#[test]
fn a_file_that_was_given_up_is_left_alone() {
    let file = LocalFile::in_memory();
    let writer = file.write();
    writer.commit(&reset::give_up(&writer.snapshot().unwrap(), OriginTimestamp(1))).unwrap();
    drop(writer);
    assert_eq!(begin(&file, DiscardLocal), Err(ResetRefused::Manual));
}
