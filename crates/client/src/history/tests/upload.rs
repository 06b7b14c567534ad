//! Local commits, and how they are gathered for UPLOADs.

use bailiwick_protocol::message::UploadEntry;

use super::*;
use crate::history::{MAX_PIECE_LEN, collect_upload, last_uploadable, pending};
use crate::session::UploadBatch;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

impl Device {
    /// A device with a dog, in version 3.
    fn with_dog() -> Self {
        let device = Self::new();
        let mut changeset = declare();
        let table = changeset.strings.intern("Dog");
        let object = ObjectKey::Int(1);
        changeset.instructions.push(Instruction::CreateObject { table, object });
        device.write(1, changeset);
        device
    }

    fn upload(&self, after: UploadCursor) -> UploadBatch {
        collect_upload(&self.snapshot(), after).unwrap()
    }

    /// The versions in each of the next UPLOADs, after all of which nothing is left.
    fn uploads(&self) -> Vec<Vec<u64>> {
        let mut uploads = Vec::new();
        let mut at = UploadCursor::default();
        loop {
            let batch = self.upload(at);
            if batch.entries.is_empty() {
                let latest = self.snapshot().state().version;
                assert_eq!(batch.progress.client_version, latest);
                return uploads;
            }
            assert!(batch.progress.client_version > at.client_version);
            uploads.push(batch.entries.iter().map(|entry| entry.client_version.0).collect());
            at = batch.progress;
        }
    }
}

fn cursor(client_version: u64, server_version: u64) -> UploadCursor {
    UploadCursor {
        client_version: ClientVersion(client_version),
        last_integrated_server_version: ServerVersion(server_version),
    }
}

#[test]
fn the_client_file_takes_a_version_and_starts_the_cursors() {
    let device = Device::nameless();
    device.write(5, declare());
    device.commit(&identify(&device.snapshot(), OWN, Salt(7)));
    let state = device.snapshot().state().clone();
    assert_eq!(state.client_file, Some((OWN, Salt(7))));
    assert_eq!(state.version, ClientVersion(3));
    assert_eq!(device.uploads(), [[2]]);
}

#[test]
fn an_empty_transaction_takes_a_version_and_is_not_uploaded() {
    let device = Device::with_dog();
    device.write(2, Changeset::default());
    assert_eq!(device.snapshot().state().version, ClientVersion(4));
    assert_eq!(device.uploads(), [[3]]);
}

#[test]
fn changesets_are_uploaded_as_they_were_written() {
    let device = Device::with_dog();
    device.write(2, resize(1, 5));
    assert!(device.download(&header((4, 3), 4, (3, 0)), &[entry(4, 3, &resize(1, 1))]).unwrap());
    device.write(3, resize(1, 6));
    let batch = device.upload(cursor(3, 0));
    assert_eq!((batch.progress, batch.locked_server_version), (cursor(6, 4), ServerVersion(4)));
    let upload = |version, base, timestamp, changeset: Changeset| UploadEntry {
        client_version: ClientVersion(version),
        last_integrated_server_version: ServerVersion(base),
        origin_timestamp: OriginTimestamp(timestamp),
        origin_file_ident: FileIdent::SELF,
        changeset: changeset.encode().into(),
    };
    assert_eq!(batch.entries, [upload(4, 0, 2, resize(1, 5)), upload(6, 4, 3, resize(1, 6))]);
}

#[test]
fn progress_alone_is_gathered_too() {
    let device = Device::with_dog();
    assert!(device.download(&header((4, 3), 4, (3, 0)), &[]).unwrap());
    let batch = device.upload(cursor(3, 0));
    assert_eq!((batch.progress, batch.entries), (cursor(4, 4), vec![]));
    let batch = device.upload(cursor(4, 4));
    assert_eq!((batch.progress, batch.entries), (cursor(4, 4), vec![]));
}

#[test]
fn an_upload_ends_with_the_changeset_that_makes_it_long_enough() {
    let device = Device::with_dog();
    for _ in 0..5 {
        device.write(2, fill(1, 60 * KIB));
    }
    assert_eq!(device.uploads(), [vec![3, 4, 5, 6], vec![7, 8]]);
}

#[test]
fn a_very_long_changeset_is_alone() {
    let device = Device::with_dog();
    device.write(2, fill(1, 16 * MIB - 16));
    device.write(2, fill(1, 1));
    assert_eq!(device.uploads(), [[3], [4], [5]]);
}

#[test]
fn a_transaction_that_is_too_long_is_one_commit_and_several_uploads() {
    let device = Device::with_dog();
    let mut changeset = Changeset::default();
    for key in 2..8 {
        let table = changeset.strings.intern("Dog");
        let object = ObjectKey::Int(key);
        changeset.instructions.push(Instruction::CreateObject { table, object });
        update(&mut changeset, key, "data", Payload::Binary(vec![7; 3 * MIB].into()));
        update(&mut changeset, key, "size", Payload::Int(key));
    }
    let mut news = device.file.news();
    device.write(2, changeset);
    assert_eq!(news.try_recv().unwrap().version, ClientVersion(6));
    assert!(news.try_recv().is_err(), "it is one commit");
    assert_eq!(device.uploads(), [vec![3, 4], vec![5], vec![6]]);

    // Another device may see the pieces one by one.
    let other = Device::nameless();
    other.commit(&identify(&other.snapshot(), OTHER, Salt(8)));
    let mut sizes = Vec::new();
    for (version, written) in (1..).zip(device.history().into_iter().skip(1)) {
        assert!(written.changeset.len() <= MAX_PIECE_LEN);
        let changeset = Changeset::decode(&written.changeset).unwrap();
        let entry = DownloadEntry { origin_file_ident: OWN, ..entry(version, 0, &changeset) };
        assert!(other.download(&header((version, 0), version, (0, 0)), &[entry]).unwrap());
        sizes.push([2, 3, 4, 5, 6, 7].map(|key| other.size(key).unwrap_or_default()));
    }
    assert_eq!(sizes, [[0; 6], [2, 3, 0, 0, 0, 0], [2, 3, 4, 5, 0, 0], [2, 3, 4, 5, 6, 7]]);
}

#[test]
fn what_is_not_acknowledged_is_pending() {
    let device = Device::new();
    let newest = |after| last_uploadable(&device.snapshot(), ClientVersion(after)).unwrap();
    let waiting = || pending(&device.snapshot()).unwrap();
    assert_eq!((newest(0), waiting()), (None, None));
    device.write(1, declare());
    device.write(2, create(1));
    device.write(3, Changeset::default());
    assert_eq!((newest(0), waiting()), (Some(ClientVersion(4)), Some(ClientVersion(4))));
    assert!(device.download(&header((1, 0), 1, (3, 0)), &[]).unwrap());
    assert_eq!((newest(4), waiting()), (None, Some(ClientVersion(4))));
    assert!(device.download(&header((2, 0), 2, (4, 0)), &[]).unwrap());
    assert_eq!((newest(0), waiting()), (Some(ClientVersion(4)), None));
}
