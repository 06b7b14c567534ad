//! What is committed is what is read.

use std::fs;

use proptest::prelude::*;
use tempfile::tempdir;

use super::batches::{self, MARK};
use super::model::Model;
use super::{encrypted, plain};
use crate::local::{Change, LocalError, LocalFile, Origin};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever is committed, each snapshot holds exactly that, and stays as it is.
    #[test]
    fn a_file_is_as_the_model(seeds in prop::collection::vec(any::<u64>(), 1..20)) {
        let file = LocalFile::in_memory();
        let mut model = Model::default();
        for seed in seeds {
            let earlier = file.snapshot().unwrap();
            let batch = batches::batch(&model, seed);
            let version = file.write().commit(&batch).unwrap();
            prop_assert_eq!(version, batch.state.version);
            prop_assert_eq!(earlier.state(), &model.state);
            model.commit(&batch);
            prop_assert_eq!(&Model::read(&file).unwrap(), &model);
        }
    }
}

/// A file with the batches of these seeds.
fn filled(file: &LocalFile, seeds: std::ops::Range<u64>) -> Model {
    let mut model = Model::default();
    for seed in seeds {
        let batch = batches::batch(&model, seed);
        file.write().commit(&batch).unwrap();
        model.commit(&batch);
    }
    model
}

#[test]
fn random_batches_are_of_all_kinds() {
    let model = filled(&LocalFile::in_memory(), 0..200);
    assert!(model.objects.len() > 2 && model.history.len() > 2);
    assert!(model.links().len() > 5, "{:?}", model.links());
    let empty = |seed| batches::batch(&model, seed).append.is_empty();
    assert!((0..100).any(empty) && (0..100).any(|seed| !empty(seed)));
}

#[test]
fn a_file_keeps_its_contents_when_it_is_closed() {
    let dir = tempdir().unwrap();
    for (name, options) in [("plain", plain()), ("encrypted", encrypted())] {
        let path = dir.path().join(name);
        let model = filled(&LocalFile::open(&path, &options).unwrap(), 0..20);
        assert_eq!(Model::read(&LocalFile::open(&path, &options).unwrap()).unwrap(), model);
    }
}

#[test]
fn an_encrypted_file_shows_nothing_of_its_contents() {
    let dir = tempdir().unwrap();
    let secrets = [
        MARK,
        "shop-abcde",
        "65a000000000000000000001",
        "store 42",
        "Person",
        "redb",
        "objects",
        "history",
        "owner",
    ];
    for (name, options, shows) in [("plain", plain(), true), ("encrypted", encrypted(), false)] {
        let path = dir.path().join(name);
        filled(&LocalFile::open(&path, &options).unwrap(), 0..20);
        let bytes = fs::read(&path).unwrap();
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert_eq!(found, shows, "{secret:?} in the {name} file");
        }
    }
}

#[test]
fn a_commit_of_only_a_reset_record_makes_no_version_and_no_news() {
    let file = LocalFile::in_memory();
    let model = filled(&file, 0..3);
    let mut news = file.news();
    let mut batch = crate::local::Batch { state: model.state.clone(), ..Default::default() };
    for reset in [None, Some(batches::pending_reset_of(1)), None] {
        batch.reset = Change::To(reset.clone());
        assert_eq!(file.write().commit(&batch).unwrap(), model.state.version);
        assert_eq!(file.snapshot().unwrap().pending_reset(), reset.as_ref());
    }
    assert!(news.try_recv().is_err());
}

#[test]
fn observers_hear_of_each_version() {
    let file = LocalFile::in_memory();
    let mut news = file.news();
    let mut batch = batches::batch(&Model::default(), 1);
    batch.origin = Origin::Remote;
    file.write().commit(&batch).unwrap();
    let heard = news.try_recv().unwrap();
    assert_eq!((heard.version, heard.origin), (batch.state.version, Origin::Remote));
    assert!(heard.schema_changed);
    assert!(heard.rows.iter().eq(batch.changes.objects.iter().map(|(row, _)| row)));
}

#[test]
#[should_panic(expected = "versions only grow")]
fn a_version_does_not_come_back() {
    let file = LocalFile::in_memory();
    filled(&file, 0..3);
    let _ = file.write().commit(&crate::local::Batch::default());
}

#[test]
fn a_snapshot_does_not_outlive_its_file() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    let file = LocalFile::open(&path, &plain()).unwrap();
    filled(&file, 0..3);
    drop(file);
    // Nothing of it is in memory.
    let file = LocalFile::open(&path, &plain().check_up_to(0)).unwrap();
    let snapshot = file.snapshot().unwrap();
    drop(file);
    let class = snapshot.schema().class("Person").unwrap().id();
    let found = snapshot.objects(class).and_then(|mut objects| objects.next().transpose());
    assert!(matches!(found, Err(LocalError::Closed)), "{found:?}");
}
