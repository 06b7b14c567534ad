//! A server process: the production session machines and integration, over a store.

mod realm;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_core::partition::PartitionValue;
use bailiwick_core::schema::Schema;
use bailiwick_core::state::State;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::ClientMessage;
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::ServerVersion;
use bailiwick_server::realm::Signal;
use bailiwick_server::session::{
    Connection, GoAway, Input, Output as SessionOutput, SessionConfig, SessionKey,
};
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::store::{RealmKey, Store};
use bytes::Bytes;

use super::agenda::Time;
use super::choices::Choices;
use super::partition::PARTITION_KEY;
use realm::Realm;

/// The server of all partitions.
#[derive(Debug)]
pub(crate) struct Server {
    store: Arc<dyn Store>,
    choices: Choices,
    config: Arc<SessionConfig>,
    connections: BTreeMap<u64, Served>,
    realms: BTreeMap<PartitionValue, Realm>,
    outputs: VecDeque<Output>,
}

/// What comes out of the process.
#[derive(Debug)]
pub(crate) enum Output {
    /// To be sent on a connection.
    Send(u64, Bytes),
    /// A connection ends once all that was sent on it has left.
    Close(u64),
    /// These entries are durable, and nobody was told of them yet.
    Committed(PartitionValue, Vec<Entry>),
    /// The disk has failed, and the process has ended.
    Died,
}

#[derive(Debug)]
struct Served {
    machine: Connection,
    user: String,
    version: ProtocolVersion,
    sessions: BTreeMap<SessionKey, (PartitionValue, Option<FileIdent>)>,
    heard_at: Time,
    close_at: Option<Time>,
}

/// As the real server.
const IDLE_TIMEOUT: Duration = Duration::from_secs(240);
const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_UPLOAD_LEN: usize = 18 << 20;

impl Server {
    pub(crate) fn new(seed: u64) -> Self {
        let config = SessionConfig {
            partition_key: PARTITION_KEY,
            max_upload_len: MAX_UPLOAD_LEN,
            max_sessions: 1000,
        };
        Self {
            store: Arc::new(MemoryStore::new()),
            choices: Choices::new(seed),
            config: Arc::new(config),
            connections: BTreeMap::new(),
            realms: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The process ends, and another one begins with what is durable.
    pub(crate) fn restart(&mut self, _now: Time) {
        self.connections.clear();
        self.realms.clear();
        self.outputs.clear();
    }

    pub(crate) fn connect(&mut self, now: Time, number: u64, version: ProtocolVersion, user: &str) {
        let served = Served {
            machine: Connection::new(Arc::clone(&self.config), version, user.to_owned()),
            user: user.to_owned(),
            version,
            sessions: BTreeMap::new(),
            heard_at: now,
            close_at: None,
        };
        self.connections.insert(number, served);
    }

    /// Takes a binary message.
    pub(crate) fn receive(&mut self, now: Time, number: u64, message: &Bytes) {
        let Some(served) = self.connections.get_mut(&number) else { return };
        served.heard_at = now;
        let input = match ClientMessage::parse(served.version, message) {
            Ok(message) => Input::Message(message),
            Err(error) => Input::Unreadable { refusal: error.refusal(), reason: error.to_string() },
        };
        self.handle(now, number, input);
    }

    /// All that was sent on a connection has left.
    pub(crate) fn written(&mut self, now: Time, number: u64) {
        self.handle(now, number, Input::Writable);
        let served = self.connections.get(&number);
        if served.is_some_and(|served| served.machine.is_over()) {
            self.outputs.push_back(Output::Close(number));
            self.disconnect(now, number);
        }
    }

    /// Notices that a connection is gone.
    pub(crate) fn disconnect(&mut self, _now: Time, number: u64) {
        self.connections.remove(&number);
        for realm in self.realms.values_mut() {
            realm.holders.retain(|_, (holder, _)| *holder != number);
        }
    }

    /// Whether it takes messages on a connection now.
    pub(crate) fn wants_messages(&self, number: u64) -> bool {
        self.connections.get(&number).is_some_and(|served| served.machine.wants_messages())
    }

    /// When there is something to do.
    pub(crate) fn wake_at(&self) -> Option<Time> {
        let steps = self.realms.values().filter_map(Realm::step_at);
        let due = |served: &Served| served.close_at.unwrap_or(served.heard_at + IDLE_TIMEOUT);
        let idle = self.connections.values().map(due);
        steps.chain(idle).min()
    }

    /// Does what is due.
    pub(crate) fn wake(&mut self, now: Time) {
        let due = |served: &Served| served.close_at.unwrap_or(served.heard_at + IDLE_TIMEOUT);
        let late = self.connections.iter().filter(|(_, served)| due(served) <= now);
        let due: Vec<u64> = late.map(|(number, _)| *number).collect();
        for number in due {
            if self.connections[&number].close_at.is_some() {
                self.outputs.push_back(Output::Close(number));
                self.disconnect(now, number);
            } else {
                self.handle(now, number, Input::GoAway(GoAway::Idle));
            }
        }
        let due: Vec<PartitionValue> = self
            .realms
            .iter()
            .filter(|(_, realm)| realm.step_at().is_some_and(|at| at <= now))
            .map(|(value, _)| value.clone())
            .collect();
        for value in due {
            self.integrate(now, &value);
        }
    }

    /// What has come out, in order.
    pub(crate) fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The objects of a partition.
    pub(crate) fn state(&self, partition: &PartitionValue) -> State {
        let key = realm_key(partition);
        let schema = self.store.realm(&key).expect("the store works").schema;
        let schema = Schema::decode(&schema).expect("the schema can be read");
        let rows = self.store.scan_objects(&key, &[], None, usize::MAX);
        State::new(schema, rows.expect("the store works"))
    }

    /// The durable entries of a partition after a version.
    pub(crate) fn entries(&self, partition: &PartitionValue, after: ServerVersion) -> Vec<Entry> {
        let (key, last) = (realm_key(partition), ServerVersion(u64::MAX));
        self.store.entries(&key, after, last, usize::MAX).expect("the store works")
    }

    /// The durable record of a client file.
    pub(crate) fn file(&self, partition: &PartitionValue, file: FileIdent) -> Option<ClientFile> {
        self.store.client_file(&realm_key(partition), file).expect("the store works")
    }

    fn handle(&mut self, now: Time, number: u64, input: Input) {
        let mut inputs = VecDeque::from([(number, input)]);
        while let Some((number, input)) = inputs.pop_front() {
            let Some(served) = self.connections.get_mut(&number) else { continue };
            let mut out = Vec::new();
            served.machine.handle(input, &mut out);
            for output in out {
                self.carry_out(now, number, output, &mut inputs);
            }
        }
    }

    fn carry_out(
        &mut self,
        now: Time,
        number: u64,
        output: SessionOutput,
        inputs: &mut VecDeque<(u64, Input)>,
    ) {
        match output {
            SessionOutput::Send(message) | SessionOutput::SendFirst(message) => {
                self.outputs.push_back(Output::Send(number, message.print().into()));
            }
            SessionOutput::SendDownload(download) => {
                self.outputs.push_back(Output::Send(number, download.print().into()));
            }
            SessionOutput::Open(key, value) => {
                self.realm(&value);
                self.served(number).sessions.insert(key, (value, None));
            }
            SessionOutput::Allocate(key) => {
                let (value, _) = self.served(number).sessions[&key].clone();
                let user = self.served(number).user.clone();
                let salt = self.choices.number() >> 1;
                let file = self.realm(&value).allocate(user, salt.max(1));
                inputs.push_back((number, Input::Allocated(key, Ok(file))));
            }
            SessionOutput::Identify(key, claim) => {
                let (value, _) = self.served(number).sessions[&key].clone();
                let user = self.served(number).user.clone();
                let identified = self.realm(&value).identify(number, key, &claim, &user, inputs);
                if identified.is_ok() {
                    self.served(number).sessions.insert(key, (value, Some(claim.file_ident)));
                }
                inputs.push_back((number, Input::Identified(key, identified)));
            }
            SessionOutput::Upload(key, upload) => {
                let (value, _) = self.served(number).sessions[&key].clone();
                let delay = Duration::from_micros(100 + self.choices.number() % 2000);
                self.realm(&value).upload(now + delay, (number, key), upload);
            }
            SessionOutput::Scan(key, file_ident, cursor) => {
                let (value, _) = self.served(number).sessions[&key].clone();
                let soft_limit = *self.choices.pick(&[0, 100, 1000, 1 << 20]);
                let scanned = self.realm(&value).scan(file_ident, cursor, soft_limit);
                inputs.push_back((number, Input::Scanned(key, Ok(scanned))));
            }
            SessionOutput::Release(key) => {
                if let Some((value, Some(file))) = self.served(number).sessions.remove(&key) {
                    self.realm(&value).release((number, key), file);
                }
            }
            SessionOutput::Finish | SessionOutput::Close(_) => {
                self.served(number).close_at = Some(now + CLOSING_TIMEOUT);
            }
        }
    }

    fn integrate(&mut self, now: Time, value: &PartitionValue) {
        let salt = (self.choices.number() >> 1).max(1);
        let realm = self.realms.get_mut(value).expect("it is due");
        let committed = realm.integrate(salt, u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        let (head, entries, rejections) = committed;
        let holders = realm.holders.clone();
        self.outputs.push_back(Output::Committed(value.clone(), entries));
        for (file, (number, key)) in holders {
            let end = rejections.get(&file).cloned();
            self.handle(now, number, Input::Signal(key, Signal { head, end }));
        }
    }

    fn served(&mut self, number: u64) -> &mut Served {
        self.connections.get_mut(&number).expect("its machine has just spoken")
    }

    fn realm(&mut self, value: &PartitionValue) -> &mut Realm {
        let store = &self.store;
        let new = || Realm::load(Arc::clone(store), realm_key(value));
        self.realms.entry(value.clone()).or_insert_with(new)
    }
}

fn realm_key(value: &PartitionValue) -> RealmKey {
    RealmKey::new(value.to_key_bytes())
}
