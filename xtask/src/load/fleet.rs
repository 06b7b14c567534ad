//! The devices, all in this process.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bailiwick_client::transport::SyncConfig;
use bailiwick_protocol::protocol_version::ProtocolVersion;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::changeset::Template;
use super::connection::{Command, Destination, Driver, NewDevice, Shared};
use super::measurement::{Measured, Measurement};
use super::pace::{Pacer, Writer};
use super::recorder::{Recorder, Totals};
use super::server::Server;

/// Which devices there are to be, and how they connect.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) devices: u32,
    pub(super) partitions: u32,
    /// So many of them write; the others listen.
    pub(super) writers: u32,
    pub(super) devices_per_connection: u32,
    /// The device whose times nobody wants to know. It writes only what it is told to.
    pub(super) untimed: Option<u32>,
    /// Bytes of a changeset.
    pub(super) payload: usize,
    pub(super) endpoint: Endpoint,
}

/// The server, as devices see it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// Of the sync WebSocket; `{device}` and `{partition}` are replaced by their numbers.
    pub(super) url: String,
    /// Access tokens, which connections take in turn.
    pub(super) tokens: Vec<Arc<str>>,
    /// The one version to offer; otherwise all of them.
    pub(super) version: Option<ProtocolVersion>,
}

/// How much devices write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// So many changesets a second, all writers together, whether the server keeps up or not.
    Rate(f64),
    /// Each writer keeps so many changesets unacknowledged.
    InFlight(usize),
}

/// Devices that are connected.
pub(super) struct Fleet {
    shared: Rc<Shared>,
    connections: Vec<UnboundedSender<Command>>,
    writers: Vec<Writer>,
    untimed: Option<Writer>,
    /// Ended when this is dropped.
    drivers: JoinSet<()>,
}

/// How long devices have written when a measurement begins.
const WARM_UP: Duration = Duration::from_secs(1);
/// Connections that are made at the same time.
const CONNECTING: usize = 64;
/// How often to look whether it is so.
pub(super) const POLL: Duration = Duration::from_millis(5);
/// How long the server may take for what has been asked of it, if it does not get on.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same as long as there were only errors: whoever has mistyped an address wants to know.
const PATIENCE_WITH_ERRORS: Duration = Duration::from_secs(3);

impl Fleet {
    /// Connects all devices, and waits until each has all that was there before and the class is declared.
    ///
    /// Only in a [`LocalSet`](tokio::task::LocalSet).
    pub(super) async fn connect(plan: &Plan) -> Result<Self> {
        let mut sync = SyncConfig::default();
        if let Some(version) = plan.endpoint.version {
            sync.versions = version..=version;
        }
        let shared = Rc::new(Shared {
            recorder: RefCell::new(Recorder::new(Instant::now())),
            template: RefCell::new(Template::new(plan.payload)?),
            sync,
            in_flight: Cell::new(0),
        });
        let mut fleet = Self {
            shared,
            connections: Vec::new(),
            writers: Vec::new(),
            untimed: None,
            drivers: JoinSet::new(),
        };
        let numbers: Vec<u32> = (0..plan.devices).collect();
        for (index, numbers) in
            numbers.chunks(plan.devices_per_connection.max(1) as usize).enumerate()
        {
            fleet.open(plan, index, numbers)?;
            let opened = u64::from(numbers.last().copied().unwrap_or_default()) + 1;
            fleet.until(|totals| opened - totals.ready <= CONNECTING as u64).await?;
        }
        fleet.until(|totals| totals.ready == u64::from(plan.devices)).await?;
        fleet.tell_all(|| Command::Declare);
        fleet.until(|totals| totals.declared == u64::from(plan.writers)).await?;
        Ok(fleet)
    }

    fn open(&mut self, plan: &Plan, index: usize, numbers: &[u32]) -> Result<()> {
        let (commands, received) = unbounded_channel();
        let mut devices = Vec::new();
        for &number in numbers {
            let (device, partition) = (devices.len(), number % plan.partitions);
            let is_writer = number < plan.writers;
            let writer = Writer { connection: commands.clone(), device };
            if plan.untimed == Some(number) {
                self.untimed = Some(writer);
            } else if is_writer {
                self.writers.push(writer);
            }
            devices.push(NewDevice {
                number,
                path: format!("\"p{partition}\""),
                writes: is_writer,
                peers: plan.members(partition) - 1,
                is_untimed: plan.untimed == Some(number),
            });
        }
        let destination = plan.endpoint.destination(index, numbers[0], plan)?;
        let driver = Driver::new(Rc::clone(&self.shared), destination, index as u64);
        self.drivers.spawn_local(driver.run(devices, received));
        self.connections.push(commands);
        Ok(())
    }

    /// Measures what happens at this pace for some time, after a warm-up at the same pace; then waits until nothing is
    /// under way.
    pub(super) async fn measure(
        &self,
        pace: Pace,
        duration: Duration,
        server: Option<&Server>,
    ) -> Result<Measured> {
        let pacer = self.begin(pace);
        sleep(WARM_UP).await;
        let mut measurement = Measurement::begin(self, server)?;
        measurement.run_for(duration).await?;
        let stop = || {
            drop(pacer);
            self.shared.in_flight.set(0);
        };
        measurement.end(stop).await
    }

    /// The untimed device goes offline and writes so many changesets there; then it comes back.
    pub(super) fn come_back_with(&self, count: usize) -> Result<()> {
        let Writer { connection, device } =
            self.untimed.as_ref().context("there is no untimed device")?;
        let write = Command::Write { device: *device, count, at: Instant::now() };
        for command in [Command::Pause, write, Command::Resume] {
            connection.send(command).ok().context("the untimed device has ended")?;
        }
        Ok(())
    }

    /// One device writes once; how long it takes until all others of its partition have received it.
    pub(super) async fn write_to_all(&self) -> Result<Duration> {
        let Writer { connection, device } = self.writers.first().context("nobody writes")?;
        let before = self.totals();
        let mut measurement = Measurement::begin(self, None)?;
        let write = Command::Write { device: *device, count: 1, at: Instant::now() };
        connection.send(write).ok().context("the writer has ended")?;
        let is_received =
            |totals: &Totals| totals.awaited > before.awaited && totals.received == totals.awaited;
        measurement.run_until(is_received).await?;
        Ok(measurement.end(|| ()).await?.window.sum().receipts.max())
    }

    /// Begins to write, until what is returned is dropped.
    pub(super) fn begin(&self, pace: Pace) -> Option<Pacer> {
        match pace {
            Pace::Rate(rate) => Some(Pacer::start(self.writers.clone(), rate)),
            Pace::InFlight(count) => {
                self.shared.in_flight.set(count);
                self.tell_all(|| Command::Fill);
                None
            }
        }
    }

    /// Waits until everything that was written is acknowledged, and has come to all other devices.
    pub(super) async fn settle(&self) -> Result<()> {
        self.until(|totals| {
            totals.acknowledged == totals.written && totals.received == totals.awaited
        })
        .await
    }

    /// Waits until it is so, for as long as anything happens.
    pub(super) async fn until(&self, mut is_so: impl FnMut(&Totals) -> bool) -> Result<()> {
        let (mut last, mut changed_at) = (self.totals(), Instant::now());
        while !is_so(&last) {
            sleep(POLL).await;
            let totals = self.totals();
            if totals.steps() != last.steps() {
                changed_at = Instant::now();
            } else if changed_at.elapsed() > self.patience(&totals) {
                bail!("nothing happens any more: {totals}{}", self.shown_errors());
            }
            last = totals;
        }
        Ok(())
    }

    fn patience(&self, totals: &Totals) -> Duration {
        let nothing_works = totals.ready == 0 && !self.recorder().errors.is_empty();
        if nothing_works { PATIENCE_WITH_ERRORS } else { PATIENCE }
    }

    pub(super) fn recorder(&self) -> RefMut<'_, Recorder> {
        self.shared.recorder.borrow_mut()
    }

    pub(super) fn totals(&self) -> Totals {
        self.shared.recorder.borrow().totals
    }

    /// What went wrong, and how often.
    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        self.shared.recorder.borrow().errors.clone()
    }

    /// The same to be read, each behind a comma; nothing if there are none.
    pub(super) fn shown_errors(&self) -> String {
        let errors = self.errors().into_iter().map(|(error, count)| format!("{count} x {error}"));
        std::iter::once(String::new()).chain(errors).collect::<Vec<_>>().join(", ")
    }

    /// Bytes of a changeset.
    pub(super) fn changeset_len(&self) -> usize {
        self.shared.template.borrow().len()
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for connection in &self.connections {
            // A connection that has ended has said why.
            let _ = connection.send(command());
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => write!(f, "{rate} a second"),
            Self::InFlight(count) => write!(f, "{count} in flight on each device"),
        }
    }
}

impl Plan {
    /// Devices of a partition.
    fn members(&self, partition: u32) -> u64 {
        u64::from((self.devices - partition).div_ceil(self.partitions))
    }
}

impl Endpoint {
    fn destination(&self, connection: usize, device: u32, plan: &Plan) -> Result<Destination> {
        let partition = device % plan.partitions;
        let url = self.url.replace("{device}", &device.to_string());
        let url = url.replace("{partition}", &partition.to_string());
        let token = match self.tokens.len() {
            0 => "".into(),
            count => Arc::clone(&self.tokens[connection % count]),
        };
        let url = url.parse().with_context(|| format!("{url} is not a URL"))?;
        Ok(Destination { url, token })
    }
}

impl Totals {
    /// Grows with everything that is waited for.
    fn steps(&self) -> u64 {
        self.ready + self.declared + self.acknowledged + self.received
    }
}
