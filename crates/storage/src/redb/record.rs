//! The values: a byte that tells the layout, numbers with 8 bytes each (little-endian), then text or bytes.
//!
//! Text that is not the last field is preceded by its length. Reading never fails otherwise than with
//! [`StorageError::Corrupt`], and allocates no more than the value has bytes.

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use super::key::RealmId;
use crate::account::{Identity, LoginSession, User};
use crate::store::{RealmRecord, StorageError};

/// The layout of everything that has had no other.
const LAYOUT: u8 = 1;
/// The layout of client files since format 2. That of format 1 does not tell what was acknowledged, which was all
/// that was integrated.
const CLIENT_FILE_LAYOUT: u8 = 2;

pub(super) fn encode_realm(id: RealmId, record: &RealmRecord) -> Vec<u8> {
    let RealmRecord { revision, head, cumulative_len, client_file_count, schema: _ } = record;
    let numbers =
        [id.0, *revision, head.version.0, head.salt.0, *cumulative_len, *client_file_count];
    Writer::new(numbers, 0).0
}

/// The realm's id and its record without the schema, which has a table of its own.
pub(super) fn decode_realm(value: &[u8]) -> Result<(RealmId, RealmRecord), StorageError> {
    let mut reader = Reader::new(value, "a realm")?;
    let id = RealmId(reader.number()?);
    let record = RealmRecord {
        revision: reader.number()?,
        head: SaltedVersion {
            version: ServerVersion(reader.number()?),
            salt: Salt(reader.number()?),
        },
        cumulative_len: reader.number()?,
        client_file_count: reader.number()?,
        schema: Bytes::new(),
    };
    reader.end()?;
    Ok((id, record))
}

pub(super) fn encode_entry(entry: &Entry, cumulative_len: u64) -> Vec<u8> {
    let Entry {
        version,
        origin_file_ident,
        client_version,
        origin_timestamp,
        changeset,
        required_protocol,
        cumulative_len: _,
    } = entry;
    let numbers =
        [version.salt.0, origin_file_ident.0, client_version.0, origin_timestamp.0, cumulative_len];
    let mut writer = Writer::new(numbers, 1 + changeset.len());
    writer.0.push(*required_protocol);
    writer.0.extend_from_slice(changeset);
    writer.0
}

pub(super) fn decode_entry(version: ServerVersion, value: &[u8]) -> Result<Entry, StorageError> {
    let mut reader = Reader::new(value, "an entry")?;
    Ok(Entry {
        version: SaltedVersion { version, salt: Salt(reader.number()?) },
        origin_file_ident: FileIdent(reader.number()?),
        client_version: ClientVersion(reader.number()?),
        origin_timestamp: OriginTimestamp(reader.number()?),
        cumulative_len: reader.number()?,
        required_protocol: reader.byte()?,
        changeset: Bytes::copy_from_slice(reader.rest),
    })
}

pub(super) fn encode_client_file(file: &ClientFile) -> Vec<u8> {
    let ClientFile {
        salt,
        user_id,
        upload_cursor,
        acknowledged,
        locked_server_version,
        last_seen_ms,
    } = file;
    let numbers = [
        salt.0,
        upload_cursor.client_version.0,
        upload_cursor.last_integrated_server_version.0,
        acknowledged.client_version.0,
        acknowledged.last_integrated_server_version.0,
        locked_server_version.0,
        *last_seen_ms,
    ];
    let mut writer = Writer::with_layout(CLIENT_FILE_LAYOUT, numbers, user_id.len());
    writer.0.extend_from_slice(user_id.as_bytes());
    writer.0
}

pub(super) fn decode_client_file(value: &[u8]) -> Result<ClientFile, StorageError> {
    let (layout, mut reader) = Reader::of_any_layout(value, "a client file")?;
    let salt = Salt(reader.number()?);
    let upload_cursor = reader.upload_cursor()?;
    let acknowledged = match layout {
        LAYOUT => upload_cursor,
        CLIENT_FILE_LAYOUT => reader.upload_cursor()?,
        _ => return Err(reader.corrupt()),
    };
    Ok(ClientFile {
        salt,
        upload_cursor,
        acknowledged,
        locked_server_version: ServerVersion(reader.number()?),
        last_seen_ms: reader.number()?,
        user_id: reader.last_text()?,
    })
}

/// Bytes that are opaque to the store: schemas, reciprocal forms, objects, secrets.
pub(super) fn encode_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new([], bytes.len());
    writer.0.extend_from_slice(bytes);
    writer.0
}

pub(super) fn decode_bytes(value: &[u8]) -> Result<&[u8], StorageError> {
    Ok(Reader::new(value, "bytes")?.rest)
}

pub(super) fn encode_user(user: &User) -> Vec<u8> {
    let User { id: _, identities, created_ms, disabled } = user;
    let mut writer = Writer::new([*created_ms, u64::from(*disabled)], 0);
    for Identity { id, provider_type, provider_id } in identities {
        for text in [id, provider_type, provider_id] {
            writer.text(text);
        }
    }
    writer.0
}

pub(super) fn decode_user(id: &str, value: &[u8]) -> Result<User, StorageError> {
    let mut reader = Reader::new(value, "a user")?;
    let created_ms = reader.number()?;
    let disabled = match reader.number()? {
        0 => false,
        1 => true,
        _ => return Err(reader.corrupt()),
    };
    let mut identities = Vec::new();
    while !reader.rest.is_empty() {
        identities.push(Identity {
            id: reader.text()?,
            provider_type: reader.text()?,
            provider_id: reader.text()?,
        });
    }
    Ok(User { id: id.to_owned(), identities, created_ms, disabled })
}

pub(super) fn encode_session(session: &LoginSession) -> Vec<u8> {
    let LoginSession { id: _, user_id, device_id, created_ms, expires_ms } = session;
    let mut writer = Writer::new([*created_ms, *expires_ms], 0);
    writer.text(user_id);
    writer.text(device_id);
    writer.0
}

pub(super) fn decode_session(id: &str, value: &[u8]) -> Result<LoginSession, StorageError> {
    let mut reader = Reader::new(value, "a session")?;
    let session = LoginSession {
        id: id.to_owned(),
        created_ms: reader.number()?,
        expires_ms: reader.number()?,
        user_id: reader.text()?,
        device_id: reader.text()?,
    };
    reader.end()?;
    Ok(session)
}

struct Writer(Vec<u8>);

impl Writer {
    fn new<const N: usize>(numbers: [u64; N], rest_len: usize) -> Self {
        Self::with_layout(LAYOUT, numbers, rest_len)
    }

    fn with_layout<const N: usize>(layout: u8, numbers: [u64; N], rest_len: usize) -> Self {
        let mut bytes = Vec::with_capacity(1 + 8 * N + rest_len);
        bytes.push(layout);
        bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        Self(bytes)
    }

    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    fn new(value: &'a [u8], what: &'static str) -> Result<Self, StorageError> {
        match Self::of_any_layout(value, what)? {
            (LAYOUT, reader) => Ok(reader),
            _ => Err(StorageError::Corrupt(what)),
        }
    }

    fn of_any_layout(value: &'a [u8], what: &'static str) -> Result<(u8, Self), StorageError> {
        let mut reader = Self { rest: value, what };
        Ok((reader.byte()?, reader))
    }

    fn byte(&mut self) -> Result<u8, StorageError> {
        let (byte, rest) = self.rest.split_first().ok_or(self.corrupt())?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, StorageError> {
        let (number, rest) = self.rest.split_first_chunk().ok_or(self.corrupt())?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*number))
    }

    fn upload_cursor(&mut self) -> Result<UploadCursor, StorageError> {
        Ok(UploadCursor {
            client_version: ClientVersion(self.number()?),
            last_integrated_server_version: ServerVersion(self.number()?),
        })
    }

    fn text(&mut self) -> Result<String, StorageError> {
        let len = usize::try_from(self.number()?).map_err(|_| self.corrupt())?;
        let (text, rest) = self.rest.split_at_checked(len).ok_or(self.corrupt())?;
        self.rest = rest;
        self.utf8(text)
    }

    fn last_text(self) -> Result<String, StorageError> {
        self.utf8(self.rest)
    }

    fn end(self) -> Result<(), StorageError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.corrupt()) }
    }

    fn utf8(&self, text: &[u8]) -> Result<String, StorageError> {
        match std::str::from_utf8(text) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(self.corrupt()),
        }
    }

    fn corrupt(&self) -> StorageError {
        StorageError::Corrupt(self.what)
    }
}
