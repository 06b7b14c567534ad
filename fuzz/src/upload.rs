//! UPLOADs, from the bytes of a message through the server's session machine and into a realm's history.
//!
//! What is wrong ends a message, a session or a connection, and takes no more memory than its size justifies. What
//! is integrated can be applied by every device, and does not depend on how long a piece of it a step takes.

use std::io::Write as _;
use std::sync::Arc;

use bailiwick_core::partition::{PartitionKey, PartitionType};
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{
    Bind, Body, ClientIdent, ClientMessage, Upload, UploadEntry, UploadHeader,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bailiwick_server::session::{
    AcceptedUpload, Connection, Input as Event, Output, SessionConfig,
};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::device::{Device, Habits};
use crate::input::Input;
use crate::memory;
use crate::realm::{FIRST_VERSION, REALM, UPLOADER};

/// The longest body that the server takes, inflated.
const MAX_LEN: usize = 1 << 16;
/// The most that a device does.
const MAX_ACTIONS: usize = 64;
const SESSION: SessionIdent = SessionIdent(1);

/// The first byte chooses what the others are: a message, a body in one of three forms, entries, or what a device writes;
/// and where the upload is split.
pub fn run(bytes: &[u8]) {
    let realm = &*REALM;
    let mut input = Input::new(bytes);
    let choice = input.u8();
    let payload: Bytes = match choice % 8 {
        0 => Bytes::copy_from_slice(input.rest()),
        1 => print(Body::Plain(Bytes::copy_from_slice(input.rest()))),
        2 => {
            let off_by = u64::from(input.u8());
            let plain = input.rest();
            let mut stream = ZlibEncoder::new(Vec::new(), Compression::fast());
            stream.write_all(plain).expect("a vector takes everything");
            let bytes = stream.finish().expect("a vector takes everything").into();
            let uncompressed_len = (plain.len() as u64 + off_by).saturating_sub(1);
            print(Body::Compressed { uncompressed_len, bytes })
        }
        3 => {
            let uncompressed_len = input.u32().into();
            let bytes = Bytes::copy_from_slice(input.rest());
            print(Body::Compressed { uncompressed_len, bytes })
        }
        4 => header().print_with(&entries(input)).into(),
        _ => header().print_with(&written(input)).into(),
    };
    let limit = 4 * payload.len() + 32 * MAX_LEN;
    let Some(accepted) = memory::within(limit, || receive(&payload)) else { return };
    check(&accepted);
    memory::within(1024 * MAX_LEN, || realm.integrate(accepted, usize::from(choice / 8)));
}

/// Any number of entries: each has a base, a time, a length and so many bytes of a changeset.
fn entries(mut input: Input<'_>) -> Vec<UploadEntry> {
    let mut entries: Vec<UploadEntry> = Vec::new();
    let mut base = 0;
    while !input.is_empty() {
        base += u64::from(input.u8() % 4);
        entries.push(UploadEntry {
            client_version: ClientVersion(entries.len() as u64 + 2),
            last_integrated_server_version: ServerVersion(base.min(REALM.head().0)),
            origin_timestamp: OriginTimestamp(98 + u64::from(input.u8() % 16)),
            origin_file_ident: FileIdent::SELF,
            changeset: Bytes::copy_from_slice(input.take()),
        });
    }
    entries
}

/// What a device writes that knows only the beginning of the history, with some bytes changed.
fn written(mut input: Input<'_>) -> Vec<UploadEntry> {
    let habits = Habits::read(&mut input);
    let mut device = Device::new(REALM.first_state(), UPLOADER, habits);
    let mut changes = Vec::new();
    for _ in 0..MAX_ACTIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() {
            time @ 0..=0x1f => device.commit(time % 8),
            0x20..=0x2f => changes.push((device.written.len(), input.u16(), input.u8())),
            _ => device.act(&mut input),
        }
    }
    device.commit(1);
    let mut changesets: Vec<_> =
        device.written.iter().map(|written| written.changeset().encode()).collect();
    for (changeset, at, byte) in changes {
        let changeset = &mut changesets[changeset];
        if !changeset.is_empty() {
            let at = usize::from(at) % changeset.len();
            changeset[at] = byte;
        }
    }
    let entry = |(i, changeset): (usize, Vec<u8>)| UploadEntry {
        client_version: ClientVersion(i as u64 + 2),
        last_integrated_server_version: FIRST_VERSION,
        origin_timestamp: OriginTimestamp(100 + i as u64),
        origin_file_ident: FileIdent::SELF,
        changeset: changeset.into(),
    };
    changesets.into_iter().enumerate().map(entry).collect()
}

fn header() -> UploadHeader {
    let progress = UploadCursor {
        client_version: ClientVersion(1 << 20),
        last_integrated_server_version: REALM.head(),
    };
    UploadHeader { session: SESSION, progress, locked_server_version: ServerVersion(0) }
}

fn print(body: Body) -> Bytes {
    ClientMessage::Upload(Upload { header: header(), body }).print().into()
}

/// What the session machine accepts of a message to an active session, if anything.
fn receive(payload: &Bytes) -> Option<AcceptedUpload> {
    let version = ProtocolVersion::MAX;
    let mut connection = active();
    let event = match ClientMessage::parse(version, payload) {
        Ok(message) => Event::Message(message),
        Err(error) => Event::Unreadable { refusal: error.refusal(), reason: error.to_string() },
    };
    let mut out = Vec::new();
    connection.handle(event, &mut out);
    let ends = out.iter().any(|output| matches!(output, Output::Close(_) | Output::Finish));
    assert_eq!(connection.is_over(), ends);
    out.into_iter().find_map(|output| match output {
        Output::Upload(_, accepted) => Some(accepted),
        _ => None,
    })
}

/// A connection with one session, whose device has all of the history.
fn active() -> Connection {
    let head = REALM.head();
    let config = SessionConfig {
        partition_key: PartitionKey { partition_type: PartitionType::String, required: false },
        max_upload_len: MAX_LEN,
        max_sessions: 2,
    };
    let mut connection = Connection::new(Arc::new(config), ProtocolVersion::MAX, "user".to_owned());
    let mut out = Vec::new();
    connection.handle(
        Event::Message(ClientMessage::Bind(Bind {
            session: SESSION,
            path: "null".to_owned(),
            token: String::new(),
            need_client_file_ident: false,
            is_subserver: false,
        })),
        &mut out,
    );
    let download_cursor =
        DownloadCursor { server_version: head, last_integrated_client_version: ClientVersion(0) };
    connection.handle(
        Event::Message(ClientMessage::Ident(ClientIdent {
            session: SESSION,
            file_ident: UPLOADER,
            file_ident_salt: Salt(1),
            download_cursor,
            latest_server_version: SaltedVersion { version: head, salt: Salt(1) },
        })),
        &mut out,
    );
    let key = out.iter().find_map(|output| match output {
        Output::Identify(key, _) => Some(*key),
        _ => None,
    });
    let key = key.expect("IDENT came");
    let identified = Ok((UploadCursor::default(), ServerVersion(0), head));
    connection.handle(Event::Identified(key, identified), &mut out);
    connection
}

fn check(accepted: &AcceptedUpload) {
    assert_eq!(accepted.file_ident, UPLOADER);
    assert!(accepted.progress.last_integrated_server_version <= REALM.head());
    let len: usize = accepted.changesets.iter().map(|changeset| changeset.bytes.len()).sum();
    assert!(len <= accepted.cost, "{len} bytes of changesets cost {}", accepted.cost);
    assert!(accepted.cost <= 32 * MAX_LEN);
    for pair in accepted.changesets.windows(2) {
        assert!(pair[0].cursor.client_version < pair[1].cursor.client_version);
        let [before, after] = [0, 1].map(|i| pair[i].cursor.last_integrated_server_version);
        assert!(before <= after);
    }
    assert!(accepted.changesets.iter().all(|it| it.origin_file_ident == FileIdent::SELF));
}
