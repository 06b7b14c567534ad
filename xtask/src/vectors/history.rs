//! The suite `history`: runs of a server's history, over the store in memory.

use std::borrow::Cow;

use anyhow::{Context as _, Result, bail, ensure};
use bailiwick_core::apply::Transaction;
use bailiwick_core::history::{
    Base, Claim, ClientFile, ClientType, ConcurrentHistory, Entry, IdentError, RejectedUpload,
    Scan, Unseen, Upload, UploadProgress, UploadedChangeset, check_ident, integrate,
};
use bailiwick_core::schema::Schema;
use bailiwick_core::state::{ObjectRow, ObjectStore, State};
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::store::{Commit, RealmKey, RealmRecord, StorageError, Store};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Context;

/// All events of a run have the stated outcome.
pub(super) fn check(case: &Json, _: &Context) -> Result<()> {
    let case = Case::deserialize(case)?;
    let mut server = Server::new(case.version_salts.into_iter().map(Salt).collect());
    for (i, event) in case.events.iter().enumerate() {
        server.check(event).with_context(|| format!("event {i}"))?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Case {
    version_salts: Vec<u64>,
    events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
enum Event {
    Alloc {
        expect: Json,
    },
    Ident(IdentEvent),
    Upload {
        uploads: Vec<UploadJson>,
        expect: Json,
    },
    Download {
        file_ident: u64,
        cursor: DownloadJson,
        end_version: u64,
        soft_limit: usize,
        expect: Json,
    },
    Restart,
    Note {
        all_states_equal: bool,
    },
}

#[derive(Deserialize)]
struct IdentEvent {
    file_ident: u64,
    salt: u64,
    download_cursor: DownloadJson,
    server_version: VersionJson,
    client_type: String,
    expect: Json,
}

#[derive(Clone, Copy, Deserialize)]
struct DownloadJson {
    server_version: u64,
    last_integrated_client_version: u64,
}

#[derive(Deserialize)]
struct VersionJson {
    version: u64,
    salt: u64,
}

#[derive(Clone, Copy, Deserialize)]
struct UploadCursorJson {
    client_version: u64,
    last_integrated_server_version: u64,
}

#[derive(Deserialize)]
struct UploadJson {
    file_ident: u64,
    progress: UploadCursorJson,
    locked_server_version: u64,
    changesets: Vec<ChangesetJson>,
}

#[derive(Deserialize)]
struct ChangesetJson {
    #[serde(flatten)]
    cursor: UploadCursorJson,
    origin_timestamp: u64,
    origin_file_ident: u64,
    hex: String,
}

impl From<DownloadJson> for DownloadCursor {
    fn from(json: DownloadJson) -> Self {
        Self {
            server_version: ServerVersion(json.server_version),
            last_integrated_client_version: ClientVersion(json.last_integrated_client_version),
        }
    }
}

impl From<UploadCursorJson> for UploadCursor {
    fn from(json: UploadCursorJson) -> Self {
        Self {
            client_version: ClientVersion(json.client_version),
            last_integrated_server_version: ServerVersion(json.last_integrated_server_version),
        }
    }
}

const USER: &str = "user";

/// One realm of a server.
struct Server {
    store: MemoryStore,
    key: RealmKey,
    salts: Vec<Salt>,
}

impl Server {
    fn new(salts: Vec<Salt>) -> Self {
        Self { store: MemoryStore::default(), key: RealmKey::new(*b"realm"), salts }
    }

    fn check(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Alloc { expect } => self.alloc(expect),
            Event::Ident(event) => self.ident(event),
            Event::Upload { uploads, expect } => self.upload(uploads, expect),
            Event::Download { file_ident, cursor, end_version, soft_limit, expect } => {
                let scan = Scan::new(FileIdent(*file_ident), (*cursor).into(), *soft_limit);
                self.download(FileIdent(*file_ident), scan, ServerVersion(*end_version), expect)
            }
            // All that there is, is what was committed.
            Event::Restart => Ok(()),
            Event::Note { all_states_equal } => {
                ensure!(*all_states_equal, "the states of this run differ");
                self.check_projection()
            }
        }
    }

    /// Allocates the next ident, with the salt that the run had.
    fn alloc(&self, expect: &Json) -> Result<()> {
        let record = self.record()?;
        let ident = FileIdent(FileIdent::FIRST_CLIENT.0 + record.client_file_count);
        let salt = Salt(expect["salt"].as_u64().context("no salt")?);
        let file = ClientFile::new(salt, USER, 1);
        let client_files = vec![(ident, file)];
        self.commit(Commit { base_revision: record.revision, client_files, ..Commit::default() })?;
        let found = json!({
            "file_ident": ident.0, "salt": salt.0, "server_version": self.record()?.head.version.0,
        });
        same(&found, expect)
    }

    fn ident(&self, event: &IdentEvent) -> Result<()> {
        let ident = FileIdent(event.file_ident);
        let file = self.store.client_file(&self.key, ident)?;
        let claim = Claim {
            file_ident: ident,
            salt: Salt(event.salt),
            user_id: USER,
            download: event.download_cursor.into(),
            latest: SaltedVersion {
                version: ServerVersion(event.server_version.version),
                salt: Salt(event.server_version.salt),
            },
            client_type: match event.client_type.as_str() {
                "regular" => ClientType::Regular,
                _ => ClientType::Subserver,
            },
        };
        let head = self.record()?.head.version;
        let salt = match event.server_version.version.checked_sub(1) {
            None => Some(Salt(0)),
            Some(before) => {
                let version = ServerVersion(event.server_version.version);
                let found =
                    self.store.entries(&self.key, ServerVersion(before), version.min(head), 0)?;
                found.first().map(|entry| entry.version.salt)
            }
        };
        let found = match check_ident(&claim, file.as_ref(), head, salt) {
            Ok(()) => {
                let file = file.context("accepted a client file that is not there")?;
                json!({
                    "error": "no_error",
                    "upload_cursor": upload_cursor(file.upload_cursor),
                    "locked_server_version": file.locked_server_version.0,
                })
            }
            Err(error) => json!({ "error": ident_error(&error)? }),
        };
        same(&found, &event.expect)
    }

    fn upload(&self, uploads: &[UploadJson], expect: &Json) -> Result<()> {
        let record = self.record()?;
        let schema = Schema::decode(&record.schema)?;
        let mut batch = Vec::new();
        let mut ignored = Vec::new();
        for upload in uploads {
            let (count, accepted) = self.accept(upload)?;
            ignored.push(count);
            batch.extend(accepted);
        }
        let salt =
            self.salts.get(usize::try_from(record.head.version.0)?).copied().unwrap_or(Salt(1));
        let base = Base {
            head: record.head.version,
            cumulative_len: record.cumulative_len,
            salt,
            now_ms: 1,
            max_reciprocals_len: usize::MAX,
        };
        let mut objects = Transaction::new(&schema, self);
        let result = integrate(&base, self, &mut objects, batch)?;
        let changes = objects.finish();
        let committed = !result.client_files.is_empty();
        if committed {
            self.commit(Commit {
                base_revision: record.revision,
                entries: result.entries.clone(),
                client_files: result.client_files.clone(),
                forget_reciprocals: result.forget_reciprocals,
                reciprocals: result.reciprocals,
                objects: changes.objects,
                schema: changes.schema.map(|schema| schema.encode().into()),
            })?;
        }
        let entries: Result<Vec<Json>> = result.entries.iter().map(entry_json).collect();
        let errors: serde_json::Map<String, Json> = result
            .rejections
            .iter()
            .map(|rejection| {
                (rejection.file_ident.to_string(), upload_error(&rejection.error).into())
            })
            .collect();
        let mut client_files = Vec::new();
        for expected in expect["client_files"].as_array().context("no client files")? {
            let ident = expected["file_ident"].as_u64().context("no ident")?;
            let file =
                self.store.client_file(&self.key, FileIdent(ident))?.context("no such file")?;
            client_files.push(json!({
                "file_ident": ident,
                "upload_cursor": upload_cursor(file.upload_cursor),
                "locked_server_version": file.locked_server_version.0,
            }));
        }
        let found = json!({
            "ignored": ignored,
            "errors": errors,
            "entries": entries?,
            "server_version": self.record()?.head.version.0,
            "committed": committed,
            "client_files": client_files,
        });
        same(&found, expect)
    }

    /// What the session layer makes of an upload: how many changesets it ignores, and what it queues.
    fn accept(&self, upload: &UploadJson) -> Result<(usize, Option<Upload>)> {
        let file_ident = FileIdent(upload.file_ident);
        let file = self.store.client_file(&self.key, file_ident)?.context("no such client file")?;
        let mut progress = UploadProgress::new(file.upload_cursor, file.locked_server_version);
        let locked = ServerVersion(upload.locked_server_version);
        let everything = ServerVersion(u64::MAX);
        let cursors = upload.changesets.iter().map(|changeset| changeset.cursor.into());
        let check = progress.check(upload.progress.into(), locked, everything, cursors)?;
        let Some(progress) = check.queue else { return Ok((check.ignored, None)) };
        let changesets = upload.changesets[check.ignored..]
            .iter()
            .map(|changeset| {
                Ok(UploadedChangeset {
                    cursor: changeset.cursor.into(),
                    origin_timestamp: OriginTimestamp(changeset.origin_timestamp),
                    origin_file_ident: FileIdent(changeset.origin_file_ident),
                    bytes: hex::decode(&changeset.hex)?.into(),
                })
            })
            .collect::<Result<_>>()?;
        Ok((
            check.ignored,
            Some(Upload {
                file_ident,
                file,
                progress,
                locked,
                changesets,
                unseen: Unseen::default(),
            }),
        ))
    }

    fn download(
        &self,
        ident: FileIdent,
        mut scan: Scan,
        end: ServerVersion,
        expect: &Json,
    ) -> Result<()> {
        let from = scan.cursor().server_version;
        for entry in self.store.entries(&self.key, from, end, usize::MAX)? {
            if !scan.push(&entry) {
                break;
            }
        }
        let download = scan.finish();
        let entries: Result<Vec<Json>> = download
            .items
            .iter()
            .map(|item| {
                Ok(json!({
                    "server_version": item.entry.version.version.0,
                    "last_integrated_client_version": item.last_integrated_client_version.0,
                    "origin_timestamp": item.entry.origin_timestamp.0,
                    "origin_file_ident": item.origin_file_ident().0,
                    "hex": canonical(&item.entry.changeset)?,
                }))
            })
            .collect();
        let file = self.store.client_file(&self.key, ident)?.context("no such client file")?;
        let found = json!({
            "expired": file.is_expired(),
            "entries": entries?,
            "cursor": {
                "server_version": download.cursor.server_version.0,
                "last_integrated_client_version": download.cursor.last_integrated_client_version.0,
            },
            "upload_cursor": upload_cursor(file.upload_cursor),
            "byte_size_current": self.len_at(download.cursor.server_version)?,
            "byte_size_total": self.record()?.cumulative_len,
        });
        same(&found, expect)
    }

    /// All entries, applied to nothing, give the objects that are stored.
    fn check_projection(&self) -> Result<()> {
        let mut replayed = State::default();
        for entry in self.store.entries(
            &self.key,
            ServerVersion(0),
            self.record()?.head.version,
            usize::MAX,
        )? {
            let applied = replayed.apply(&Changeset::decode(&entry.changeset)?)?;
            ensure!(applied.rewritten.is_none(), "an entry is not in the form for devices");
        }
        let rows = self.store.scan_objects(&self.key, b"", None, usize::MAX)?;
        let stored = State::new(Schema::decode(&self.record()?.schema)?, rows);
        ensure!(replayed.to_string() == stored.to_string(), "the history and the objects differ");
        Ok(())
    }

    fn len_at(&self, version: ServerVersion) -> Result<u64> {
        let Some(before) = version.0.checked_sub(1) else { return Ok(0) };
        let entries = self.store.entries(&self.key, ServerVersion(before), version, 0)?;
        Ok(entries.first().context("no such version")?.cumulative_len)
    }

    fn record(&self) -> Result<RealmRecord> {
        Ok(self.store.realm(&self.key)?)
    }

    fn commit(&self, commit: Commit) -> Result<()> {
        for result in self.store.commit(&[(self.key.clone(), commit)])? {
            result?;
        }
        Ok(())
    }
}

impl ConcurrentHistory for Server {
    type Error = StorageError;

    fn entries(&self, after: ServerVersion) -> Result<Cow<'_, [Entry]>, StorageError> {
        let head = self.store.realm(&self.key)?.head.version;
        Ok(self.store.entries(&self.key, after, head, usize::MAX)?.into())
    }

    fn reciprocals(
        &self,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        self.store.reciprocals(&self.key, ident, after)
    }
}

impl ObjectStore for Server {
    type Error = StorageError;

    fn object(&self, row: &[u8]) -> Result<Option<Bytes>, StorageError> {
        Ok(self.store.objects(&self.key, &[row.into()])?.into_iter().next().flatten())
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<ObjectRow>, StorageError> {
        let found = self.store.scan_objects(&self.key, prefix, None, usize::MAX)?;
        Ok(found.into_iter().map(|(row, _)| row).collect())
    }
}

fn upload_cursor(cursor: UploadCursor) -> Json {
    json!({
        "client_version": cursor.client_version.0,
        "last_integrated_server_version": cursor.last_integrated_server_version.0,
    })
}

fn entry_json(entry: &Entry) -> Result<Json> {
    Ok(json!({
        "server_version": entry.version.version.0,
        "origin_file_ident": entry.origin_file_ident.0,
        "client_version": entry.client_version.0,
        "origin_timestamp": entry.origin_timestamp.0,
        "hex": canonical(&entry.changeset)?,
    }))
}

/// What is stored may be the bytes that came; the vectors have them encoded again.
fn canonical(changeset: &Bytes) -> Result<String> {
    Ok(hex::encode(Changeset::decode(changeset)?.encode()))
}

fn ident_error(error: &IdentError) -> Result<&'static str> {
    Ok(match error {
        IdentError::UnknownFile(_) => "bad_client_file_ident",
        IdentError::FileSalt(_) => "bad_client_file_ident_salt",
        IdentError::BelowBase { .. } | IdentError::AboveHead { .. } => {
            "bad_download_server_version"
        }
        IdentError::ClientVersion => "bad_download_client_version",
        IdentError::LatestVersion(_) => "bad_server_version",
        IdentError::VersionSalt(_) => "bad_server_version_salt",
        IdentError::ClientType(_) => "bad_client_type",
        other => bail!("the vectors know nothing of this error: {other}"),
    })
}

fn upload_error(error: &RejectedUpload) -> &'static str {
    match error {
        RejectedUpload::OriginFileIdent(_) => "bad_origin_file_ident",
        RejectedUpload::Expired => "client_file_expired",
        _ => "bad_changeset",
    }
}

fn same(found: &Json, expected: &Json) -> Result<()> {
    let Json::Object(fields) = expected else { bail!("the expectation is not an object") };
    for (name, value) in fields {
        ensure!(found.get(name) == Some(value), "{name} is {}, expected {value}", found[name]);
    }
    Ok(())
}
