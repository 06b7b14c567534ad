//! What an open realm costs: memory after it is opened, after all of its objects were read one by one, and after one of
//! them was found by its key; on Linux.
//!
//! ```text
//! cargo run --release -p bailiwick-client --example open_memory -- 100000
//! ```
//!
//! The file is made by a process of its own, so that what making it takes is not counted.

#![expect(clippy::print_stdout, reason = "it prints what it has measured")]

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use bailiwick_client::local::OpenOptions;
use bailiwick_client::{Realm, Schema, View, WriteError, object};

object! {
    /// An object of some 100 bytes.
    struct Item {
        #[primary_key]
        _id: i64,
        name: String,
        location: String,
        quantity: i64,
        price: f64,
    }
}

/// Objects of one transaction.
const TRANSACTION: i64 = 10_000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", path, count] => fill(path.as_ref(), count.parse()?),
        [] => measure(100_000),
        [count] => measure(count.parse()?),
        _ => bail!("usage: open_memory [COUNT]"),
    }
}

fn measure(count: i64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("items.realm");
    let filled = Command::new(std::env::current_exe()?)
        .arg("fill")
        .args([path.as_os_str(), count.to_string().as_ref()])
        .status()?;
    if !filled.success() {
        bail!("the file could not be made");
    }
    let len = std::fs::metadata(&path)?.len();
    println!("{count} objects, a file of {:.1} MiB", mib(len));

    let before = resident()?;
    let realm = open(&path)?;
    let report = |what: &str| -> Result<()> {
        println!("{what}: {:.1} MiB more", mib(resident()?.saturating_sub(before)));
        Ok(())
    };
    report("open")?;
    let view = View::new(realm.snapshot()?);
    view.get::<Item>(count / 2)?.context("the object is there")?;
    report("one object found by its key")?;
    let mut quantity = 0;
    for item in view.all::<Item>()? {
        quantity += item?.quantity;
    }
    report("all objects read one by one")?;
    println!("(sum of quantities: {quantity})");
    let items = view.all::<Item>()?.collect::<Result<Vec<_>, _>>()?;
    report("all objects held in a Vec")?;
    drop(items);
    Ok(())
}

fn fill(path: &Path, count: i64) -> Result<()> {
    let realm = open(path)?;
    for first in (0..count).step_by(usize::try_from(TRANSACTION)?) {
        realm.write(|tx| {
            for id in first..count.min(first + TRANSACTION) {
                let (name, location) = (format!("item {id}"), format!("shelf {}", id % 1000));
                let price = 0.99 + f64::from(u8::try_from(id % 100).unwrap_or_default());
                tx.insert(&Item { _id: id, name, location, quantity: id % 7, price })?;
            }
            Ok::<_, WriteError>(())
        })?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Realm> {
    Ok(Realm::open_local(path, &OpenOptions::local(), Schema::new().with::<Item>())?)
}

/// The memory of this process that is in use, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
