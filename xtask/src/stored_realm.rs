//! What a store has of a realm: a history, and the objects that the history gives, to the byte.

use anyhow::{Context as _, Result, bail, ensure};
use bailiwick_core::history::Entry;
use bailiwick_core::schema::Schema;
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::version::ServerVersion;
use bailiwick_storage::store::{RealmKey, Store};
use bytes::Bytes;

/// A realm, as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredRealm {
    /// The whole history.
    pub(crate) entries: Vec<Entry>,
    pub(crate) objects: State,
    /// The classes and fields, encoded.
    pub(crate) schema: Bytes,
}

/// The objects that a history gives, made again from nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replay {
    state: State,
    /// How many entries have gone into it.
    len: usize,
}

/// Objects that are read at a time.
const PAGE_LEN: usize = 10_000;

impl StoredRealm {
    /// Reads all of it. Nobody else writes meanwhile.
    pub(crate) fn read(store: &impl Store, key: &RealmKey) -> Result<Self> {
        let record = store.realm(key)?;
        let classes = Schema::decode(&record.schema).context("the schema")?;
        let entries = store.entries(key, ServerVersion(0), ServerVersion(u64::MAX), usize::MAX)?;
        let mut objects: Vec<(Box<[u8]>, Bytes)> = Vec::new();
        loop {
            let last = objects.last().map(|(row, _)| row.as_ref());
            let page = store.scan_objects(key, &[], last, PAGE_LEN)?;
            if page.is_empty() {
                let objects = State::new(classes, objects);
                return Ok(Self { entries, objects, schema: record.schema });
            }
            objects.extend(page);
        }
    }
}

impl Replay {
    /// Applies the entries that are new since the last time.
    ///
    /// # Errors
    ///
    /// One that cannot be applied, or that devices cannot apply as it is.
    pub(crate) fn replay(&mut self, entries: &[Entry]) -> Result<()> {
        ensure!(self.len <= entries.len(), "the history is shorter than it was");
        for entry in &entries[self.len..] {
            let version = entry.version.version;
            let changeset = Changeset::decode(&entry.changeset);
            let changeset = changeset.with_context(|| format!("{version} cannot be decoded"))?;
            let applied = self.state.apply(&changeset);
            let applied = applied.with_context(|| format!("{version} cannot be replayed"))?;
            ensure!(applied.rewritten.is_none(), "devices cannot apply {version}");
            self.len += 1;
        }
        Ok(())
    }

    /// Compares each byte with what is stored.
    ///
    /// # Errors
    ///
    /// The first difference, in readable form if it can be read.
    pub(crate) fn compare(&self, objects: &State, schema: &[u8]) -> Result<()> {
        let (replayed, stored) = (self.state.to_string(), objects.to_string());
        if let Some(differs) = first_difference(&replayed, &stored) {
            bail!("the history gives other objects than are stored: {differs}");
        }
        let (mut replayed, mut stored) = (self.state.rows(), objects.rows());
        loop {
            match (replayed.next(), stored.next()) {
                (None, None) => break,
                (ours, theirs) => ensure!(
                    ours == theirs,
                    "the history gives other bytes than are stored: {ours:?}, {theirs:?}"
                ),
            }
        }
        let classes = self.state.schema();
        // A realm without classes may have none stored.
        let is_empty = schema.is_empty() && *classes == Schema::default();
        ensure!(
            is_empty || classes.encode() == schema,
            "the history gives the classes in other bytes than are stored"
        );
        Ok(())
    }
}

/// The first line that differs, also where one text goes on after the end of the other.
pub(crate) fn first_difference(ours: &str, theirs: &str) -> Option<String> {
    let (mut ours, mut theirs) = (ours.lines(), theirs.lines());
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return None,
            (ours, theirs) if ours != theirs => return Some(format!("{ours:?}, {theirs:?}")),
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_core::apply::Changes;
    use bailiwick_core::schema::ClassId;
    use bailiwick_core::state::{ObjectRow, PrimaryKey, encode_row};
    use bailiwick_protocol::changeset::{Instruction, KeySpec, KeyType, ObjectKey, TableKind};

    use super::*;

    /// One class with two objects.
    fn replay() -> Replay {
        let mut changeset = Changeset::default();
        let table = changeset.strings.intern("Dog");
        let field = changeset.strings.intern("_id");
        let key = KeySpec { field, key_type: KeyType::Int, nullable: false };
        let create = |key| Instruction::CreateObject { table, object: ObjectKey::Int(key) };
        let declare = Instruction::AddTable { table, kind: TableKind::TopLevel(key) };
        changeset.instructions = vec![declare, create(1), create(2)];
        let mut replay = Replay::default();
        let _ = replay.state.apply(&changeset).unwrap();
        replay
    }

    /// The row is stored with these bytes, or is not there, instead of what the history gives.
    fn check_row(row: ObjectRow, bytes: Option<&'static [u8]>, problem: &str) {
        let replay = replay();
        let mut stored = replay.state.clone();
        let objects = vec![(row, bytes.map(Bytes::from_static))];
        stored.commit(Changes { schema: None, objects });
        let error = replay.compare(&stored, &stored.schema().encode()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn stored_objects_are_the_bytes_that_the_history_gives() {
        let row = |class, key| encode_row(class, &PrimaryKey::Int(key));
        let replay = replay();
        let class = replay.state.schema().class("Dog").unwrap().id();
        replay.compare(&replay.state, &replay.state.schema().encode()).unwrap();
        check_row(row(class, 2), None, "other objects");
        // States are equal that read the same, whatever else is stored.
        check_row(row(ClassId(99), 1), Some(b""), "other bytes");
    }

    #[test]
    fn stored_classes_are_the_bytes_that_the_history_gives() {
        let replay = replay();
        let schema = replay.state.schema().encode();
        assert!(replay.compare(&replay.state, &schema[..schema.len() - 1]).is_err());
        assert!(replay.compare(&replay.state, &[]).is_err());
        Replay::default().compare(&State::default(), &[]).unwrap();
    }

    #[test]
    fn a_text_that_goes_on_differs() {
        assert_eq!(first_difference("a\nb", "a\nb"), None);
        assert!(first_difference("a", "a\nb").unwrap().contains("\"b\""));
        assert!(first_difference("a\nb", "a").unwrap().contains("\"b\""));
    }
}
