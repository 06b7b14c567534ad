//! Keeps what is written on the command line in a directory, and shows the history so far:
//!
//! ```text
//! cargo run -p bailiwick-storage --example notebook -- /tmp/notebook "buy milk"
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use bailiwick_core::history::Entry;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion};
use bailiwick_storage::redb::RedbStore;
use bailiwick_storage::store::{Commit, CommitRefused, RealmKey, Store};
use bytes::Bytes;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), note) = (args.next(), args.next()) else {
        return Err("usage: notebook DIRECTORY [NOTE]".into());
    };
    let store = RedbStore::in_dir(dir)?;
    let realm = RealmKey::new(*b"notebook");
    if let Some(note) = note {
        write(&store, &realm, note)?;
    }

    let head = store.realm(&realm)?.head.version;
    for entry in store.entries(&realm, ServerVersion(0), head, 1 << 20)? {
        println!("{}: {}", entry.version.version, String::from_utf8_lossy(&entry.changeset));
    }
    Ok(())
}

/// Appends a note; tries again if another thread was faster.
fn write(store: &RedbStore, realm: &RealmKey, note: String) -> Result<(), Box<dyn Error>> {
    let note = Bytes::from(note);
    loop {
        let record = store.realm(realm)?;
        let entry = Entry {
            version: SaltedVersion { version: record.head.version.next(), salt: Salt(1) },
            origin_file_ident: FileIdent::SELF,
            client_version: ClientVersion(0),
            origin_timestamp: now()?,
            changeset: note.clone(),
            required_protocol: 10,
            cumulative_len: 0,
        };
        let commit =
            Commit { base_revision: record.revision, entries: vec![entry], ..Commit::default() };
        match store.commit(&[(realm.clone(), commit)])?.remove(0) {
            Err(CommitRefused::Outdated { .. }) => (),
            answer => return Ok(answer?),
        }
    }
}

/// Milliseconds since 2015, the epoch of changesets.
fn now() -> Result<OriginTimestamp, Box<dyn Error>> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let ms = u64::try_from(since_1970.as_millis())?;
    Ok(OriginTimestamp(ms.saturating_sub(1_420_070_400_000)))
}
