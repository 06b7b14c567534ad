//! Partitions that are there when the server starts, and that nobody is interested in until the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bailiwick_client::{User, WriteError, WriteTransaction};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::device::{application, log_in};
use crate::sim::app::{Author, VERSIONS};
use crate::sim::choices::Choices;

/// How many transactions each partition has; their marks are 1 to that number.
pub(super) type Filled = BTreeMap<String, i64>;

/// Partitions that are filled at a time.
const AT_A_TIME: usize = 64;
/// The most transactions of one of them.
const MOST: usize = 8;

/// Fills so many partitions, from a device that is gone afterwards.
pub(super) async fn fill(base_url: &str, folder: &Path, seed: u64, count: u32) -> Result<Filled> {
    let folder = folder.join("filler");
    let user = log_in(base_url, &folder).await?;
    let filling = (0..count).map(|number| fill_one(&user, seed, number));
    let filled = stream::iter(filling).buffer_unordered(AT_A_TIME).try_collect().await?;
    drop(user);
    fs::remove_dir_all(&folder).context("the filler's folder")?;
    Ok(filled)
}

async fn fill_one(user: &User, seed: u64, number: u32) -> Result<(String, i64)> {
    let partition = format!("filled {number}");
    let mut choices = Choices::new(seed ^ u64::from(number) << 32);
    let application = Arc::new(application(seed, &partition));
    let version = choices.below(VERSIONS);
    let realm = user.realm(partition.clone(), application.schema(version)).cache_len(1 << 20);
    let realm = realm.open().await?;
    let transactions = 1 + i64::try_from(choices.below(MOST))?;
    for mark in 1..=transactions {
        let author = Author { device: 0, mark, version };
        let (application, mut choices) = (Arc::clone(&application), choices.fork());
        let write =
            move |tx: &mut WriteTransaction<'_>| application.write(tx, author, &mut choices);
        let _ = realm.write_async::<_, WriteError>(write).await?;
    }
    let sync = realm.sync().context("a realm of a user syncs")?.clone();
    sync.wait_for_upload().await?;
    sync.close().await;
    Ok((partition, transactions))
}
