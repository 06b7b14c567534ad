//! A device: the whole production stack but sockets, on disks that outlive it.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bailiwick_client::files::{FreshError, FreshFile, RealmFiles};
use bailiwick_client::local::{
    Committed, LocalFile, OpenError, OpenOptions, Origin, Owner, Snapshot,
};
use bailiwick_client::realm::Realm;
use bailiwick_client::session::{
    Connection, ConnectionConfig, FileRole, Input, Output, RealmKey, ResetMode, SessionEvent,
    StorageAnswer, StorageRequest, SyncError, WaitKey,
};
use bailiwick_client::write::{WriteError, WriteTransaction};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::OriginTimestamp;
use bailiwick_storage::disk::{Disk, Keeps, Power};
use bytes::Bytes;
use tokio::sync::broadcast;

use super::edits;
use super::server::PATH;

/// A device, running or not.
pub(super) struct Device {
    pub(super) power: Power,
    pub(super) mode: ResetMode,
    main: Disk,
    fresh: Arc<FreshDisk>,
    clock: Arc<AtomicU64>,
    runs: u64,
    running: Option<Running>,
    /// Waits that were answered, and that the world has not looked at.
    pub(super) answered: Vec<(WaitKey, Result<(), SyncError>)>,
    next_wait: u64,
    /// Connections that it has closed: what was sent still arrives.
    pub(super) closed: Vec<Wire>,
    /// Whether a reset that drops local changes was tried.
    pub(super) has_discarded: bool,
}

/// A process.
struct Running {
    machine: Connection,
    files: RealmFiles,
    realm: Realm,
    news: broadcast::Receiver<Arc<Committed>>,
    requests: VecDeque<(FileRole, StorageRequest)>,
    link: Link,
    is_reading: bool,
    wake_at: Option<Duration>,
    waits: BTreeSet<WaitKey>,
}

/// The device's end of a connection.
enum Link {
    Down,
    Connecting,
    Up(Wire),
}

/// What is on its way to the server, on the connection of this number.
pub(super) struct Wire {
    pub(super) number: u64,
    pub(super) to_server: VecDeque<Bytes>,
    has_sent: bool,
}

/// The power has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dead;

/// The one realm of a device.
const REALM: RealmKey = RealmKey(1);

impl Device {
    pub(super) fn new(mode: ResetMode, clock: Arc<AtomicU64>) -> Self {
        let power = Power::default();
        Self {
            main: Disk::default().with_power(power.clone()),
            fresh: Arc::new(FreshDisk { power: power.clone(), disk: Mutex::default() }),
            power,
            mode,
            clock,
            runs: 0,
            running: None,
            answered: Vec::new(),
            next_wait: 0,
            closed: Vec::new(),
            has_discarded: false,
        }
    }

    /// Starts the process: opens the realm and its sync.
    pub(super) fn start(&mut self, now: Duration) -> Result<(), Dead> {
        self.runs += 1;
        let file = match LocalFile::on_backend(self.main.clone(), &options()) {
            Ok(file) => Arc::new(file),
            Err(OpenError::Io { .. }) if self.power.is_out() => return Err(Dead),
            Err(error) => panic!("the file does not open: {error:?}"),
        };
        let clock = Arc::clone(&self.clock);
        let clock = Arc::new(move || OriginTimestamp(clock.load(Ordering::Relaxed)));
        let realm = match Realm::with_clock(Arc::clone(&file), edits::schema(), clock) {
            Ok(realm) => realm,
            Err(WriteError::Local(_)) if self.power.is_out() => return Err(Dead),
            Err(error) => panic!("the schema is refused: {error:?}"),
        };
        let news = file.news();
        self.running = Some(Running {
            machine: Connection::new(ConnectionConfig::default(), self.runs),
            files: RealmFiles::new(file, FreshCopy(Arc::clone(&self.fresh))),
            realm,
            news,
            requests: VecDeque::new(),
            link: Link::Down,
            is_reading: true,
            wake_at: None,
            waits: BTreeSet::new(),
        });
        let (path, reset_mode) = (PATH.to_owned(), self.mode);
        self.input(now, Input::Open { realm: REALM, path, reset_mode });
        self.alive()
    }

    /// The process ends between two instructions, and the disks keep what they keep.
    pub(super) fn kill(&mut self, keeps: Keeps) -> Option<Wire> {
        let power = Power::default();
        let crashed = |disk: &Disk| disk.crashed(keeps).with_power(power.clone());
        let main = crashed(&self.main);
        let fresh = self.fresh.disk.lock().unwrap().as_ref().map(crashed);
        // What the old process does as it is dropped reaches the old disks only, and not even them.
        self.power.last_for(0);
        let link = self.running.take().map(|running| running.link);
        self.fresh = Arc::new(FreshDisk { power: power.clone(), disk: Mutex::new(fresh) });
        (self.main, self.power) = (main, power);
        match link {
            Some(Link::Up(wire)) => Some(wire),
            _ => None,
        }
    }

    /// Writes a transaction. What is returned as done is durable.
    pub(super) fn write(
        &mut self,
        now: Duration,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> Result<(), WriteError>,
    ) -> Result<(), Dead> {
        let running = self.running.as_mut().unwrap();
        match running.realm.write(edit) {
            Ok(()) => (),
            Err(WriteError::Local(_)) if self.power.is_out() => return Err(Dead),
            Err(error) => panic!("it cannot be written: {error:?}"),
        }
        while let Ok(news) = running.news.try_recv() {
            if let (Origin::Local, Some(uploadable)) = (news.origin, news.uploadable) {
                self.input(
                    now,
                    Input::Committed { realm: REALM, version: news.version, uploadable },
                );
                return Ok(());
            }
        }
        panic!("nobody was told of a commit");
    }

    pub(super) fn wait_for_upload(&mut self, now: Duration) -> WaitKey {
        let key = self.new_wait();
        self.input(now, Input::WaitForUpload(REALM, key));
        key
    }

    pub(super) fn wait_for_download(&mut self, now: Duration) -> WaitKey {
        let key = self.new_wait();
        self.input(now, Input::WaitForDownload(REALM, key));
        key
    }

    fn new_wait(&mut self) -> WaitKey {
        self.next_wait += 1;
        let key = WaitKey(self.next_wait);
        self.running.as_mut().unwrap().waits.insert(key);
        key
    }

    pub(super) fn pause(&mut self, now: Duration) {
        self.input(now, Input::Pause(REALM));
    }

    pub(super) fn resume(&mut self, now: Duration) {
        self.input(now, Input::Resume(REALM));
    }

    /// Whether there is a request of a file to be done.
    pub(super) fn has_request(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.requests.is_empty())
    }

    /// Does the oldest one.
    pub(super) fn store(&mut self, now: Duration) -> Result<(), Dead> {
        let running = self.running.as_mut().unwrap();
        let (role, request) = running.requests.pop_front().unwrap();
        if let StorageRequest::Reset { mode: ResetMode::DiscardLocal } = request {
            self.has_discarded = true;
        }
        let answer = running.files.execute(role, request, OriginTimestamp(1));
        self.alive()?;
        if let StorageAnswer::Failed(_)
        | StorageAnswer::ProtocolViolation(_)
        | StorageAnswer::IntegrationFailed { .. }
        | StorageAnswer::ResetFailed(_) = answer
        {
            panic!("a device answers {answer:?}");
        }
        self.input(now, Input::Stored(REALM, role, answer));
        self.alive()
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.running.as_ref().is_some_and(|running| matches!(running.link, Link::Connecting))
    }

    pub(super) fn connected(&mut self, now: Duration, version: ProtocolVersion, number: u64) {
        let wire = Wire { number, to_server: VecDeque::new(), has_sent: false };
        let running = self.running.as_mut().unwrap();
        (running.link, running.is_reading) = (Link::Up(wire), true);
        self.input(now, Input::Connected(Ok(version)));
    }

    /// The device's end of the connection, if there is one.
    pub(super) fn wire(&mut self) -> Option<&mut Wire> {
        match &mut self.running.as_mut()?.link {
            Link::Up(wire) => Some(wire),
            _ => None,
        }
    }

    /// Whether messages are read.
    pub(super) fn is_reading(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.is_reading)
    }

    pub(super) fn receive(&mut self, now: Duration, message: Bytes) {
        self.input(now, Input::Received(message));
    }

    /// Whether all has left that was sent, and the machine does not know.
    pub(super) fn has_sent(&mut self) -> bool {
        self.wire().is_some_and(|wire| wire.has_sent && wire.to_server.is_empty())
    }

    pub(super) fn writable(&mut self, now: Duration) {
        self.wire().unwrap().has_sent = false;
        self.input(now, Input::Writable);
    }

    /// The connection breaks.
    pub(super) fn cut(&mut self, now: Duration) -> Option<Wire> {
        let running = self.running.as_mut()?;
        if !matches!(running.link, Link::Up(_)) {
            return None;
        }
        let Link::Up(wire) = std::mem::replace(&mut running.link, Link::Down) else {
            return None;
        };
        let reason = bailiwick_client::session::Disconnect::Network("cut".to_owned());
        self.input(now, Input::Disconnected(reason));
        Some(wire)
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.running.as_ref().and_then(|running| running.wake_at)
    }

    pub(super) fn wake(&mut self, now: Duration) {
        if let Some(running) = &mut self.running
            && running.wake_at.take_if(|at| *at <= now).is_some()
        {
            self.input(now, Input::Timeout);
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.running.as_ref().unwrap().realm.snapshot().unwrap()
    }

    fn alive(&self) -> Result<(), Dead> {
        if self.power.is_out() { Err(Dead) } else { Ok(()) }
    }

    fn input(&mut self, now: Duration, input: Input) {
        let mut out = Vec::new();
        let running = self.running.as_mut().unwrap();
        running.machine.handle(now, input, &mut out);
        for output in out {
            match output {
                Output::Connect => running.link = Link::Connecting,
                Output::Disconnect => {
                    if let Link::Up(wire) = std::mem::replace(&mut running.link, Link::Down) {
                        self.closed.push(wire);
                    }
                }
                Output::Send(message) => {
                    if let Link::Up(wire) = &mut running.link {
                        wire.to_server.push_back(message);
                        wire.has_sent = true;
                    }
                }
                Output::PauseReading => running.is_reading = false,
                Output::ResumeReading => running.is_reading = true,
                Output::Store(_, role, request) => running.requests.push_back((role, request)),
                Output::WakeAt(at) => running.wake_at = at,
                Output::WaitDone(key, result) => {
                    assert!(running.waits.remove(&key), "{key:?} is answered twice");
                    self.answered.push((key, result));
                }
                Output::Event(_, event) => check_event(&event, self.mode),
                Output::RefreshLocation | Output::Log(..) => (),
                Output::RefreshToken | Output::LogOut | Output::Closed(_) => {
                    panic!("nothing has led to {output:?}")
                }
            }
        }
    }
}

fn check_event(event: &SessionEvent, mode: ResetMode) {
    match event {
        SessionEvent::Error(SyncError::Server { fatal: false, .. })
        | SessionEvent::Progress(_)
        | SessionEvent::Connected(_)
        | SessionEvent::ResetStarted => (),
        SessionEvent::ResetDone { recovered } => {
            assert_eq!(*recovered, mode != ResetMode::DiscardLocal, "{mode:?}");
        }
        SessionEvent::Error(error) => panic!("a device has a problem: {error:?}"),
    }
}

fn options() -> OpenOptions {
    OpenOptions::new(Owner { partition: PATH.to_owned(), ..Owner::default() }).cache_len(1 << 20)
}

/// Where the fresh copy is.
#[derive(Debug)]
struct FreshDisk {
    power: Power,
    disk: Mutex<Option<Disk>>,
}

#[derive(Debug)]
struct FreshCopy(Arc<FreshDisk>);

impl FreshFile for FreshCopy {
    fn open(&self) -> Result<Arc<LocalFile>, FreshError> {
        let mut disk = self.0.disk.lock().unwrap();
        let new = || Disk::default().with_power(self.0.power.clone());
        let disk = disk.get_or_insert_with(new).clone();
        Ok(Arc::new(LocalFile::on_backend(disk, &options())?))
    }

    fn remove(&self) -> Result<(), FreshError> {
        let mut disk = self.0.disk.lock().unwrap();
        if disk.is_some() {
            let failed = |source: io::Error| FreshError::Remove { path: "fresh".into(), source };
            self.0.power.spend().map_err(failed)?;
            *disk = None;
        }
        Ok(())
    }
}
