//! Whatever happens, in whatever order: nothing panics, nothing illegal is sent, nothing is lost.

use std::time::Duration;

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::ServerMessage;
use bailiwick_protocol::version::OriginTimestamp;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::model::ModelRealm;
use super::referee::Referee;
use super::rig::Rig;
use super::server::Server;
use crate::session::realm::Realm;
use crate::session::{
    ConnectError, Disconnect, Input, Output, RealmKey, ResetMode, StorageAnswer, StorageRequest,
    SyncError, WaitKey,
};

/// One thing that happens; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Open(u64, ResetMode),
    Close(u64),
    Pause(u64),
    Resume(u64),
    Commit(u64, usize),
    WaitForUpload(u64),
    WaitForDownload(u64),
    Reconnect,
    /// The attempt to connect succeeds, or fails so.
    Connect(Option<ConnectError>),
    Disconnect(Disconnect),
    /// A request is answered, or fails so.
    Store(usize, Fault),
    Writable,
    /// The server answers the oldest message.
    Answer,
    /// The server forgets the oldest message.
    Swallow,
    /// A session error for one of the latest sessions.
    SessionError(u64, u32, &'static str, bool),
    ConnectionError(&'static str, bool),
    /// A DOWNLOAD with any numbers.
    Download([u64; 7], usize),
    /// A message with any numbers.
    Message(usize, u64, u64),
    Garbage(Vec<u8>),
    TokenRefreshed(bool),
    Wait(u64),
    Wake,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    File,
    Violation,
    Integration,
    Reset,
}

const PATIENCE: usize = 300;
/// A DOWNLOAD of this test with its share of overhead.
const MAX_MESSAGE_LEN: usize = 4096;
const MAX_QUEUED_LEN: usize = 2000;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mode = prop_oneof![
        Just(ResetMode::Manual),
        Just(ResetMode::DiscardLocal),
        Just(ResetMode::Recover),
        Just(ResetMode::RecoverOrDiscard)
    ];
    let status = prop_oneof![Just(401), Just(403), Just(404), Just(500), Just(301)];
    let connect_error = prop_oneof![
        Just(ConnectError::Network(String::new())),
        status.prop_map(ConnectError::Status),
        Just(ConnectError::Protocol(String::new())),
    ];
    let codes = prop_oneof![Just(1000), Just(1001), Just(1009), Just(4001), Just(4002), Just(4003)];
    let disconnect = prop_oneof![
        3 => Just(Disconnect::Network(String::new())),
        1 => codes.prop_map(|code| Disconnect::Closed(code, String::new())),
        1 => Just(Disconnect::TooLong(String::new())),
    ];
    let fault = prop_oneof![
        40 => Just(Fault::None),
        1 => Just(Fault::File),
        1 => Just(Fault::Violation),
        1 => Just(Fault::Integration),
        1 => Just(Fault::Reset),
    ];
    let action = prop_oneof![
        3 => Just("Transient"),
        1 => Just("Warning"),
        1 => Just("ApplicationBug"),
        3 => Just("ClientReset"),
        1 => Just("ClientResetNoRecovery"),
        1 => Just("RefreshUser"),
        1 => Just("RefreshLocation"),
        1 => Just("LogOutUser"),
    ];
    let small = || prop_oneof![5 => 0u64..6, 1 => any::<u64>()];
    let realm = || 0u64..3;
    let step = prop_oneof![
        6 => (realm(), mode).prop_map(|(realm, mode)| Step::Open(realm, mode)),
        1 => realm().prop_map(Step::Close),
        1 => realm().prop_map(Step::Pause),
        2 => realm().prop_map(Step::Resume),
        4 => (realm(), 0usize..100).prop_map(|(realm, len)| Step::Commit(realm, len)),
        2 => realm().prop_map(Step::WaitForUpload),
        2 => realm().prop_map(Step::WaitForDownload),
        1 => Just(Step::Reconnect),
        8 => proptest::option::weighted(0.2, connect_error).prop_map(Step::Connect),
        1 => disconnect.prop_map(Step::Disconnect),
        30 => (any::<usize>(), fault).prop_map(|(index, fault)| Step::Store(index, fault)),
        8 => Just(Step::Writable),
        30 => Just(Step::Answer),
        1 => Just(Step::Swallow),
        2 => (0u64..3, 200u32..240, action.clone(), any::<bool>())
            .prop_map(|(session, code, action, again)| Step::SessionError(session, code, action, again)),
        1 => (action, any::<bool>()).prop_map(|(action, again)| Step::ConnectionError(action, again)),
        4 => (proptest::array::uniform7(small()), 0usize..1000)
            .prop_map(|(numbers, len)| Step::Download(numbers, len)),
        2 => (any::<usize>(), small(), small()).prop_map(|(name, a, b)| Step::Message(name, a, b)),
        1 => vec(any::<u8>(), 0..40).prop_map(Step::Garbage),
        2 => any::<bool>().prop_map(Step::TokenRefreshed),
        2 => (0u64..200_000).prop_map(Step::Wait),
        4 => Just(Step::Wake),
    ];
    vec(step, 1..250)
}

/// A rig, a server and a referee.
struct World {
    rig: Rig,
    server: Server,
    referee: Referee,
    /// The current realm of each of the files.
    open: [Option<RealmKey>; 3],
    last_realm: u64,
    last_wait: u64,
    is_reading: bool,
    is_refreshing: bool,
    /// The machine believes that there is a connection.
    is_up: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::new(14);
        rig.restart(seed, MAX_QUEUED_LEN);
        Self {
            rig,
            server: Server::default(),
            referee: Referee::default(),
            open: [None; 3],
            last_realm: 0,
            last_wait: 0,
            is_reading: true,
            is_refreshing: false,
            is_up: false,
        }
    }

    fn input(&mut self, input: Input) {
        if let Input::Connected(Ok(_)) = input {
            self.server.connected();
            self.referee.connected();
            self.rig.sent.clear();
            self.is_up = true;
        }
        let sent = self.rig.sent.len();
        let requests = self.rig.requests.len();
        self.rig.input(input);
        for message in self.rig.sent.range(sent..) {
            self.referee.sent(message);
        }
        for (realm, role, request) in self.rig.requests.range(requests..) {
            self.referee.output(&Output::Store(*realm, *role, copy(request)));
        }
        for output in self.rig.log.drain(..) {
            self.referee.output(&output);
            match output {
                Output::PauseReading => self.is_reading = false,
                Output::ResumeReading | Output::Connect => self.is_reading = true,
                Output::RefreshToken => {
                    assert!(!self.is_refreshing, "two refreshes at once");
                    self.is_refreshing = true;
                }
                Output::Disconnect => self.is_up = false,
                _ => (),
            }
        }
        let queued_len: usize = self.rig.machine.realms.values().map(Realm::queued_len).sum();
        assert!(queued_len <= MAX_QUEUED_LEN + MAX_MESSAGE_LEN, "the queue has no bound");
    }

    fn hear(&mut self, message: Vec<u8>) {
        if !self.is_reading || !self.is_up {
            return;
        }
        let message = Bytes::from(message);
        if let Ok(parsed) = ServerMessage::parse(self.rig.version, &message) {
            self.referee.heard(&parsed);
        }
        self.input(Input::Received(message));
    }

    /// The server answers the oldest message.
    fn answer(&mut self) {
        if !self.is_reading || !self.is_up {
            return;
        }
        let Some(message) = self.rig.sent.pop_front() else { return };
        for answer in self.server.answer(&message, &mut self.rig.realms.values()) {
            self.hear(answer.into_bytes());
        }
    }

    fn store(&mut self, index: usize, fault: Fault) {
        let count = self.rig.requests.len();
        if count == 0 {
            return;
        }
        let (realm, role, request) = self.rig.requests.remove(index % count).unwrap();
        self.referee.answered(realm, role);
        let message = "at random".to_owned();
        let answer = match (fault, &request) {
            (Fault::File, request) => {
                if let StorageRequest::Reset { .. } = request {
                    self.rig.realms.get_mut(&realm).unwrap().fresh = None;
                }
                StorageAnswer::Failed(SyncError::File(message))
            }
            (Fault::Violation, StorageRequest::Integrate(..)) => {
                StorageAnswer::ProtocolViolation(message)
            }
            (Fault::Integration, StorageRequest::Integrate(..)) => {
                StorageAnswer::IntegrationFailed { code: ErrorCode::BadChangeset, message }
            }
            (Fault::Reset, StorageRequest::BeginReset { .. } | StorageRequest::Reset { .. }) => {
                self.rig.realms.get_mut(&realm).unwrap().fresh = None;
                StorageAnswer::ResetFailed(message)
            }
            _ => self.rig.realms.get_mut(&realm).unwrap().execute(role, request),
        };
        self.input(Input::Stored(realm, role, answer));
    }

    fn connect(&mut self, error: Option<ConnectError>) {
        if std::mem::take(&mut self.rig.is_connecting) {
            self.input(Input::Connected(error.map_or(Ok(self.rig.version), Err)));
        }
    }

    fn refresh(&mut self, is_allowed: bool) {
        if std::mem::take(&mut self.is_refreshing) {
            let error = || SyncError::LoggedOut(String::new());
            self.input(Input::TokenRefreshed(is_allowed.then_some(()).ok_or_else(error)));
        }
    }

    fn wake(&mut self) {
        if let Some(time) = self.rig.wake_at.take() {
            self.rig.now = self.rig.now.max(time);
            self.input(Input::Timeout);
        }
    }

    fn take(&mut self, step: Step) {
        let open = self.open;
        let realm = |index: u64| open[usize::try_from(index).unwrap()];
        match step {
            Step::Open(index, reset_mode) if realm(index).is_none() => {
                self.last_realm += 1;
                let key = RealmKey(self.last_realm);
                self.open[usize::try_from(index).unwrap()] = Some(key);
                self.rig.realms.insert(key, ModelRealm::default());
                let path = format!("\"{}\"", self.last_realm);
                self.input(Input::Open { realm: key, path, reset_mode });
            }
            Step::Close(index) => {
                if let Some(key) = self.open[usize::try_from(index).unwrap()].take() {
                    self.input(Input::Close(key));
                }
            }
            Step::Pause(index) => drop(realm(index).map(|key| self.input(Input::Pause(key)))),
            Step::Resume(index) => drop(realm(index).map(|key| self.input(Input::Resume(key)))),
            Step::Commit(index, len) => {
                let Some(key) = realm(index) else { return };
                let file = &mut self.rig.realms.get_mut(&key).unwrap().main;
                file.commit(vec![b'c'; len].into(), OriginTimestamp(1));
                let (version, uploadable) = (file.state.version, file.state.bytes.uploadable);
                if len > 0 {
                    self.input(Input::Committed { realm: key, version, uploadable });
                }
            }
            Step::WaitForUpload(index) => {
                let Some(key) = realm(index) else { return };
                self.last_wait += 1;
                self.referee.waits(WaitKey(self.last_wait));
                self.input(Input::WaitForUpload(key, WaitKey(self.last_wait)));
            }
            Step::WaitForDownload(index) => {
                let Some(key) = realm(index) else { return };
                self.last_wait += 1;
                self.referee.waits(WaitKey(self.last_wait));
                self.input(Input::WaitForDownload(key, WaitKey(self.last_wait)));
            }
            Step::Reconnect => self.input(Input::Reconnect),
            Step::Connect(error) => self.connect(error),
            Step::Disconnect(reason) if self.is_up => {
                self.is_up = false;
                self.input(Input::Disconnected(reason));
            }
            Step::Open(..) | Step::Disconnect(_) => (),
            Step::Store(index, fault) => self.store(index, fault),
            Step::Writable => self.input(Input::Writable),
            Step::Answer => self.answer(),
            Step::Swallow => drop(self.rig.sent.pop_front()),
            Step::SessionError(back, code, action, try_again) => {
                let session = self.rig.machine.last_ident.0.saturating_sub(back);
                self.hear(json_error(code, session, action, try_again));
            }
            Step::ConnectionError(action, try_again) => {
                self.hear(json_error(100, 0, action, try_again));
            }
            Step::Download([session, version, client, latest, upload, server, rest], len) => {
                let session = self.rig.machine.last_ident.0.saturating_sub(session % 3);
                let head = format!(
                    "download {session} {version} {client} {latest} 777 {upload} {server} {rest} 0 {len} 0\n"
                );
                self.hear([head.into_bytes(), vec![b'0'; len]].concat());
            }
            Step::Message(name, a, b) => {
                let last = self.rig.machine.last_ident.0;
                let session = last.saturating_sub(a % 3);
                let message = match name % 5 {
                    0 => format!("mark {session} {b}\n"),
                    1 => format!("unbound {session}\n"),
                    2 => format!("pong {b}\n"),
                    3 => format!("log_message {session} 2\n{{}}"),
                    _ => format!("ident {session} {} {}\n", a.max(1), b.max(1)),
                };
                self.hear(message.into_bytes());
            }
            Step::Garbage(bytes) => self.hear(bytes),
            Step::TokenRefreshed(is_allowed) => self.refresh(is_allowed),
            Step::Wait(ms) => {
                self.rig.now += Duration::from_millis(ms);
                self.input(Input::Timeout);
            }
            Step::Wake => self.wake(),
        }
    }

    /// All goes well from now on: everything that can be synced is.
    fn heal(&mut self) {
        // The server may have forgotten anything about this connection.
        self.take(Step::Disconnect(Disconnect::Network(String::new())));
        self.input(Input::Reconnect);
        for _ in 0..PATIENCE {
            // What had begun may still fail.
            for key in self.open.into_iter().flatten() {
                self.input(Input::Resume(key));
            }
            self.refresh(true);
            self.connect(None);
            let mut budget = PATIENCE;
            while !self.rig.requests.is_empty() || (self.is_up && !self.rig.sent.is_empty()) {
                self.store(0, Fault::None);
                self.input(Input::Writable);
                self.answer();
                budget -= 1;
                assert!(budget > 0, "there is no end: {:?}", self.rig.sent);
            }
            if self.is_done() {
                return;
            }
            self.wake();
        }
        panic!("not everything was synced: {:?}, {:#?}", self.referee.waiting(), self.rig.machine);
    }

    fn is_done(&self) -> bool {
        let is_acknowledged = |key: &RealmKey| {
            let realm = &self.rig.realms[key];
            let acknowledged = realm.main.state.progress.upload.client_version;
            !realm.reset_pending && realm.main.last_uploadable() <= acknowledged
        };
        self.referee.waiting().is_empty() && self.open.iter().flatten().all(is_acknowledged)
    }

    fn close(&mut self) {
        for key in self.open.into_iter().flatten() {
            self.input(Input::Close(key));
        }
        while !self.rig.requests.is_empty() {
            self.store(0, Fault::None);
        }
        assert!(self.referee.waiting().is_empty(), "somebody waits for ever");
        for realm in 1..=self.last_realm {
            assert!(self.referee.is_closed(RealmKey(realm)), "{realm} is never let go");
        }
    }
}

fn json_error(code: u32, session: u64, action: &str, try_again: bool) -> Vec<u8> {
    let body = format!(
        "{{\"tryAgain\":{try_again},\"message\":\"m\",\"shouldClientReset\":false,\
         \"isRecoveryModeDisabled\":false,\"logURL\":\"\",\"action\":\"{action}\"}}"
    );
    format!("json_error {code} {} {session}\n{body}", body.len()).into_bytes()
}

/// What the referee looks at in a request.
fn copy(request: &StorageRequest) -> StorageRequest {
    match request {
        StorageRequest::Reset { mode } => StorageRequest::Reset { mode: *mode },
        _ => StorageRequest::Load,
    }
}

proptest! {
    /// A hostile server, a bad network and a failing disk, then good ones.
    #[test]
    fn nothing_illegal_is_sent_and_nothing_is_lost((seed, steps) in (any::<u64>(), steps())) {
        let mut world = World::new(seed);
        for step in steps {
            world.take(step);
        }
        world.heal();
        world.close();
    }
}
