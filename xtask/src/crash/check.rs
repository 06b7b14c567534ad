//! What must hold after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use bailiwick_client::PartitionValue;
use bailiwick_core::state::State;
use bailiwick_server::http::websocket::realm_key;
use bailiwick_storage::redb::RedbStore;
use bailiwick_storage::store::RealmKey;
use serde_json::{Value, json};

use super::device::Device;
use super::figures::Disk;
use super::fill::Filled;
use super::fleet::Saved;
use super::ledger::{Acknowledged, Ledger};
use super::server::{APP_ID, ServerProcess};
use crate::sim::app;
use crate::stored_realm::{Replay, StoredRealm, first_difference};

/// What devices have, by partition.
pub(super) type Contents = BTreeMap<String, State>;

/// A device has what was acknowledged, once.
pub(super) fn acknowledged(reader: &Device, acknowledged: &Acknowledged) -> Result<()> {
    for (partition, marks) in acknowledged {
        let open = reader.realms.get(partition).context("nobody reads this partition")?;
        let snapshot = open.realm.snapshot()?;
        for mark in marks {
            match app::find_mark(&snapshot, *mark)?.map(|found| found.times) {
                Some(1) => (),
                Some(times) => bail!("{partition}: transaction {mark:#x} is there {times} times"),
                None => bail!("{partition}: transaction {mark:#x} was acknowledged and is lost"),
            }
        }
    }
    Ok(())
}

/// All devices have saved, in the folders that are theirs, what the reader has of the partitions that are theirs.
pub(super) fn contents(reader: &Contents, saved: &[Saved]) -> Result<()> {
    for Saved { folder, partitions } in saved {
        for partition in partitions {
            let expected =
                reader.get(partition).context("nobody reads this partition")?.to_string();
            let found = fs::read_to_string(folder.join(partition))
                .with_context(|| format!("{}: {partition} is missing", folder.display()))?;
            if let Some(differs) = first_difference(&expected, &found) {
                fs::write(folder.join(format!("{partition}, as read")), &expected)?;
                bail!("{}: {partition} differs: {differs}", folder.display());
            }
            // Nobody takes it for what the device says the next time.
            fs::remove_file(folder.join(partition))?;
        }
    }
    Ok(())
}

/// All transactions are there, each once.
pub(super) fn marks(contents: &Contents, ledger: &Ledger) -> Result<()> {
    for (partition, written) in ledger.partitions() {
        let found = app::marks(contents.get(partition).context("nobody reads this partition")?);
        let lost = written.written.iter().find(|mark| !found.contains_key(mark));
        ensure!(lost.is_none(), "{partition}: transaction {lost:#x?} was written and is lost");
        let repeated = found.iter().find(|(_, mark)| mark.times != 1);
        ensure!(repeated.is_none(), "{partition}: {repeated:#x?} is not there once");
    }
    Ok(())
}

/// The server's disk agrees with devices and with itself. Only while the server does not run.
pub(super) fn disk(server: &ServerProcess, reader: &Contents, filled: &Filled) -> Result<Disk> {
    // This opens what the last crash has left.
    for (partition, state) in reader {
        let mut dump = server.dump(partition)?;
        let mut expected = dump_of(state)?;
        dump.iter_mut().chain(&mut expected).for_each(sort_sets);
        let differs = expected.iter().zip(&dump).find(|(a, b)| a != b);
        ensure!(differs.is_none(), "`bailiwick dump` of {partition} differs: {differs:?}");
        ensure!(expected.len() == dump.len(), "`bailiwick dump` of {partition} has another length");
    }
    let folder = server.data()?;
    let store = RedbStore::in_dir(folder)?;
    let mut figures = Disk::default();
    for partition in reader.keys().chain(filled.keys()) {
        let key = realm_key(APP_ID, &PartitionValue::from(partition.as_str()));
        let realm = check_realm(&store, &key).with_context(|| partition.clone())?;
        figures.partitions += 1;
        figures.entries += realm.entries.len();
        if let Some(state) = reader.get(partition) {
            ensure!(
                realm.objects == *state,
                "{partition}: a device differs from the server's disk"
            );
        }
        if let Some(count) = filled.get(partition) {
            let marks = app::marks(&realm.objects);
            let is_complete = marks.keys().copied().eq(1..=*count);
            ensure!(is_complete, "{partition} has lost something: {marks:?} of {count}");
        }
    }
    drop(store);
    for file in fs::read_dir(folder)? {
        figures.len += file?.metadata()?.len();
    }
    Ok(figures)
}

/// Each version of each device is in the history once, and the objects are what the history says, to the byte.
fn check_realm(store: &RedbStore, key: &RealmKey) -> Result<StoredRealm> {
    let realm = StoredRealm::read(store, key)?;
    let mut versions = BTreeSet::new();
    for entry in &realm.entries {
        let author = (entry.origin_file_ident, entry.client_version);
        ensure!(versions.insert(author), "{author:?} is integrated twice");
    }
    let mut replay = Replay::default();
    replay.replay(&realm.entries)?;
    replay.compare(&realm.objects, &realm.schema)?;
    Ok(realm)
}

/// What `bailiwick dump` should say of a state.
fn dump_of(state: &State) -> Result<Vec<Value>> {
    let mut lines = Vec::new();
    for class in state.schema().classes() {
        let mut line = class.to_json(state.schema());
        line.insert("table".to_owned(), json!(class.name()));
        lines.push(Value::Object(line));
    }
    for class in state.schema().classes() {
        for (key, object) in state.objects(class.id())? {
            let fields = state.fields_json(class, &key, &object);
            lines.push(json!({ "table": class.name(), "object": key.to_json(), "fields": fields }));
        }
    }
    Ok(lines)
}

/// Sets have their links in an order that is each realm's own.
fn sort_sets(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(sort_sets),
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "set")
                && let Some(Value::Array(items)) = fields.get_mut("items")
            {
                items.sort_by_cached_key(Value::to_string);
            }
            fields.values_mut().for_each(sort_sets);
        }
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bailiwick_client::local::LocalFile;
    use bailiwick_client::{Realm, WriteError, WriteTransaction};

    use super::*;

    /// What a device has whose transactions have these marks; one that is there twice was integrated twice.
    fn contents_with(found: &[i64]) -> Contents {
        let application = super::super::device::application(1, "p");
        let realm = Realm::open(Arc::new(LocalFile::in_memory()), application.schema(0)).unwrap();
        for mark in found {
            let add = |tx: &mut WriteTransaction<'_>| {
                tx.create_or_update("Mark", *mark)?.add("times", 1)?;
                Ok::<_, WriteError>(())
            };
            realm.write(add).unwrap();
        }
        Contents::from([("p".to_owned(), app::contents(&realm.snapshot().unwrap()))])
    }

    fn check_marks(written: &[i64], found: &[i64], problem: Option<&str>) {
        let mut ledger = Ledger::default();
        for mark in written {
            ledger.written("p", *mark);
        }
        let error = marks(&contents_with(found), &ledger).err().map(|error| error.to_string());
        match (&error, problem) {
            (None, None) => (),
            (Some(error), Some(problem)) if error.contains(problem) => (),
            _ => panic!("{written:?}, {found:?}: {error:?}"),
        }
    }

    #[test]
    fn a_transaction_that_is_lost_or_repeated_is_found() {
        check_marks(&[1, 2], &[1, 2], None);
        // Its device was killed before it could say so.
        check_marks(&[1], &[1, 2], None);
        check_marks(&[1, 2], &[1], Some("is lost"));
        check_marks(&[1, 2], &[1, 2, 2], Some("not there once"));
    }

    #[test]
    fn each_device_has_saved_each_partition_as_the_reader_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let contents_of = contents_with(&[1]);
        let saved = [Saved { folder: folder.path().to_owned(), partitions: vec!["p".to_owned()] }];
        let problem = || contents(&contents_of, &saved).map_err(|error| error.to_string());
        assert!(problem().unwrap_err().ends_with("p is missing"));
        fs::write(folder.path().join("p"), contents_of["p"].to_string()).unwrap();
        problem().unwrap();
        assert!(problem().is_err(), "it was saved for one comparison");
        fs::write(folder.path().join("p"), contents_with(&[2])["p"].to_string()).unwrap();
        assert!(problem().unwrap_err().contains("p differs"));
    }

    #[test]
    fn sets_compare_whatever_their_order_and_lists_do_not() {
        let value = |kind: &str, items: [i64; 2]| {
            let mut value = json!({ "fields": [{ "type": kind, "items": items }] });
            sort_sets(&mut value);
            value
        };
        assert_eq!(value("set", [1, 2]), value("set", [2, 1]));
        assert_ne!(value("list", [1, 2]), value("list", [2, 1]));
    }
}
