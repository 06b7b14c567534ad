//! Whatever happens, in whatever order, the machine keeps its promises.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// One thing that happens. The numbers choose among what is there.
#[derive(Clone, Debug)]
enum Event {
    Bind {
        session: u64,
        path: &'static str,
        needs_ident: bool,
    },
    Ident(u64),
    Upload {
        session: u64,
        server: u64,
    },
    Mark(u64),
    Unbind(u64),
    Report(u64),
    Ping,
    Garbage(Refusal),
    /// One of the requests that the machine has ever made is answered, perhaps not for the first time.
    Answer {
        which: Index,
        advance: u64,
        fails: bool,
    },
    Signal {
        which: Index,
        advance: u64,
        end: Option<SessionEnd>,
    },
    Writable,
    GoAway(GoAway),
}

fn event() -> impl Strategy<Value = Event> {
    let session = || 1_u64..6;
    prop_oneof![
        6 => (session(), prop_oneof![4 => Just(HERE), 1 => Just("true")], any::<bool>())
            .prop_map(|(session, path, needs_ident)| Event::Bind { session, path, needs_ident }),
        6 => session().prop_map(Event::Ident),
        6 => (session(), prop_oneof![8 => Just(0_u64), 1 => Just(1)])
            .prop_map(|(session, server)| Event::Upload { session, server }),
        4 => session().prop_map(Event::Mark),
        3 => session().prop_map(Event::Unbind),
        1 => session().prop_map(Event::Report),
        2 => Just(Event::Ping),
        20 => (any::<Index>(), 0_u64..4, prop::bool::weighted(0.1))
            .prop_map(|(which, advance, fails)| Event::Answer { which, advance, fails }),
        8 => (any::<Index>(), 0_u64..4, end())
            .prop_map(|(which, advance, end)| Event::Signal { which, advance, end }),
        10 => Just(Event::Writable),
        1 => refusal().prop_map(Event::Garbage),
        1 => Just(Event::GoAway(GoAway::Idle)),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        Just(Refusal::Error(ConnectionCode::BadSyntax)),
        Just(Refusal::Close(bailiwick_protocol::close_code::CloseCode::MessageTooBig)),
    ]
}

fn end() -> impl Strategy<Value = Option<SessionEnd>> {
    prop_oneof![
        12 => Just(None),
        2 => Just(Some(SessionEnd::Failed(RealmError::ShuttingDown))),
        1 => Just(Some(SessionEnd::TakenOver)),
    ]
}

/// What has been seen of a machine, and what it may do next.
struct Observed {
    machine: Machine,
    /// The last version of the only history that there is.
    head: u64,
    next_mark: u64,
    next_version: u64,
    /// What was sent to each session since its BIND: its cursor, and whether it has failed.
    sessions: BTreeMap<SessionIdent, (ServerVersion, bool)>,
    scan: Option<SessionKey>,
    download_is_on_its_way: bool,
    is_over: bool,
    open: Vec<SessionKey>,
}

impl Observed {
    fn new() -> Self {
        Self {
            machine: Machine::new(),
            head: 0,
            next_mark: 0,
            next_version: 0,
            sessions: BTreeMap::new(),
            scan: None,
            download_is_on_its_way: false,
            is_over: false,
            open: Vec::new(),
        }
    }

    /// What would end the connection happens only if it is `rude`; else there would be little to see.
    fn happen(&mut self, event: Event, rude: bool) {
        let Some(input) = self.input(event) else { return };
        if !rude && self.is_rude(&input) {
            return;
        }
        let is_message = matches!(input, Input::Message(_) | Input::Unreadable { .. });
        if is_message && !self.machine.connection.wants_messages() {
            return; // The driver does not read.
        }
        if let Input::Message(ClientMessage::Bind(bind)) = &input {
            self.sessions.entry(bind.session).or_insert((ServerVersion(0), false));
        }
        let ended = match &input {
            Input::Message(ClientMessage::Unbind(unbind)) => Some(unbind.session),
            _ => None,
        };
        match &input {
            Input::Writable => self.download_is_on_its_way = false,
            Input::Scanned(key, _) if self.scan == Some(*key) => self.scan = None,
            _ => (),
        }
        let outputs = self.machine.input(input);
        assert!(!self.is_over || outputs.is_empty(), "after the end: {}", shown(&outputs));
        for output in &outputs {
            self.check(output, &shown(&outputs));
        }
        if let Some(session) = ended {
            self.sessions.remove(&session);
        }
        assert_eq!(self.is_over, self.machine.connection.is_over());
        assert!(self.machine.connection.session_count() <= 8, "twice what is allowed");
    }

    fn is_rude(&self, input: &Input) -> bool {
        let message = match input {
            Input::Message(ClientMessage::Ping(_)) => return false,
            Input::Message(message) => message,
            Input::Unreadable { .. } | Input::GoAway(_) => return true,
            Input::Signal(_, signal) => return matches!(signal.end, Some(SessionEnd::TakenOver)),
            _ => return false,
        };
        let session = self.machine.connection.sessions.get(&message.session());
        match (session.map(|session| &session.phase), message) {
            (None, message) => !matches!(message, ClientMessage::Bind(_)),
            (Some(_), ClientMessage::Bind(_)) => true,
            (Some(_), ClientMessage::Unbind(_) | ClientMessage::Error(_))
            | (Some(Phase::Failed), _) => false,
            (Some(Phase::WaitingForIdent), message) => !matches!(message, ClientMessage::Ident(_)),
            (Some(Phase::Active(_)), message) => matches!(message, ClientMessage::Ident(_)),
            (Some(_), _) => true,
        }
    }

    fn input(&mut self, event: Event) -> Option<Input> {
        Some(match event {
            Event::Bind { session, path, needs_ident } => {
                Input::Message(bind(session, path, needs_ident))
            }
            Event::Ident(session) => Input::Message(ident(session)),
            Event::Upload { session, server } => {
                self.next_version += 1;
                Input::Message(upload(session, self.next_version, server))
            }
            Event::Mark(session) => {
                self.next_mark += 1;
                Input::Message(mark(session, self.next_mark))
            }
            Event::Unbind(session) => Input::Message(unbind(session)),
            Event::Report(session) => Input::Message(ClientMessage::Error(ClientError {
                session: SessionIdent(session),
                code: ErrorCode::BadChangeset,
                body: String::new(),
            })),
            Event::Ping => {
                let ping = Ping { timestamp_ms: 1, round_trip_time_ms: 0 };
                Input::Message(ClientMessage::Ping(ping))
            }
            Event::Garbage(refusal) => Input::Unreadable { refusal, reason: "x".to_owned() },
            Event::Answer { which, advance, fails } => self.answer(which, advance, fails)?,
            Event::Signal { which, advance, end } => {
                let keys = self.keys();
                if keys.is_empty() {
                    return None;
                }
                self.head += advance;
                let signal = Signal { head: ServerVersion(self.head), end };
                Input::Signal(*which.get(&keys), signal)
            }
            Event::Writable => {
                self.download_is_on_its_way.then_some(())?;
                Input::Writable
            }
            Event::GoAway(reason) => Input::GoAway(reason),
        })
    }

    /// All sessions that were ever opened.
    fn keys(&self) -> Vec<SessionKey> {
        let opened = self.machine.out.iter().filter_map(|output| match output {
            Output::Open(key, _) => Some(*key),
            _ => None,
        });
        opened.collect()
    }

    fn answer(&mut self, which: Index, advance: u64, fails: bool) -> Option<Input> {
        if self.machine.out.is_empty() {
            return None;
        }
        let error = RealmError::ShuttingDown;
        Some(match which.get(&self.machine.out) {
            Output::Allocate(key) if fails => Input::Allocated(*key, Err(error)),
            Output::Allocate(key) => Input::Allocated(*key, Ok((FileIdent(2), Salt(1)))),
            Output::Identify(key, _) if fails => Input::Identified(*key, Err(error.into())),
            Output::Identify(key, _) => {
                let head = ServerVersion(self.head);
                Input::Identified(*key, Ok((UploadCursor::default(), ServerVersion(0), head)))
            }
            // Only the scan that runs can be answered.
            Output::Scan(key, ..) if self.scan != Some(*key) => return None,
            Output::Scan(key, ..) if fails => Input::Scanned(*key, Err(error)),
            Output::Scan(key, ..) => {
                let from = self.last_cursor(*key);
                let until = (from + advance).min(self.head);
                Input::Scanned(*key, Ok(scanned(until, self.head)))
            }
            _ => return None,
        })
    }

    /// From where the session was last to be scanned.
    fn last_cursor(&self, of: SessionKey) -> u64 {
        let cursor = self.machine.out.iter().rev().find_map(|output| match output {
            Output::Scan(key, _, cursor) if *key == of => Some(cursor.server_version.0),
            _ => None,
        });
        cursor.expect("it was scanned")
    }

    fn check(&mut self, output: &Output, all: &str) {
        match output {
            Output::Send(ServerMessage::JsonError(error)) => {
                assert!(!error.code().aborts_devices());
                if error.session() == SessionIdent::CONNECTION {
                    self.is_over = true;
                } else {
                    let (_, has_failed) = self.live(error.session(), all);
                    *has_failed = true;
                }
            }
            Output::Send(message) => drop(self.live(message.session(), all)),
            Output::SendFirst(message) => assert_eq!(message.name(), "pong"),
            Output::SendDownload(PreparedDownload { header, .. }) => {
                assert!(!self.download_is_on_its_way, "two DOWNLOADs at a time: {all}");
                self.download_is_on_its_way = true;
                header.check().unwrap();
                let (cursor, _) = self.live(header.session, all);
                assert!(header.download_cursor.server_version >= *cursor, "goes back: {all}");
                *cursor = header.download_cursor.server_version;
            }
            Output::Scan(key, ..) => {
                assert_eq!(self.scan, None, "two scans at a time: {all}");
                assert!(!self.download_is_on_its_way, "a scan before there is room: {all}");
                assert!(self.open.contains(key), "a scan for a session that has no realm: {all}");
                self.scan = Some(*key);
            }
            Output::Open(key, _) => self.open.push(*key),
            Output::Release(key) => {
                let place = self.open.iter().position(|open| open == key);
                self.open.remove(place.expect("what is released was open, and is not any more"));
            }
            Output::Upload(key, _) | Output::Allocate(key) | Output::Identify(key, _) => {
                assert!(self.open.contains(key), "it has no realm: {all}");
            }
            Output::Close(_) => self.is_over = true,
            Output::Finish => assert!(self.is_over),
        }
    }

    /// A session to which something may be sent.
    fn live(&mut self, session: SessionIdent, all: &str) -> &mut (ServerVersion, bool) {
        let state = self.sessions.get_mut(&session).expect("a session that was bound");
        assert!(!state.1, "sent to a session in error: {all}");
        state
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// One scan at a time, nothing to sessions in error, cursors only forward, silence after the end, and
    /// every realm that was opened for a session is released once.
    #[test]
    fn the_machine_keeps_its_promises(
        events in prop::collection::vec((event(), prop::bool::weighted(0.02)), 1..150)
    ) {
        let mut observed = Observed::new();
        for (event, rude) in events {
            observed.happen(event, rude);
        }
    }
}
