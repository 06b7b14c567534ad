//! Tables: what happens after each kind of failure, and when.

use std::time::Duration;

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::Backoff as ServerBackoff;

use super::rig::Rig;
use crate::session::backoff::{Backoff, Failure, Growth};
use crate::session::random::Random;
use crate::session::{
    ConnectError, Disconnect, Input, RealmKey, ResetMode, StorageAnswer, SyncError,
};

const NETWORK: Failure = Failure::Network;
const BUSY: Failure = Failure::Server(ErrorCode::OtherSessionError);

/// What comes of a failure of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A connection after a second at most.
    Soon,
    /// A connection once there is a new token.
    Token,
    /// A connection once there is a new token, but not before the delay is over.
    Later,
    /// A connection when somebody asks for it.
    Never,
}

#[track_caller]
fn check_delays(growth: Growth, failures: &[Failure], expected_s: &[u64]) {
    for seed in 0..20 {
        let (mut backoff, mut random) = (Backoff::default(), Random::new(seed));
        for (&failure, &expected) in failures.iter().zip(expected_s) {
            let delay = backoff.delay(failure, growth, &mut random);
            let most = Duration::from_secs(expected);
            assert!(delay <= most && delay >= most * 3 / 4, "{delay:?} instead of {expected} s");
        }
    }
}

#[test]
fn delays_double_while_the_same_failure_repeats() {
    let growth = Growth::default();
    check_delays(growth, &[NETWORK; 11], &[1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    check_delays(growth, &[NETWORK, NETWORK, BUSY, BUSY, NETWORK], &[1, 2, 1, 2, 1]);
    let closed = Failure::Server(ErrorCode::SessionClosed);
    check_delays(growth, &[closed; 4], &[1, 1, 1, 1]);
    check_delays(growth, &[Failure::Status(500), Failure::Status(503)], &[1, 1]);
}

#[test]
fn the_server_says_how_delays_grow() {
    let check = |interval_s, max_delay_s, multiplier, expected_s: &[u64]| {
        let growth = Growth::from(ServerBackoff { interval_s, max_delay_s, multiplier });
        check_delays(growth, &[BUSY; 4], expected_s);
    };
    check(10, 60, 3, &[10, 30, 60, 60]);
    check(2, 3600, 1, &[2, 2, 2, 2]);
    // Nothing makes a device hammer at the server, or wait for ever.
    check(0, 0, 0, &[1, 1, 1, 1]);
    check(5, 1, 2, &[5, 5, 5, 5]);
    check(u32::MAX, u32::MAX, u32::MAX, &[u64::from(u32::MAX); 4]);
}

/// A rig whose first connection is being made; `is_located` if an earlier one was made.
fn connecting(is_located: bool) -> Rig {
    let mut rig = Rig::new(14);
    rig.open(1, ResetMode::Manual);
    if is_located {
        rig.settle();
        rig.input(Input::Disconnected(Disconnect::Closed(1011, String::new())));
        rig.wake();
    } else {
        rig.step();
    }
    assert!(rig.is_connecting, "the machine connects");
    rig.is_connecting = false;
    rig.sent.clear();
    rig.log.clear();
    rig
}

/// What comes next, and that it does.
#[track_caller]
fn check_next(rig: &mut Rig, next: Next) {
    match next {
        Next::Soon => {
            let start = rig.now;
            rig.wake();
            let delay = rig.since(start);
            assert!(
                delay >= Duration::from_millis(750) && delay <= Duration::from_secs(1),
                "{delay:?}"
            );
            assert!(rig.is_connecting, "there is a new connection");
        }
        Next::Token => {
            rig.input(Input::TokenRefreshed(Ok(())));
            assert!(rig.is_connecting, "there is a new connection at once");
        }
        Next::Later => {
            rig.wake();
            assert!(!rig.is_connecting, "there is no token yet");
            rig.input(Input::TokenRefreshed(Ok(())));
            assert!(rig.is_connecting, "there is a new connection");
        }
        Next::Never => {
            rig.advance(Duration::from_secs(100_000));
            assert!(!rig.is_connecting, "there is no new connection");
            rig.input(Input::Resume(RealmKey(1)));
            if !rig.requests.is_empty() {
                rig.step();
            }
            assert!(rig.is_connecting, "there is one if the application asks");
        }
    }
}

#[track_caller]
fn check_attempt(is_located: bool, error: ConnectError, outputs: &[&str], next: Next) {
    let mut rig = connecting(is_located);
    rig.input(Input::Connected(Err(error)));
    rig.expect_outputs(outputs);
    check_next(&mut rig, next);
}

#[test]
fn attempts_to_connect_fail() {
    let network = || ConnectError::Network("no route".to_owned());
    let status = ConnectError::Status;
    let told = |status| format!("1: cannot connect: the server answers with HTTP status {status}");
    check_attempt(true, network(), &[], Next::Soon);
    check_attempt(false, network(), &["RefreshLocation"], Next::Soon);
    check_attempt(true, status(401), &["RefreshToken"], Next::Token);
    check_attempt(true, status(301), &["RefreshLocation", "RefreshToken"], Next::Later);
    check_attempt(true, status(308), &["RefreshLocation", "RefreshToken"], Next::Later);
    for code in [302, 303, 307, 500, 502, 503] {
        check_attempt(true, status(code), &[&told(code)], Next::Soon);
    }
    for code in [200, 400, 404, 410, 429] {
        let fatal = format!("1: fatal: {}", &told(code)[3..]);
        check_attempt(true, status(code), &[&fatal], Next::Never);
        check_attempt(false, status(code), &[&told(code), "RefreshLocation"], Next::Soon);
    }
    let refused = "1: fatal: the user is logged out: the server answers with HTTP status 403";
    check_attempt(true, status(403), &[refused, "LogOut"], Next::Never);
    let fatal =
        "1: fatal: cannot connect: the server speaks no known version of the sync protocol: #15";
    check_attempt(true, ConnectError::Protocol("#15".to_owned()), &[fatal], Next::Never);
    let logged_out = ConnectError::LoggedOut("no token".to_owned());
    let told = "1: fatal: the user is logged out: no token";
    check_attempt(true, logged_out, &[told, "LogOut"], Next::Never);
}

#[track_caller]
fn check_close(code: u16, outputs: &[&str], next: Next) {
    let mut rig = Rig::synced();
    rig.input(Input::Disconnected(Disconnect::Closed(code, "x".to_owned())));
    let mut expected = vec!["1: connected false"];
    expected.extend(outputs);
    rig.expect_outputs(&expected);
    check_next(&mut rig, next);
}

#[test]
fn close_codes() {
    let told =
        |code| format!("1: cannot connect: the server closed the connection with code {code}: x");
    check_close(1000, &[], Next::Soon);
    for code in [1001, 1002, 1003, 1004, 1005, 1007, 1008, 1010, 1011, 1012, 4404, 4405, 4999] {
        check_close(code, &[&told(code)], Next::Soon);
    }
    check_close(1006, &["RefreshToken"], Next::Token);
    check_close(4001, &["RefreshToken"], Next::Token);
    check_close(4003, &["RefreshLocation", "RefreshToken"], Next::Later);
    let refused =
        "1: fatal: the user is logged out: the server closed the connection with code 4002: x";
    check_close(4002, &[refused, "LogOut"], Next::Never);
}

#[test]
fn a_token_that_does_not_help_is_not_tried_again_at_once() {
    let mut rig = connecting(true);
    for _ in 0..3 {
        rig.input(Input::Connected(Err(ConnectError::Status(401))));
        rig.expect_outputs(&["RefreshToken"]);
        rig.input(Input::TokenRefreshed(Ok(())));
        if !rig.is_connecting {
            rig.wake();
            assert!(rig.is_connecting && rig.now > Duration::from_secs(2), "after a delay");
            return;
        }
        rig.is_connecting = false;
        rig.log.clear();
    }
    panic!("the machine hammers at the server");
}

#[test]
fn a_server_that_wants_ever_new_tokens_is_not_hammered() {
    // Each connection works for a moment.
    let ends: [fn(&mut Rig); 2] = [
        |rig| rig.input(Input::Disconnected(Disconnect::Closed(4001, String::new()))),
        |rig| rig.hear(json_error(100, 0, "RefreshUser", true, "")),
    ];
    for end in ends {
        let mut rig = Rig::synced();
        for round in 0..10 {
            let session = rig.machine.last_ident.0;
            rig.receive(format!("download {session} {0} 0 {0} 777 3 1 0 0 0 0\n", round + 2));
            end(&mut rig);
            rig.input(Input::TokenRefreshed(Ok(())));
            if !rig.is_connecting {
                rig.wake();
            }
            rig.settle();
        }
        assert!(rig.now > Duration::from_secs(5), "ten connections in {:?}", rig.now);
    }
    let mut rig = connecting(true);
    let start = rig.now;
    for _ in 0..10 {
        rig.input(Input::Connected(Err(ConnectError::Status(401))));
        rig.input(Input::TokenRefreshed(Ok(())));
        if !rig.is_connecting {
            rig.wake();
        }
        rig.settle();
        rig.input(Input::Disconnected(Disconnect::Closed(4001, String::new())));
        rig.input(Input::TokenRefreshed(Ok(())));
        if !rig.is_connecting {
            rig.wake();
        }
        rig.is_connecting = false;
    }
    assert!(rig.since(start) > Duration::from_secs(5), "ten connections in {:?}", rig.since(start));
}

#[test]
fn a_violation_after_a_download_without_news_counts_as_repeated() {
    let mut rig = Rig::synced();
    let start = rig.now;
    for _ in 0..5 {
        let session = rig.machine.last_ident.0;
        rig.receive(format!("download {session} 1 0 1 777 3 1 0 0 0 0\n"));
        rig.hear("garbage");
        rig.wake();
        rig.settle();
    }
    assert!(rig.since(start) > Duration::from_secs(20), "{:?}", rig.since(start));
}

#[test]
fn a_token_is_refreshed_once_at_a_time() {
    let mut rig = Rig::synced();
    rig.receive(json_error(201, 1, "RefreshUser", true, ""));
    rig.expect_outputs(&["1: connected false", "RefreshToken"]);
    rig.input(Input::Disconnected(Disconnect::Closed(4001, String::new())));
    rig.expect_outputs(&[]);
    // The delays of the session and of the connection.
    rig.advance(Duration::from_secs(2));
    assert!(!rig.is_connecting, "the token is on its way");
    rig.expect_outputs(&[]);
    rig.input(Input::TokenRefreshed(Ok(())));
    assert!(rig.is_connecting, "it is there");
}

#[test]
fn a_user_whose_token_cannot_be_refreshed_is_logged_out() {
    let mut rig = connecting(true);
    rig.wait_for_download(1, 7);
    rig.input(Input::Connected(Err(ConnectError::Status(401))));
    rig.expect_outputs(&["RefreshToken"]);
    rig.input(Input::TokenRefreshed(Err(SyncError::LoggedOut("revoked".to_owned()))));
    let reason = "fatal: the user is logged out: revoked";
    rig.expect_outputs(&[&format!("1: {reason}"), &format!("wait 7 failed: {reason}")]);
    check_next(&mut rig, Next::Never);
}

fn json_error(code: u32, session: u64, action: &str, try_again: bool, more: &str) -> String {
    let body = format!(
        "{{\"tryAgain\":{try_again},\"message\":\"m\",\"shouldClientReset\":false,\
         \"isRecoveryModeDisabled\":false,\"logURL\":\"\",\"action\":\"{action}\"{more}}}"
    );
    format!("json_error {code} {} {session}\n{body}", body.len())
}

/// An error of the connection.
#[track_caller]
fn check_connection_error(message: &str, outputs: &[&str], next: Next) {
    let mut rig = Rig::synced();
    rig.hear(message);
    let mut expected = vec!["Disconnect", "1: connected false"];
    expected.extend(outputs);
    rig.expect_outputs(&expected);
    check_next(&mut rig, next);
}

#[test]
fn errors_of_the_connection() {
    let check = |code, action, try_again, outputs: &[&str], next| {
        check_connection_error(&json_error(code, 0, action, try_again, ""), outputs, next);
    };
    let (told, fatal) = ("1: the server reports: m", "1: fatal: the server reports: m");
    check(100, "Transient", true, &[], Next::Soon);
    check(101, "Warning", true, &[told], Next::Soon);
    check(100, "Transient", false, &[fatal], Next::Never);
    check(113, "ApplicationBug", false, &[fatal], Next::Never);
    check(109, "ProtocolViolation", false, &[fatal], Next::Never);
    check(103, "Anything", false, &[fatal], Next::Never);
    check(100, "RefreshUser", true, &["RefreshToken"], Next::Token);
    check(100, "RefreshLocation", true, &["RefreshLocation", "RefreshToken"], Next::Later);
    let out = "1: fatal: the user is logged out: m";
    check(100, "LogOutUser", false, &[out, "LogOut"], Next::Never);
    check_connection_error("error 100 1 1 0\nm", &[], Next::Soon);
    check_connection_error("error 101 1 0 0\nm", &[fatal], Next::Never);
}

#[test]
fn violations_end_the_connection_and_are_told() {
    for message in [
        "garbage",
        "pong 1\n",
        "ident 1 2 4242\n",
        "unbound 1\n",
        "mark 1 2\n",
        "mark 9 1\n",
        "download 9 1 0 1 777 0 0 0 0 0 0\n",
        // Nothing goes back, and nothing is beyond what there is.
        "download 1 1 0 0 777 3 1 0 0 0 0\n",
        "download 1 0 0 1 777 3 0 0 0 0 0\n",
        "download 1 2 0 1 777 3 1 0 0 0 0\n",
        "download 1 1 4 1 777 3 1 0 0 0 0\n",
        "download 1 1 0 1 777 3 2 0 0 0 0\n",
        "download 1 1 0 1 777 4 1 0 0 0 0\n",
        // The level of the code is not that of the error.
        &json_error(201, 0, "Transient", true, ""),
        &json_error(100, 1, "Transient", true, ""),
        &json_error(231, 1, "Warning", true, ""),
    ] {
        let mut rig = Rig::synced();
        rig.hear(message);
        let outputs = rig.outputs();
        assert_eq!(outputs[..2], ["Disconnect", "1: connected false"], "{message:?}");
        assert!(
            outputs[2].starts_with("1: the server breaks the protocol: "),
            "{message:?}: {outputs:?}"
        );
        assert_eq!(outputs.len(), 3, "{message:?}");
        check_next(&mut rig, Next::Soon);
    }
}

/// An error of the session; `delay_s` until it is bound again, if it is.
#[track_caller]
fn check_session_error(message: &str, outputs: &[&str], delay_s: Option<u64>) {
    let mut rig = Rig::synced();
    rig.receive(message);
    let mut expected = vec!["1: connected false"];
    expected.extend(outputs);
    rig.expect_outputs(&expected);
    rig.expect(&["unbind 1\n"]);
    let start = rig.now;
    let Some(delay_s) = delay_s else {
        rig.advance(Duration::from_secs(1000));
        assert!(rig.sent.iter().all(|message| message.name() == "ping"), "{:?}", rig.sent);
        rig.sent.clear();
        rig.input(Input::Resume(RealmKey(1)));
        rig.settle();
        assert_eq!(rig.sent[0].name(), "bind", "the application asks for it");
        return;
    };
    while rig.sent.is_empty() {
        rig.sleep();
    }
    let (delay, most) = (rig.since(start), Duration::from_secs(delay_s));
    assert!(delay <= most && delay >= most * 3 / 4, "{delay:?} instead of {delay_s} s");
    let upload = "upload 2 0 0 0 3 1 1\n";
    rig.expect(&["bind 2 3 0 0 0\n\"1\"", "ident 2 2 4242 1 0 1 777\n", upload]);
}

#[test]
fn errors_of_a_session() {
    let check = |code, action, try_again, outputs: &[&str], delay_s| {
        check_session_error(&json_error(code, 1, action, try_again, ""), outputs, delay_s);
    };
    let (told, fatal) = ("1: the server reports: m", "1: fatal: the server reports: m");
    check(201, "Transient", true, &[], Some(1));
    check(200, "Transient", true, &[], Some(1));
    check(229, "Warning", true, &[told], Some(1));
    check(201, "Transient", false, &[fatal], None);
    for (code, action) in [
        (206, "ApplicationBug"),
        (212, "ProtocolViolation"),
        (217, "DeleteRealm"),
        (232, "MigrateToFLX"),
        (234, "RevertToPBS"),
        (235, "MigrateSchema"),
        (299, "Anything"),
    ] {
        check(code, action, false, &[fatal], None);
        check(code, action, true, &[fatal], None);
    }
    check(201, "RefreshUser", true, &["RefreshToken"], Some(1));
    let slow = ",\"backoffIntervalSec\":10,\"backoffMaxDelaySec\":60,\"backoffMultiplier\":2";
    check_session_error(&json_error(201, 1, "Transient", true, slow), &[], Some(10));
    check_session_error("error 201 1 1 1\nm", &[], Some(1));
    check_session_error("error 206 1 0 1\nm", &[fatal], None);
}

/// The next user must not go on with the connection of the one before.
#[test]
fn another_login_gets_another_connection() {
    let check = |log_out: fn(&mut Rig), outputs: &[&str]| {
        let mut rig = Rig::synced();
        log_out(&mut rig);
        rig.expect_outputs(outputs);
        rig.expect(&[]);
        rig.advance(Duration::from_secs(10));
        rig.expect(&[]);
        rig.input(Input::Resume(RealmKey(1)));
        while !rig.is_connecting {
            assert!(rig.step(), "it connects with the token of the new login");
        }
        rig.expect(&[]);
    };
    let told = "1: fatal: the user is logged out: m";
    check(
        |rig| rig.receive(json_error(201, 1, "LogOutUser", false, "")),
        &["1: connected false", told, "Disconnect", "LogOut"],
    );
    check(
        |rig| {
            rig.receive(json_error(201, 1, "RefreshUser", true, ""));
            rig.log.clear();
            rig.sent.clear();
            rig.input(Input::TokenRefreshed(Err(SyncError::LoggedOut("m".to_owned()))));
        },
        &[told, "Disconnect"],
    );
}

#[test]
fn what_a_server_tells_does_not_fill_the_memory() {
    let text = |len: usize| "\u{fc}".repeat(len / 2);
    let check = |told: &str, expected_len: usize| {
        let mut rig = Rig::synced();
        rig.receive(told);
        let outputs = rig.outputs();
        let told = outputs[1].strip_prefix("1: fatal: the server reports: ").unwrap();
        assert_eq!(told.len(), expected_len);
    };
    for (len, expected_len) in [(100, 100), (4096, 4096), (10_000_000, 4096)] {
        let text = text(len);
        check(&format!("error 206 {} 0 1\n{text}", text.len()), expected_len);
        let json = json_error(206, 1, "ApplicationBug", false, "");
        let body = json.split_once('\n').unwrap().1.replace("\"m\"", &format!("\"{text}\""));
        check(&format!("json_error 206 {} 1\n{body}", body.len()), expected_len);
    }
}

#[test]
fn what_cannot_be_integrated_is_told_in_short() {
    let mut rig = Rig::synced();
    rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
    let (code, message) = (ErrorCode::BadChangeset, "x".repeat(1_000_000));
    rig.answer(StorageAnswer::IntegrationFailed { code, message });
    let told = "1: what the server sent cannot be integrated: ".len() + 4096;
    assert_eq!(rig.outputs()[0].len(), told);
    let sent = rig.sent.pop_back().unwrap();
    assert_eq!((sent.name(), sent.print().len()), ("json_error", 22 + 14 + 4096));
    let mut rig = Rig::synced();
    rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
    rig.answer(StorageAnswer::ProtocolViolation("x".repeat(1_000_000)));
    let told = "1: the server breaks the protocol: ".len() + 4096;
    assert_eq!(rig.outputs()[2].len(), told);
}

#[test]
fn a_download_makes_delays_short_again() {
    let mut rig = Rig::synced();
    let mut delays = Vec::new();
    for session in 1..=4 {
        if session == 4 {
            rig.receive(format!("download {session} 1 0 1 777 3 1 0 0 0 0\n"));
        }
        rig.receive(json_error(201, session, "Transient", true, ""));
        rig.sent.clear();
        let start = rig.now;
        while rig.sent.is_empty() {
            rig.sleep();
        }
        delays.push(rig.since(start).as_millis());
    }
    assert!(delays[1] > 1000 && delays[2] > 2000 && delays[3] <= 1000, "{delays:?}");
}

#[test]
fn an_attempt_that_takes_too_long_is_given_up() {
    let mut rig = connecting(true);
    let start = rig.now;
    rig.wake();
    assert_eq!(rig.since(start), Duration::from_secs(120));
    rig.expect_outputs(&["Disconnect"]);
    check_next(&mut rig, Next::Soon);
}
