//! UPLOADs, from the bytes of a message through the server's session machine and into a realm's history.
//!
//! What is wrong ends a message, a session or a connection, and takes no more memory than its size justifies. What
//! is integrated can be applied by every device, and does not depend on how long a piece of it a step takes. What an
//! honest device sends is let in, and leads the device and the server to the same objects.

mod device;
mod server;

use bailiwick_core::history::ClientFile;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{ClientMessage, Upload, UploadEntry, UploadHeader};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion, UploadCursor};
use bytes::Bytes;

use crate::body::Made;
use crate::input::Input;
use crate::realm::REALMS;
use device::Story;
use server::Server;

const SESSION: SessionIdent = SessionIdent(1);

/// The progress of the first message, and of the second one.
const PROGRESS: [u64; 2] = [1 << 8, 1 << 20];

/// One message of a device.
struct Message {
    is_in_new_session: bool,
    payload: Bytes,
}

/// The first bytes choose the realm, where uploads are split, and whether an honest device writes or somebody else does,
/// who says what a server may know of him.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let realm = &REALMS[usize::from(input.u8()) % REALMS.len()];
    let (split, who) = (usize::from(input.u8()), input.u8());
    let is_forgetful = who & 1 == 1;
    if who & 0b110 == 0 {
        let file = file(&mut input, realm.head());
        let messages = hostile(realm.head(), input, who & 8 == 8);
        let mut server = Server::new(realm.clone(), file, split, is_forgetful);
        for message in messages {
            let _ = server.take(&message);
        }
    } else {
        let Story { messages, end } = device::story(realm, input);
        let file = ClientFile::new(Salt(1), "user", 1);
        let mut server = Server::new(realm.clone(), file, split, is_forgetful);
        for message in messages {
            let taken = server.take(&message);
            assert!(taken.is_ok() || end.is_none(), "an honest device is refused: {taken:?}");
        }
        if let Some((device, base)) = end {
            server.realm.assert_converges(device.state, base);
        }
    }
}

/// The record of a device that has uploaded something and promised something.
fn file(input: &mut Input<'_>, head: ServerVersion) -> ClientFile {
    let mut file = ClientFile::new(Salt(1), "user", 1);
    let mut version = || ServerVersion(u64::from(input.u8()) % (head.0 + 1));
    file.locked_server_version = version();
    let last_integrated_server_version = version();
    let client_version = ClientVersion(u64::from(input.u8() % 8));
    file.upload_cursor = UploadCursor { client_version, last_integrated_server_version };
    if !file.upload_cursor.is_consistent() {
        file.upload_cursor = UploadCursor::default();
    }
    file.acknowledged = file.upload_cursor;
    file
}

/// One or two messages; the second one may come in another session.
fn hostile(
    head: ServerVersion,
    mut input: Input<'_>,
    is_second_in_new_session: bool,
) -> Vec<Message> {
    let kind = input.u8();
    let mut messages = Vec::new();
    if kind & 0x80 != 0 {
        let first = Input::new(input.take());
        messages.push(Message { is_in_new_session: false, payload: payload(kind, 0, head, first) });
    }
    let kind = if messages.is_empty() { kind } else { input.u8() };
    let payload = payload(kind, messages.len(), head, input);
    messages.push(Message { is_in_new_session: is_second_in_new_session, payload });
    messages
}

/// A message, the body of an UPLOAD, or its entries.
fn payload(kind: u8, place: usize, head: ServerVersion, mut input: Input<'_>) -> Bytes {
    if kind.is_multiple_of(4) {
        return Bytes::copy_from_slice(input.rest());
    }
    let header = UploadHeader {
        session: SESSION,
        progress: UploadCursor {
            client_version: ClientVersion(PROGRESS[place]),
            last_integrated_server_version: head,
        },
        locked_server_version: ServerVersion(u64::from(input.u8()) % (head.0 + 2)),
    };
    if kind % 4 == 1 {
        let made = Made::read(input);
        made.check();
        return ClientMessage::Upload(Upload { header, body: made.body }).print().into();
    }
    let first = if place == 0 { 2 } else { PROGRESS[0] + 1 };
    header.print_with(&entries(input, first, head)).into()
}

/// Any number of entries: each has a base, a time, a length and so many bytes of a changeset.
fn entries(mut input: Input<'_>, first: u64, head: ServerVersion) -> Vec<UploadEntry> {
    let mut entries: Vec<UploadEntry> = Vec::new();
    let mut base = 0;
    while !input.is_empty() {
        base += u64::from(input.u8() % 4);
        entries.push(UploadEntry {
            client_version: ClientVersion(entries.len() as u64 + first),
            last_integrated_server_version: ServerVersion(base.min(head.0)),
            origin_timestamp: OriginTimestamp(98 + u64::from(input.u8() % 16)),
            origin_file_ident: FileIdent::SELF,
            changeset: Bytes::copy_from_slice(input.take()),
        });
    }
    entries
}
