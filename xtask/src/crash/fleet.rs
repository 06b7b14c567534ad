//! The devices that write, each a process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::ledger::Ledger;
use crate::sim::choices::Choices;

/// All of them.
pub(super) struct Fleet {
    base_url: String,
    folder: PathBuf,
    seed: u64,
    partitions: Vec<String>,
    members: Vec<Member>,
    heard: Arc<Heard>,
}

/// What they have said.
#[derive(Default)]
struct Heard {
    ledger: Mutex<Ledger>,
    problems: Mutex<Vec<String>>,
}

/// What a device has written down of what it has.
pub(super) struct Saved {
    pub(super) folder: PathBuf,
    /// It has a file for each of these.
    pub(super) partitions: Vec<String>,
}

/// A device that runs; killed when it is dropped.
struct Member {
    device: u32,
    /// How often it was started before.
    runs: u32,
    process: Child,
    input: ChildStdin,
    answers: Receiver<String>,
    listening: Option<JoinHandle<()>>,
}

/// Partitions that each device writes to.
const PARTITIONS_PER_DEVICE: usize = 2;

impl Fleet {
    pub(super) fn new(base_url: &str, folder: &Path, seed: u64, partitions: Vec<String>) -> Self {
        let (base_url, folder) = (base_url.to_owned(), folder.to_owned());
        let (members, heard) = (Vec::new(), Arc::default());
        Self { base_url, folder, seed, partitions, members, heard }
    }

    /// Starts one more device.
    pub(super) fn start(&mut self, device: u32, choices: &mut Choices) -> Result<()> {
        let member = self.spawn(device, 0, choices)?;
        self.members.push(member);
        Ok(())
    }

    /// Kills a device and starts it again.
    pub(super) fn kill_one(&mut self, choices: &mut Choices) -> Result<()> {
        let place = choices.below(self.members.len());
        let member = &mut self.members[place];
        member.kill()?;
        let (device, runs) = (member.device, member.runs + 1);
        self.members[place] = self.spawn(device, runs, choices)?;
        Ok(())
    }

    /// Lets them finish what they have begun and upload it. They write no more until they are told `go`.
    pub(super) fn upload(&mut self, deadline: Instant) -> Result<()> {
        self.tell("upload")?;
        self.hear("uploaded", deadline)
    }

    /// Lets them download everything, and write what they have to folders with the names that [`folder`] gives.
    pub(super) fn compare(&mut self, within: &Path, deadline: Instant) -> Result<()> {
        for member in &mut self.members {
            let folder = folder(within, member.device);
            member.tell(&format!("compare {}", folder.display()))?;
        }
        self.hear("compared", deadline)
    }

    /// Where each device writes what it has, and of which partitions.
    pub(super) fn saved(&self, within: &Path) -> Vec<Saved> {
        let saved = |member: &Member| Saved {
            folder: folder(within, member.device),
            partitions: self.partitions_of(member.device).cloned().collect(),
        };
        self.members.iter().map(saved).collect()
    }

    pub(super) fn tell(&mut self, command: &str) -> Result<()> {
        self.members.iter_mut().try_for_each(|member| member.tell(command))
    }

    /// Ends all of them.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(Member::kill)?;
        self.members.clear();
        Ok(())
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.heard.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What they have complained about since somebody asked.
    pub(super) fn take_problems(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.problems.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hear(&mut self, answer: &str, deadline: Instant) -> Result<()> {
        for member in &mut self.members {
            let left = deadline.saturating_duration_since(Instant::now());
            let device = member.device;
            match member.answers.recv_timeout(left) {
                Ok(heard) if heard == answer => (),
                Ok(heard) => bail!("device {device} says {heard:?}, not {answer:?}"),
                Err(_) => {
                    let problems = self.take_problems();
                    bail!("device {device} does not say {answer:?}; problems: {problems:?}")
                }
            }
        }
        Ok(())
    }

    fn partitions_of(&self, device: u32) -> impl Iterator<Item = &String> {
        let first = device as usize;
        let places = first..first + PARTITIONS_PER_DEVICE;
        places.map(|place| &self.partitions[place % self.partitions.len()])
    }

    fn spawn(&self, device: u32, runs: u32, choices: &mut Choices) -> Result<Member> {
        let mut program = Command::new(std::env::current_exe()?);
        program.args(["crash-writer", "--url", &self.base_url]);
        program.arg("--folder").arg(self.folder.join(format!("device {device}")));
        program.arg("--seed").arg(self.seed.to_string());
        program.arg("--run-seed").arg(choices.number().to_string());
        program.arg("--device").arg(device.to_string());
        program.arg("--first-mark").arg(first_mark(device, runs).to_string());
        for partition in self.partitions_of(device) {
            program.arg("--partition").arg(partition);
        }
        let mut process = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("can't start a device")?;
        let input = process.stdin.take().context("its input is piped")?;
        let output = process.stdout.take().context("its output is piped")?;
        let (sender, answers) = mpsc::channel();
        let heard = Arc::clone(&self.heard);
        let listening = Some(thread::spawn(move || listen(output, device, &heard, &sender)));
        Ok(Member { device, runs, process, input, answers, listening })
    }
}

impl Member {
    fn tell(&mut self, command: &str) -> Result<()> {
        writeln!(self.input, "{command}")
            .with_context(|| format!("device {} has ended by itself", self.device))
    }

    /// Ends it without a chance to do anything about it; what it had said by then is heard.
    fn kill(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("device {} has ended by itself with {status}", self.device);
        }
        self.process.kill()?;
        self.process.wait()?;
        if let Some(listening) = self.listening.take() {
            listening.join().map_err(|_| anyhow::anyhow!("nobody listens to a device"))?;
        }
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // There is nobody who could be told.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where a device writes what it has.
pub(super) fn folder(within: &Path, device: u32) -> PathBuf {
    within.join(format!("contents of {device}"))
}

/// The marks of a device's run are its own.
fn first_mark(device: u32, runs: u32) -> i64 {
    i64::from(device) << 48 | i64::from(runs) << 32
}

/// Hears a device to its end.
fn listen(output: ChildStdout, device: u32, heard: &Heard, answers: &Sender<String>) {
    let problem = |text: String| {
        heard.problems.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    };
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let mut words = line.splitn(3, ' ');
        let ledger = || heard.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        match (words.next(), words.next().map(str::parse), words.next()) {
            (Some("written"), Some(Ok(mark)), Some(partition)) => ledger().written(partition, mark),
            (Some("acknowledged"), Some(Ok(mark)), Some(partition)) => {
                ledger().acknowledged(partition, mark);
            }
            (Some("uploaded" | "compared"), None, None) => {
                // Whoever waited may have given up.
                let _ = answers.send(line);
            }
            _ => problem(format!("device {device}: {line}")),
        }
    }
}
