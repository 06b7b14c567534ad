//! The batch that makes the main file what the fresh copy is.
//!
//! Spec: client, section 7.4, steps 3 to 7.

use std::cmp::Ordering;

use bailiwick_core::EncodingError;
use bailiwick_core::apply::Changes;
use bailiwick_core::schema::{Class, ClassId, ClassKind, Schema};
use bailiwick_core::state::{Object, ObjectRow, PrimaryKey, decode_row, encode_row, row_prefix};
use bailiwick_protocol::version::{ClientVersion, DownloadCursor, UploadCursor};
use bytes::Bytes;

use super::ResetFailure;
use super::same::is_same_object;
use super::translate::Translation;
use crate::local::{
    Batch, ByteCounters, Change, FileState, HistoryChange, HistoryEntry, LocalError, Origin,
    PendingReset, Progress, ResetStage, Snapshot,
};

/// What the main file is to be: the fresh copy, with what recovery has changed of it, and the history that says so.
pub(super) struct Target<'a> {
    pub(super) fresh: &'a Snapshot,
    /// What recovery changed, in the ids of the fresh copy.
    pub(super) recovered: Changes,
    /// Local changes that the server is to get.
    pub(super) history: Vec<HistoryEntry>,
}

impl Target<'_> {
    /// The batch for the main file.
    pub(super) fn replace(self, main: &Snapshot) -> Result<Batch, ResetFailure> {
        let state = self.state(main)?;
        let schema = self.recovered.schema.as_ref().unwrap_or(self.fresh.schema());
        let translation = Translation::new(main.schema(), schema)?;
        let mut objects = Vec::new();
        for class in schema.classes().filter(|class| class.kind() == ClassKind::TopLevel) {
            let Some(own) = translation.class(class.id()) else { continue };
            let target = self.objects(class.id())?.map(|entry| {
                entry.map(|(key, object)| (key, translation.object(class.id(), &object)))
            });
            compare(main, translation.schema(), own, target, &mut objects)?;
        }
        objects.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let schema = translation.schema();
        let schema = (schema != main.schema()).then(|| schema.clone());
        let record = main.pending_reset().cloned();
        Ok(Batch {
            origin: Origin::Reset,
            changes: Changes { schema, objects },
            state,
            history: HistoryChange::Replace(self.history),
            reset: Change::To(
                record.map(|record| PendingReset { stage: ResetStage::Applied, ..record }),
            ),
            ..Batch::default()
        })
    }
}

impl Target<'_> {
    /// The state of the main file afterwards.
    fn state(&self, main: &Snapshot) -> Result<FileState, ResetFailure> {
        let fresh = self.fresh.state();
        let client_file = fresh.client_file.ok_or(ResetFailure::NoFreshCopy)?;
        let version = fresh.progress.download.server_version;
        let uploadable = self.history.iter().map(|entry| entry.changeset.len() as u64).sum();
        Ok(FileState {
            client_file: Some(client_file),
            version: ClientVersion(main.state().version.0 + 1),
            progress: Progress {
                // What the copy has, which is what the server had when it was complete. Were it less, the rest
                // would still come.
                download: DownloadCursor {
                    server_version: version,
                    last_integrated_client_version: ClientVersion(0),
                },
                upload: UploadCursor {
                    client_version: ClientVersion(0),
                    last_integrated_server_version: version,
                },
                latest: fresh.progress.latest,
            },
            bytes: ByteCounters { uploadable, ..ByteCounters::default() },
        })
    }

    /// The objects of a class of the fresh copy as recovery has left them, in the order of their keys.
    fn objects(
        &self,
        class: ClassId,
    ) -> Result<impl Iterator<Item = Result<(PrimaryKey, Object), LocalError>>, ResetFailure> {
        let prefix = row_prefix(class);
        let start = self.recovered.objects.partition_point(|(row, _)| &**row < prefix.as_slice());
        let mut changes = self.recovered.objects[start..]
            .iter()
            .map_while(move |(row, object)| row.starts_with(&prefix).then_some((row, object)))
            .peekable();
        let mut unchanged = self.fresh.objects(class)?.peekable();
        Ok(std::iter::from_fn(move || {
            loop {
                let next = match (unchanged.peek(), changes.peek()) {
                    (Some(Ok((key, _))), Some((row, _))) => (*encode_row(class, key)).cmp(row),
                    (None, Some(_)) => Ordering::Greater,
                    (_, _) => Ordering::Less,
                };
                if next == Ordering::Less {
                    return unchanged.next();
                }
                if next == Ordering::Equal {
                    unchanged.next();
                }
                let (row, object) = changes.next()?;
                if let Some(object) = object {
                    return Some(decode(row, object));
                }
            }
        }))
    }
}

fn decode(row: &[u8], object: &Bytes) -> Result<(PrimaryKey, Object), LocalError> {
    let (_, key) =
        decode_row(row).map_err(|_| EncodingError::Invalid("a row does not name an object"))?;
    Ok((key, Object::decode(object)?))
}

/// Appends what makes the objects of a class of the main file the ones that are given, in the order of their keys.
fn compare(
    main: &Snapshot,
    schema: &Schema,
    class: &Class,
    target: impl Iterator<Item = Result<(PrimaryKey, Object), LocalError>>,
    changes: &mut Vec<(ObjectRow, Option<Bytes>)>,
) -> Result<(), LocalError> {
    let mut target = target.peekable();
    let mut present = main.objects(class.id())?.peekable();
    loop {
        let next = match (present.peek(), target.peek()) {
            (None, None) => return Ok(()),
            (Some(Ok((a, _))), Some(Ok((b, _)))) => a.cmp(b),
            (Some(_), None) | (Some(Err(_)), _) => Ordering::Less,
            (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
        };
        let before = if next.is_le() { present.next().transpose()? } else { None };
        let after = if next.is_ge() { target.next().transpose()? } else { None };
        match (before, after) {
            (Some((_, a)), Some((_, b))) if is_same_object(schema, class, &a, &b) => (),
            (_, Some((key, object))) => {
                changes.push((encode_row(class.id(), &key), Some(object.encode().into())));
            }
            (Some((key, _)), None) => changes.push((encode_row(class.id(), &key), None)),
            (None, None) => (),
        }
    }
}
