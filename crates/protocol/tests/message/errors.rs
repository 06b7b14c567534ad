//! Every error that can be sent, judged by a model of the devices' own reading: written from the rules, without a
//! line of the code under test.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::{ConnectionCode, ErrorCode, SessionCode};
use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::{
    Backoff, ErrorBody, LogLevel, LogLine, LogMessage, RejectedUpdate, Rejection, ServerError,
    ServerMessage,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, ServerVersion};
use serde_json::Value;

use crate::version;

/// Devices abort their process on these.
const ABORTING: [u32; 12] = [104, 202, 203, 205, 207, 214, 215, 218, 219, 220, 221, 224];

/// What a device makes of an error.
#[derive(Debug, PartialEq)]
struct Heard {
    code: u32,
    session: u64,
    try_again: bool,
    text: String,
    /// The JSON; null before version 4.
    json: Value,
}

/// Reads an error as a device does that speaks `version`.
fn hear(version: ProtocolVersion, payload: &[u8]) -> Heard {
    let text = std::str::from_utf8(payload).expect("errors are text");
    let (header, body) = text.split_once('\n').expect("a header ends with a line feed");
    let fields: Vec<&str> = header.split(' ').collect();
    let number = |i: usize| fields[i].parse::<u64>().expect("fields are numbers");
    let heard = match fields[0] {
        "error" => {
            assert!(version.number() < 4, "ERROR makes later devices abort");
            assert_eq!(fields.len(), 5, "{header}");
            Heard {
                code: fields[1].parse().unwrap(),
                session: number(4),
                try_again: number(3) == 1,
                text: body.to_owned(),
                json: Value::Null,
            }
        }
        "json_error" => {
            assert!(version.number() >= 4, "JSON_ERROR came with version 4");
            assert_eq!(fields.len(), 4, "{header}");
            let json: Value = serde_json::from_str(body).expect("JSON");
            Heard {
                code: fields[1].parse().unwrap(),
                session: number(3),
                try_again: json["tryAgain"].as_bool().expect("tryAgain is required"),
                text: json["message"].as_str().expect("message is required").to_owned(),
                json,
            }
        }
        name => panic!("{name} is no error"),
    };
    assert_eq!(number(2), u64::try_from(body.len()).unwrap(), "the size counts bytes");
    judge_code(version, &heard);
    if version.number() >= 4 {
        judge_json(version, &heard);
    }
    heard
}

fn judge_code(version: ProtocolVersion, heard: &Heard) {
    let code = heard.code;
    assert!(!ABORTING.contains(&code), "{code} aborts devices");
    let newest = match version.number() {
        2 | 3 => [112, 225],
        4 => [114, 230],
        _ => [114, 231],
    };
    match heard.session {
        0 => assert!((100..=newest[0]).contains(&code), "{code} is unknown or not of a connection"),
        _ => assert!((200..=newest[1]).contains(&code), "{code} is unknown or not of a session"),
    }
    assert_ne!(code, 213, "no device knows 213");
}

fn judge_json(version: ProtocolVersion, heard: &Heard) {
    let json = &heard.json;
    let has = |field: &str| json.get(field).is_some();
    for field in ["shouldClientReset", "isRecoveryModeDisabled"] {
        assert!(json[field].is_boolean(), "{field} is required");
    }
    assert!(json["logURL"].is_string(), "logURL is required");
    if version.number() >= 7 {
        judge_action(version, heard);
    }
    if has("backoffIntervalSec") {
        for field in ["backoffIntervalSec", "backoffMaxDelaySec", "backoffMultiplier"] {
            assert!(json[field].is_u64(), "{field} is required");
        }
    }
    if heard.code == 231 {
        assert!(json["compensatingWriteServerVersion"].is_u64(), "devices abort without it");
    }
    if has("rejectedUpdates") {
        assert!(json["compensatingWriteServerVersion"].is_u64());
        assert!(json["rejectedClientVersion"].is_u64());
        for update in json["rejectedUpdates"].as_array().expect("an array") {
            assert!(["reason", "table", "pk"].iter().all(|field| update[field].is_string()));
        }
    }
}

fn judge_action(version: ProtocolVersion, heard: &Heard) {
    let json = &heard.json;
    let (try_again, reset, no_recovery, since) = match json["action"].as_str().expect("action") {
        "Transient" | "Warning" => (true, false, false, 7),
        "ApplicationBug" | "ProtocolViolation" | "DeleteRealm" => (false, false, false, 7),
        "ClientReset" => (false, true, false, 7),
        "ClientResetNoRecovery" => (false, true, true, 7),
        "MigrateToFLX" | "RevertToPBS" => (false, false, false, 9),
        "RefreshUser" | "RefreshLocation" => (true, false, false, 10),
        "LogOutUser" | "MigrateSchema" => (false, false, false, 10),
        action => panic!("{action} is no action"),
    };
    assert!(version.number() >= since, "{json} before its time");
    assert_eq!(heard.try_again, try_again, "{json}");
    assert_eq!(json["shouldClientReset"], reset, "{json}");
    assert_eq!(json["isRecoveryModeDisabled"], no_recovery, "{json}");
}

fn versions() -> impl Iterator<Item = ProtocolVersion> {
    (2..=14).map(version)
}

fn rejection() -> Rejection {
    Rejection {
        updates: vec![RejectedUpdate {
            table: "Task".to_owned(),
            primary_key: "CmWhssPU5fYHGCk6Sw==".to_owned(),
            reason: "not \"yours\", \u{fc}".to_owned(),
        }],
        client_version: ClientVersion(7),
        compensating_write_server_version: ServerVersion(3),
    }
}

fn bodies(action: Action) -> Vec<ErrorBody> {
    let body = ErrorBody::new(action, "na\u{ef}ve \"text\"\n");
    let backoff = Backoff { interval_s: 60, max_delay_s: 300, multiplier: 2 };
    let log_url = "https://example.com/logs?co_id=1".to_owned();
    vec![
        body.clone(),
        body.clone().with_backoff(backoff),
        ErrorBody { log_url, rejection: Some(rejection()), ..body },
    ]
}

/// What a device hears; our own client hears the same.
fn tell(error: ServerError, version: ProtocolVersion) -> Heard {
    let message = error.into_message(version);
    let payload = message.print();
    let heard = hear(version, &payload);
    assert_eq!(ServerMessage::parse(version, &payload.into()).unwrap(), message);
    heard
}

#[test]
fn devices_of_every_version_accept_every_error_that_can_be_sent() {
    for version in versions() {
        for body in Action::ALL.into_iter().flat_map(bodies) {
            for &code in ConnectionCode::ALL {
                let heard = tell(ServerError::connection(code, body.clone()), version);
                assert_eq!((heard.session, &heard.text), (0, &body.message));
            }
            for &code in SessionCode::ALL {
                let error = ServerError::session(SessionIdent(5), code, body.clone());
                assert!(error.is_last(version));
                let heard = tell(error, version);
                assert_eq!((heard.session, &heard.text), (5, &body.message));
            }
        }
    }
}

#[test]
fn no_error_can_be_sent_that_makes_devices_abort() {
    let mut sendable: Vec<u32> = ConnectionCode::ALL
        .iter()
        .map(|&code| ErrorCode::from(code))
        .chain(SessionCode::ALL.iter().map(|&code| ErrorCode::from(code)))
        .map(ErrorCode::number)
        .collect();
    sendable.sort_unstable();
    assert_eq!(
        sendable,
        [
            100, 101, 102, 103, 106, 107, 108, 109, 110, 111, 112, 113, 114, 200, 201, 204, 206,
            208, 209, 210, 211, 212, 216, 217, 222, 223, 225, 229, 230
        ]
    );
    for number in ABORTING {
        let code = ErrorCode::from_number(number);
        assert!(code.aborts_devices(), "{code}");
        assert!(ConnectionCode::try_from(code).is_err(), "{code}");
        assert!(SessionCode::try_from(code).is_err(), "{code}");
    }
}

#[test]
fn a_refused_write_is_told_as_each_version_understands_it() {
    for version in versions() {
        let error = ServerError::compensating_write(SessionIdent(1), "no", rejection());
        let goes_on = version.number() >= 5;
        assert_eq!(error.is_last(version), !goes_on);
        let heard = tell(error, version);
        assert_eq!(heard.session, 1);
        assert_eq!(heard.try_again, goes_on);
        match version.number() {
            2 | 3 => assert_eq!(heard.code, 206),
            4 => {
                assert_eq!(heard.code, 230);
                assert_eq!(heard.json["shouldClientReset"], true);
            }
            _ => {
                assert_eq!(heard.code, 231);
                assert_eq!(heard.json["action"], "Warning");
                assert_eq!(heard.json["compensatingWriteServerVersion"], 3);
                assert_eq!(heard.json["rejectedClientVersion"], 7);
            }
        }
    }
}

#[test]
fn actions_that_a_device_does_not_know_are_replaced() {
    let check = |action, number, expected: &str| {
        let body = ErrorBody::new(action, "");
        let heard =
            tell(ServerError::connection(ConnectionCode::ConnectionClosed, body), version(number));
        assert_eq!(heard.json["action"], expected, "{action:?} in {number}");
    };
    check(Action::RefreshUser, 14, "RefreshUser");
    check(Action::RefreshUser, 10, "RefreshUser");
    check(Action::RefreshUser, 9, "Transient");
    check(Action::RefreshLocation, 9, "Transient");
    check(Action::LogOutUser, 9, "ApplicationBug");
    check(Action::MigrateToFlexibleSync, 8, "ApplicationBug");
    check(Action::ClientReset, 7, "ClientReset");
}

#[test]
fn codes_that_a_device_does_not_know_are_replaced() {
    let body = || ErrorBody::new(Action::Transient, "");
    let session = |code, number| {
        tell(ServerError::session(SessionIdent(1), code, body()), version(number)).code
    };
    assert_eq!(session(SessionCode::InitialSyncNotCompleted, 4), 229);
    assert_eq!(session(SessionCode::InitialSyncNotCompleted, 3), 201);
    assert_eq!(session(SessionCode::WriteNotAllowed, 4), 230);
    assert_eq!(session(SessionCode::WriteNotAllowed, 3), 206);
    let connection =
        |code, number| tell(ServerError::connection(code, body()), version(number)).code;
    assert_eq!(connection(ConnectionCode::SwitchToFlexibleSync, 4), 113);
    assert_eq!(connection(ConnectionCode::SwitchToFlexibleSync, 3), 101);
}

#[test]
fn an_error_is_printed_as_the_hosted_service_printed_it() {
    let check = |error: ServerError, expected: &str| {
        let payload = error.into_message(version(9)).print();
        assert_eq!(String::from_utf8(payload).unwrap(), expected);
    };
    let backoff = Backoff { interval_s: 1, max_delay_s: 30, multiplier: 2 };
    let body = ErrorBody::new(Action::Transient, "maintenance").with_backoff(backoff);
    check(
        ServerError::session(SessionIdent(1), SessionCode::OtherSessionError, body),
        "json_error 201 200 1\n{\"tryAgain\":true,\"message\":\"maintenance\",\
         \"shouldClientReset\":false,\"isRecoveryModeDisabled\":false,\"logURL\":\"\",\
         \"action\":\"Transient\",\"backoffIntervalSec\":1,\"backoffMaxDelaySec\":30,\
         \"backoffMultiplier\":2}",
    );
}

#[test]
#[should_panic(expected = "an error of a session names it")]
fn an_error_of_a_session_needs_one() {
    let body = ErrorBody::new(Action::Transient, "");
    ServerError::session(SessionIdent::CONNECTION, SessionCode::SessionClosed, body);
}

#[test]
fn log_messages_go_to_those_who_understand_them() {
    for version in versions() {
        let line = LogLine {
            level: Some(LogLevel::Info),
            message: Some("hello".to_owned()),
            request_id: None,
        };
        let message = LogMessage::for_version(version, SessionIdent::CONNECTION, line);
        assert_eq!(message.is_some(), version.number() >= 10);
        if let Some(message) = message {
            let message = ServerMessage::LogMessage(message);
            let payload = message.print();
            assert_eq!(payload, b"log_message 0 30\n{\"level\":\"info\",\"msg\":\"hello\"}");
            assert_eq!(ServerMessage::parse(version, &payload.into()).unwrap(), message);
        }
    }
}
