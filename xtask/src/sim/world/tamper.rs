//! Carries out sabotage: what the world does wrong when a scenario says so.

use std::collections::BTreeMap;

use bailiwick_client::session::WaitKey;
use bailiwick_core::apply::Changes;
use bailiwick_core::history::Entry;
use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ConnectionCode;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::limits::DEFAULT_MAX_PLAIN_LEN;
use bailiwick_protocol::message::{
    ClientMessage, Download, DownloadEntry, ErrorBody, Ping, ServerError, ServerMessage,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, DownloadCursor};
use bytes::Bytes;

use super::{Fate, Wait, World};
use crate::sim::app::Mark;
use crate::sim::sabotage::Sabotage;
use crate::stored_realm::StoredRealm;

/// More messages than may wait on a connection.
const FLOOD_LEN: usize = 200;

impl World {
    fn does(&self, sabotage: Sabotage) -> bool {
        self.scenario.sabotage == Some(sabotage)
    }

    /// What is sent instead of a message, and on which connection.
    pub(super) fn tampered(&mut self, number: u64, message: Bytes) -> (u64, Bytes) {
        let Some(sabotage) = self.scenario.sabotage else { return (number, message) };
        let parsed = ServerMessage::parse(ProtocolVersion::MAX, &message);
        let Ok(ServerMessage::Download(download)) = parsed else { return (number, message) };
        let Some((version, file)) = self.watch.file_of(number, download.header.session) else {
            return (number, message);
        };
        match sabotage {
            Sabotage::EchoOwnChange => (number, echoed(&download, file).unwrap_or(message)),
            Sabotage::RewindCursor if download.header.download_cursor.server_version.0 > 3 => {
                let mut header = download.header;
                header.download_cursor = DownloadCursor::default();
                (number, header.print_with(&[]).into())
            }
            Sabotage::Accuse => {
                let body = ErrorBody::new(Action::ApplicationBug, "you did it");
                let error = ServerError::connection(ConnectionCode::BadSyntax, body);
                (number, error.into_message(version).print().into())
            }
            Sabotage::Evict => {
                let message = "another connection has bound the client file";
                let body = ErrorBody::new(Action::Transient, message);
                let error = ServerError::connection(ConnectionCode::ConnectionClosed, body);
                (number, error.into_message(version).print().into())
            }
            Sabotage::Misroute => {
                let other = self.links.keys().copied().find(|other| *other != number);
                (other.unwrap_or(number), message)
            }
            Sabotage::Panic => panic!("as a scenario says"),
            _ => (number, message),
        }
    }

    pub(super) fn tamper_entries(&self, entries: &mut [Entry]) {
        for entry in entries {
            if self.does(Sabotage::LoseEntry) && entry.version.version.0.is_multiple_of(5) {
                entry.client_version.0 += 1 << 20;
            }
            if self.does(Sabotage::DoubleEntry) {
                entry.client_version = ClientVersion(2);
            }
        }
    }

    /// What the server is said to have when it begins again.
    pub(super) fn tampered_history(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        if self.does(Sabotage::ForgetEntry) {
            entries.pop();
        }
        entries
    }

    /// Messages that the server does not want yet.
    pub(super) fn tamper_connection(&mut self, number: u64) {
        if self.does(Sabotage::Flood) {
            let ping = Ping { timestamp_ms: 0, round_trip_time_ms: 0 };
            let ping = Bytes::from(ClientMessage::Ping(ping).print());
            for _ in 0..FLOOD_LEN {
                self.server.receive(self.agenda.now(), number, &ping);
            }
        }
    }

    pub(super) fn tamper_server(&mut self) {
        if self.does(Sabotage::SkipServerSync) {
            self.server.pretend_to_flush();
        }
    }

    pub(super) fn tamper_disks(&self, device: usize) {
        if self.does(Sabotage::SkipDeviceSync) {
            self.sites[device].device.pretend_to_flush();
        }
    }

    /// A device was further than it is.
    pub(super) fn tamper_cursors(&mut self, device: usize, index: usize) {
        if self.does(Sabotage::RewindDevice) {
            self.sites[device].device.folders[index].progress.download.server_version.0 += 1;
        }
    }

    /// Whether a device does not hear that all is well again.
    pub(super) fn is_forgotten(&mut self, device: usize) -> bool {
        if device > 0 || !self.does(Sabotage::ForgetDevice) {
            return false;
        }
        self.sites[device].unreachable_until = self.now() * 2 + std::time::Duration::from_secs(60);
        true
    }

    /// Whether a timer of a device does not go off.
    pub(super) fn is_timer_lost(&self, device: usize) -> bool {
        let link = self.sites[device].link.and_then(|link| self.links.get(&link));
        self.does(Sabotage::ForgetTimer) && link.is_some_and(|link| !link.is_whole())
    }

    /// Whether an app does not hear that what it waits for is done.
    pub(super) fn is_kept_waiting(&self, device: usize, key: WaitKey) -> bool {
        let wait = self.waits.get(&(device, key));
        self.does(Sabotage::ForgetWait) && matches!(wait, Some(Wait::Upload { .. }))
    }

    /// Whether nothing is wrong with what has to be refused.
    pub(super) fn spares(&self) -> bool {
        self.does(Sabotage::Spare)
    }

    pub(super) fn tampered_realm(&self, mut realm: StoredRealm) -> StoredRealm {
        if self.does(Sabotage::ChangeServer) {
            let row = realm.objects.rows().next().map(|(row, _)| row.clone());
            let objects = row.into_iter().map(|row| (row, None)).collect();
            realm.objects.commit(Changes { schema: None, objects });
        }
        if self.does(Sabotage::ChangeHistory)
            && let Some(entry) = realm.entries.last_mut()
        {
            entry.origin_timestamp.0 += 1;
        }
        realm
    }

    pub(super) fn tampered_marks(&self, mut marks: BTreeMap<i64, Mark>) -> BTreeMap<i64, Mark> {
        if self.does(Sabotage::RepeatTransaction) {
            for mark in marks.values_mut() {
                mark.times += 1;
            }
        }
        if self.does(Sabotage::LoseKept) {
            let kept = self.transactions.iter().filter(|it| it.fate == Fate::Kept);
            for transaction in kept {
                marks.remove(&transaction.mark);
            }
        }
        marks
    }

    pub(super) fn tampered_contents(&self, contents: String) -> String {
        if self.does(Sabotage::ChangeDevice) { contents + "one object more\n" } else { contents }
    }
}

/// The same DOWNLOAD with an entry of the receiver's; `None` if it has no entries.
fn echoed(download: &Download, file: FileIdent) -> Option<Bytes> {
    let plain = download.body.inflate(DEFAULT_MAX_PLAIN_LEN).ok()?;
    let entries: Result<Vec<DownloadEntry>, _> = Download::entries(plain).collect();
    let mut entries = entries.ok()?;
    entries.first_mut()?.origin_file_ident = file;
    Some(download.header.print_with(&entries).into())
}
