//! A connection with one session, as a realm sees it.

use std::sync::Arc;

use bailiwick_core::history::UploadedChangeset;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::changeset::json::ChangesetJson;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::{oneshot, watch};

use super::{key, within};
use crate::realm::{
    Command, ConnectionId, Identified, IdentifyRefused, Queued, RealmError, RealmHandle, Realms,
    SessionEnd, Signal,
};
use crate::session::AcceptedUpload;

/// All devices of these tests have one user, and build on version 0 of the history.
const USER: &str = "user";

#[derive(Debug)]
pub(super) struct Device {
    pub(super) ident: FileIdent,
    pub(super) signals: Option<watch::Receiver<Signal>>,
    /// The last version that was uploaded.
    pub(super) version: u64,
    salt: Salt,
    realm: RealmHandle,
    connection: ConnectionId,
}

impl Device {
    /// A new client file, bound to a connection.
    pub(super) async fn new(realms: &Arc<Realms>, realm: &str, connection: u64) -> Self {
        let mut device = Self::allocated(realms, realm, connection).await;
        device.identify(connection).await.unwrap();
        device
    }

    pub(super) async fn allocated(realms: &Arc<Realms>, realm: &str, connection: u64) -> Self {
        let realm = realms.open(&key(realm));
        let (ident, salt) = allocate(&realm).await.unwrap();
        let connection = ConnectionId(connection);
        Self { ident, salt, realm, connection, signals: None, version: 0 }
    }

    /// The same device as another connection.
    pub(super) fn as_connection(&self, connection: u64) -> Self {
        let connection = ConnectionId(connection);
        let realm = self.realm.clone();
        Self { ident: self.ident, salt: self.salt, realm, connection, signals: None, version: 0 }
    }

    /// The same device at another server.
    pub(super) async fn elsewhere(&self, realms: &Realms, connection: u64) -> Self {
        let realm = realms.open(&key("realm"));
        let mut device = Self { realm, ..self.as_connection(connection) };
        device.identify(connection).await.unwrap();
        device
    }

    /// Binds the file to a connection; the threshold.
    pub(super) async fn identify(
        &mut self,
        connection: u64,
    ) -> Result<UploadCursor, IdentifyRefused> {
        self.connection = ConnectionId(connection);
        let identified = self.try_identify(connection).await?;
        self.signals = Some(identified.signals);
        Ok(identified.threshold)
    }

    pub(super) async fn try_identify(
        &self,
        connection: u64,
    ) -> Result<Identified, IdentifyRefused> {
        let (answer, result) = oneshot::channel();
        let command = Command::Identify {
            connection: ConnectionId(connection),
            file_ident: self.ident,
            salt: self.salt,
            user_id: USER.to_owned(),
            download: DownloadCursor::default(),
            latest: SaltedVersion::default(),
            answer,
        };
        self.realm.send(command).await;
        within("a device is bound", result).await.unwrap()
    }

    /// Uploads changesets as the next versions.
    pub(super) async fn upload(&mut self, changesets: &[Bytes]) {
        let first = self.version + 1;
        self.version += changesets.len() as u64;
        let changesets =
            (first..).zip(changesets).map(|(version, bytes)| changeset(version, bytes.clone()));
        self.send(self.ident, self.version, changesets.collect()).await;
    }

    /// Says that it has got further, without having written anything.
    pub(super) async fn report(&mut self) {
        self.version += 1;
        self.upload(&[]).await;
    }

    /// Uploads one changeset in the name of another device.
    pub(super) async fn send_upload(&self, of: &Self, version: u64, bytes: Bytes) {
        self.send(of.ident, version, vec![changeset(version, bytes)]).await;
    }

    async fn send(&self, file_ident: FileIdent, version: u64, changesets: Vec<UploadedChangeset>) {
        let upload = AcceptedUpload {
            file_ident,
            progress: cursor(version),
            locked: ServerVersion(0),
            cost: 1,
            changesets,
        };
        let queued = Queued { connection: self.connection, upload };
        self.realm.send(Command::Upload(queued)).await;
    }

    /// Waits until everything that was uploaded is acknowledged.
    pub(super) async fn acknowledged(&mut self) {
        while !self.is_acknowledged().await {
            let signals = self.signals.as_mut().unwrap();
            within("the realm has news", signals.changed()).await.unwrap();
            let end = signals.borrow().end.clone();
            assert!(end.is_none(), "{end:?}");
        }
    }

    pub(super) async fn is_acknowledged(&self) -> bool {
        self.upload_cursor().await.client_version >= ClientVersion(self.version)
    }

    /// What a DOWNLOAD would acknowledge now.
    async fn upload_cursor(&self) -> UploadCursor {
        let (answer, result) = oneshot::channel();
        let cursor = DownloadCursor::default();
        self.realm.send(Command::Scan { file_ident: self.ident, cursor, answer }).await;
        within("a scan is answered", result).await.unwrap().unwrap().upload_cursor
    }

    /// Waits until all commands that were sent before are carried out.
    pub(super) async fn barrier(&self) {
        self.upload_cursor().await;
    }

    /// The head that the session was told of last.
    pub(super) fn head(&self) -> ServerVersion {
        self.signals.as_ref().unwrap().borrow().head
    }

    /// Waits for the end of the session.
    pub(super) async fn end(&mut self) -> SessionEnd {
        let signals = self.signals.as_mut().unwrap();
        let signal = signals.wait_for(|signal| signal.end.is_some()).await.unwrap();
        signal.end.clone().unwrap()
    }

    pub(super) async fn release(&self) {
        self.release_of(self).await;
    }

    pub(super) async fn release_of(&self, of: &Self) {
        let connection = self.connection;
        self.realm.send(Command::Release { connection, file_ident: of.ident }).await;
    }
}

pub(super) async fn allocate(realm: &RealmHandle) -> Result<(FileIdent, Salt), RealmError> {
    let (answer, result) = oneshot::channel();
    realm.send(Command::Allocate { user_id: USER.to_owned(), answer }).await;
    within("a client file is allocated", result).await.unwrap()
}

/// Declares class `Item` with an integer key.
pub(in crate::realm) fn schema() -> Bytes {
    encode(&json!([{
        "op": "AddTable", "table": "Item", "kind": "topLevel", "pkField": "_id",
        "pkType": "int", "pkNullable": false,
    }]))
}

pub(in crate::realm) fn item(id: u64) -> Bytes {
    encode(&json!([{
        "op": "CreateObject", "table": "Item", "object": {"type": "int", "value": id},
    }]))
}

pub(in crate::realm) fn erasure(id: u64) -> Bytes {
    encode(&json!([{
        "op": "EraseObject", "table": "Item", "object": {"type": "int", "value": id},
    }]))
}

fn encode(instructions: &serde_json::Value) -> Bytes {
    let json = json!({"strings": [], "instructions": instructions});
    let json: ChangesetJson = serde_json::from_value(json).unwrap();
    Changeset::try_from(&json).unwrap().encode().into()
}

fn changeset(version: u64, bytes: Bytes) -> UploadedChangeset {
    UploadedChangeset {
        cursor: cursor(version),
        origin_timestamp: OriginTimestamp(version),
        origin_file_ident: FileIdent::SELF,
        bytes,
    }
}

fn cursor(version: u64) -> UploadCursor {
    UploadCursor {
        client_version: ClientVersion(version),
        last_integrated_server_version: ServerVersion(0),
    }
}
