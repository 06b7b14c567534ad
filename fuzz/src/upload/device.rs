//! A device that writes, and downloads now and then.

use bailiwick_core::merge::merge;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::{UploadEntry, UploadHeader};
use bailiwick_protocol::version::{ClientVersion, ServerVersion, UploadCursor};

use super::{Message, SESSION};
use crate::device::Device;
use crate::input::Input;
use crate::realm::{FIRST_VERSION, Realm};

/// The most that a device does.
const MAX_ACTIONS: usize = 64;

/// What a device made, and what it said of it.
pub(super) struct Story {
    pub(super) messages: Vec<Message>,
    /// The device when it said all; none if a changeset was damaged on its way.
    pub(super) end: Option<(Device, ServerVersion)>,
}

/// A device on its way through a story.
struct Author<'a> {
    realm: &'a Realm,
    device: Device,
    /// Where it is in its own history, and what it had integrated then.
    cursor: UploadCursor,
    entries: Vec<UploadEntry>,
    /// How many entries were sent.
    sent: usize,
    messages: Vec<Message>,
    is_damaged: bool,
}

/// What a device does that knows only the beginning of the history at first.
pub(super) fn story(realm: &Realm, mut input: Input<'_>) -> Story {
    let mut author = Author {
        realm,
        device: realm.device(),
        // The empty file and its ident are versions, too.
        cursor: UploadCursor {
            client_version: ClientVersion(2),
            last_integrated_server_version: FIRST_VERSION,
        },
        entries: Vec::new(),
        sent: 0,
        messages: Vec::new(),
        is_damaged: false,
    };
    for _ in 0..MAX_ACTIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() {
            time @ 0..=0x1f => author.commit(time % 8),
            0x20..=0x27 => author.damage(&mut input),
            count @ 0x28..=0x2f => author.download(usize::from(count % 8) + 1),
            how @ 0x30..=0x37 => author.upload(how & 1 == 1, how & 2 == 2),
            _ => author.device.act(&mut input),
        }
    }
    author.commit(1);
    author.upload(false, false);
    let end = (author.device, author.cursor.last_integrated_server_version);
    Story { messages: author.messages, end: (!author.is_damaged).then_some(end) }
}

impl Author<'_> {
    fn commit(&mut self, time: u8) {
        self.device.commit(time);
        let written = self.device.written.last().expect("it has committed");
        self.cursor.client_version.0 += 1;
        self.entries.push(UploadEntry {
            client_version: self.cursor.client_version,
            last_integrated_server_version: self.cursor.last_integrated_server_version,
            origin_timestamp: self.device.now(),
            origin_file_ident: FileIdent::SELF,
            changeset: written.changeset().encode().into(),
        });
    }

    /// Changes a byte of the last changeset.
    fn damage(&mut self, input: &mut Input<'_>) {
        let (at, byte) = (usize::from(input.u16()), input.u8());
        let Some(entry) = self.entries.get_mut(self.sent..).and_then(<[_]>::last_mut) else {
            return;
        };
        if entry.changeset.is_empty() {
            return;
        }
        let mut changeset = entry.changeset.to_vec();
        let at = at % changeset.len();
        changeset[at] = byte;
        entry.changeset = changeset.into();
        self.is_damaged = true;
    }

    /// Integrates the next entries.
    fn download(&mut self, count: usize) {
        // What is begun is not to be read before it is committed.
        self.commit(0);
        let seen = self.cursor.last_integrated_server_version;
        let entries = self.realm.written_by_others(seen, count);
        let (mut last, mut theirs) = (None, Vec::new());
        for (version, time, entry) in entries {
            last = Some((version, last.map_or(time, |(_, before)| time.max(before))));
            theirs.push(entry);
        }
        let Some((version, time)) = last else { return };
        merge(&mut self.device.written, &mut theirs).expect("what devices write can be merged");
        self.device.follow(&theirs, time);
        self.cursor.client_version.0 += 1;
        self.cursor.last_integrated_server_version = version;
    }

    /// Sends what was not sent, or after a new connection everything.
    fn upload(&mut self, is_in_new_session: bool, is_all_sent_again: bool) {
        let from = if is_in_new_session && is_all_sent_again { 0 } else { self.sent };
        let header = UploadHeader {
            session: SESSION,
            progress: self.cursor,
            locked_server_version: self.cursor.last_integrated_server_version,
        };
        let payload = header.print_with(&self.entries[from..]).into();
        self.messages.push(Message { is_in_new_session, payload });
        self.sent = self.entries.len();
    }
}
