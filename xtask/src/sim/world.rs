//! The devices, the server, what is on its way between them, and what goes wrong: moved on by one event at a time.
//!
//! Nothing here asks a clock, a socket or a disk, and every choice follows from the seed, so that a seed is a run.

mod calm;
mod event;
mod login;
mod process;
mod restore;
mod strike;
mod tamper;
mod traffic;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

use bailiwick_client::session::WaitKey;
use bailiwick_protocol::version::{ClientVersion, ServerVersion};
use bytes::Bytes;

use super::agenda::{Agenda, Time};
use super::app::{App, VERSIONS};
use super::choices::Choices;
use super::device::{Device, Folder};
use super::fault::Fault;
use super::network::Link;
use super::partition::Partition;
use super::plan::{Plan, Scenario};
use super::rogue::Rogue;
use super::server::Server;
use super::tally::{Met, SharedTally, Tally};
use super::trace::{Kind, Trace};
use super::violation::Violation;
use super::watch::{Ledgers, Watch};
use event::Event;
use login::Known;

/// Everything, and what has happened.
pub(crate) struct World {
    scenario: Scenario,
    plan: Plan,
    agenda: Agenda<Event>,
    trace: Trace,
    watch: Watch,
    server: Server,
    is_server_up: bool,
    /// When the server is woken next.
    server_wake: Option<Time>,
    sites: Vec<Site>,
    rogues: Vec<Rogue>,
    rogue_logins: Vec<Option<Known>>,
    /// The latest messages of honest devices.
    overheard: VecDeque<Bytes>,
    apps: Vec<App>,
    links: BTreeMap<u64, Link>,
    last_link: u64,
    /// Connections on which the server does not take messages yet.
    held: BTreeSet<u64>,
    strikes: Vec<(Fault, Duration, Choices)>,
    choices: Choices,
    app_choices: Choices,
    transactions: Vec<Transaction>,
    waits: BTreeMap<(usize, WaitKey), Wait>,
    steps: u64,
    edits: u64,
    /// Nothing goes wrong and nobody writes.
    is_calm: bool,
    /// The server has died since all was healed last.
    is_disturbed: bool,
    backup: Backup,
    tally: SharedTally,
}

/// The copy of the server's store.
#[derive(Debug)]
enum Backup {
    None,
    /// What the watch knew when it was made.
    Made(Box<Ledgers>),
    /// The server has gone back to it.
    Restored,
}

/// Where a device is, and what it is like there.
struct Site {
    device: Device,
    link: Option<u64>,
    /// A PONG has come on the connection: if it is lost, the device does not wait for as long as failures have taught it.
    is_proven: bool,
    /// The access token that the connection was made with is good until then.
    link_access_until: Time,
    /// Which attempt to connect is under way.
    attempt: u64,
    /// There is no network before.
    unreachable_until: Time,
    /// The process is not given any time; what it would do waits.
    is_asleep: bool,
    deferred: Vec<Event>,
    /// The process does not start before.
    off_until: Time,
    /// Since when it has been off.
    off_since: Time,
    /// What it has of its user's login.
    login: Option<Known>,
    /// By how much the clock is wrong, in milliseconds.
    skew_ms: i64,
    /// How long it takes to flush a disk.
    sync_latency: Duration,
    /// What an app has written is flushed then.
    flushed_at: Time,
    next_wait: u64,
}

/// A transaction of an app.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    partition: Partition,
    /// The mark that it makes.
    mark: i64,
    place: Place,
    /// The version that it has on its device, if the app was told that it is done. A client reset does not change it.
    version: Option<ClientVersion>,
    fate: Fate,
}

/// A realm of a device, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    device: usize,
    realm: usize,
}

/// What must become of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is done, and its device uploads it if it has not.
    Done,
    /// It is done, and a server that has gone back to an older copy has it still.
    Kept,
    /// It may be gone: the app was not told that it is done, or the server has forgotten it, or a reset has dropped it.
    MayBeLost,
}

/// What must be true when somebody has waited.
#[derive(Clone, Copy, Debug)]
enum Wait {
    /// The server has all that the device wrote in that realm before this transaction.
    Upload { index: usize, until: usize },
    /// The device has so much of the history.
    Download { index: usize, head: ServerVersion },
    /// Nothing, since the server has forgotten what was waited for.
    Anything,
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The hash over all that has happened.
    pub hash: u64,
    /// Events that were handled while things went wrong.
    pub steps: u64,
    /// Things that have happened to a process, a file, a message or a connection, and edits that apps have made.
    pub operations: u64,
    /// What was met.
    pub tally: Tally,
}

const DAY: Duration = Duration::from_secs(86_400);

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hash, steps, operations, .. } = self;
        write!(f, "{steps} steps, {operations} operations, trace {hash:016x}")
    }
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let tally = SharedTally::default();
        let mut choices = Choices::new(scenario.seed);
        let plan = Plan::new(&scenario, &mut choices.fork());
        let mut app_choices = choices.fork();
        let mut fault_choices = choices.fork();
        let streams: Vec<Choices> = Fault::ALL.map(|_| fault_choices.fork()).into();
        let strikes = plan
            .intervals
            .iter()
            .map(|&(fault, interval)| (fault, interval, streams[fault as usize].clone()));
        let strikes = strikes.collect();
        let apps = (0..plan.partitions).map(|_| App::new(&mut app_choices, plan.style)).collect();
        let sites = (0..plan.devices).map(|number| Site::new(number, &plan, &mut choices, &tally));
        let sites = sites.collect();
        let limits = plan.limits;
        Self {
            scenario,
            plan,
            agenda: Agenda::new(),
            trace: Trace::default(),
            watch: Watch::new(tally.clone()),
            server: Server::new(choices.number(), &limits, tally.clone()),
            is_server_up: true,
            server_wake: None,
            sites,
            rogues: (0..2).map(|number| Rogue::new(format!("rogue {number}"))).collect(),
            rogue_logins: vec![None; 2],
            overheard: VecDeque::new(),
            apps,
            links: BTreeMap::new(),
            last_link: 0,
            held: BTreeSet::new(),
            strikes,
            choices,
            app_choices,
            transactions: Vec::new(),
            waits: BTreeMap::new(),
            steps: 0,
            edits: 0,
            is_calm: false,
            is_disturbed: false,
            backup: Backup::None,
            tally,
        }
    }

    /// Runs until the scenario's steps are done and all is healed and compared.
    pub(crate) fn run(&mut self) -> Result<Outcome, Violation> {
        self.tamper_server();
        for device in 0..self.sites.len() {
            self.agenda.put(Time::ZERO, Event::Start { device });
        }
        for index in 0..self.strikes.len() {
            self.plan_strike(index);
        }
        // What happens to one is of interest to all.
        let steps = self.scenario.steps * self.events_of_four_steps() / 4;
        while self.steps < steps {
            let until = self.steps.saturating_add(self.plan.round_len).min(steps);
            while self.steps < until {
                self.steps += 1;
                self.step()?;
            }
            self.calm_down()?;
        }
        Ok(self.outcome())
    }

    /// How many of the scenario's steps it has come, the last one perhaps in part.
    pub(crate) fn steps(&self) -> u64 {
        (self.steps * 4).div_ceil(self.events_of_four_steps())
    }

    /// What the scenario counts is for four devices; more of them have as much more to do.
    fn events_of_four_steps(&self) -> u64 {
        self.plan.devices.max(4) as u64
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let operations = self.trace.count() + self.edits;
        let (hash, tally) = (self.trace.hash(), self.tally.get());
        Outcome { hash, steps: self.steps, operations, tally }
    }

    /// Lets the next thing happen.
    fn step(&mut self) -> Result<(), Violation> {
        let before = self.now();
        let event = self.agenda.next().expect("apps write for ever");
        if self.now().saturating_sub(before) >= DAY {
            self.tally.meet(Met::DayPassed);
        }
        self.handle(event)
    }

    fn handle(&mut self, event: Event) -> Result<(), Violation> {
        if let Some((device, run)) = event.process() {
            let site = &self.sites[device];
            if !site.device.is_running() || site.device.run() != run {
                return Ok(());
            }
            if site.is_asleep {
                self.sites[device].deferred.push(event);
                return Ok(());
            }
        }
        match event {
            Event::Arrive(link, direction) => self.arrive(link, direction),
            Event::Written(link, direction) => self.written(link, direction),
            Event::Notice(link, direction) => self.notice(link, direction),
            Event::Connected { device, attempt, .. } => self.connected(device, attempt),
            Event::Wake { device, at, .. } => self.wake(device, at),
            Event::Store { device, index, role, .. } => self.store(device, index, role),
            Event::Stored { device, index, role, answer, .. } => {
                self.stored(device, index, role, *answer)
            }
            Event::Token { device, .. } => self.token(device),
            Event::App { device, .. } => self.app(device),
            Event::Start { device } => self.start(device),
            Event::ServerWake => self.wake_server(),
            Event::ServerStart => self.start_server(),
            Event::Strike(index) => self.strike(index),
            Event::Visit(visit) => self.visit(visit),
            Event::MakeRoom => {
                self.server.set_room(None);
                Ok(())
            }
            Event::Outlawed(link) => self.outlawed(link),
            Event::Mend { device, fault } => self.mend(device, fault),
        }
    }

    fn now(&self) -> Time {
        self.agenda.now()
    }

    fn note(&mut self, kind: Kind, who: usize, bytes: &[u8]) {
        self.trace.note(self.agenda.now(), kind, who as u64, bytes);
    }
}

impl Site {
    fn new(number: usize, plan: &Plan, choices: &mut Choices, tally: &SharedTally) -> Self {
        let user = format!("user {}", number % plan.users);
        let count = 1 + choices.below(plan.partitions.min(2));
        let first = choices.below(plan.partitions);
        let folders = (first..first + count).map(|partition| {
            let partition = Partition(partition % plan.partitions);
            let version = choices.below(VERSIONS);
            // A device cannot recover what it wrote to classes that a restored server does not know.
            let version = if plan.has(Fault::Restore) { VERSIONS - 1 } else { version };
            Folder::new(partition, plan.reset_mode, version)
        });
        let folders = folders.collect();
        Self {
            device: Device::new(user, folders, plan.limits, tally.clone()),
            link: None,
            is_proven: false,
            attempt: 0,
            unreachable_until: Time::ZERO,
            is_asleep: false,
            deferred: Vec::new(),
            off_until: Time::ZERO,
            off_since: Time::ZERO,
            login: None,
            link_access_until: Time::ZERO,
            skew_ms: 0,
            sync_latency: Duration::ZERO,
            flushed_at: Time::ZERO,
            next_wait: 0,
        }
    }
}
