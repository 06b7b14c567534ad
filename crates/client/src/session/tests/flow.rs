//! Scenarios: connections, sessions, uploads and downloads.

use std::time::Duration;

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::{Body, ClientMessage, DownloadHeader, Ping};
use bailiwick_protocol::version::{OriginTimestamp, ServerVersion, UploadCursor};
use bytes::Bytes;

use super::rig::Rig;
use crate::session::{
    Disconnect, FileRole, Input, Output, RealmKey, ResetMode, StorageAnswer, StorageRequest,
    SyncError, UploadBatch, WaitKey,
};

const NOW: OriginTimestamp = OriginTimestamp(5);
const MINUTE: Duration = Duration::from_secs(60);

fn gone() -> Input {
    Input::Disconnected(Disconnect::Network("gone".to_owned()))
}

fn nothing(len: usize) -> Bytes {
    vec![0; len].into()
}

#[test]
fn a_connection_lingers_until_nobody_needs_it() {
    let mut rig = Rig::synced();
    rig.input(Input::Pause(RealmKey(1)));
    rig.settle();
    rig.expect(&["unbind 1\n"]);
    rig.advance(Duration::from_secs(29));
    rig.expect_outputs(&["1: connected false"]);
    rig.advance(Duration::from_secs(1));
    rig.expect_outputs(&["Disconnect"]);
    rig.sent.clear();
    rig.input(Input::Resume(RealmKey(1)));
    rig.settle();
    rig.expect_outputs(&["Connect", "1: connected true"]);
    // No DOWNLOAD has said anything yet: the acknowledgement is repeated.
    rig.expect(&["bind 2 3 0 0 0\n\"1\"", "ident 2 2 4242 1 0 1 777\n", "mark 2 2\n"]);
}

#[test]
fn uploads_wait_for_a_mark_if_the_connection_was_lost_for_long() {
    for (pause, is_fast) in [(Duration::from_secs(59), true), (Duration::from_secs(61), false)] {
        let mut rig = Rig::synced();
        rig.input(gone());
        rig.wake();
        assert!(rig.is_connecting);
        // It takes its time, counted from the loss.
        rig.now = pause;
        rig.settle();
        let last = if is_fast { "upload 2 0 0 0 3 1 1\n" } else { "mark 2 2\n" };
        rig.expect(&["bind 2 3 0 0 0\n\"1\"", "ident 2 2 4242 1 0 1 777\n", last]);
    }
}

#[test]
fn pings_come_in_time_and_want_their_answer() {
    let mut rig = Rig::synced();
    let first = rig.sleep();
    assert!(first <= MINUTE, "{first:?}");
    let mut rtt = 0;
    for _ in 0..20 {
        let timestamp_ms = u64::try_from(rig.now.as_millis()).unwrap();
        let ping = Ping { timestamp_ms, round_trip_time_ms: rtt };
        assert_eq!(rig.sent.drain(..).collect::<Vec<_>>(), [ClientMessage::Ping(ping)]);
        let sent_at = rig.now;
        rig.advance(Duration::from_millis(250));
        rtt = 250;
        rig.receive(format!("pong {timestamp_ms}\n"));
        rig.sleep();
        let period = rig.since(sent_at);
        assert!(period <= MINUTE && period >= MINUTE * 9 / 10, "{period:?}");
    }
    let sent_at = rig.now;
    rig.log.clear();
    rig.wake();
    assert_eq!(rig.since(sent_at), 2 * MINUTE);
    rig.expect_outputs(&["Disconnect", "1: connected false"]);
}

#[test]
fn a_wrong_pong_is_a_violation() {
    let mut rig = Rig::synced();
    rig.sleep();
    let timestamp_ms = rig.pinged + 1;
    rig.hear(format!("pong {timestamp_ms}\n"));
    assert_eq!(rig.outputs()[0], "Disconnect");
}

#[test]
fn an_application_that_is_in_a_hurry_is_told_soon() {
    let mut rig = Rig::synced();
    rig.input(Input::Reconnect);
    assert_eq!(rig.sent.pop_back().unwrap().name(), "ping");
    rig.advance(2 * MINUTE);
    assert!(rig.outputs().contains(&"Connect".to_owned()), "there is no delay after the time-out");
    // A delay is cut short, however long it has become, and the next one is not longer than the first.
    let mut rig = Rig::synced();
    rig.input(gone());
    for _ in 0..6 {
        rig.sleep();
        rig.input(gone());
    }
    rig.log.clear();
    rig.input(Input::Reconnect);
    rig.expect_outputs(&["Connect"]);
    rig.input(gone());
    let delay = rig.sleep();
    assert!(delay <= Duration::from_secs(1), "{delay:?}");
}

#[test]
fn reading_pauses_while_too_much_waits_to_be_integrated() {
    let mut rig = Rig::synced();
    let body = vec![b'0'; 1 << 20];
    let mut count = 0;
    while rig.log.is_empty() {
        count += 1;
        let head =
            format!("download 1 {} 0 {} 777 3 1 0 0 {} 0\n", count + 1, count + 1, body.len());
        rig.hear([head.as_bytes(), &body].concat());
        assert!(count < 10, "the queue has no bound");
    }
    // One is being integrated.
    assert_eq!(count, 5);
    rig.expect_outputs(&["PauseReading"]);
    // No PONG can be read meanwhile, so none is missed.
    rig.wake();
    assert_eq!(rig.sent.pop_back().unwrap().name(), "ping");
    rig.now += 5 * MINUTE;
    rig.input(Input::Timeout);
    while rig.log.is_empty() {
        let (realm, role, request) = rig.requests.pop_front().unwrap();
        let request = match request {
            // The bodies are too long for these files.
            StorageRequest::Integrate(header, _) => {
                StorageRequest::Integrate(header, Body::default())
            }
            request => request,
        };
        let answer = rig.realms.get_mut(&realm).unwrap().execute(role, request);
        rig.input(Input::Stored(realm, role, answer));
    }
    rig.expect_outputs(&["ResumeReading"]);
    rig.now += MINUTE;
    rig.input(Input::Timeout);
    rig.expect_outputs(&[]);
}

#[test]
fn one_upload_at_a_time_waits_for_the_network() {
    let mut rig = Rig::synced();
    for _ in 0..4 {
        // More than one UPLOAD holds.
        let file = &mut rig.realms.get_mut(&RealmKey(1)).unwrap().main;
        file.commit(nothing(200_000), NOW);
        let (version, uploadable) = (file.state.version, file.state.bytes.uploadable);
        rig.input(Input::Committed { realm: RealmKey(1), version, uploadable });
    }
    let mut uploads = Vec::new();
    loop {
        while let Some((realm, role, request)) = rig.requests.pop_front() {
            let answer = rig.realms.get_mut(&realm).unwrap().execute(role, request);
            rig.input(Input::Stored(realm, role, answer));
        }
        let sent: Vec<_> = rig.sent.drain(..).collect();
        if sent.is_empty() {
            break;
        }
        assert_eq!(sent.len(), 1, "the next one waits until this one has left");
        let ClientMessage::Upload(upload) = &sent[0] else { panic!() };
        uploads.push(upload.header.progress.client_version.0);
        rig.is_sending = false;
        rig.input(Input::Writable);
    }
    // Nothing was acknowledged.
    assert_eq!(uploads, [4, 5, 6, 7]);
}

#[test]
fn a_new_session_uploads_again_what_was_not_acknowledged() {
    let mut rig = Rig::synced();
    rig.commit(1, nothing(3), NOW);
    rig.expect(&["upload 1 0 13 0 4 1 1\n4 1 5 0 3 \0\0\0"]);
    rig.input(gone());
    rig.sleep();
    rig.expect(&[
        "bind 2 3 0 0 0\n\"1\"",
        "ident 2 2 4242 1 0 1 777\n",
        "upload 2 0 13 0 4 1 1\n4 1 5 0 3 \0\0\0",
    ]);
    // The server had got it: nothing is left to be uploaded.
    rig.receive("download 2 2 4 2 777 4 1 0 0 0 0\n");
    rig.expect(&["upload 2 0 0 0 5 2 2\n"]);
}

#[test]
fn sessions_take_turns() {
    let mut rig = Rig::new(14);
    for realm in 1..=3 {
        rig.open(realm, ResetMode::Manual);
    }
    rig.settle();
    for session in 1..=3 {
        rig.hear(format!("ident {session} {} 4242\n", session + 1));
    }
    rig.settle();
    let names: Vec<_> =
        rig.sent.iter().map(|message| (message.name(), message.session().0)).collect();
    assert_eq!(names[..3], [("bind", 1), ("bind", 2), ("bind", 3)]);
    assert_eq!(names.len(), 9, "{names:?}");
}

#[test]
fn late_messages_of_ended_sessions_are_ignored() {
    let mut rig = Rig::synced();
    rig.input(Input::Pause(RealmKey(1)));
    rig.input(Input::Resume(RealmKey(1)));
    rig.settle();
    rig.log.clear();
    for message in [
        "download 1 2 0 2 777 3 1 0 0 0 0\n",
        "mark 1 1\n",
        "unbound 1\n",
        "ident 1 3 4243\n",
        "error 201 1 1 1\nm",
    ] {
        rig.receive(message);
    }
    rig.expect_outputs(&[]);
    assert_eq!(rig.realms[&RealmKey(1)].main.integrated().0, 1);
    rig.receive("unbound 3\n");
    assert_eq!(rig.outputs()[0], "Disconnect");
}

#[test]
fn a_closed_realm_is_let_go_once_its_file_is_free() {
    let mut rig = Rig::synced();
    rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
    assert_eq!(rig.requests.len(), 1);
    rig.input(Input::WaitForDownload(RealmKey(1), WaitKey(5)));
    rig.input(Input::Close(RealmKey(1)));
    rig.expect_outputs(&[
        "1: connected false",
        "wait 5 failed: fatal: sync of the realm has ended",
    ]);
    rig.settle();
    rig.expect_outputs(&["1: closed"]);
    // What was under way was kept.
    assert_eq!(rig.realms[&RealmKey(1)].main.integrated().0, 2);
}

#[test]
fn the_answer_to_an_earlier_session_counts() {
    let mut rig = Rig::synced();
    rig.hear("download 1 5 0 5 777 3 1 0 0 0 0\n");
    rig.input(gone());
    rig.wake();
    rig.is_connecting = false;
    rig.input(Input::Connected(Ok(rig.version)));
    assert!(rig.sent.is_empty(), "what the file will be at is not known");
    rig.settle();
    rig.expect(&["bind 2 3 0 0 0\n\"1\"", "ident 2 2 4242 5 0 5 777\n", "upload 2 0 0 0 4 5 5\n"]);
}

#[test]
fn compensating_writes_are_told_when_they_are_undone() {
    let mut rig = Rig::synced();
    let body = r#"{"tryAgain":true,"message":"no","shouldClientReset":false,"isRecoveryModeDisabled":false,"logURL":"","action":"Warning","rejectedUpdates":[],"compensatingWriteServerVersion":3,"rejectedClientVersion":2}"#;
    rig.receive(format!("json_error 231 {} 1\n{body}", body.len()));
    rig.receive("download 1 2 0 2 777 3 1 0 0 0 0\n");
    rig.log.clear();
    rig.receive("download 1 3 0 3 777 3 1 0 0 0 0\n");
    rig.expect_outputs(&["1: the server undoes writes that are not allowed: no"]);
}

#[test]
fn compensating_writes_that_are_never_undone_are_too_many() {
    let mut rig = Rig::synced();
    let message = "x".repeat(1 << 20);
    let body = format!(
        r#"{{"tryAgain":true,"message":"{message}","shouldClientReset":false,"isRecoveryModeDisabled":false,"logURL":"","action":"Warning","rejectedUpdates":[],"compensatingWriteServerVersion":9,"rejectedClientVersion":2}}"#
    );
    for count in 1.. {
        rig.receive(format!("json_error 231 {} 1\n{body}", body.len()));
        if rig.log.iter().any(|output| matches!(output, Output::Disconnect)) {
            break;
        }
        assert!(count < 5, "the memory has no bound");
    }
}

#[test]
fn progress_is_told_after_the_first_download_and_when_it_is_news() {
    let mut rig = Rig::new(14);
    rig.open(1, ResetMode::Manual);
    rig.settle();
    rig.commit(1, nothing(10), NOW);
    rig.receive("ident 1 2 4242\n");
    rig.expect_outputs(&["Connect", "1: connected true"]);
    rig.receive("download 1 1 0 1 777 0 0 50 0 0 0\n");
    rig.expect_outputs(&["1: progress 0+50 0/10"]);
    rig.receive("download 1 1 0 1 777 0 0 50 0 0 0\n");
    rig.expect_outputs(&[]);
    rig.commit(1, nothing(5), NOW);
    rig.expect_outputs(&["1: progress 0+50 0/15"]);
}

#[test]
fn what_cannot_be_integrated_is_reported_once() {
    let mut rig = Rig::synced();
    rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
    rig.hear("download 1 3 0 3 777 3 1 0 0 0 0\n");
    let code = ErrorCode::BadProgress;
    rig.answer(StorageAnswer::IntegrationFailed { code, message: "no".to_owned() });
    rig.expect_outputs(&["1: what the server sent cannot be integrated: no"]);
    rig.expect(&["json_error 233 16 1\n{\"message\":\"no\"}"]);
    rig.receive("download 1 4 0 4 777 3 1 0 0 0 0\n");
    rig.wait_for_download(1, 3);
    rig.commit(1, nothing(3), NOW);
    rig.expect(&[]);
    // The next session takes another try.
    rig.input(gone());
    rig.sleep();
    let names: Vec<_> = rig.sent.iter().map(ClientMessage::name).collect();
    assert_eq!(names, ["bind", "ident", "mark", "upload"]);
}

#[test]
fn a_file_that_fails_is_loaded_again_when_the_realm_is_resumed() {
    let mut rig = Rig::synced();
    rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
    rig.answer(StorageAnswer::Failed(SyncError::File("disk".to_owned())));
    rig.expect_outputs(&["1: connected false", "1: fatal: the realm's file cannot be used: disk"]);
    rig.expect(&["unbind 1\n"]);
    rig.wait_for_upload(1, 2);
    rig.expect_outputs(&["wait 2 failed: fatal: the realm's file cannot be used: disk"]);
    rig.input(Input::Resume(RealmKey(1)));
    assert!(matches!(rig.requests[0], (_, FileRole::Main, StorageRequest::Load)));
    rig.settle();
    assert_eq!(rig.sent[0].name(), "bind");
}

#[test]
fn an_answer_that_fits_no_request_fails_the_file() {
    let mut rig = Rig::synced();
    rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
    let progress = UploadCursor::default();
    let locked_server_version = ServerVersion(0);
    let batch = UploadBatch { progress, locked_server_version, entries: Vec::new() };
    rig.answer(StorageAnswer::Upload(batch));
    assert!(rig.outputs()[1].starts_with("1: fatal: the realm's file cannot be used: "));
    // None was asked for.
    rig.input(Input::Stored(
        RealmKey(1),
        FileRole::Main,
        StorageAnswer::ResetFailed(String::new()),
    ));
    rig.input(Input::Stored(
        RealmKey(9),
        FileRole::Fresh,
        StorageAnswer::ResetFailed(String::new()),
    ));
    rig.expect_outputs(&[]);
}

#[test]
fn a_download_that_breaks_the_protocol_is_the_fault_of_its_connection_only() {
    for is_same_connection in [true, false] {
        let mut rig = Rig::synced();
        rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
        if !is_same_connection {
            rig.input(gone());
        }
        rig.log.clear();
        let (realm, role, request) = rig.requests.pop_front().unwrap();
        assert!(matches!(
            request,
            StorageRequest::Integrate(DownloadHeader { session: SessionIdent(1), .. }, _)
        ));
        rig.input(Input::Stored(realm, role, StorageAnswer::ProtocolViolation("no".to_owned())));
        let is_over = rig.outputs().contains(&"Disconnect".to_owned());
        assert_eq!(is_over, is_same_connection);
    }
}
