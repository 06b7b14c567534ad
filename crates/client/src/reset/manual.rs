//! A reset that the application makes by itself: the file is set aside, and the realm begins anew.
//!
//! Spec: client, section 7.2, mode manual.

use std::path::{Path, PathBuf};

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::version::OriginTimestamp;

use super::guard::{is_given_up, record_only};
use crate::local::{Batch, EffectiveMode, PendingReset, ResetStage, Snapshot};

/// The batch that gives the main file up: when the realm is opened the next time, the file is moved to
/// [`recovery_path`], and the realm is downloaded anew.
///
/// Until then it can be used as before. What was not uploaded stays in the file that is set aside.
pub fn give_up(main: &Snapshot, now: OriginTimestamp) -> Batch {
    let (client_file, integrated) =
        (main.state().client_file, main.state().progress.download.server_version);
    let record = main.pending_reset().cloned().unwrap_or_else(|| PendingReset {
        library_version: PendingReset::LIBRARY_VERSION.to_owned(),
        time: now,
        mode: EffectiveMode::DiscardLocal,
        action: Action::ClientReset,
        code: ErrorCode::Unknown(0),
        message: String::new(),
        stage: ResetStage::GivenUp,
        attempts: 0,
        client_file,
        integrated,
    });
    record_only(main, Some(PendingReset { stage: ResetStage::GivenUp, time: now, ..record }))
}

/// Where the main file at `path` goes before the realm is opened, if it was [given up](give_up).
///
/// The name has the time at which that was, so that a file that is given up later does not come in its way.
pub fn recovery_path(path: &Path, main: &Snapshot) -> Option<PathBuf> {
    let record = main.pending_reset().filter(|record| is_given_up(record))?;
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".given-up-{}", record.time));
    Some(aside.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::LocalFile;

    #[test]
    fn only_a_file_that_was_given_up_is_set_aside() {
        let file = LocalFile::in_memory();
        let path = Path::new("stock.realm");
        let before = file.snapshot().unwrap();
        assert_eq!(recovery_path(path, &before), None);
        file.write().commit(&give_up(&before, OriginTimestamp(77))).unwrap();
        let after = file.snapshot().unwrap();
        assert_eq!(recovery_path(path, &after), Some("stock.realm.given-up-77".into()));
        assert_eq!(after.state(), before.state());
    }
}
