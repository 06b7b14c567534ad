//! What is checked of an UPLOAD before it is queued.
//!
//! Spec: wire protocol, section 5.3.

use bailiwick_core::history::{UploadProgress, UploadedChangeset};
use bailiwick_protocol::close_code::CloseCode;
use bailiwick_protocol::error_code::SessionCode;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::{ErrorBody, Refusal, Upload};
use bailiwick_protocol::version::{ServerVersion, UploadCursor};

use super::verdict;

/// An UPLOAD that may be, without what was integrated before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedUpload {
    /// The client file.
    pub file_ident: FileIdent,
    /// How far the device has scanned its history.
    pub progress: UploadCursor,
    /// What the device will never ask for again.
    pub locked: ServerVersion,
    /// What is to be integrated, in order.
    pub changesets: Vec<UploadedChangeset>,
    /// The memory that it takes, in bytes: the whole message stays as long as one of its changesets does.
    pub cost: usize,
}

/// What becomes of an UPLOAD that may not be.
#[derive(Debug)]
pub(super) enum Refused {
    /// It cannot be read: the connection ends.
    Message(Refusal, String),
    /// It says what cannot be: the session ends.
    Session(SessionCode, ErrorBody),
}

/// The most changesets of one UPLOAD. Devices stop at 128 KiB, which is some ten thousand; a body of nothing but
/// empty ones would be a million in a message that inflates from a few kilobytes.
const MAX_COUNT: usize = 65_536;

/// Checks an UPLOAD of a session that was sent the history up to `sent`; `None` if it says nothing new.
pub(super) fn accept(
    upload: &Upload,
    file_ident: FileIdent,
    progress: &mut UploadProgress,
    sent: ServerVersion,
    max_len: usize,
) -> Result<Option<AcceptedUpload>, Refused> {
    let header = &upload.header;
    let plain = upload
        .body
        .inflate(max_len)
        .map_err(|error| Refused::Message(error.refusal(), format!("UPLOAD: {error}")))?;
    let body_len = plain.len();
    let mut changesets = Vec::new();
    for entry in Upload::entries(plain) {
        let entry =
            entry.map_err(|error| Refused::Message(error.refusal(), format!("UPLOAD: {error}")))?;
        if changesets.len() == MAX_COUNT {
            let reason = format!("UPLOAD: more than {MAX_COUNT} changesets");
            return Err(Refused::Message(Refusal::Close(CloseCode::MessageTooBig), reason));
        }
        if entry.origin_file_ident != FileIdent::SELF {
            let (code, body) = verdict::origin(entry.origin_file_ident);
            return Err(Refused::Session(code, body));
        }
        changesets.push(UploadedChangeset {
            cursor: UploadCursor {
                client_version: entry.client_version,
                last_integrated_server_version: entry.last_integrated_server_version,
            },
            origin_timestamp: entry.origin_timestamp,
            origin_file_ident: entry.origin_file_ident,
            bytes: entry.changeset,
        });
    }
    let cursors = changesets.iter().map(|changeset| changeset.cursor);
    let check = progress
        .check(header.progress, header.locked_server_version, sent, cursors)
        .map_err(|error| {
            let (code, body) = verdict::upload(error);
            Refused::Session(code, body)
        })?;
    let Some(progress) = check.queue else { return Ok(None) };
    changesets.drain(..check.ignored);
    let cost = if changesets.is_empty() {
        // What only says how far a device is may wait for long: nobody must be turned away for it.
        changesets = Vec::new();
        0
    } else {
        body_len + changesets.capacity() * size_of::<UploadedChangeset>()
    };
    Ok(Some(AcceptedUpload {
        file_ident,
        progress,
        locked: header.locked_server_version,
        changesets,
        cost,
    }))
}

#[cfg(test)]
mod tests {
    use bailiwick_protocol::ident::SessionIdent;
    use bailiwick_protocol::message::{Body, UploadEntry, UploadHeader};
    use bailiwick_protocol::version::{ClientVersion, OriginTimestamp};

    use super::*;

    fn cursor(version: u64) -> UploadCursor {
        UploadCursor {
            client_version: ClientVersion(version),
            last_integrated_server_version: ServerVersion(0),
        }
    }

    /// The versions that are queued of an UPLOAD of some, and its cost, if those up to `known` were integrated before.
    fn accepted(versions: std::ops::RangeInclusive<u64>, known: u64) -> (Vec<u64>, usize) {
        let header = UploadHeader {
            session: SessionIdent(1),
            progress: cursor(versions.end() + 1),
            locked_server_version: ServerVersion(0),
        };
        let entry = |version| UploadEntry {
            client_version: ClientVersion(version),
            last_integrated_server_version: ServerVersion(0),
            origin_timestamp: OriginTimestamp(1),
            origin_file_ident: FileIdent::SELF,
            changeset: vec![7; 100].into(),
        };
        let entries: Vec<_> = versions.map(entry).collect();
        let upload = Upload { header, body: Body::from_entries(&entries) };
        let mut progress = UploadProgress::new(cursor(known), ServerVersion(0));
        let (file, sent) = (FileIdent::FIRST_CLIENT, ServerVersion(0));
        let accepted = accept(&upload, file, &mut progress, sent, 10_000).unwrap().unwrap();
        let versions = accepted.changesets.iter().map(|it| it.cursor.client_version.0).collect();
        (versions, accepted.cost)
    }

    #[test]
    fn what_brings_nothing_new_but_a_cursor_takes_no_memory() {
        let (queued, whole) = accepted(2..=4, 1);
        assert_eq!(queued, [2, 3, 4]);
        assert!(whole > 300, "{whole}");
        // The message stays as long as one changeset of it does.
        assert_eq!(accepted(2..=4, 3), (vec![4], whole));
        assert_eq!(accepted(2..=4, 4), (vec![], 0));
    }
}
