//! A device that writes, as a process of its own: `cargo xtask crash` starts it, tells it by its input what the server
//! does, and reads on its output what it has done.
//!
//! ```text
//! written MARK PARTITION         the transaction is on this device's disk
//! acknowledged MARK PARTITION    the server has it
//! problem TEXT                   something that must not happen
//! uploaded                       answers `upload`
//! compared                       answers `compare FOLDER`: what it has is written there, a file a partition
//! ```

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bailiwick_client::WriteError;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, mpsc};

use super::device::{Device, OpenRealm};
use crate::sim::app::Author;
use crate::sim::choices::Choices;

/// A device that `cargo xtask crash` kills.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    pub(super) url: String,
    #[arg(long)]
    pub(super) folder: PathBuf,
    /// The seed of the applications.
    #[arg(long)]
    pub(super) seed: u64,
    /// The seed of what this process does.
    #[arg(long)]
    pub(super) run_seed: u64,
    #[arg(long)]
    pub(super) device: u32,
    /// Its transactions have this mark and those that follow.
    #[arg(long)]
    pub(super) first_mark: i64,
    #[arg(long)]
    pub(super) partition: Vec<String>,
}

/// The longest pause between two transactions of a partition.
const PAUSE_MS: usize = 30;

impl Args {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
        if let Err(error) = runtime.block_on(self.work(read_commands())) {
            say(&format!("problem {error:#}"));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Writes until there are no more commands.
    async fn work(self, mut commands: mpsc::UnboundedReceiver<String>) -> Result<()> {
        let Self { url, folder, seed, run_seed, device, first_mark, partition } = self;
        let mut choices = Choices::new(run_seed);
        let opened = Device::open(&url, &folder, seed, choices.number(), &partition).await?;
        let next_mark = Arc::new(AtomicI64::new(first_mark));
        let gate = Arc::new(RwLock::new(()));
        for (partition, open) in &opened.realms {
            let (wrote, written) = mpsc::unbounded_channel();
            let writer = Writer {
                partition: partition.clone(),
                open: open.clone(),
                device,
                next_mark: Arc::clone(&next_mark),
                gate: Arc::clone(&gate),
                wrote,
            };
            tokio::spawn(acknowledge(partition.clone(), open.clone(), written));
            let choices = choices.fork();
            tokio::spawn(async move {
                if let Err(error) = writer.write(choices).await {
                    say(&format!("problem {error:#}"));
                }
            });
        }
        let mut pause: Option<OwnedRwLockWriteGuard<()>> = None;
        while let Some(command) = commands.recv().await {
            match command.split_once(' ').unwrap_or((&command, "")) {
                ("back", _) => opened.reconnect().await,
                ("upload", _) => {
                    // Everybody has finished a transaction then, and nobody begins one.
                    pause = Some(Arc::clone(&gate).write_owned().await);
                    opened.upload().await?;
                    say("uploaded");
                }
                ("compare", folder) => {
                    opened.download().await?;
                    save_contents(&opened, folder.as_ref())?;
                    say("compared");
                }
                ("go", _) => drop(pause.take()),
                (other, _) => say(&format!("problem it was told {other:?}")),
            }
            opened.take_problems().iter().for_each(|problem| say(&format!("problem {problem}")));
        }
        Ok(())
    }
}

/// Whoever writes to one partition.
struct Writer {
    partition: String,
    open: OpenRealm,
    device: u32,
    next_mark: Arc<AtomicI64>,
    /// Closed while nobody is to write.
    gate: Arc<RwLock<()>>,
    wrote: mpsc::UnboundedSender<i64>,
}

impl Writer {
    async fn write(self, mut choices: Choices) -> Result<()> {
        loop {
            let pause = Duration::from_millis(choices.below(PAUSE_MS) as u64);
            tokio::time::sleep(pause).await;
            let _is_open = self.gate.read().await;
            let mark = self.next_mark.fetch_add(1, Ordering::Relaxed);
            let author = Author { device: self.device, mark, version: self.open.version };
            let application = Arc::clone(&self.open.application);
            let mut choices = choices.fork();
            let write = self.open.realm.write_async::<_, WriteError>(move |tx| {
                application.write(tx, author, &mut choices).map(drop)
            });
            write.await.with_context(|| format!("{} cannot be written", self.partition))?;
            say(&format!("written {mark} {}", self.partition));
            // Whoever is told ends with the process.
            let _ = self.wrote.send(mark);
        }
    }
}

/// Says what the server has.
async fn acknowledge(
    partition: String,
    open: OpenRealm,
    mut written: mpsc::UnboundedReceiver<i64>,
) {
    let mut marks = Vec::new();
    while written.recv_many(&mut marks, usize::MAX).await > 0 {
        if let Err(error) = open.sync.wait_for_upload().await {
            return say(&format!("problem {partition}: {error}"));
        }
        for mark in marks.drain(..) {
            say(&format!("acknowledged {mark} {partition}"));
        }
    }
}

fn save_contents(device: &Device, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (partition, state) in device.contents()? {
        fs::write(folder.join(partition), state.to_string())?;
    }
    Ok(())
}

/// The lines of the input, which ends with whoever has started this process.
fn read_commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
    });
    commands
}

/// Says something in one piece: the process may be killed at any time.
fn say(line: &str) {
    // Nobody listens any more if whoever has started this process is gone.
    let _ = std::io::stdout().write_all(format!("{}\n", line.replace('\n', " ")).as_bytes());
}
