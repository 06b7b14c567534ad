//! What the grammar allows and what it does not, in both directions.

use bailiwick_protocol::close_code::CloseCode;
use bailiwick_protocol::error_code::ConnectionCode;
use bailiwick_protocol::message::limits::{MAX_PATH_LEN, MAX_TOKEN_LEN};
use bailiwick_protocol::message::{ClientMessage, InflateError, Refusal, ServerMessage};
use bytes::Bytes;

use crate::version;

/// The message parses and prints to the same bytes.
fn check_client(payload: &str) -> ClientMessage {
    let message = ClientMessage::parse(version(14), &Bytes::copy_from_slice(payload.as_bytes()))
        .unwrap_or_else(|error| panic!("{payload:?}: {error}"));
    assert_eq!(message.print(), payload.as_bytes());
    assert!(payload.starts_with(message.name()));
    message
}

fn check_server(payload: &str) -> ServerMessage {
    let message = ServerMessage::parse(version(14), &Bytes::copy_from_slice(payload.as_bytes()))
        .unwrap_or_else(|error| panic!("{payload:?}: {error}"));
    assert_eq!(message.print(), payload.as_bytes());
    assert!(payload.starts_with(message.name()));
    message
}

/// The message is refused with this text.
fn check_refused(payload: impl AsRef<[u8]>, expected: &str) {
    let payload = payload.as_ref();
    let error = ClientMessage::parse(version(14), &Bytes::copy_from_slice(payload))
        .expect_err(&format!("{:?} is refused", String::from_utf8_lossy(payload)));
    assert_eq!(error.to_string(), expected, "{:?}", String::from_utf8_lossy(payload));
    let code = if expected.ends_with("0 is not a session") {
        ConnectionCode::BadSessionIdent
    } else {
        ConnectionCode::BadSyntax
    };
    assert_eq!(error.refusal(), Refusal::Error(code), "{expected}");
}

fn check_refused_by_device(number: u8, payload: &str, expected: &str) {
    let error = ServerMessage::parse(version(number), &Bytes::copy_from_slice(payload.as_bytes()))
        .expect_err(payload);
    let text = match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    assert!(text.starts_with(expected), "{payload:?}: {text:?}, not {expected:?}");
}

#[test]
fn every_message_of_a_device_prints_as_it_came() {
    for (payload, session) in [
        ("bind 1 9 0 1 0\n\"store42\"", 1),
        ("bind 7 2 3 0 1\n42abc", 7),
        ("bind 1 4 0 1 0\n\"ü\"", 1),
        ("ident 1 2 4242424244 0 0 0 0\n", 1),
        ("ident 3 9223372036854775807 9223372036854775807 1 2 3 4\n", 3),
        ("upload 1 0 0 0 6 3 3\n", 1),
        ("upload 1 0 3 0 6 3 3\n\0\n ", 1),
        ("upload 1 1 9000000000000000000 3 6 3 3\nabc", 1),
        ("mark 1 2\n", 1),
        ("unbind 9223372036854775807\n", 9_223_372_036_854_775_807),
        ("ping 17 0\n", 0),
        ("json_error 212 15 1\n{\"message\":\"x\"}", 1),
        ("json_error 4294967295 0 0\n", 0),
    ] {
        assert_eq!(check_client(payload).session().0, session, "{payload:?}");
    }
}

#[test]
fn every_message_of_a_server_prints_as_it_came() {
    for (payload, session) in [
        ("ident 1 2 4242424244\n", 1),
        ("download 1 3 3 3 777000111 5 1 0 0 0 0\n", 1),
        ("download 1 3 3 3 777000111 5 1 96 1 200 3\nabc", 1),
        ("mark 1 2\n", 1),
        ("unbound 1\n", 1),
        ("pong 17\n", 0),
        ("error 206 2 0 1\nno", 1),
        ("error 100 0 1 0\n", 0),
        ("log_message 0 2\n{}", 0),
        ("log_message 1 45\n{\"level\":\"trace\",\"msg\":\"hello\",\"co_id\":\"abc\"}", 1),
    ] {
        assert_eq!(check_server(payload).session().0, session, "{payload:?}");
    }
}

#[test]
fn spaces_line_feeds_and_numbers_have_one_form() {
    check_refused("", "there is no line feed within the first 272 bytes");
    check_refused("mark 1 2", "there is no line feed within the first 272 bytes");
    check_refused(" ".repeat(300) + "\n", "there is no line feed within the first 272 bytes");
    check_refused("mark  1 2\n", "mark: session: a digit is missing");
    check_refused("mark 1  2\n", "mark: request_ident: a digit is missing");
    check_refused("mark\t1 2\n", "there is no message \"mark\\t1\"");
    check_refused("mark 1\t2\n", "mark: session: not followed by its separator");
    check_refused("mark 1 2 \n", "mark: the header goes on after its last field");
    check_refused("mark 1 2\r\n", "mark: request_ident: not followed by its separator");
    check_refused("mark +1 2\n", "mark: session: a digit is missing");
    check_refused("mark -1 2\n", "mark: session: a digit is missing");
    check_refused("mark 01 2\n", "mark: session: leading zero");
    check_refused("mark 1 00\n", "mark: request_ident: leading zero");
    check_refused("mark 1 0x2\n", "mark: request_ident: not followed by its separator");
    check_refused("mark 1 2.0\n", "mark: request_ident: not followed by its separator");
    check_refused("mark 1 9223372036854775808\n", "mark: request_ident: out of range");
    check_refused("mark 1 18446744073709551616\n", "mark: request_ident: out of range");
    check_refused("mark 1 99999999999999999999999999\n", "mark: request_ident: out of range");
    check_refused("mark 1 ２\n", "mark: request_ident: a digit is missing");
}

#[test]
fn each_field_is_there_and_none_too_many() {
    check_refused("mark\n", "mark: session: a digit is missing");
    check_refused("mark \n", "mark: session: a digit is missing");
    check_refused("mark 1\n", "mark: request_ident: a digit is missing");
    check_refused("mark 1 2 3\n", "mark: the header goes on after its last field");
    check_refused("unbind\n", "unbind: session: a digit is missing");
    check_refused("unbind 1 2\n", "unbind: the header goes on after its last field");
    check_refused("ping 1\n", "ping: rtt: a digit is missing");
    check_refused("ping 1 2 3\n", "ping: the header goes on after its last field");
    check_refused("bind 1 1 0 1\n1", "bind: is_subserver: a digit is missing");
    check_refused("bind 1 1 0 1 0 0\n1", "bind: the header goes on after its last field");
    check_refused("ident 1 2 3 4 5 6\n", "ident: latest_server_version_salt: a digit is missing");
    check_refused("upload 1 0 0 0 1 1\n", "upload: locked_server_version: a digit is missing");
    check_refused("json_error 212 0\n", "json_error: session: a digit is missing");
}

#[test]
fn flags_are_zero_or_one() {
    check_refused("bind 1 1 0 2 0\n1", "bind: need_client_file_ident: out of range");
    check_refused("bind 1 1 0 1 7\n1", "bind: is_subserver: out of range");
    check_refused("upload 1 2 0 0 1 1 1\n", "upload: is_compressed: out of range");
}

#[test]
fn sizes_are_those_of_what_came() {
    let announced = |message, announced, actual: usize| {
        format!("{message}: a body of {announced} bytes is announced, {actual} came")
    };
    check_refused("mark 1 2\nX", &announced("mark", 0, 1));
    check_refused("unbind 1\n\n", &announced("unbind", 0, 1));
    check_refused("ping 1 2\n ", &announced("ping", 0, 1));
    check_refused("ident 1 2 3 4 5 6 7\n{}", &announced("ident", 0, 2));
    check_refused("bind 1 2 0 1 0\n1", &announced("bind", 2, 1));
    check_refused("bind 1 1 0 1 0\n12", &announced("bind", 1, 2));
    check_refused("bind 1 2 2 1 0\n123", &announced("bind", 4, 3));
    check_refused("bind 1 2 2 1 0\n12345", &announced("bind", 4, 5));
    check_refused("upload 1 0 1 0 1 1 1\n", &announced("upload", 1, 0));
    check_refused("upload 1 0 0 0 1 1 1\nx", &announced("upload", 0, 1));
    check_refused("upload 1 1 9 1 1 1 1\n", &announced("upload", 1, 0));
    check_refused("upload 1 1 9 1 1 1 1\nxx", &announced("upload", 1, 2));
    check_refused("upload 1 0 2 2 1 1 1\nxx", "upload: compressed_body_size: out of range");
    check_refused("json_error 212 3 1\n{}", &announced("json_error", 3, 2));
    let most = i64::MAX.unsigned_abs();
    check_refused(format!("bind 1 {most} {most} 1 0\n1"), &announced("bind", 2 * most, 1));
    check_refused(format!("upload 1 0 {most} 0 1 1 1\n"), &announced("upload", most, 0));
}

#[test]
fn only_messages_of_devices_come_from_devices() {
    let unknown = |name: &str| format!("there is no message {name:?}");
    check_refused("\n", &unknown(""));
    check_refused("Mark 1 2\n", &unknown("Mark"));
    check_refused("marks 1 2\n", &unknown("marks"));
    for dead in ["transact", "alloc", "state_request", "client_version_request", "refresh"] {
        check_refused(format!("{dead} 1\n"), &unknown(dead));
    }
    check_refused("test_command 1 1 2\n{}", &unknown("test_command"));
    check_refused("query 1 1 2\n{}", &unknown("query"));
    check_refused("download 1 0 0 0 0 0 0 0 0 0 0\n", &unknown("download"));
    check_refused("unbound 1\n", &unknown("unbound"));
    check_refused("x".repeat(100) + "\n", &unknown(&"x".repeat(32)));
    check_refused(b"\xff\xfe 1\n", &unknown("\u{fffd}\u{fffd}"));
}

#[test]
fn a_message_of_a_session_names_one() {
    for payload in [
        "bind 0 1 0 1 0\n1",
        "ident 0 2 3 4 5 6 7\n",
        "upload 0 0 0 0 1 1 1\n",
        "mark 0 1\n",
        "unbind 0\n",
    ] {
        let name = payload.split(' ').next().unwrap();
        check_refused(payload, &format!("{name}: 0 is not a session"));
    }
}

#[test]
fn a_path_is_text_of_a_sensible_length() {
    check_client(&format!("bind 1 {MAX_PATH_LEN} 0 1 0\n{}", "p".repeat(MAX_PATH_LEN)));
    check_client(&format!("bind 1 1 {MAX_TOKEN_LEN} 1 0\n1{}", "t".repeat(MAX_TOKEN_LEN)));
    check_refused("bind 1 0 0 1 0\n", "bind: the length of the path is 0, not 1 to 1024");
    check_refused(
        format!("bind 1 1025 0 1 0\n{}", "p".repeat(1025)),
        "bind: the length of the path is 1025, not 1 to 1024",
    );
    check_refused(
        format!("bind 1 1 8193 1 0\n1{}", "t".repeat(8193)),
        "bind: the length of the token is 8193, not 0 to 8192",
    );
    check_refused(b"bind 1 2 0 1 0\n\xc3\x28", "bind: the body is not UTF-8");
    check_refused(b"bind 1 1 1 1 0\n1\xff", "bind: the body is not UTF-8");
    // The parts have to be text each, not only together.
    check_refused("bind 1 1 1 1 0\nü", "bind: the body is not UTF-8");
}

#[test]
fn a_token_is_not_logged() {
    let message = check_client("bind 1 1 6 0 0\n1secret");
    assert!(!format!("{message:?}").contains("secret"));
}

#[test]
fn devices_report_errors_since_version_7() {
    let payload = Bytes::from_static(b"json_error 212 15 1\n{\"message\":\"x\"}");
    for number in 2..=14 {
        let parsed = ClientMessage::parse(version(number), &payload);
        assert_eq!(parsed.is_ok(), number >= 7, "version {number}");
    }
}

#[test]
fn what_a_device_reports_is_shown_whatever_it_is() {
    let check = |body: &str, expected: &str| {
        let payload = format!("json_error 212 {} 1\n{body}", body.len());
        let ClientMessage::Error(error) = check_client(&payload) else { panic!("{payload:?}") };
        assert_eq!(error.message(), expected);
    };
    check("{\"message\":\"a \\\"b\\\"\"}", "a \"b\"");
    check("{\"message\":1}", "{\"message\":1}");
    check("", "");
    check("not JSON", "not JSON");
    check_refused(b"json_error 212 1 1\n\xff", "json_error: the body is not UTF-8");
    check_refused("json_error 4294967296 0 1\n", "json_error: code: out of range");
}

#[test]
fn a_server_gives_away_real_idents_only() {
    check_refused_by_device(14, "ident 1 0 5\n", "ident: file_ident: out of range");
    check_refused_by_device(14, "ident 1 2 0\n", "ident: file_ident_salt: out of range");
    check_refused_by_device(14, "ident 1 2 -5\n", "ident: file_ident_salt: a digit is missing");
    check_refused_by_device(14, "ident 0 2 5\n", "ident: 0 is not a session");
}

#[test]
fn messages_of_later_versions_are_unknown_to_earlier_ones() {
    let json = "{\"tryAgain\":true,\"message\":\"\",\"shouldClientReset\":false,\
                \"isRecoveryModeDisabled\":false,\"logURL\":\"\",\"action\":\"Transient\"}";
    let json_error = format!("json_error 100 {} 0\n{json}", json.len());
    check_server(&json_error);
    check_refused_by_device(3, &json_error, "there is no message \"json_error\"");
    check_refused_by_device(9, "log_message 0 2\n{}", "there is no message \"log_message\"");
    check_refused_by_device(14, "query_error 226 0 1 1\n", "there is no message \"query_error\"");
    check_refused_by_device(14, "bind 1 1 0 1 0\n1", "there is no message \"bind\"");
}

#[test]
fn a_json_error_has_all_its_fields() {
    let fields = [
        "\"tryAgain\":true",
        "\"message\":\"m\"",
        "\"shouldClientReset\":false",
        "\"isRecoveryModeDisabled\":false",
        "\"logURL\":\"\"",
        "\"action\":\"Transient\"",
    ];
    let payload = |fields: &[&str]| {
        let body = format!("{{{}}}", fields.join(","));
        format!("json_error 201 {} 1\n{body}", body.len())
    };
    check_server(&payload(&fields));
    for left_out in 0..fields.len() {
        let mut rest = fields.to_vec();
        let field = rest.remove(left_out);
        let name = field.split('"').nth(1).unwrap();
        let expected =
            format!("json_error: the body is not what it should be: missing field `{name}`");
        check_refused_by_device(7, &payload(&rest), &expected);
    }
    let with = |more: &str| payload(&[&fields[..], &[more]].concat());
    let missing = |name: &str| {
        format!("json_error: the body is not what it should be: missing field `{name}`")
    };
    check_refused_by_device(9, &with("\"backoffIntervalSec\":1"), &missing("backoffMaxDelaySec"));
    check_refused_by_device(
        9,
        &with("\"backoffIntervalSec\":1,\"backoffMaxDelaySec\":2"),
        &missing("backoffMultiplier"),
    );
    check_refused_by_device(9, &with("\"rejectedUpdates\":[]"), &missing("rejectedClientVersion"));
    check_refused_by_device(
        9,
        &with("\"rejectedUpdates\":[],\"rejectedClientVersion\":1"),
        &missing("compensatingWriteServerVersion"),
    );
    check_refused_by_device(
        9,
        "json_error 201 2 1\n[]",
        "json_error: the body is not what it should",
    );
}

#[test]
fn unknown_fields_and_actions_of_an_error_do_no_harm() {
    let body = "{\"tryAgain\":false,\"message\":\"m\",\"shouldClientReset\":true,\"new\":[1],\
                \"isRecoveryModeDisabled\":false,\"logURL\":\"\",\"action\":\"Dance\"}";
    let payload = format!("json_error 777 {} 1\n{body}", body.len());
    let parsed = ServerMessage::parse(version(14), &payload.into_bytes().into());
    let Ok(ServerMessage::JsonError(error)) = parsed else { panic!("{parsed:?}") };
    assert_eq!(error.code().number(), 777);
    assert_eq!(error.body().action, bailiwick_protocol::action::Action::ApplicationBug);
}

#[test]
fn below_version_7_the_flags_stand_for_an_action() {
    use bailiwick_protocol::action::Action;
    let check = |try_again: bool, reset: bool, no_recovery: bool, expected| {
        let body = format!(
            "{{\"tryAgain\":{try_again},\"message\":\"m\",\"shouldClientReset\":{reset},\
             \"isRecoveryModeDisabled\":{no_recovery},\"logURL\":\"\"}}"
        );
        let payload = format!("json_error 217 {} 1\n{body}", body.len());
        let parsed = ServerMessage::parse(version(6), &payload.into_bytes().into());
        let Ok(ServerMessage::JsonError(error)) = parsed else { panic!("{parsed:?}") };
        assert_eq!(error.body().action, expected);
    };
    check(true, false, false, Action::Transient);
    check(false, false, false, Action::ApplicationBug);
    check(false, true, false, Action::ClientReset);
    check(false, true, true, Action::ClientResetNoRecovery);
}

#[test]
fn an_upload_that_can_never_be_accepted_is_the_only_one_that_resets_a_device() {
    let too_large = InflateError::TooLarge { announced: 9, limit: 8 };
    assert_eq!(too_large.refusal(), Refusal::Close(CloseCode::MessageTooBig));
    for other in [
        InflateError::Implausible { compressed: 1, announced: 9999 },
        InflateError::WrongEnd,
        InflateError::WrongLength { announced: 1, actual: 2 },
    ] {
        assert_eq!(other.refusal(), Refusal::Error(ConnectionCode::OtherError));
    }
}
