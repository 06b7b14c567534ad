//! The machine by itself: what happened goes in, what is to be done comes out.

mod random;

use bailiwick_core::history::{Download, IdentError, RejectedUpload};
use bailiwick_core::partition::PartitionType;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::{Body, Ping, Unbind, UploadEntry, UploadHeader};
use bailiwick_protocol::version::{ClientVersion, SaltedVersion};

use super::*;

/// A machine, and what it has asked for.
struct Machine {
    connection: Connection,
    out: Vec<Output>,
}

pub(crate) const HERE: &str = r#""here""#;

impl Machine {
    fn new() -> Self {
        let version = ProtocolVersion::new(9).unwrap();
        let connection = Connection::new(Arc::new(config()), version, "user".to_owned());
        Self { connection, out: Vec::new() }
    }

    /// A machine with these sessions active at version 0 of their history, the first DOWNLOADs sent.
    fn with_active(sessions: &[u64]) -> Self {
        let mut machine = Self::new();
        for &session in sessions {
            machine.activate(session, 0);
            machine.answer_scan(0, 0);
            machine.input(Input::Writable);
        }
        machine
    }

    /// What comes out.
    fn input(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.connection.handle(input, &mut out);
        self.out.extend(out.iter().filter_map(request));
        out
    }

    fn message(&mut self, message: ClientMessage) -> Vec<Output> {
        assert!(self.connection.wants_messages());
        self.input(Input::Message(message))
    }

    fn activate(&mut self, session: u64, head: u64) -> SessionKey {
        self.message(bind(session, HERE, false));
        self.message(ident(session));
        let key = self.key_of(session);
        let answer = Ok((UploadCursor::default(), ServerVersion(0), ServerVersion(head)));
        self.input(Input::Identified(key, answer));
        key
    }

    /// Answers the scan that was asked for last: nothing to send up to `cursor`.
    fn answer_scan(&mut self, cursor: u64, head: u64) -> Vec<Output> {
        let key = self.last_scan();
        self.input(Input::Scanned(key, Ok(scanned(cursor, head))))
    }

    fn last_scan(&self) -> SessionKey {
        let scan = self.out.iter().rev().find_map(|output| match output {
            Output::Scan(key, ..) => Some(*key),
            _ => None,
        });
        scan.expect("something was to be scanned")
    }

    /// The latest incarnation of a session.
    fn key_of(&self, session: u64) -> SessionKey {
        let key = self.out.iter().rev().find_map(|output| match output {
            Output::Open(key, _) if key.ident.0 == session => Some(*key),
            _ => None,
        });
        key.expect("the session was opened")
    }

    fn signal(&mut self, session: u64, head: u64, end: Option<SessionEnd>) -> Vec<Output> {
        let key = self.key_of(session);
        self.input(Input::Signal(key, Signal { head: ServerVersion(head), end }))
    }
}

/// Of an app whose partition values are strings.
pub(crate) fn config() -> SessionConfig {
    SessionConfig {
        partition_key: PartitionKey { partition_type: PartitionType::String, required: false },
        max_upload_len: 1 << 20,
        max_sessions: 4,
    }
}

/// A copy of a request; messages are left out.
fn request(output: &Output) -> Option<Output> {
    Some(match output {
        Output::Open(key, partition) => Output::Open(*key, partition.clone()),
        Output::Allocate(key) => Output::Allocate(*key),
        Output::Identify(key, ident) => Output::Identify(*key, *ident),
        Output::Scan(key, file_ident, cursor) => Output::Scan(*key, *file_ident, *cursor),
        Output::Release(key) => Output::Release(*key),
        _ => return None,
    })
}

pub(crate) fn bind(session: u64, path: &str, need_client_file_ident: bool) -> ClientMessage {
    ClientMessage::Bind(Bind {
        session: SessionIdent(session),
        path: path.to_owned(),
        token: String::new(),
        need_client_file_ident,
        is_subserver: false,
    })
}

pub(crate) fn ident(session: u64) -> ClientMessage {
    ClientMessage::Ident(ClientIdent {
        session: SessionIdent(session),
        file_ident: FileIdent(session + 1),
        file_ident_salt: Salt(1),
        download_cursor: DownloadCursor::default(),
        latest_server_version: SaltedVersion::default(),
    })
}

pub(crate) fn mark(session: u64, request: u64) -> ClientMessage {
    let request_ident = RequestIdent(request);
    ClientMessage::Mark(Mark { session: SessionIdent(session), request_ident })
}

pub(crate) fn unbind(session: u64) -> ClientMessage {
    ClientMessage::Unbind(Unbind { session: SessionIdent(session) })
}

/// An UPLOAD of one changeset, as this version.
fn upload(session: u64, version: u64, progress_server: u64) -> ClientMessage {
    let entry = UploadEntry {
        client_version: ClientVersion(version),
        last_integrated_server_version: ServerVersion(0),
        origin_timestamp: bailiwick_protocol::version::OriginTimestamp(1),
        origin_file_ident: FileIdent::SELF,
        changeset: bytes::Bytes::from_static(b"x"),
    };
    let header = UploadHeader {
        session: SessionIdent(session),
        progress: UploadCursor {
            client_version: ClientVersion(version),
            last_integrated_server_version: ServerVersion(progress_server),
        },
        locked_server_version: ServerVersion(0),
    };
    ClientMessage::Upload(Upload { header, body: Body::from_entries(&[entry]) })
}

pub(crate) fn scanned(cursor: u64, head: u64) -> Scanned {
    let cursor = DownloadCursor {
        server_version: ServerVersion(cursor),
        last_integrated_client_version: ClientVersion(0),
    };
    Scanned {
        download: Download { cursor, items: Vec::new() },
        head: SaltedVersion { version: ServerVersion(head), salt: Salt(7) },
        upload_cursor: UploadCursor::default(),
        remaining_len: 0,
        schema: Arc::default(),
    }
}

/// What a device sees of the outputs, in one line.
fn shown(outputs: &[Output]) -> String {
    let one = |output: &Output| match output {
        Output::Send(ServerMessage::JsonError(error)) => {
            format!("error {} {}", error.session(), error.code().number())
        }
        Output::Send(message) => format!("{} {}", message.name(), message.session()),
        Output::SendFirst(message) => format!("first {}", message.name()),
        Output::SendDownload(PreparedDownload { header, .. }) => {
            format!("download {} {}", header.session, header.download_cursor.server_version)
        }
        Output::Open(key, _) => format!("open {}", key.ident),
        Output::Allocate(key) => format!("allocate {}", key.ident),
        Output::Identify(key, _) => format!("identify {}", key.ident),
        Output::Upload(key, _) => format!("queue {}", key.ident),
        Output::Scan(key, _, cursor) => format!("scan {} {}", key.ident, cursor.server_version),
        Output::Release(key) => format!("release {}", key.ident),
        Output::Finish => "finish".to_owned(),
        Output::Close(code) => format!("close {}", code.number()),
    };
    outputs.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_session_from_bind_to_unbound() {
    let mut machine = Machine::new();
    assert_eq!(shown(&machine.message(bind(1, HERE, true))), "open 1, allocate 1");
    let key = machine.key_of(1);
    let allocated = Ok((FileIdent(2), Salt(9)));
    assert_eq!(shown(&machine.input(Input::Allocated(key, allocated))), "ident 1");
    assert_eq!(shown(&machine.message(ident(1))), "identify 1");
    let identified = Ok((UploadCursor::default(), ServerVersion(0), ServerVersion(3)));
    assert_eq!(shown(&machine.input(Input::Identified(key, identified))), "scan 1 0");
    assert_eq!(shown(&machine.message(mark(1, 1))), "");
    assert_eq!(shown(&machine.answer_scan(2, 3)), "download 1 2");
    assert_eq!(shown(&machine.input(Input::Writable)), "scan 1 2");
    assert_eq!(shown(&machine.answer_scan(3, 3)), "download 1 3, mark 1");
    assert_eq!(shown(&machine.input(Input::Writable)), "");
    assert_eq!(shown(&machine.message(upload(1, 2, 0))), "queue 1");
    assert_eq!(shown(&machine.signal(1, 4, None)), "scan 1 3");
    assert_eq!(shown(&machine.answer_scan(4, 4)), "download 1 4");
    assert_eq!(shown(&machine.message(unbind(1))), "release 1, unbound 1");
}

#[test]
fn before_its_ident_a_session_takes_nothing_but_unbind() {
    for (message, code) in
        [(ident(1), 109), (upload(1, 2, 0), 109), (mark(1, 1), 109), (bind(1, HERE, true), 107)]
    {
        let mut machine = Machine::new();
        machine.message(bind(1, HERE, true));
        assert_eq!(shown(&machine.message(message)), format!("error 0 {code}, finish"));
        assert!(machine.connection.is_over());
    }
    let mut machine = Machine::new();
    machine.message(bind(1, HERE, true));
    assert_eq!(shown(&machine.message(unbind(1))), "release 1, unbound 1");
}

#[test]
fn answers_for_sessions_that_have_ended_are_ignored() {
    let mut machine = Machine::new();
    machine.message(bind(1, HERE, true));
    let dead = machine.key_of(1);
    machine.message(unbind(1));
    machine.message(bind(1, HERE, true));
    let allocated = || Ok((FileIdent(2), Salt(9)));
    assert_eq!(shown(&machine.input(Input::Allocated(dead, allocated()))), "");
    let alive = machine.key_of(1);
    assert_eq!(shown(&machine.input(Input::Allocated(alive, allocated()))), "ident 1");
    assert_eq!(shown(&machine.input(Input::Allocated(alive, allocated()))), "", "only once");
}

#[test]
fn a_scan_for_a_session_that_has_ended_makes_room_for_the_next() {
    let mut machine = Machine::with_active(&[1, 2]);
    assert_eq!(shown(&machine.signal(1, 5, None)), "scan 1 0");
    assert_eq!(shown(&machine.signal(2, 5, None)), "", "one at a time");
    let scan = machine.last_scan();
    assert_eq!(shown(&machine.message(unbind(1))), "release 1, unbound 1");
    assert_eq!(shown(&machine.input(Input::Scanned(scan, Ok(scanned(5, 5))))), "scan 2 0");
}

#[test]
fn sessions_take_turns() {
    let mut machine = Machine::with_active(&[1, 2, 3]);
    let mut order = Vec::new();
    for session in [1, 2, 3] {
        machine.signal(session, 9, None);
    }
    let mut sent = [0; 3];
    for _ in 0..9 {
        let session = machine.last_scan().ident.0;
        order.push(session);
        let index = usize::try_from(session).unwrap() - 1;
        sent[index] += 3;
        machine.answer_scan(sent[index], 9);
        machine.input(Input::Writable);
    }
    assert_eq!(order, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
}

#[test]
fn nothing_is_scanned_while_a_download_is_on_its_way() {
    let mut machine = Machine::with_active(&[1]);
    machine.signal(1, 9, None);
    assert_eq!(shown(&machine.answer_scan(3, 9)), "download 1 3");
    assert_eq!(shown(&machine.signal(1, 12, None)), "");
    assert_eq!(shown(&machine.input(Input::Writable)), "scan 1 3");
}

#[test]
fn the_target_of_a_mark_is_fixed_when_it_comes() {
    let mut machine = Machine::with_active(&[1]);
    machine.signal(1, 5, None);
    machine.message(mark(1, 1));
    machine.signal(1, 100, None);
    assert_eq!(shown(&machine.answer_scan(5, 100)), "download 1 5, mark 1");
}

#[test]
fn the_end_of_a_session_says_why() {
    let rejection = |error| {
        let rejection = bailiwick_core::history::Rejection {
            file_ident: FileIdent(2),
            client_version: Some(ClientVersion(2)),
            error,
        };
        SessionEnd::Rejected(Arc::new(rejection))
    };
    for (end, expected) in [
        (rejection(RejectedUpload::Expired), "release 1, error 1 222"),
        (rejection(RejectedUpload::TooFarBehind(9)), "release 1, error 1 222"),
        (rejection(RejectedUpload::OriginFileIdent(FileIdent(9))), "release 1, error 1 216"),
        (rejection(RejectedUpload::BaseVersion(ServerVersion(9))), "release 1, error 1 209"),
        (rejection(RejectedUpload::AsymmetricClass("A".to_owned())), "release 1, error 1 225"),
        (rejection(RejectedUpload::Unprocessable), "release 1, error 1 212"),
        (SessionEnd::Failed(RealmError::ShuttingDown), "release 1, error 1 201"),
        (SessionEnd::Failed(RealmError::Damaged("x".into())), "release 1, error 1 201"),
        (SessionEnd::TakenOver, "error 0 100, finish"),
        (SessionEnd::Overloaded, "error 0 100, finish"),
    ] {
        let mut machine = Machine::with_active(&[1, 2]);
        assert_eq!(shown(&machine.signal(1, 1, Some(end))), expected);
    }
}

#[test]
fn a_refused_claim_says_why() {
    for (error, expected) in [
        (IdentError::UnknownFile(FileIdent(2)).into(), "release 1, error 1 208"),
        (IdentError::Expired(FileIdent(2)).into(), "release 1, error 1 222"),
        (IdentError::ClientVersion.into(), "release 1, error 1 210"),
        (IdentifyRefused::Realm(RealmError::ShuttingDown), "release 1, error 1 201"),
        (IdentifyRefused::BoundInOtherSession, "error 0 108, finish"),
    ] {
        let mut machine = Machine::new();
        machine.message(bind(1, HERE, false));
        machine.message(ident(1));
        assert!(!machine.connection.wants_messages(), "order matters inside a session");
        let key = machine.key_of(1);
        assert_eq!(shown(&machine.input(Input::Identified(key, Err(error)))), expected);
    }
}

#[test]
fn unbind_and_error_cross_each_other() {
    // The error went out first: UNBIND is not answered.
    let mut machine = Machine::with_active(&[1]);
    machine.signal(1, 1, Some(SessionEnd::Failed(RealmError::ShuttingDown)));
    assert_eq!(shown(&machine.message(unbind(1))), "");
    assert_eq!(machine.connection.session_count(), 0);
    // UNBIND was first: there is nobody to be told of the error.
    let mut machine = Machine::with_active(&[1]);
    assert_eq!(shown(&machine.message(unbind(1))), "release 1, unbound 1");
    let end = Some(SessionEnd::Failed(RealmError::ShuttingDown));
    assert_eq!(shown(&machine.signal(1, 1, end)), "");
}

#[test]
fn nothing_happens_after_the_last_message() {
    for reason in [GoAway::ShuttingDown, GoAway::AccessEnded, GoAway::Idle] {
        let mut machine = Machine::with_active(&[1]);
        assert_eq!(shown(&machine.input(Input::GoAway(reason))), "error 0 100, finish");
        let ping = Ping { timestamp_ms: 1, round_trip_time_ms: 0 };
        assert_eq!(shown(&machine.message(ClientMessage::Ping(ping))), "");
        assert_eq!(shown(&machine.signal(1, 9, None)), "");
        assert_eq!(shown(&machine.input(Input::GoAway(reason))), "");
    }
    let mut machine = Machine::new();
    assert_eq!(shown(&machine.input(Input::GoAway(GoAway::WrongMode))), "error 0 114, finish");
}

#[test]
fn only_a_device_can_bind() {
    let mut machine = Machine::new();
    let ClientMessage::Bind(mut subserver) = bind(1, HERE, true) else { unreachable!() };
    subserver.is_subserver = true;
    assert_eq!(shown(&machine.message(ClientMessage::Bind(subserver))), "error 1 208");
    assert!(!ErrorCode::BadClientFileIdent.aborts_devices());
}
