//! The devices, the server and what is on its way between them, moved on by one event at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bailiwick_client::history::pending;
use bailiwick_client::session::{ResetMode, WaitKey};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, ServerVersion};
use bailiwick_storage::disk::Keeps;

use super::choices::Choices;
use super::device::{Dead, Device, Wire};
use super::edits::{self, Step};
use super::record::Record;
use super::server::Server;

/// What happens next; devices go by number.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The app of a device writes a transaction, so much later.
    Write { device: usize, later: u8, steps: Vec<Step> },
    /// So many things happen that happen by themselves.
    Run { count: u8 },
    /// The connection of a device breaks; some of what was sent arrives, and the server notices or does not.
    Cut { device: usize, arrive: u8, is_noticed: bool },
    /// The process of a device ends, and begins anew.
    Kill { device: usize, seed: u64 },
    /// The process of a device ends after so many events of its disks.
    LosePower { device: usize, after: u8 },
    /// The app of a device waits for its uploads.
    WaitForUpload { device: usize },
    /// The app of a device waits for what the server has.
    WaitForDownload { device: usize },
    /// The app of a device pauses or resumes sync.
    Pause { device: usize, pause: bool },
    /// Time passes until a device does something about it.
    Wake,
    /// The server stops and starts again; what it has not integrated is gone.
    Restart,
    /// The server's store is copied.
    BackUp,
    /// The server's store is replaced by the copy: devices that know more have to reset. Once at most.
    Restore,
}

/// Everything, and what has happened.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) devices: Vec<Device>,
    choices: Choices,
    now: Duration,
    clock: Arc<AtomicU64>,
    /// The lowest protocol version of the connections that are made.
    lowest: u8,
    marks: Vec<Mark>,
    waits: BTreeMap<(usize, WaitKey), Wait>,
    backup: Option<Record>,
    is_restored: bool,
    /// What disks keep when a device dies; it depends on the seed if nobody has said.
    keeps: Option<Keeps>,
    deaths: usize,
}

/// A transaction of an app.
#[derive(Debug)]
struct Mark {
    device: usize,
    version: ClientVersion,
    /// The app was told that it is done, and no reset may have dropped it.
    must_stay: bool,
}

/// What must be true when somebody has waited.
#[derive(Debug)]
enum Wait {
    /// The server has so many of the first marks, if they must stay.
    Upload(usize),
    /// The device has so much of the history.
    Download(ServerVersion),
}

/// What happens by itself.
#[derive(Clone, Copy, Debug)]
enum Move {
    Store(usize),
    Connect(usize),
    Send(usize),
    Receive(usize),
    Writable(usize),
    Hang(usize),
    Integrate,
}

impl World {
    /// Devices that all have the same to begin with.
    pub(super) fn new(devices: usize, mode: ResetMode, lowest: u8, seed: u64) -> Self {
        let clock = Arc::new(AtomicU64::new(1));
        let mut world = Self {
            server: Server::new(seed),
            devices: (0..devices).map(|_| Device::new(mode, Arc::clone(&clock))).collect(),
            choices: Choices::new(seed),
            now: Duration::ZERO,
            clock,
            lowest,
            marks: Vec::new(),
            waits: BTreeMap::new(),
            backup: None,
            is_restored: false,
            keeps: None,
            deaths: 0,
        };
        for device in 0..devices {
            world.start(device);
        }
        world.devices[0].write(Duration::ZERO, |tx| edits::begin(tx, devices)).unwrap();
        world.settle();
        world.backup = Some(world.server.record.clone());
        world
    }

    /// From now on, disks keep this of what was not flushed.
    pub(super) fn dies_with(&mut self, keeps: Keeps) {
        self.keeps = Some(keeps);
    }

    /// How often a device has died.
    pub(super) fn deaths(&self) -> usize {
        self.deaths
    }

    /// Lets everything happen and everybody synchronise, and compares what they have then.
    pub(super) fn run(mut self, events: &[Event]) {
        for event in events {
            self.handle(event);
        }
        self.settle();
        self.compare();
    }

    pub(super) fn handle(&mut self, event: &Event) {
        let count = self.devices.len();
        match event {
            Event::Write { device, later, steps } => {
                self.clock.fetch_add((*later).into(), Ordering::Relaxed);
                self.write(device % count, steps);
            }
            Event::Run { count } => drop((0..*count).all(|_| self.step())),
            Event::Cut { device, arrive, is_noticed } => {
                self.cut(device % count, (*arrive).into(), *is_noticed);
            }
            Event::Kill { device, seed } => self.kill(device % count, *seed),
            Event::LosePower { device, after } => {
                self.devices[device % count].power.last_for(1 + usize::from(*after));
            }
            Event::WaitForUpload { device } => self.wait_for_upload(device % count),
            Event::WaitForDownload { device } => self.wait_for_download(device % count),
            Event::Pause { device, pause: true } => self.devices[device % count].pause(self.now),
            Event::Pause { device, pause: false } => self.devices[device % count].resume(self.now),
            Event::Wake => self.wake(),
            Event::Restart => {
                self.server.restart();
            }
            Event::BackUp => self.backup = Some(self.server.record.clone()),
            Event::Restore => self.restore(),
        }
        self.look_around();
    }

    /// Everybody synchronises until there is no news.
    pub(super) fn settle(&mut self) {
        for _ in 0..2 {
            for device in 0..self.devices.len() {
                self.devices[device].resume(self.now);
                self.wait_for_upload(device);
                self.wait_for_download(device);
            }
            let mut turns = 0;
            while !self.waits.is_empty() {
                if !self.step() {
                    self.wake();
                }
                turns += 1;
                assert!(turns < 100_000, "they wait for ever: {:?}", self.waits);
            }
        }
        while self.step() {}
    }

    /// All have the same, and what was promised.
    pub(super) fn compare(&mut self) {
        self.server.record.check_projection().unwrap();
        let server = &self.server.record.state;
        let text = server.to_string();
        for (number, device) in self.devices.iter().enumerate() {
            let snapshot = device.snapshot();
            let found = edits::contents(&snapshot).to_string();
            let differs = text.lines().zip(found.lines()).find(|(a, b)| a != b);
            assert_eq!(differs, None, "the server's line, and that of device {number}");
            assert_eq!(text.len(), found.len(), "device {number} has another number of lines");
            assert_eq!(pending(&snapshot).unwrap(), None, "device {number} has not uploaded");
            let bytes = snapshot.state().bytes;
            assert_eq!(bytes.uploaded, bytes.uploadable, "device {number}");
            assert!(snapshot.pending_reset().is_none(), "device {number} is resetting");
        }
        for device in 0..self.devices.len() {
            let there = (0..)
                .zip(&self.marks)
                .filter(|(id, mark)| mark.device == device && edits::has_mark(server, *id));
            let total = edits::total(server, device);
            assert_eq!(total, i64::try_from(there.count()).unwrap(), "device {device}: once each");
        }
        self.check_marks(self.marks.len());
    }

    /// One thing that happens by itself; false if nothing does.
    pub(super) fn step(&mut self) -> bool {
        let moves = self.moves();
        if moves.is_empty() {
            return false;
        }
        match *self.choices.pick(&moves) {
            Move::Store(device) => {
                let outcome = self.devices[device].store(self.now);
                self.survive(device, outcome);
            }
            Move::Connect(device) => {
                let range = usize::from(ProtocolVersion::MAX.number() - self.lowest) + 1;
                let version = self.lowest + u8::try_from(self.choices.below(range)).unwrap();
                let version = ProtocolVersion::new(version).unwrap();
                let number = self.server.connect(version);
                self.devices[device].connected(self.now, version, number);
            }
            Move::Send(device) => {
                let wire = self.devices[device].wire().unwrap();
                let (number, message) = (wire.number, wire.to_server.pop_front().unwrap());
                self.server.receive(number, &message);
            }
            Move::Receive(device) => {
                let number = self.devices[device].wire().unwrap().number;
                let message = self.server.send(number).unwrap();
                self.devices[device].receive(self.now, message);
            }
            Move::Writable(device) => self.devices[device].writable(self.now),
            Move::Hang(device) => drop(self.devices[device].cut(self.now)),
            Move::Integrate => self.server.integrate(),
        }
        self.look_around();
        true
    }

    fn moves(&mut self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (number, device) in self.devices.iter_mut().enumerate() {
            if device.has_request() {
                moves.push(Move::Store(number));
            }
            if device.is_connecting() {
                moves.push(Move::Connect(number));
            }
            if device.has_sent() {
                moves.push(Move::Writable(number));
            }
            let is_reading = device.is_reading();
            let Some(wire) = device.wire() else { continue };
            if !self.server.has(wire.number) {
                moves.push(Move::Hang(number));
                continue;
            }
            if !wire.to_server.is_empty() {
                moves.push(Move::Send(number));
            }
            if is_reading && self.server.has_message(wire.number) {
                moves.push(Move::Receive(number));
            }
        }
        if self.server.has_queued() {
            moves.push(Move::Integrate);
        }
        moves
    }

    fn write(&mut self, device: usize, steps: &[Step]) {
        let mark = i64::try_from(self.marks.len()).unwrap();
        let lowest = self.lowest;
        let outcome =
            self.devices[device].write(self.now, |tx| edits::run(tx, device, mark, steps, lowest));
        let must_stay = outcome.is_ok();
        self.survive(device, outcome);
        let version = self.devices[device].snapshot().state().version;
        self.marks.push(Mark { device, version, must_stay });
    }

    fn start(&mut self, device: usize) {
        let outcome = self.devices[device].start(self.now);
        self.survive(device, outcome);
    }

    fn survive(&mut self, device: usize, outcome: Result<(), Dead>) {
        if let Err(Dead) = outcome {
            let seed = self.choices.number();
            self.kill(device, seed);
        }
    }

    fn kill(&mut self, device: usize, seed: u64) {
        let keeps = self.keeps.unwrap_or(match seed % 4 {
            0 => Keeps::Nothing,
            1 => Keeps::Everything,
            _ => Keeps::Some(seed),
        });
        self.deaths += 1;
        self.waits.retain(|(waiting, _), _| *waiting != device);
        if let Some(wire) = self.devices[device].kill(keeps) {
            self.end(&wire, usize::try_from(seed / 4 % 3).unwrap(), seed.is_multiple_of(5));
        }
        self.start(device);
    }

    fn cut(&mut self, device: usize, arrive: usize, is_noticed: bool) {
        if let Some(wire) = self.devices[device].cut(self.now) {
            self.end(&wire, arrive, is_noticed);
        }
    }

    /// Some of what was sent arrives after the end of a connection.
    fn end(&mut self, wire: &Wire, arrive: usize, is_noticed: bool) {
        for message in wire.to_server.iter().take(arrive) {
            self.server.receive(wire.number, message);
        }
        if is_noticed {
            self.server.disconnect(wire.number);
        }
    }

    /// Time passes until the first device wants to be woken.
    fn wake(&mut self) {
        let wake_at = self.devices.iter().filter_map(Device::wake_at).min();
        if let Some(at) = wake_at {
            self.now = self.now.max(at);
            for device in &mut self.devices {
                device.wake(self.now);
            }
            self.look_around();
        }
    }

    fn restore(&mut self) {
        let Some(backup) = self.backup.clone().filter(|_| !self.is_restored) else { return };
        self.is_restored = true;
        for device in 0..self.devices.len() {
            self.cut(device, 0, true);
            // What has arrived is known to the device.
            while self.devices[device].has_request() {
                let outcome = self.devices[device].store(self.now);
                self.survive(device, outcome);
            }
        }
        for (id, mark) in (0..).zip(&mut self.marks) {
            let progress = self.devices[mark.device].snapshot().state().progress;
            if mark.version <= progress.upload.client_version && !edits::has_mark(&backup.state, id)
            {
                mark.must_stay = false;
            }
        }
        self.server.restore(backup);
        // What the server had for them is gone.
        self.waits.retain(|_, wait| !matches!(wait, Wait::Download(_)));
    }

    fn wait_for_upload(&mut self, device: usize) {
        let key = self.devices[device].wait_for_upload(self.now);
        self.waits.insert((device, key), Wait::Upload(self.marks.len()));
        self.look_around();
    }

    fn wait_for_download(&mut self, device: usize) {
        let key = self.devices[device].wait_for_download(self.now);
        let head = self.server.record.head().version;
        self.waits.insert((device, key), Wait::Download(head));
        self.look_around();
    }

    /// Takes note of what the devices have done.
    fn look_around(&mut self) {
        for device in 0..self.devices.len() {
            for wire in std::mem::take(&mut self.devices[device].closed) {
                self.end(&wire, usize::MAX, true);
            }
            if std::mem::take(&mut self.devices[device].has_discarded) {
                for (id, mark) in (0..).zip(&mut self.marks) {
                    if mark.device == device && !edits::has_mark(&self.server.record.state, id) {
                        mark.must_stay = false;
                    }
                }
            }
            for (key, result) in std::mem::take(&mut self.devices[device].answered) {
                result.unwrap();
                match self.waits.remove(&(device, key)) {
                    Some(Wait::Upload(count)) => self.check_uploaded(device, count),
                    Some(Wait::Download(head)) => {
                        let progress = self.devices[device].snapshot().state().progress;
                        let integrated = progress.download.server_version;
                        assert!(integrated >= head, "device {device} has {integrated}, not {head}");
                    }
                    None => (),
                }
            }
        }
    }

    fn check_uploaded(&self, device: usize, count: usize) {
        for (id, mark) in (0..).zip(&self.marks[..count]) {
            let is_there = edits::has_mark(&self.server.record.state, id);
            assert!(mark.device != device || !mark.must_stay || is_there, "{id} is not uploaded");
        }
    }

    fn check_marks(&self, count: usize) {
        for (id, mark) in (0..).zip(&self.marks[..count]) {
            let is_there = edits::has_mark(&self.server.record.state, id);
            assert!(is_there || !mark.must_stay, "transaction {id} is lost: {mark:?}");
        }
    }
}
