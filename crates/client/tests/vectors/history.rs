//! The vectors `history`: what devices wrote at which server versions, and the history that came of it.
//!
//! A run is replayed from the devices' side: each writes what it uploaded, on top of what it had integrated then.

use std::collections::BTreeMap;

use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{DownloadEntry, DownloadHeader, UploadEntry};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use serde_json::Value as Json;

use crate::cases::bytes;
use crate::device::Device;

/// Each device can apply what it wrote, uploads it as it was, and has the objects of the history in the end.
///
/// A run ends where the server refuses something, since devices write nothing of that kind.
pub(crate) fn check(case: &Json) -> Result<(), String> {
    let mut run = Run::default();
    let events = case["events"].as_array().unwrap();
    let is_refused = |event: &&Json| {
        event["expect"]["errors"].as_object().is_some_and(|errors| !errors.is_empty())
    };
    let events = events.iter().take_while(|event| !is_refused(event));
    for event in events.filter(|event| event["ev"] == "upload") {
        for upload in event["uploads"].as_array().unwrap() {
            let ident = FileIdent(number(upload, "file_ident"));
            for changeset in upload["changesets"].as_array().unwrap() {
                run.write(ident, changeset)?;
            }
        }
        run.entries.extend(event["expect"]["entries"].as_array().unwrap().iter().map(entry));
    }
    let mut expected = State::default();
    for entry in &run.entries {
        let _ = expected.apply(&Changeset::decode(&entry.changeset).unwrap()).unwrap();
    }
    let head = ServerVersion(run.entries.len() as u64);
    let idents: Vec<_> = run.devices.keys().copied().chain([FileIdent(1_000)]).collect();
    for ident in idents {
        // In two DOWNLOADs, and all at once for a device that has nothing.
        let at = run.device(ident).download_cursor().server_version;
        run.integrate(ident, ServerVersion(u64::midpoint(at.0, head.0)))?;
        run.integrate(ident, head)?;
        if run.device(ident).state() != expected {
            return Err(format!("file {ident} ends with other objects"));
        }
    }
    Ok(())
}

/// What there is at one time.
#[derive(Default)]
struct Run {
    devices: BTreeMap<FileIdent, Device>,
    entries: Vec<Entry>,
    /// What each changeset was made on.
    bases: BTreeMap<(FileIdent, ClientVersion), ServerVersion>,
}

/// An entry of the server's history.
struct Entry {
    version: ServerVersion,
    author: FileIdent,
    client_version: ClientVersion,
    timestamp: OriginTimestamp,
    changeset: Bytes,
}

fn entry(json: &Json) -> Entry {
    Entry {
        version: ServerVersion(number(json, "server_version")),
        author: FileIdent(number(json, "origin_file_ident")),
        client_version: ClientVersion(number(json, "client_version")),
        timestamp: OriginTimestamp(number(json, "origin_timestamp")),
        changeset: bytes(&json["hex"]).into(),
    }
}

fn number(json: &Json, key: &str) -> u64 {
    json[key].as_u64().unwrap()
}

impl Run {
    fn device(&mut self, ident: FileIdent) -> &Device {
        self.devices.entry(ident).or_insert_with(|| Device::that_is(ident))
    }

    /// The device writes a changeset that it uploads, unless it has uploaded it before.
    fn write(&mut self, ident: FileIdent, json: &Json) -> Result<(), String> {
        let cursor = UploadCursor {
            client_version: ClientVersion(number(json, "client_version")),
            last_integrated_server_version: ServerVersion(number(
                json,
                "last_integrated_server_version",
            )),
        };
        let base = cursor.last_integrated_server_version;
        if self.bases.insert((ident, cursor.client_version), base).is_some() {
            return Ok(());
        }
        self.integrate(ident, base)?;
        let changeset = Bytes::from(bytes(&json["hex"]));
        let timestamp = OriginTimestamp(number(json, "origin_timestamp"));
        let device = self.device(ident);
        device.commit_as(cursor.client_version, timestamp, &changeset)?;
        let expected = UploadEntry {
            client_version: cursor.client_version,
            last_integrated_server_version: base,
            origin_timestamp: timestamp,
            origin_file_ident: FileIdent::SELF,
            changeset,
        };
        let before = ClientVersion(cursor.client_version.0 - 1);
        let upload = device.upload(UploadCursor { client_version: before, ..cursor });
        if upload.progress != cursor || upload.entries != [expected] {
            return Err(format!("{upload:?}, expected version {}", cursor.client_version));
        }
        Ok(())
    }

    /// The device integrates what there is up to a server version.
    fn integrate(&mut self, ident: FileIdent, until: ServerVersion) -> Result<(), String> {
        let latest = ServerVersion(self.entries.len() as u64);
        let from = self.device(ident).download_cursor();
        if from.server_version == until {
            return Ok(());
        }
        let (mut at, mut downloads) = (from, Vec::new());
        let new = |entry: &&Entry| entry.version > from.server_version && entry.version <= until;
        for entry in self.entries.iter().filter(new) {
            at.server_version = entry.version;
            if entry.author == ident {
                at.last_integrated_client_version = entry.client_version;
            } else if !entry.changeset.is_empty() {
                downloads.push(DownloadEntry {
                    server_version: entry.version,
                    last_integrated_client_version: at.last_integrated_client_version,
                    origin_timestamp: entry.timestamp,
                    origin_file_ident: entry.author,
                    original_changeset_len: entry.changeset.len() as u64,
                    changeset: entry.changeset.clone(),
                });
            }
        }
        let DownloadCursor { last_integrated_client_version: integrated, .. } = at;
        let base = self.bases.get(&(ident, integrated)).copied().unwrap_or_default();
        let header = DownloadHeader {
            session: SessionIdent(1),
            download_cursor: at,
            latest_server_version: SaltedVersion { version: latest, salt: Salt(7) },
            upload_cursor: UploadCursor {
                client_version: integrated,
                last_integrated_server_version: base,
            },
            downloadable_bytes: 0,
        };
        self.device(ident).integrate(header, &downloads).map_err(|answer| format!("{answer:?}"))
    }
}
