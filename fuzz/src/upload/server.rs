//! The server's side: the connection of one device, and the realm that it uploads to.

use std::sync::Arc;

use bailiwick_core::history::{ClientFile, Rejection, Unseen};
use bailiwick_core::partition::{PartitionKey, PartitionType};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::message::{Bind, ClientIdent, ClientMessage};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, DownloadCursor, SaltedVersion};
use bailiwick_server::session::{
    AcceptedUpload, Connection, Input as Event, Output, SessionConfig,
};
use bytes::Bytes;

use super::{Message, SESSION};
use crate::body::MAX_LEN;
use crate::memory;
use crate::realm::{Realm, UPLOADER, Uploader};

/// A server with one realm and one device.
pub(super) struct Server {
    pub(super) realm: Realm,
    uploader: Uploader,
    connection: Connection,
    /// Where an upload is split.
    split: usize,
    /// Whether what one integration leaves for the next is forgotten.
    is_forgetful: bool,
}

/// Why a message came to nothing.
#[derive(Debug)]
#[expect(dead_code, reason = "it is printed")]
pub(super) enum Refused {
    /// This was said to the device.
    BySession(Vec<Output>),
    /// The upload cannot be integrated.
    ByRealm(Rejection),
}

impl Server {
    /// A server that knows this of the device.
    pub(super) fn new(realm: Realm, file: ClientFile, split: usize, is_forgetful: bool) -> Self {
        let connection = active(&realm, &file);
        let uploader = Uploader { file, unseen: Unseen::default() };
        Self { realm, uploader, connection, split, is_forgetful }
    }

    /// Takes an UPLOAD as far as it is let in.
    pub(super) fn take(&mut self, message: &Message) -> Result<(), Refused> {
        if message.is_in_new_session {
            self.connection = active(&self.realm, &self.uploader.file);
        }
        let payload = &message.payload;
        let limit = 4 * payload.len() + 32 * MAX_LEN;
        let accepted =
            memory::within(limit, || self.receive(payload)).map_err(Refused::BySession)?;
        let Some(accepted) = accepted else { return Ok(()) };
        self.check(&accepted);
        let integrated = memory::within(1024 * MAX_LEN, || {
            self.realm.integrate(accepted, &self.uploader, self.split)
        });
        (self.realm, self.uploader) = integrated.map_err(Refused::ByRealm)?;
        if self.is_forgetful {
            self.uploader.unseen = Unseen::default();
        }
        Ok(())
    }

    /// What is new in a message that the session machine accepts; else what it does instead.
    fn receive(&mut self, payload: &Bytes) -> Result<Option<AcceptedUpload>, Vec<Output>> {
        let event = match ClientMessage::parse(ProtocolVersion::MAX, payload) {
            Ok(message) => Event::Message(message),
            Err(error) => Event::Unreadable { refusal: error.refusal(), reason: error.to_string() },
        };
        let (was_over, mut out) = (self.connection.is_over(), Vec::new());
        self.connection.handle(event, &mut out);
        assert!(!was_over || out.is_empty(), "a connection that has ended says {out:?}");
        let ends = out.iter().any(|output| matches!(output, Output::Close(_) | Output::Finish));
        assert_eq!(self.connection.is_over(), was_over || ends);
        match out.pop() {
            Some(Output::Upload(_, accepted)) if out.is_empty() => Ok(Some(accepted)),
            None => Ok(None),
            Some(last) => {
                out.push(last);
                Err(out)
            }
        }
    }

    fn check(&self, accepted: &AcceptedUpload) {
        assert_eq!(accepted.file_ident, UPLOADER);
        let head = self.realm.head();
        assert!(accepted.progress.last_integrated_server_version <= head);
        assert!(accepted.locked <= head);
        let len: usize = accepted.changesets.iter().map(|changeset| changeset.bytes.len()).sum();
        assert!(len <= accepted.cost, "{len} bytes of changesets cost {}", accepted.cost);
        assert!(accepted.cost <= 32 * MAX_LEN);
        let mut before = self.uploader.file.upload_cursor;
        for changeset in &accepted.changesets {
            let cursor = changeset.cursor;
            assert!(cursor.client_version > before.client_version, "it came before");
            assert!(cursor.last_integrated_server_version >= before.last_integrated_server_version);
            assert_eq!(changeset.origin_file_ident, FileIdent::SELF);
            before = cursor;
        }
    }
}

/// A connection with one session, whose device has all of the history.
fn active(realm: &Realm, file: &ClientFile) -> Connection {
    let head = realm.head();
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
    let identified = Ok((file.upload_cursor, file.locked_server_version, head));
    connection.handle(Event::Identified(key, identified), &mut out);
    connection
}
