//! DOWNLOADs that a device integrates, which may not trust its server: next to what it wrote itself, what another device
//! wrote, some of it damaged, or anything, under a header that says anything.
//!
//! What is wrong is an error. What an honest server sends is integrated.

use std::sync::LazyLock;

use bailiwick_client::history::{Unintegrated, identify, integrate, local_commit};
use bailiwick_client::local::{LocalFile, Snapshot};
use bailiwick_core::apply::Transaction;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{Body, Download, DownloadEntry, DownloadHeader, Entries};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};

use crate::body::MAX_LEN;
use crate::input::Input;
use crate::memory;
use crate::realm::{AUTHOR, FIRST_VERSION, REALMS, Realm, UPLOADER, noise};

/// What a device has that has seen the beginning of each realm, and written something since.
static FILES: LazyLock<Vec<File>> =
    LazyLock::new(|| REALMS.iter().zip(1..).map(|(realm, seed)| written(realm, seed)).collect());

/// A file, which is closed once nobody has it, and what is in it.
struct File {
    _file: LocalFile,
    snapshot: Snapshot,
}

/// The first byte chooses the realm; the others are entries, and at last what is wrong with the header.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choice = usize::from(input.u8()) % REALMS.len();
    let mut honest = entries(&REALMS[choice], FIRST_VERSION, usize::MAX).into_iter();
    let mut entries = Vec::new();
    let mut last = FIRST_VERSION;
    let (mut is_honest, mut lie) = (true, None);
    while !input.is_empty() {
        let what = input.u8();
        let next = match what {
            0..=0x5f => honest.next(),
            0x60..=0xaf => honest.next().map(|mut entry| {
                damage(&mut entry, &mut input);
                entry
            }),
            0xb0..=0xef => Some(made(last, what, &mut input)),
            0xf0.. => {
                lie = Some(what);
                break;
            }
        };
        let Some(entry) = next else { break };
        is_honest &= what <= 0x5f;
        last = entry.server_version;
        entries.push(entry);
    }
    let mut header = header(last);
    if let Some(which) = lie {
        tell_lie(&mut header, which, input.u8());
        is_honest = false;
    }
    let snapshot = &FILES[choice].snapshot;
    let received = memory::within(1024 * MAX_LEN, || {
        integrate(snapshot, &mut Unintegrated::default(), &header, body(&entries))
    });
    match received {
        Ok(Some(batch)) => {
            assert_eq!(batch.append.len(), 1);
            assert_eq!(batch.state.progress.download, header.download_cursor);
            assert_eq!(batch.state.progress.upload, header.upload_cursor);
        }
        Ok(None) => assert!(entries.is_empty() || !is_honest, "it is new"),
        Err(error) => {
            assert!(!is_honest, "an honest server is not believed: {error}");
            assert!(error.to_string().len() < 1000, "a short error: {error}");
        }
    }
}

/// A device in the realm that has seen the beginning, and not sent what it wrote then.
fn written(realm: &Realm, seed: u64) -> File {
    let file = LocalFile::in_memory();
    let begin = entries(realm, ServerVersion(0), 2);
    let writer = file.write();
    let snapshot = || writer.snapshot().expect("it is in memory");
    writer.commit(&identify(&snapshot(), UPLOADER, Salt(1))).expect("it is in memory");
    let batch =
        integrate(&snapshot(), &mut Unintegrated::default(), &header(FIRST_VERSION), body(&begin));
    let batch = batch.expect("the server is honest").expect("it is new");
    writer.commit(&batch).expect("it is in memory");

    let choices = noise(seed << 8);
    let mut choices = Input::new(&choices);
    let mut device = realm.device();
    for _ in 0..4 {
        for _ in 0..12 {
            device.act(&mut choices);
        }
        device.commit(1);
        let written = device.written.last().expect("it has committed").changeset().clone();
        let snapshot = snapshot();
        let mut objects = Transaction::new(snapshot.schema(), &snapshot);
        let _ = objects.apply(&written).expect("a device applied it as it wrote it");
        let batch = local_commit(&snapshot, objects.finish(), written, device.now());
        writer.commit(&batch).expect("it is in memory");
    }
    let snapshot = snapshot();
    drop(writer);
    File { _file: file, snapshot }
}

/// What others wrote after a version.
fn entries(realm: &Realm, after: ServerVersion, count: usize) -> Vec<DownloadEntry> {
    let written = realm.written_by_others(after, count);
    let entry = |(version, time, written): (_, _, bailiwick_core::merge::Concurrent)| {
        let changeset = written.changeset().encode();
        DownloadEntry {
            server_version: version,
            last_integrated_client_version: ClientVersion(0),
            origin_timestamp: time,
            origin_file_ident: AUTHOR,
            original_changeset_len: changeset.len() as u64,
            changeset: changeset.into(),
        }
    };
    written.map(entry).collect()
}

/// Changes a byte, or who says it.
fn damage(entry: &mut DownloadEntry, input: &mut Input<'_>) {
    let (at, byte) = (usize::from(input.u16()), input.u8());
    match at {
        0xfff0 => entry.server_version.0 = byte.into(),
        0xfff1 => entry.origin_file_ident = FileIdent(byte.into()),
        0xfff2 => entry.last_integrated_client_version.0 = byte.into(),
        0xfff3 => entry.origin_timestamp.0 = byte.into(),
        0xfff4 => entry.original_changeset_len = u64::MAX - u64::from(byte),
        _ if entry.changeset.is_empty() => (),
        at => {
            let mut changeset = entry.changeset.to_vec();
            let at = at % changeset.len();
            changeset[at] = byte;
            entry.changeset = changeset.into();
        }
    }
}

/// An entry of any bytes.
fn made(last: ServerVersion, what: u8, input: &mut Input<'_>) -> DownloadEntry {
    DownloadEntry {
        server_version: ServerVersion(last.0 + u64::from(what % 4)),
        last_integrated_client_version: ClientVersion(u64::from(input.u8() % 8)),
        origin_timestamp: OriginTimestamp(98 + u64::from(input.u8() % 16)),
        origin_file_ident: FileIdent(u64::from(what / 4 % 4)),
        original_changeset_len: input.u8().into(),
        changeset: input.take().to_vec().into(),
    }
}

/// What an honest server says that sends the history up to a version.
fn header(last: ServerVersion) -> DownloadHeader {
    DownloadHeader {
        session: SessionIdent(1),
        download_cursor: DownloadCursor {
            server_version: last,
            last_integrated_client_version: ClientVersion(0),
        },
        latest_server_version: SaltedVersion { version: last, salt: Salt(1) },
        upload_cursor: UploadCursor::default(),
        downloadable_bytes: 0,
    }
}

fn tell_lie(header: &mut DownloadHeader, which: u8, by: u8) {
    let number = match by {
        0xf0.. => u64::MAX >> (by - 0xef),
        _ => by.into(),
    };
    if which & 1 != 0 {
        header.download_cursor.server_version.0 = number;
    }
    if which & 2 != 0 {
        header.download_cursor.last_integrated_client_version.0 = number;
        header.upload_cursor.client_version.0 = number;
    }
    if which & 4 != 0 {
        header.upload_cursor.last_integrated_server_version.0 = number;
    }
    if which & 8 != 0 {
        header.latest_server_version.version.0 = number;
        header.downloadable_bytes = number;
    }
}

fn body(entries: &[DownloadEntry]) -> Entries<DownloadEntry> {
    let plain = Body::from_entries(entries).inflate(usize::MAX);
    Download::entries(plain.expect("it was made as it has to be"))
}
