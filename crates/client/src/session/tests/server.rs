//! A server for tests that answers what a device sends, as briefly as it may.

use std::collections::BTreeMap;

use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::ClientMessage;

use super::model::ModelRealm;

/// What the server knows of the sessions of a connection.
#[derive(Debug, Default)]
pub(super) struct Server {
    sessions: BTreeMap<SessionIdent, Session>,
    last_file: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Session {
    /// Position in the partition's history, and its head.
    version: u64,
    head: u64,
    salt: u64,
    /// Integrated of the device's history: the last changeset, and the cursor.
    client_version: u64,
    uploaded: (u64, u64),
}

impl Server {
    /// There is another connection.
    pub(super) fn connected(&mut self) {
        self.sessions.clear();
    }

    /// What it answers. It has the device's own idea of what it had acknowledged.
    pub(super) fn answer(
        &mut self,
        message: &ClientMessage,
        realms: &mut dyn Iterator<Item = &ModelRealm>,
    ) -> Vec<String> {
        let ident = message.session();
        let session = self.sessions.entry(ident).or_default();
        match message {
            ClientMessage::Bind(bind) if bind.need_client_file_ident => {
                self.last_file += 1;
                vec![format!("ident {ident} {} {}\n", self.last_file + 1000, self.last_file)]
            }
            ClientMessage::Ident(claim) => {
                let files = realms.flat_map(|realm| [Some(&realm.main), realm.fresh.as_ref()]);
                let file = files.flatten().find(|file| {
                    file.state.client_file == Some((claim.file_ident, claim.file_ident_salt))
                });
                let acknowledged = file.map(|file| file.state.progress.upload).unwrap_or_default();
                let head = claim.latest_server_version;
                *session = Session {
                    version: head.version.0,
                    head: head.version.0,
                    salt: head.salt.0,
                    client_version: claim.download_cursor.last_integrated_client_version.0,
                    uploaded: (
                        acknowledged.client_version.0,
                        acknowledged.last_integrated_server_version.0,
                    ),
                };
                vec![session.download(ident)]
            }
            ClientMessage::Upload(upload) if !upload.body.is_empty() => {
                let progress = upload.header.progress;
                session.head += 1;
                session.version = session.head;
                session.salt = 777;
                session.client_version = progress.client_version.0;
                session.uploaded =
                    (progress.client_version.0, progress.last_integrated_server_version.0);
                vec![session.download(ident)]
            }
            ClientMessage::Mark(mark) => vec![format!("mark {ident} {}\n", mark.request_ident)],
            ClientMessage::Unbind(_) => vec![format!("unbound {ident}\n")],
            ClientMessage::Ping(ping) => vec![format!("pong {}\n", ping.timestamp_ms)],
            ClientMessage::Bind(_) | ClientMessage::Upload(_) | ClientMessage::Error(_) => {
                Vec::new()
            }
        }
    }
}

impl Session {
    fn download(&self, ident: SessionIdent) -> String {
        let Self { version, head, salt, client_version, uploaded: (client, server) } = self;
        let client_version = client_version.min(client);
        format!(
            "download {ident} {version} {client_version} {head} {salt} {client} {server} 0 0 0 0\n"
        )
    }
}
