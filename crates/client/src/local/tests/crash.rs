//! A crash between any two writes, and a disk that fails at any write.

use bailiwick_storage::disk::{Disk, Keeps};

use super::batches;
use super::model::Model;
use super::{encrypted, plain};
use crate::local::{LocalError, LocalFile, OpenError, OpenOptions};

/// Seeds of batches that touch all tables; some of them grow the file, some only a record.
const SEEDS: std::ops::Range<u64> = 0..8;

/// What the file holds after each number of batches.
fn models() -> Vec<Model> {
    let mut models = vec![Model::default()];
    for seed in SEEDS {
        let mut model = models.last().unwrap().clone();
        model.commit(&batches::batch(&model, seed));
        models.push(model);
    }
    models
}

/// Commits the next batch; `from` batches were committed before.
fn carry_out(file: &LocalFile, models: &[Model], from: usize) -> Result<(), LocalError> {
    let batch = batches::batch(&models[from], SEEDS.start + from as u64);
    file.write().commit(&batch).map(drop)
}

/// Checks that the file holds what it did after `acknowledged` batches or one more, and that it can go on.
fn check_recovered(disk: Disk, options: &OpenOptions, acknowledged: usize, context: &str) {
    let models = models();
    let file =
        LocalFile::on_backend(disk, options).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let found = Model::read(&file).unwrap();
    let possible = acknowledged..models.len().min(acknowledged + 2);
    let Some(count) = possible.rev().find(|count| found == models[*count]) else {
        panic!("{context}: neither {acknowledged} batches nor one more, but {found:?}");
    };
    if count < SEEDS.count() {
        carry_out(&file, &models, count).unwrap();
        assert!(Model::read(&file).unwrap() == models[count + 1], "{context}: going on");
    }
}

fn check_crashes(options: &OpenOptions, batches: usize, disks: &[Keeps]) {
    let disk = Disk::default().with_log();
    let file = LocalFile::on_backend(disk.clone(), options).unwrap();
    // How many events it took until each batch was acknowledged.
    let mut acknowledged_at = Vec::new();
    for from in 0..batches {
        carry_out(&file, &models(), from).unwrap();
        acknowledged_at.push(disk.log().len());
    }
    let log = disk.log();
    for crash in 0..=log.len() {
        let acknowledged = acknowledged_at.iter().filter(|at| **at <= crash).count();
        for keeps in disks {
            let context = format!("crash after event {crash}, disk keeps {keeps:?}");
            let disk = Disk::after(&log[..crash]).crashed(*keeps);
            check_recovered(disk, options, acknowledged, &context);
        }
    }
}

#[test]
fn a_crash_at_any_write_loses_nothing_acknowledged() {
    let disks = [Keeps::Nothing, Keeps::Everything, Keeps::Some(1), Keeps::Some(2)];
    check_crashes(&plain(), SEEDS.count(), &disks);
}

/// Fewer cases, since ciphers take their time in a debug build.
#[test]
fn a_crash_of_an_encrypted_file_loses_nothing_either() {
    check_crashes(&encrypted(), 4, &[Keeps::Nothing, Keeps::Some(3)]);
}

#[test]
fn a_disk_that_fails_stops_the_file_until_it_is_opened_again() {
    let models = models();
    for (options, step) in [(plain(), 1), (encrypted(), 9)] {
        for healthy in (0..).step_by(step) {
            let disk = Disk::default();
            let file = LocalFile::on_backend(disk.clone(), &options).unwrap();
            disk.fail_after(healthy);
            let failure = (0..SEEDS.count())
                .find_map(|from| Some((from, carry_out(&file, &models, from).err()?)));
            let Some((from, error)) = failure else {
                assert!(healthy > 30, "{healthy} events are no workload");
                break;
            };
            assert!(matches!(error, LocalError::Storage(_)), "{error:?}");
            assert!(matches!(file.snapshot(), Err(LocalError::Stopped)));
            assert!(matches!(carry_out(&file, &models, from), Err(LocalError::Stopped)));
            drop(file);
            let context = format!("the disk fails after {healthy} events");
            check_recovered(disk.crashed(Keeps::Everything), &options, from, &context);
        }
    }
}

#[test]
fn a_disk_that_fails_while_a_file_is_made_leaves_none() {
    for options in [plain(), encrypted()] {
        for healthy in 0.. {
            let disk = Disk::default();
            disk.fail_after(healthy);
            match LocalFile::on_backend(disk.clone(), &options) {
                Ok(_) => break,
                Err(error) => assert!(matches!(error, OpenError::Io { .. }), "{error:?}"),
            }
            check_recovered(
                disk.crashed(Keeps::Everything),
                &options,
                0,
                &format!("{healthy} events"),
            );
        }
    }
}
