//! When a connection ends, and what waits for what. Times are in milliseconds.

use bailiwick_protocol::message::Ping;
use bailiwick_protocol::version::{ServerVersion, UploadCursor};

use super::*;
use crate::session::tests::{HERE, bind, config, ident, mark, scanned, unbind};

const IDLE: u64 = 100;
const CLOSING: u64 = 10;
const CLOSE_FRAME: u64 = 1000;
const ACCESS_LEFT: u64 = 250;
const ACCESS_CHECK: u64 = 70;

/// The endpoint of a connection that was made at 0.
struct Rig(Endpoint);

impl Rig {
    fn new() -> Self {
        let web_socket = WebSocketConfig {
            idle_timeout: ms(IDLE),
            closing_timeout: ms(CLOSING),
            access_check_interval: ms(ACCESS_CHECK),
        };
        let (sessions, version) = (Arc::new(config()), ProtocolVersion::new(9).unwrap());
        let user = "user".to_owned();
        Self(Endpoint::new(sessions, web_socket, version, user, ms(ACCESS_LEFT), ms(0)))
    }

    /// With session 1, whose device has all of a history of no versions.
    fn with_session() -> (Self, SessionKey) {
        let mut rig = Self::new();
        let opened = rig.receive(0, Received::Message(bind(1, HERE, false)));
        let [Request::Open(key, _)] = opened[..] else { panic!("{opened:?}") };
        rig.receive(0, Received::Message(ident(1)));
        let identified = Ok((UploadCursor::default(), ServerVersion(0), ServerVersion(0)));
        rig.handle(Input::Identified(key, identified));
        rig.handle(Input::Scanned(key, Ok(scanned(0, 0))));
        assert_eq!(rig.written(), "download 0");
        rig.handle(Input::Writable);
        (rig, key)
    }

    fn receive(&mut self, now: u64, received: Received) -> Vec<Request> {
        let mut out = Vec::new();
        self.0.receive(ms(now), received, |_| None, &mut out);
        out
    }

    fn handle(&mut self, input: Input) -> Vec<Request> {
        let mut out = Vec::new();
        self.0.handle(input, &mut out);
        out
    }

    /// When it has to be called again, and whether the login is to be looked up.
    fn tick(&mut self, now: u64) -> (Option<u64>, bool) {
        let mut out = Vec::new();
        let next = self.0.tick(ms(now), &mut out);
        let checks = match out[..] {
            [] => false,
            [Request::CheckAccess] => true,
            _ => panic!("{out:?}"),
        };
        (next.map(|next| u64::try_from(next.as_millis()).unwrap()), checks)
    }

    /// All that waits, in its order.
    fn written(&mut self) -> String {
        let all = std::iter::from_fn(|| self.0.next_outgoing()).map(|outgoing| match outgoing {
            Outgoing::Message(ServerMessage::Pong(pong)) => format!("pong {}", pong.timestamp_ms),
            Outgoing::Message(ServerMessage::JsonError(error)) => {
                format!("error {}", error.code().number())
            }
            Outgoing::Message(message) => format!("{} {}", message.name(), message.session()),
            Outgoing::Download(download) => {
                format!("download {}", download.header.download_cursor.server_version)
            }
            Outgoing::Close(code) => format!("close {}", code.number()),
        });
        all.collect::<Vec<_>>().join(", ")
    }
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

fn ping(timestamp_ms: u64) -> Received {
    Received::Message(ClientMessage::Ping(Ping { timestamp_ms, round_trip_time_ms: 0 }))
}

fn garbage() -> Received {
    Received::Binary(Bytes::from_static(b"hello"))
}

#[test]
fn a_silent_device_is_sent_away_and_then_cut_off() {
    let mut rig = Rig::new();
    assert_eq!(rig.tick(0), (Some(IDLE), false));
    assert_eq!(rig.tick(IDLE - 1), (Some(IDLE), false));
    assert_eq!((rig.written().as_str(), rig.0.is_open()), ("", true));
    assert_eq!(rig.tick(IDLE), (Some(IDLE + CLOSING), false));
    assert_eq!((rig.written().as_str(), rig.0.is_open()), ("error 100", false));
    assert_eq!(rig.tick(IDLE + CLOSING - 1), (Some(IDLE + CLOSING), false));
    assert_eq!(rig.tick(IDLE + CLOSING), (None, false));
}

#[test]
fn whatever_is_heard_keeps_a_connection_alive() {
    for received in [Received::Control, ping(1)] {
        let mut rig = Rig::new();
        rig.receive(60, received);
        assert_eq!(rig.tick(IDLE), (Some(60 + IDLE), false));
        assert!(rig.0.is_open());
    }
}

#[test]
fn a_device_that_is_sent_away_does_not_stay_by_talking() {
    let mut rig = Rig::new();
    rig.handle(Input::GoAway(GoAway::ShuttingDown));
    assert_eq!(rig.tick(20), (Some(20 + CLOSING), false), "it has until then");
    for received in [Received::Control, ping(1), garbage(), Received::Text, Received::TooBig] {
        assert!(rig.0.wants_messages(), "or one would not hear that it has left");
        assert!(rig.receive(25, received).is_empty());
    }
    rig.handle(Input::GoAway(GoAway::Idle));
    assert_eq!(rig.written(), "error 100", "and nothing after it");
    assert_eq!(rig.tick(20 + CLOSING), (None, false));
}

#[test]
fn what_is_no_message_ends_a_connection() {
    for (received, written, was_refused, left) in [
        (garbage(), "error 103", false, CLOSING),
        (Received::Text, "error 103", false, CLOSING),
        (Received::TooBig, "close 1009", true, CLOSE_FRAME),
    ] {
        let mut rig = Rig::new();
        assert!(rig.receive(5, received).is_empty());
        assert_eq!((rig.written().as_str(), rig.0.is_open()), (written, false));
        assert_eq!((rig.tick(6), rig.0.was_refused()), ((Some(6 + left), false), was_refused));
        assert_eq!(rig.tick(6 + left), (None, false));
    }
}

#[test]
fn a_login_is_looked_up_when_its_token_ends_and_from_then_on() {
    let mut rig = Rig::new();
    let mut looked_up = Vec::new();
    for now in (0..500).step_by(10) {
        rig.receive(now, Received::Control);
        let (next, checks) = rig.tick(now);
        assert!(next.is_some_and(|next| next <= now + IDLE && now < next));
        looked_up.extend(checks.then_some(now));
    }
    let first = ACCESS_LEFT;
    let all = [0, 1, 2, 3].map(|number| first + number * ACCESS_CHECK);
    assert_eq!(looked_up, all);
    rig.handle(Input::GoAway(GoAway::AccessEnded));
    assert_eq!(rig.tick(600), (Some(600 + CLOSING), false), "nobody asks for a device that leaves");
}

#[test]
fn a_pong_leaves_before_what_waits_but_for_earlier_pongs() {
    let mut rig = Rig::new();
    for session in [1, 2] {
        rig.receive(0, Received::Message(bind(session, HERE, false)));
        rig.receive(0, Received::Message(unbind(session)));
        rig.receive(0, ping(session));
    }
    assert_eq!(rig.0.waiting_count(), 4);
    assert_eq!(rig.written(), "pong 1, pong 2, unbound 1, unbound 2");
}

#[test]
fn nothing_is_read_while_too_much_waits() {
    let mut rig = Rig::new();
    for number in 0..MAX_WAITING as u64 {
        assert!(rig.0.wants_messages());
        rig.receive(0, ping(number));
    }
    assert!(!rig.0.wants_messages());
    assert!(rig.0.next_outgoing().is_some());
    assert!(rig.0.wants_messages());
}

#[test]
fn nothing_is_read_while_a_client_file_is_being_bound() {
    let mut rig = Rig::new();
    let opened = rig.receive(0, Received::Message(bind(1, HERE, false)));
    let [Request::Open(key, _)] = opened[..] else { panic!("{opened:?}") };
    assert!(rig.0.wants_messages());
    rig.receive(0, Received::Message(ident(1)));
    assert!(!rig.0.wants_messages());
    let identified = Ok((UploadCursor::default(), ServerVersion(0), ServerVersion(0)));
    rig.handle(Input::Identified(key, identified));
    assert!(rig.0.wants_messages());
}

#[test]
fn a_mark_is_about_what_is_news_when_it_comes() {
    let (mut rig, _) = Rig::with_session();
    rig.receive(0, Received::Message(mark(1, 1)));
    assert_eq!(rig.written(), "mark 1", "the device has everything");

    let (mut rig, key) = Rig::with_session();
    let signal = Signal { head: ServerVersion(5), end: None };
    let mut out = Vec::new();
    rig.0.receive(ms(0), Received::Message(mark(1, 1)), |_| Some((key, signal)), &mut out);
    assert!(matches!(out[..], [Request::Scan(..)]), "{out:?}");
    assert_eq!(rig.written(), "");
    rig.handle(Input::Scanned(key, Ok(scanned(5, 5))));
    assert_eq!(rig.written(), "download 5, mark 1");
}

#[test]
fn news_is_only_asked_for_by_marks() {
    let (mut rig, _) = Rig::with_session();
    for received in [ping(1), Received::Message(unbind(1)), garbage()] {
        rig.0.receive(ms(0), received, |_| panic!("nobody has asked"), &mut Vec::new());
    }
}
