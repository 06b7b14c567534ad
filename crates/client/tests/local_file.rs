//! Files of each released format open, with all that they hold.
//!
//! `tests/files/format-N*.sectors` are such files without their zeros: of each 512 bytes that are not all zero, the
//! offset as four bytes, big-endian, then the bytes. [`fill`] of that time made them.

use std::error::Error;
use std::fs;
use std::path::Path;

use bailiwick_client::local::{
    Batch, Change, EffectiveMode, EncryptionKey, FileState, HistoryEntry, LocalFile, OpenOptions,
    Owner, PendingReset, ResetStage, Snapshot,
};
use bailiwick_core::apply::Changes;
use bailiwick_core::schema::{ClassId, ClassKind, Schema, Slot, ValueType};
use bailiwick_core::state::{Link, Object, PrimaryKey, Value, encode_row};
use bailiwick_protocol::action::Action;
use bailiwick_protocol::changeset::CollectionKind;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion};

type Outcome = Result<(), Box<dyn Error>>;

/// The length of the files with their zeros.
const FILE_LEN: usize = 1_060_864;

fn options() -> OpenOptions {
    OpenOptions::new(Owner {
        app_id: "inventory-abcde".into(),
        user_id: "65a000000000000000000001".into(),
        partition: "\"store 42\"".into(),
    })
}

fn key() -> EncryptionKey {
    EncryptionKey::new(std::array::from_fn(|i| u8::try_from(i).expect("64 fits")))
}

fn schema() -> Schema {
    let mut schema = Schema::default();
    let class = schema.add_class("Person", ClassKind::TopLevel);
    let id = class.id();
    let single = |value_type| Slot::new(value_type, true, CollectionKind::Single);
    class.add_primary_key("_id", Slot::new(ValueType::Int, false, CollectionKind::Single));
    class.add_column("name", single(ValueType::String));
    class.add_column("friend", single(ValueType::Link(id)));
    schema
}

fn person(schema: &Schema, name: &str, friend: i64) -> Object {
    let class = schema.class("Person").expect("the schema has it");
    let column = |name| class.column(name).expect("the class has it").id;
    let friend = Link { class: class.id(), key: PrimaryKey::Int(friend) };
    let mut object = Object::default();
    object.set(column("name"), Value::String(name.into()));
    object.set(column("friend"), Value::Link(friend.into()));
    object
}

fn entries() -> Vec<HistoryEntry> {
    let entry =
        |version, changeset: &'static [u8], reciprocal: Option<&'static [u8]>| HistoryEntry {
            version: ClientVersion(version),
            origin_file_ident: FileIdent::SELF,
            origin_timestamp: OriginTimestamp(300_000_000_000 + version),
            remote_version: ServerVersion(17),
            changeset: changeset.into(),
            reciprocal: reciprocal.map(Into::into),
        };
    vec![entry(2, b"a changeset", Some(b"another form")), entry(3, b"the next", None)]
}

fn state() -> FileState {
    let mut state = FileState {
        client_file: Some((FileIdent(5), Salt(6))),
        version: ClientVersion(3),
        ..FileState::default()
    };
    state.progress.download.server_version = ServerVersion(17);
    state.progress.upload.client_version = ClientVersion(2);
    state.bytes.uploadable = 19;
    state
}

fn reset() -> PendingReset {
    PendingReset {
        library_version: "0.1.0".into(),
        time: OriginTimestamp(300_000_000_007),
        mode: EffectiveMode::Recover,
        action: Action::ClientReset,
        code: ErrorCode::from_number(208),
        message: "the server does not know the client file".into(),
        stage: ResetStage::Started,
        attempts: 2,
        client_file: Some((FileIdent(5), Salt(6))),
        integrated: ServerVersion(17),
    }
}

fn fill(file: &LocalFile) -> Outcome {
    let schema = schema();
    let persons = [(1, "Ada", 2), (2, "Grace", 2)];
    let objects = persons.map(|(key, name, friend)| {
        let row = encode_row(ClassId(0), &PrimaryKey::Int(key));
        (row, Some(person(&schema, name, friend).encode().into()))
    });
    file.write().commit(&Batch {
        changes: Changes { schema: Some(schema), objects: objects.into() },
        state: state(),
        append: entries(),
        reset: Change::To(Some(reset())),
        ..Batch::default()
    })?;
    Ok(())
}

#[track_caller]
fn check_contents(snapshot: &Snapshot) -> Outcome {
    let class = ClassId(0);
    assert_eq!(snapshot.schema(), &schema());
    assert_eq!(snapshot.state(), &state());
    assert_eq!(snapshot.pending_reset(), Some(&reset()));
    assert_eq!(snapshot.history(ClientVersion(0))?.collect::<Result<Vec<_>, _>>()?, entries());
    let objects = snapshot.objects(class)?.collect::<Result<Vec<_>, _>>()?;
    let persons = [(1, "Ada", 2), (2, "Grace", 2)];
    let persons =
        persons.map(|(key, name, friend)| (PrimaryKey::Int(key), person(&schema(), name, friend)));
    assert_eq!(objects, persons);
    assert_eq!(snapshot.count(class)?, 2);
    let [ada, grace] = [1, 2].map(|key| encode_row(class, &PrimaryKey::Int(key)));
    assert_eq!(snapshot.links_to(&grace)?, [ada.clone(), grace]);
    assert_eq!(snapshot.links_to(&ada)?, [] as [Box<[u8]>; 0]);
    Ok(())
}

#[track_caller]
fn check_file(name: &str, options: &OpenOptions) -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("realm");
    let sectors = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name))?;
    let mut bytes = vec![0; FILE_LEN];
    for sector in sectors.chunks_exact(4 + 512) {
        let (offset, sector) = sector.split_first_chunk().ok_or("a sector has an offset")?;
        let offset = usize::try_from(u32::from_be_bytes(*offset))?;
        bytes[offset..offset + 512].copy_from_slice(sector);
    }
    fs::write(&path, bytes)?;
    let file = LocalFile::open(&path, options)?;
    check_contents(&file.snapshot()?)?;
    // It can also be written to.
    let state = FileState { version: ClientVersion(4), ..state() };
    file.write().commit(&Batch { state, ..Batch::default() })?;
    Ok(())
}

#[test]
fn a_file_of_format_1_opens() -> Outcome {
    check_file("format-1.sectors", &options())
}

#[test]
fn an_encrypted_file_of_format_1_opens() -> Outcome {
    check_file("format-1-encrypted.sectors", &options().encryption_key(key()))
}

/// Where the files above come from: the next format's are to be made by what this test makes.
#[test]
fn files_of_today_hold_the_same() -> Outcome {
    for (name, options) in
        [("today.realm", options()), ("today.encrypted.realm", options().encryption_key(key()))]
    {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        LocalFile::remove(&path)?;
        fill(&LocalFile::open(&path, &options)?)?;
        check_contents(&LocalFile::open(&path, &options)?.snapshot()?)?;
        assert_eq!(fs::read(&path)?.len(), FILE_LEN);
    }
    Ok(())
}
