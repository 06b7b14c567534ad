//! One connection and the devices on it: the session machine and the WebSocket of the Rust client, and files in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::pending;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bailiwick_client::clock::origin_timestamp;
use bailiwick_client::session::{
    ConnectError, Connection, ConnectionConfig, Input, Output, RealmKey, ResetMode, SessionEvent,
    StorageAnswer, StorageRequest,
};
use bailiwick_client::transport::{Link, LinkEvent, SyncConfig, WebSocket};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::changeset::{self, Template};
use super::file::{MemoryFile, News};
use super::recorder::Recorder;

/// What all connections share; they run on one thread.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) recorder: RefCell<Recorder>,
    pub(super) template: RefCell<Template>,
    pub(super) sync: SyncConfig,
    /// Changesets of each writer that are kept unacknowledged; 0 if what is acknowledged calls for nothing.
    pub(super) in_flight: Cell<usize>,
}

/// Where a connection goes to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) url: hyper::Uri,
    pub(super) token: Arc<str>,
}

/// What a connection is told.
#[derive(Debug)]
pub(super) enum Command {
    /// All its writers declare the class; that is not counted.
    Declare,
    /// A device writes so many changesets, which were to be written then.
    Write { device: usize, count: usize, at: Instant },
    /// Its devices go offline.
    Pause,
    /// Its devices come back.
    Resume,
    /// Its writers write until as many changesets are unacknowledged as are to be.
    Fill,
}

/// A device, as its connection knows it.
#[derive(Debug)]
struct Device {
    number: u32,
    writes: bool,
    peers: u64,
    is_untimed: bool,
    file: MemoryFile,
    /// Objects that it has created.
    objects: u32,
    unacknowledged: usize,
    is_ready: bool,
}

/// A device that is to be.
#[derive(Clone, Debug)]
pub(super) struct NewDevice {
    pub(super) number: u32,
    /// The partition, as Extended JSON.
    pub(super) path: String,
    pub(super) writes: bool,
    /// Other devices in its partition.
    pub(super) peers: u64,
    /// What it writes and receives is counted, but its times are nobody's.
    pub(super) is_untimed: bool,
}

/// The time of what is only counted.
const UNTIMED: u64 = u64::MAX;

fn timed(time_ns: u64) -> Option<u64> {
    (time_ns != UNTIMED).then_some(time_ns)
}

/// Drives a connection.
pub(super) struct Driver {
    shared: Rc<Shared>,
    destination: Destination,
    machine: Connection,
    epoch: Instant,
    link: Link,
    wake: Option<Pin<Box<Sleep>>>,
    devices: Vec<Device>,
    /// Something was acknowledged, so that more may be written.
    has_room: bool,
    inputs: VecDeque<Input>,
    outputs: Vec<Output>,
    news: Vec<News>,
}

/// What the loop was woken by.
enum Happened {
    Link(LinkEvent),
    Command(Command),
    Woken,
}

impl Driver {
    pub(super) fn new(shared: Rc<Shared>, destination: Destination, seed: u64) -> Self {
        Self {
            shared,
            destination,
            machine: Connection::new(ConnectionConfig::default(), seed),
            epoch: Instant::now(),
            link: Link::default(),
            wake: None,
            devices: Vec::new(),
            has_room: false,
            inputs: VecDeque::new(),
            outputs: Vec::new(),
            news: Vec::new(),
        }
    }

    /// Runs until nobody commands it any more.
    pub(super) async fn run(
        mut self,
        devices: Vec<NewDevice>,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        for device in devices {
            self.open(device);
        }
        loop {
            let happened = tokio::select! {
                biased;
                event = self.link.next() => Happened::Link(event),
                command = commands.recv() => match command {
                    Some(command) => Happened::Command(command),
                    None => return,
                },
                () = woken(&mut self.wake) => Happened::Woken,
            };
            match happened {
                Happened::Link(event) => self.on_link_event(event),
                Happened::Command(command) => self.obey(&command),
                Happened::Woken => {
                    self.wake = None;
                    self.handle(Input::Timeout);
                }
            }
        }
    }

    fn open(&mut self, device: NewDevice) {
        let realm = RealmKey(self.devices.len() as u64);
        self.devices.push(Device {
            number: device.number,
            writes: device.writes,
            peers: device.peers,
            is_untimed: device.is_untimed,
            file: MemoryFile::default(),
            objects: 0,
            unacknowledged: 0,
            is_ready: false,
        });
        let reset_mode = ResetMode::Manual;
        self.handle(Input::Open { realm, path: device.path, reset_mode });
    }

    fn obey(&mut self, command: &Command) {
        match *command {
            Command::Declare => {
                for index in 0..self.devices.len() {
                    if self.devices[index].writes {
                        self.declare(index);
                    }
                }
            }
            Command::Write { device, count, at } => self.write(device, count, at),
            Command::Fill => self.fill(),
            Command::Pause => self.tell_all(Input::Pause),
            Command::Resume => self.tell_all(Input::Resume),
        }
    }

    fn tell_all(&mut self, input: impl Fn(RealmKey) -> Input) {
        for index in 0..self.devices.len() {
            self.handle(input(RealmKey(index as u64)));
        }
    }

    fn declare(&mut self, index: usize) {
        let file = &mut self.devices[index].file;
        let version = file.commit(changeset::schema(), origin_timestamp(), None);
        let realm = RealmKey(index as u64);
        self.handle(Input::Committed { realm, version, uploadable: 0 });
    }

    /// The writers keep as many changesets in flight as they are to.
    fn fill(&mut self) {
        let in_flight = self.shared.in_flight.get();
        for index in 0..self.devices.len() {
            let device = &self.devices[index];
            let missing = in_flight.saturating_sub(device.unacknowledged);
            if device.writes && missing > 0 {
                self.write(index, missing, Instant::now());
            }
        }
    }

    fn write(&mut self, index: usize, count: usize, at: Instant) {
        let device = &mut self.devices[index];
        let timestamp = origin_timestamp();
        let mut recorder = self.shared.recorder.borrow_mut();
        let mut template = self.shared.template.borrow_mut();
        let time_ns = if device.is_untimed { UNTIMED } else { recorder.time_ns(at) };
        let mut version = None;
        for _ in 0..count {
            device.objects += 1;
            let changeset = template.fill(device.number, device.objects, time_ns);
            version = Some(device.file.commit(changeset, timestamp, Some(time_ns)));
        }
        device.unacknowledged += count;
        recorder.totals.written += count as u64;
        drop((recorder, template));
        if let Some(version) = version {
            let realm = RealmKey(index as u64);
            self.handle(Input::Committed { realm, version, uploadable: 0 });
        }
    }

    fn on_link_event(&mut self, event: LinkEvent) {
        self.handle(match event {
            LinkEvent::Connected(result) => {
                if let Err(error) = &result {
                    self.error(format!("no connection: {error}"));
                }
                Input::Connected(result)
            }
            LinkEvent::Received(message) => {
                self.shared.recorder.borrow_mut().totals.received_len += message.len() as u64;
                Input::Received(message)
            }
            LinkEvent::Written => Input::Writable,
            LinkEvent::Lost(reason) => {
                self.error(format!("a connection was lost: {reason}"));
                Input::Disconnected(reason)
            }
        });
    }

    fn error(&self, text: String) {
        self.shared.recorder.borrow_mut().error(text);
    }

    fn handle(&mut self, input: Input) {
        let mut outputs = std::mem::take(&mut self.outputs);
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            self.machine.handle(self.epoch.elapsed(), input, &mut outputs);
            for output in outputs.drain(..) {
                if let ControlFlow::Break(input) = self.perform(output) {
                    self.inputs.push_back(input);
                }
            }
        }
        self.outputs = outputs;
        if std::mem::take(&mut self.has_room) {
            self.fill();
        }
    }

    /// Does what the machine says; breaks with what it has to be told at once.
    fn perform(&mut self, output: Output) -> ControlFlow<Input> {
        match output {
            Output::Send(message) => {
                self.shared.recorder.borrow_mut().totals.sent_len += message.len() as u64;
                self.link.send(message);
            }
            Output::Store(key, role, request) => {
                let answer = self.store(key, request);
                return ControlFlow::Break(Input::Stored(key, role, answer));
            }
            Output::Connect => self.link = Link::connecting(self.connect()),
            Output::Disconnect => self.link.close(),
            Output::PauseReading => self.link.set_reads(false),
            Output::ResumeReading => self.link.set_reads(true),
            Output::WakeAt(time) => {
                let at = time.map(|time| tokio::time::Instant::from_std(self.epoch + time));
                self.wake = at.map(|at| Box::pin(tokio::time::sleep_until(at)));
            }
            Output::RefreshToken => {
                // There is no other token: what is done with this one is up to the server.
                self.error("the server wants another access token".to_owned());
                return ControlFlow::Break(Input::TokenRefreshed(Ok(())));
            }
            Output::Event(_, SessionEvent::Error(error)) => self.error(error.to_string()),
            Output::Event(..)
            | Output::RefreshLocation
            | Output::LogOut
            | Output::WaitDone(..)
            | Output::Log(..)
            | Output::Closed(_) => (),
        }
        ControlFlow::Continue(())
    }

    /// Answers a storage request, and counts what it has brought.
    fn store(&mut self, key: RealmKey, request: StorageRequest) -> StorageAnswer {
        let device = usize::try_from(key.0).ok().and_then(|index| self.devices.get_mut(index));
        let device = device.expect("the machine knows only realms that were opened");
        let answer = device.file.execute(request, &mut self.news);
        if self.news.is_empty() {
            return answer;
        }
        let now = Instant::now();
        let mut recorder = self.shared.recorder.borrow_mut();
        let template = self.shared.template.borrow();
        for news in self.news.drain(..) {
            match news {
                News::CaughtUp => {
                    recorder.totals.ready += u64::from(!device.is_ready);
                    device.is_ready = true;
                }
                News::Acknowledged(time_ns) => {
                    device.unacknowledged -= 1;
                    self.has_room |= self.shared.in_flight.get() > 0;
                    recorder.acknowledged(timed(time_ns), device.peers, now);
                }
                News::Declared => recorder.totals.declared += 1,
                News::Received(changeset) => {
                    if let Some(time_ns) = template.time_ns(&changeset) {
                        let time_ns = timed(time_ns).filter(|_| !device.is_untimed);
                        recorder.received(time_ns, now);
                    }
                }
            }
        }
        answer
    }

    fn connect(&self) -> BoxFuture<'static, Result<WebSocket, ConnectError>> {
        let (sync, destination) = (self.shared.sync.clone(), self.destination.clone());
        let attempt = async move {
            let Destination { url, token } = destination;
            WebSocket::open(&sync, &url, &token).await
        };
        attempt.boxed()
    }
}

/// Waits until then, or for ever.
async fn woken(wake: &mut Option<Pin<Box<Sleep>>>) {
    match wake {
        Some(wake) => wake.await,
        None => pending().await,
    }
}
