//! The server, the devices and what is on its way between them, moved on by one event at a time.

use std::collections::VecDeque;
use std::fmt::Write as _;

use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{DownloadCursor, OriginTimestamp};
use proptest::prelude::*;

use super::app::{Action, Clocks, Style};
use super::device::Device;
use super::hostile::{self, Poison};
use super::message::{DownloadMessage, UploadMessage};
use super::schema::AppVersion;
use super::server::{Age, Connection, NODES, Server};
use super::writer::Writer;

/// What happens next; devices go by number.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The app writes a transaction; without actions the file has a version of which nobody hears.
    Write { device: usize, time: u8, actions: Vec<Action> },
    /// The device connects, or connects again, to one of the server's nodes.
    Connect { device: usize, node: usize },
    /// The connection breaks, which the server does not notice.
    Lose { device: usize },
    /// The device sends its next changesets, or tells how far it is.
    Upload { device: usize, count: usize },
    /// The server receives the next message of the device.
    Deliver { device: usize },
    /// A node integrates what it has queued.
    Integrate { node: usize },
    /// A node stops in the middle of that.
    CrashInIntegration { node: usize },
    /// The server sends what is new.
    Download { device: usize, soft_limit: usize },
    /// The device integrates the next message; if `until` says so only its beginning, and then it stops.
    Receive { device: usize, until: Option<usize> },
    /// The device sends everything, and the server integrates it.
    Push { device: usize },
    /// The device receives everything.
    Pull { device: usize },
    /// Both.
    Synchronise { device: usize },
    /// A node starts again.
    Restart { node: usize },
    /// The server writes something itself.
    ServerWrite { time: u8, actions: Vec<Action> },
    /// A hostile device uploads something.
    Attack { poison: Poison, actions: Vec<Action> },
}

/// Everything, and what has happened.
pub(super) struct World {
    server: Server,
    devices: Vec<Device>,
    wires: Vec<Wire>,
    attacker: Option<(FileIdent, Salt)>,
    attacks: u64,
    connections: u64,
    style: Style,
    now: u64,
    trace: String,
}

/// One device's connection, if it believes that it has one, and what is on its way.
#[derive(Default)]
struct Wire {
    connection: Option<Connection>,
    to_server: VecDeque<(Connection, UploadMessage)>,
    to_device: VecDeque<DownloadMessage>,
}

impl World {
    pub(super) fn new(devices: usize, style: Style) -> Self {
        Self {
            server: Server::default(),
            devices: (0..devices).map(|_| Device::default()).collect(),
            wires: (0..devices).map(|_| Wire::default()).collect(),
            attacker: None,
            attacks: 0,
            connections: 0,
            style,
            now: 0,
            trace: String::new(),
        }
    }

    /// Lets everything happen and everybody synchronise, and compares what they have then.
    ///
    /// `common` is what all of them have when it starts.
    pub(super) fn run(mut self, common: &[Action], events: &[Event]) -> Result<(), TestCaseError> {
        let outcome = self
            .prepare(common)
            .and_then(|()| events.iter().try_for_each(|event| self.handle(event)))
            .and_then(|()| self.settle())
            .and_then(|()| self.compare());
        outcome.map_err(|error| {
            TestCaseError::fail(format!("{error}\nwhat happened:\n{}", self.trace))
        })
    }

    fn prepare(&mut self, common: &[Action]) -> Result<(), TestCaseError> {
        if common.is_empty() {
            return Ok(());
        }
        self.write(0, 0, common);
        (0..self.devices.len()).try_for_each(|device| self.synchronise(device))
    }

    fn handle(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let count = self.devices.len();
        match event {
            Event::Write { device, time, actions } => self.write(device % count, *time, actions),
            Event::Connect { device, node } => self.connect(device % count, *node)?,
            Event::Lose { device } => self.lose(device % count),
            Event::Upload { device, count: changesets } => {
                self.upload(device % count, *changesets);
            }
            Event::Deliver { device } => self.deliver(device % count)?,
            Event::Integrate { node } => self.integrate(*node)?,
            Event::CrashInIntegration { node } => {
                self.note(&format!("node {node} stops in an integration"));
                self.server.crash_in_integration(*node)?;
            }
            Event::Download { device, soft_limit } => self.download(device % count, *soft_limit),
            Event::Receive { device, until } => self.receive(device % count, *until)?,
            Event::Push { device } => self.push(device % count)?,
            Event::Pull { device } => self.pull(device % count)?,
            Event::Synchronise { device } => self.synchronise(device % count)?,
            Event::Restart { node } => {
                self.note(&format!("node {node} starts again"));
                self.server.restart(*node);
            }
            Event::ServerWrite { time, actions } => self.server_write(*time, actions)?,
            Event::Attack { poison, actions } => self.attack(*poison, actions)?,
        }
        Ok(())
    }

    fn write(&mut self, device: usize, time: u8, actions: &[Action]) {
        let timestamp = self.timestamp(time);
        let mut writer =
            Writer::new(self.devices[device].state.clone(), number(device), self.style);
        writer.declare(AppVersion::First);
        for &action in actions {
            writer.act(action);
        }
        let Writer { state, changeset, .. } = writer;
        self.note(&format!("device {device} writes at {}: {}", timestamp.0, text(&changeset)));
        self.devices[device].state = state;
        self.devices[device].commit(timestamp, changeset);
    }

    fn connect(&mut self, device: usize, node: usize) -> Result<(), TestCaseError> {
        let connection = self.new_connection(node);
        let (it, wire) = (&mut self.devices[device], &mut self.wires[device]);
        let file = if let Some(file) = it.file {
            file
        } else {
            let file = self.server.allocate();
            it.set_file(file);
            file
        };
        *wire = Wire { connection: Some(connection), ..Wire::default() };
        it.connect();
        let (download, latest) = (it.download, it.latest);
        let (ident, at) = (file.0, download.server_version);
        self.note(&format!("device {device} connects to node {node} as file {ident} at {at}"));
        self.server.identify(connection, file, download, latest)
    }

    fn lose(&mut self, device: usize) {
        self.note(&format!("device {device} loses its connection"));
        self.wires[device].connection = None;
        self.wires[device].to_device.clear();
    }

    fn upload(&mut self, device: usize, count: usize) {
        let Some(connection) = self.wires[device].connection else { return };
        let Some(message) = self.devices[device].upload(count) else { return };
        let mut line = format!("device {device} uploads up to {:?}:", message.progress);
        for changeset in &message.changesets {
            let (version, base) =
                (changeset.cursor.client_version, changeset.cursor.last_integrated_server_version);
            let _ = write!(line, " {version} on {base},");
        }
        self.note(&line);
        self.wires[device].to_server.push_back((connection, message));
    }

    fn deliver(&mut self, device: usize) -> Result<(), TestCaseError> {
        let Some((connection, message)) = self.wires[device].to_server.pop_front() else {
            return Ok(());
        };
        self.note(&format!("the server receives an upload of device {device}"));
        let (ident, _) = self.devices[device].file.expect("it has connected");
        self.server.receive(connection, ident, message)
    }

    /// Nothing is refused but what a hostile device has uploaded, and all of that.
    fn integrate(&mut self, node: usize) -> Result<(), TestCaseError> {
        let before = self.server.record.entries.len();
        let attacked = self.server.has_queued(node, self.attacker.map(|(ident, _)| ident));
        let rejections = self.server.integrate(node)?;
        self.note(&format!("node {node} integrates"));
        for entry in &self.server.record.entries[before..] {
            let changeset = Changeset::decode(&entry.changeset)
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let (version, author) = (entry.version.version, entry.origin_file_ident);
            let line = format!("  {version}: {} of file {author}: ", entry.client_version);
            let _ = writeln!(self.trace, "{line}{}", text(&changeset));
        }
        for rejection in &rejections {
            let is_hostile = self.attacker.is_some_and(|(ident, _)| ident == rejection.file_ident);
            prop_assert!(is_hostile, "an honest device is refused: {:?}", rejection);
        }
        prop_assert_eq!(rejections.len(), usize::from(attacked), "an attack went through");
        Ok(())
    }

    fn download(&mut self, device: usize, soft_limit: usize) {
        let (Some(connection), Some((ident, _))) =
            (self.wires[device].connection, self.devices[device].file)
        else {
            return;
        };
        // Devices of all ages meet.
        let age = if device.is_multiple_of(2) { Age::New } else { Age::Old };
        if let Some(message) = self.server.download(connection, ident, soft_limit, age) {
            self.wires[device].to_device.push_back(message);
        }
    }

    fn receive(&mut self, device: usize, until: Option<usize>) -> Result<(), TestCaseError> {
        let Some(message) = self.wires[device].to_device.pop_front() else { return Ok(()) };
        let versions: Vec<_> = message.changesets.iter().map(|c| c.server_version.0).collect();
        let (cursor, upload) = (message.cursor, message.upload);
        self.note(&format!(
            "device {device} downloads {versions:?} until {until:?}, up to {cursor:?}, {upload:?}"
        ));
        let it = &mut self.devices[device];
        it.integrate(&message, until)?;
        let (ident, _) = it.file.expect("it has connected");
        for version in it.acknowledged() {
            let found = self.server.record.count(ident, version);
            prop_assert_eq!(found, 1, "version {} of device {} is acknowledged", version, device);
        }
        if until.is_some() {
            self.lose(device);
        }
        Ok(())
    }

    fn synchronise(&mut self, device: usize) -> Result<(), TestCaseError> {
        self.push(device)?;
        self.pull(device)
    }

    fn push(&mut self, device: usize) -> Result<(), TestCaseError> {
        let node = self.connected(device)?.node;
        self.upload(device, usize::MAX);
        while !self.wires[device].to_server.is_empty() {
            self.deliver(device)?;
        }
        self.integrate(node)
    }

    fn pull(&mut self, device: usize) -> Result<(), TestCaseError> {
        self.connected(device)?;
        self.download(device, usize::MAX);
        while !self.wires[device].to_device.is_empty() {
            self.receive(device, None)?;
        }
        Ok(())
    }

    fn server_write(&mut self, time: u8, actions: &[Action]) -> Result<(), TestCaseError> {
        let timestamp = self.timestamp(time);
        let author = number(self.devices.len());
        let mut writer = Writer::new(self.server.record.state.clone(), author, self.style);
        writer.declare(AppVersion::First);
        for &action in actions {
            writer.act(action);
        }
        self.note(&format!("the server writes at {}: {}", timestamp.0, text(&writer.changeset)));
        self.server.write(timestamp, &writer.changeset)
    }

    fn attack(&mut self, poison: Poison, actions: &[Action]) -> Result<(), TestCaseError> {
        self.note(&format!("a hostile device uploads {poison:?}"));
        let file = *self.attacker.get_or_insert_with(|| self.server.allocate());
        let (connection, latest) = (self.new_connection(0), self.server.record.head());
        let download =
            DownloadCursor { server_version: latest.version, ..DownloadCursor::default() };
        self.server.identify(connection, file, download, latest)?;
        let state = &self.server.record.state;
        let mut writer = Writer::new(state.clone(), number(self.devices.len() + 1), self.style);
        writer.declare(AppVersion::First);
        for &action in actions {
            writer.act(action);
        }
        let last = 1 + 2 * self.attacks;
        self.attacks += 1;
        let message = hostile::upload(poison, &writer.changeset, state, latest.version, last);
        let outcome = self.server.receive(connection, file.0, message);
        match poison {
            // What contradicts the session itself does not even get into the queue.
            Poison::FutureBase => prop_assert!(outcome.is_err()),
            _ => outcome?,
        }
        Ok(())
    }

    /// Everybody connects and synchronises until there is no news.
    fn settle(&mut self) -> Result<(), TestCaseError> {
        self.note("everybody synchronises");
        for device in 0..self.devices.len() {
            self.connect(device, device % NODES)?;
        }
        (0..NODES).try_for_each(|node| self.integrate(node))?;
        for _ in 0..3 {
            for device in 0..self.devices.len() {
                self.synchronise(device)?;
            }
        }
        for (number, device) in self.devices.iter().enumerate() {
            let head = self.server.record.head().version;
            prop_assert_eq!(device.download.server_version, head, "device {}", number);
            prop_assert!(device.is_acknowledged(), "device {} waits for ever", number);
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        self.server.record.check_projection()?;
        let server = self.server.record.state.to_string();
        for (number, device) in self.devices.iter().enumerate() {
            same(&server, &device.state, &format!("device {number}"))?;
        }
        // A new device, which gets everything in small portions.
        self.devices.push(Device::default());
        self.wires.push(Wire::default());
        let new = self.devices.len() - 1;
        self.connect(new, 0)?;
        while self.devices[new].download.server_version < self.server.record.head().version {
            self.download(new, 100);
            self.receive(new, None)?;
        }
        same(&server, &self.devices[new].state, "a new device")
    }

    /// The device's connection; it makes one if it has none.
    fn connected(&mut self, device: usize) -> Result<Connection, TestCaseError> {
        if self.wires[device].connection.is_none() {
            self.connect(device, 0)?;
        }
        Ok(self.wires[device].connection.expect("it has connected"))
    }

    fn new_connection(&mut self, node: usize) -> Connection {
        self.connections += 1;
        Connection { number: self.connections, node }
    }

    fn timestamp(&mut self, time: u8) -> OriginTimestamp {
        let time = match self.style.clocks {
            Clocks::Steady => {
                self.now += u64::from(time);
                self.now
            }
            Clocks::Jumping => u64::from(time),
        };
        OriginTimestamp(1000 + time)
    }

    fn note(&mut self, line: &str) {
        let _ = writeln!(self.trace, "{line}");
    }
}

fn same(server: &str, state: &State, who: &str) -> Result<(), TestCaseError> {
    let state = state.to_string();
    let differs = server.lines().zip(state.lines()).find(|(a, b)| a != b);
    prop_assert_eq!(differs, None, "the server's line, and that of {}", who);
    prop_assert_eq!(server.len(), state.len(), "{} has another number of lines", who);
    Ok(())
}

/// A device's number, as apps use it.
fn number(device: usize) -> u8 {
    u8::try_from(device).expect("there are few devices")
}

/// A changeset in one line, without declarations.
fn text(changeset: &Changeset) -> String {
    let mut line = String::new();
    for instruction in &changeset.instructions {
        if instruction.object().is_some() {
            let place = changeset.describe(instruction);
            let _ = match instruction.value() {
                Some(value) => write!(line, "{:?} {place} {value:?}; ", instruction.kind()),
                None => write!(line, "{:?} {place}; ", instruction.kind()),
            };
        }
    }
    line
}
