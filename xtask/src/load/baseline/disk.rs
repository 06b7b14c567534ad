//! What the disk can do: syncs, and commits of redb.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use redb::{Database, Durability, TableDefinition};

use super::median;

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");

/// Rows that are there before, so that the tree has some depth.
const ROWS_BEFORE: u64 = 10_000;

/// Bytes of a row, and of what is appended to a file.
const ROW_LEN: usize = 1024;
const APPEND_LEN: usize = 100;

/// A file that grows, durably.
pub(super) struct Appended {
    file: File,
    path: PathBuf,
}

impl Appended {
    pub(super) fn new(dir: &Path) -> Result<Self> {
        let path = dir.join("sync");
        Ok(Self { file: OpenOptions::new().create(true).append(true).open(&path)?, path })
    }

    /// How long it takes to append a little, and to sync it.
    pub(super) fn append(&mut self) -> Result<Duration> {
        let before = Instant::now();
        self.file.write_all(&[7; APPEND_LEN])?;
        self.file.sync_data()?;
        Ok(before.elapsed())
    }
}

impl Drop for Appended {
    fn drop(&mut self) {
        // The whole directory goes with the run.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How long it takes to append a little to a file and to sync it, if nothing comes in between.
pub(super) fn median_sync(dir: &Path, slice: Duration) -> Result<Duration> {
    let mut file = Appended::new(dir)?;
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < slice {
        times.push(file.append()?.as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(times.into_iter())))
}

/// Rows of 1 KiB that become durable in a second, in commits of `rows` with redb's own settings.
pub(super) fn rows_per_second(dir: &Path, rows: u64, slice: Duration) -> Result<f64> {
    let path = dir.join("rows.redb");
    let database = Database::create(&path)?;
    let mut next = 0;
    let mut commit = |count: u64| -> Result<()> {
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(ROWS)?;
            for key in next..next + count {
                let mut row = [0; ROW_LEN];
                row[..8].copy_from_slice(&key.to_le_bytes());
                table.insert(key, row.as_slice())?;
            }
        }
        transaction.commit()?;
        next += count;
        Ok(())
    };
    commit(ROWS_BEFORE)?;
    let (start, mut count) = (Instant::now(), 0.0);
    while start.elapsed() < slice {
        commit(rows)?;
        count += 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "it is 1 or 100")]
    let rows_per_second = count * rows as f64 / start.elapsed().as_secs_f64();
    drop(database);
    std::fs::remove_file(path)?;
    Ok(rows_per_second)
}
