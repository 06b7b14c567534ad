//! A device: the whole production stack but sockets, on disks that outlive it.

mod folder;
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_client::files::RealmFiles;
use bailiwick_client::local::{FileState, LocalFile, OpenError, Origin, Progress, Snapshot};
use bailiwick_client::realm::Realm;
use bailiwick_client::schema::Schema;
use bailiwick_client::session::{FileRole, FileStatus, Input, StorageAnswer, StorageRequest};
use bailiwick_client::write::{WriteError, WriteTransaction};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp};
use bailiwick_storage::disk::{Keeps, Power};
use tokio::sync::broadcast::error::TryRecvError;

use super::agenda::Time;
use super::limits::Limits;
use super::tally::{Met, SharedTally};
use super::violation::{Check, Violation};
pub(crate) use folder::Folder;
pub(crate) use process::{Effect, key as realm_key};
use process::{OpenRealm, Process};

/// A device, running or not.
pub(crate) struct Device {
    pub(crate) user: String,
    pub(crate) folders: Vec<Folder>,
    power: Power,
    is_full: bool,
    /// What the device takes for the time, in milliseconds since 2015.
    clock: Arc<AtomicU64>,
    limits: Limits,
    tally: SharedTally,
    runs: u64,
    running: Option<Process>,
}

/// Why a process has to end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The power has failed.
    Power,
    /// The disk is full, so that a file takes nothing more until it is opened again.
    Full,
    /// That should not be.
    Violation(Violation),
}

/// A request that was carried out.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) answer: StorageAnswer,
    /// How often disks were flushed.
    pub(crate) sync_count: usize,
}

/// A transaction that is durable.
#[derive(Debug)]
pub(crate) struct Written<R> {
    /// The version that it has.
    pub(crate) version: ClientVersion,
    /// What the closure has returned.
    pub(crate) made: R,
    /// How often disks were flushed.
    pub(crate) sync_count: usize,
}

impl Device {
    pub(crate) fn new(
        user: String,
        folders: Vec<Folder>,
        limits: Limits,
        tally: SharedTally,
    ) -> Self {
        let mut device = Self {
            user,
            folders,
            power: Power::default(),
            is_full: false,
            clock: Arc::default(),
            limits,
            tally,
            runs: 0,
            running: None,
        };
        device.end(Keeps::Everything);
        device
    }

    /// Starts the process: opens its realms and their sync.
    pub(crate) fn start(
        &mut self,
        now: Time,
        seed: u64,
        schema: impl Fn(&Folder) -> Schema,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Stop> {
        self.runs += 1;
        let mut process = Process::new(seed, &self.limits, self.tally.clone());
        for folder in &self.folders {
            let realm = self.open(folder, schema(folder))?;
            process.realms.push(realm);
        }
        for (index, folder) in self.folders.iter().enumerate() {
            let (path, reset_mode) = (folder.partition.path(), folder.reset_mode);
            let open = Input::Open { realm: process::key(index), path, reset_mode };
            process.input(now, open, effects)?;
        }
        self.running = Some(process);
        self.alive()
    }

    fn open(&self, folder: &Folder, schema: Schema) -> Result<OpenRealm, Stop> {
        let file = match LocalFile::on_backend(folder.main(), &folder.options()) {
            Ok(file) => Arc::new(file),
            Err(error @ OpenError::Io { .. }) => return Err(self.why(&error)),
            Err(error) => {
                let message = format!("a device's file does not open: {error:?}");
                return Err(Violation::new(Check::Durable, message).into());
            }
        };
        let clock = Arc::clone(&self.clock);
        let clock = Arc::new(move || OriginTimestamp(clock.load(Ordering::Relaxed)));
        let realm = match Realm::with_clock(Arc::clone(&file), schema, clock) {
            Ok(realm) => realm,
            Err(error @ WriteError::Local(_)) => return Err(self.why(&error)),
            Err(error) => return Err(unexpected("a schema is refused", &error).into()),
        };
        Ok(OpenRealm::new(RealmFiles::new(file, folder.fresh()), realm))
    }

    /// The process ends between two instructions, and the disks keep what they keep.
    pub(crate) fn end(&mut self, keeps: Keeps) {
        let power = Power::default();
        for folder in &mut self.folders {
            if folder.crash(keeps, &power) {
                self.tally.meet(Met::TornWrite);
            }
        }
        // What the old process does as it is dropped reaches the old disks only, and not even them.
        self.power.last_for(0);
        self.running = None;
        self.power = power;
    }

    /// Hands something to the machine, if there is one.
    pub(crate) fn input(
        &mut self,
        now: Time,
        input: Input,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        match &mut self.running {
            Some(process) => process.input(now, input, effects),
            None => Ok(()),
        }
    }

    /// Carries out what a file was asked for.
    pub(crate) fn store(&mut self, index: usize, role: FileRole) -> Result<Option<Stored>, Stop> {
        let Some(process) = &mut self.running else { return Ok(None) };
        let Some(request) = process.realms[index].take_request(role) else { return Ok(None) };
        if let StorageRequest::Reset { .. } = request {
            // Nobody may hear that it is done.
            self.folders[index].progress = Progress::default();
        }
        let answer = process.realms[index].files.execute(role, request, OriginTimestamp(1));
        self.alive()?;
        let sync_count = self.folders[index].take_sync_count();
        match answer {
            StorageAnswer::Failed(error) => Err(self.why(&error)),
            StorageAnswer::ProtocolViolation(_)
            | StorageAnswer::IntegrationFailed { .. }
            | StorageAnswer::ResetFailed(_) => {
                Err(unexpected("a device cannot go on", &format!("{answer:?}")).into())
            }
            answer => {
                self.check_cursors(index, role, &answer)?;
                Ok(Some(Stored { answer, sync_count }))
            }
        }
    }

    /// Tells the machine what came of a request.
    pub(crate) fn stored(
        &mut self,
        now: Time,
        index: usize,
        role: FileRole,
        answer: StorageAnswer,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        let Some(process) = &mut self.running else { return Ok(()) };
        process.realms[index].note(role, &answer);
        process.input(now, Input::Stored(process::key(index), role, answer), effects)
    }

    /// Writes a transaction. What is returned is durable.
    pub(crate) fn write<R>(
        &mut self,
        now: Time,
        index: usize,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> Result<R, WriteError>,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Written<R>>, Stop> {
        let Some(process) = &mut self.running else { return Ok(None) };
        let open = &mut process.realms[index];
        let written = match open.realm.write(edit) {
            Ok(written) => written,
            Err(error @ WriteError::Local(_)) => return Err(self.why(&error)),
            Err(error) => return Err(unexpected("it cannot be written", &error).into()),
        };
        let sync_count = self.folders[index].take_sync_count();
        loop {
            let news = match open.news.try_recv() {
                Ok(news) => news,
                // There was more that others wrote than is kept.
                Err(TryRecvError::Lagged(_)) => continue,
                Err(_) => break,
            };
            if let (Origin::Local, Some(uploadable)) = (news.origin, news.uploadable) {
                let (realm, version) = (process::key(index), news.version);
                open.last_written = version;
                process.input(now, Input::Committed { realm, version, uploadable }, effects)?;
                return Ok(Some(Written { version, made: written, sync_count }));
            }
        }
        Err(Violation::new(Check::Acknowledged, "nobody was told of a commit").into())
    }

    /// Whether the next thing that a file does is a client reset.
    pub(crate) fn is_resetting(&self, index: usize, role: FileRole) -> bool {
        self.running.as_ref().is_some_and(|process| process.realms[index].is_resetting(role))
    }

    /// Whether a main file is asked for something that it has not done.
    pub(crate) fn has_request(&self, index: usize) -> bool {
        self.running.as_ref().is_some_and(|process| process.realms[index].has_request())
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Which process it is, counted from 1.
    pub(crate) fn run(&self) -> u64 {
        self.runs
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.running.as_ref().is_some_and(|process| process.is_reading)
    }

    pub(crate) fn wake_at(&self) -> Option<Time> {
        self.running.as_ref()?.wake_at
    }

    /// What a main file is at, as the machine was told last.
    pub(crate) fn status(&self, index: usize) -> Option<&FileStatus> {
        self.running.as_ref()?.realms[index].status.as_ref()
    }

    /// Whether all that the app has written is acknowledged.
    pub(crate) fn is_uploaded(&self, index: usize) -> bool {
        let Some(process) = &self.running else { return false };
        let OpenRealm { status, last_written, .. } = &process.realms[index];
        status.as_ref().is_some_and(|status| {
            let newest = status.last_uploadable.max(*last_written);
            status.state.progress.upload.client_version >= newest
        })
    }

    pub(crate) fn snapshot(&self, index: usize) -> Option<Snapshot> {
        Some(self.running.as_ref()?.realms[index].snapshot())
    }

    /// What a main file says of itself, whether a process has it open or not.
    pub(crate) fn state(&self, index: usize) -> FileState {
        if let Some(snapshot) = self.snapshot(index) {
            return snapshot.state().clone();
        }
        let folder = &self.folders[index];
        let file =
            LocalFile::on_backend(folder.main().crashed(Keeps::Everything), &folder.options());
        let snapshot = file.expect("the disk works").snapshot();
        snapshot.expect("the disk works").state().clone()
    }

    /// Sets the clock that the app's writes take their time from.
    pub(crate) fn set_clock(&self, millis: u64) {
        self.clock.store(millis, Ordering::Relaxed);
    }

    /// The power fails after so many events of the disks, or not at all.
    pub(crate) fn set_power(&self, events: Option<usize>) {
        self.power.last_for(events.unwrap_or(usize::MAX));
    }

    /// Leaves so much room on the disk, or as much as anybody wants.
    pub(crate) fn set_room(&mut self, bytes: Option<usize>) {
        self.is_full = bytes.is_some();
        for folder in &self.folders {
            folder.set_room(bytes);
        }
    }

    /// Whether the disk is full, or will soon be.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// From now on flushing main files only says that it is done, until the process ends.
    pub(crate) fn pretend_to_flush(&self) {
        self.folders.iter().for_each(Folder::pretend_to_flush);
    }

    fn alive(&self) -> Result<(), Stop> {
        if self.power.is_out() { Err(Stop::Power) } else { Ok(()) }
    }

    /// Why a disk has failed.
    fn why(&self, error: &dyn std::fmt::Debug) -> Stop {
        if self.power.is_out() {
            Stop::Power
        } else if self.is_full {
            Stop::Full
        } else {
            unexpected("a disk fails that should not", error).into()
        }
    }

    fn check_cursors(
        &mut self,
        index: usize,
        role: FileRole,
        answer: &StorageAnswer,
    ) -> Result<(), Violation> {
        let before = &mut self.folders[index].progress;
        match (role, answer) {
            (FileRole::Main, StorageAnswer::Ready(status)) => {
                let now = std::mem::replace(before, status.state.progress);
                if goes_back(&now, before) {
                    let message = format!("a device's cursors go back from {now:?} to {before:?}");
                    return Err(Violation::new(Check::Cursors, message));
                }
            }
            (_, StorageAnswer::ResetDone { status, .. }) => *before = status.state.progress,
            _ => (),
        }
        Ok(())
    }
}

fn goes_back(old: &Progress, new: &Progress) -> bool {
    old.download.server_version > new.download.server_version
        || old.download.last_integrated_client_version > new.download.last_integrated_client_version
        || old.upload.client_version > new.upload.client_version
        || old.latest.version > new.latest.version
        // A client reset notes the fresh copy's version, of which a server that was sent nothing yet does not know.
        || old.upload.client_version.0 > 0
            && old.upload.last_integrated_server_version > new.upload.last_integrated_server_version
}

fn unexpected(what: &str, error: &dyn std::fmt::Debug) -> Violation {
    Violation::new(Check::Honest, format!("{what}: {error:?}"))
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}
