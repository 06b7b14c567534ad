//! Every form in which devices offer the protocol.

use bailiwick_protocol::handshake::{Agreement, HandshakeError, SyncMode, negotiate, offer};
use bailiwick_protocol::protocol_version::ProtocolVersion;

use crate::version;

fn try_headers<'a>(headers: &[&'a str]) -> Result<Agreement<'a>, HandshakeError> {
    let headers = headers.iter().map(|header| header.as_bytes());
    negotiate(headers, ProtocolVersion::MIN..=ProtocolVersion::MAX)
}

fn check(headers: &[&str], token: &str, number: u8) {
    let expected = Agreement { token, mode: SyncMode::Partition, version: version(number) };
    assert_eq!(try_headers(headers), Ok(expected), "{headers:?}");
}

fn check_refused(headers: &[&str], expected: HandshakeError) {
    assert_eq!(try_headers(headers), Err(expected), "{headers:?}");
}

const NO_COMMON_VERSION: HandshakeError =
    HandshakeError::NoCommonVersion { least: ProtocolVersion::MIN, most: ProtocolVersion::MAX };

#[test]
fn the_newest_offered_version_is_answered_to_the_letter() {
    check(&["com.mongodb.realm-sync/2"], "com.mongodb.realm-sync/2", 2);
    check(&["com.mongodb.realm-sync/3, com.mongodb.realm-sync/2"], "com.mongodb.realm-sync/3", 3);
    check(
        &["com.mongodb.realm-sync#9,com.mongodb.realm-sync#8,com.mongodb.realm-sync#2"],
        "com.mongodb.realm-sync#9",
        9,
    );
    check(&["com.mongodb.realm-sync#14"], "com.mongodb.realm-sync#14", 14);
    check(&["com.mongodb.realm-sync#2,com.mongodb.realm-sync#10"], "com.mongodb.realm-sync#10", 10);
    check(&["com.mongodb.realm-sync/7,com.mongodb.realm-sync#7"], "com.mongodb.realm-sync/7", 7);
}

#[test]
fn several_headers_are_one_offer() {
    check(
        &["com.mongodb.realm-sync#8", "com.mongodb.realm-sync#9, com.mongodb.realm-sync#7"],
        "com.mongodb.realm-sync#9",
        9,
    );
}

#[test]
fn blanks_and_empty_tokens_do_no_harm() {
    check(&["  com.mongodb.realm-sync#9\t,, "], "com.mongodb.realm-sync#9", 9);
    check(&["", ",,,", "com.mongodb.realm-sync#9"], "com.mongodb.realm-sync#9", 9);
}

#[test]
fn what_is_not_spoken_is_passed_over() {
    check(
        &["com.mongodb.realm-sync#15,com.mongodb.realm-sync#1,com.mongodb.realm-sync#12"],
        "com.mongodb.realm-sync#12",
        12,
    );
    check(&["graphql-ws, chat, com.mongodb.realm-sync#9"], "com.mongodb.realm-sync#9", 9);
    check(&["com.mongodb.realm-sync/2-7, com.mongodb.realm-sync/5"], "com.mongodb.realm-sync/5", 5);
}

#[test]
fn without_a_common_version_there_is_no_answer() {
    for header in [
        "com.mongodb.realm-sync#1",
        "com.mongodb.realm-sync#15",
        "com.mongodb.realm-sync#014",
        "com.mongodb.realm-sync#+9",
        "com.mongodb.realm-sync# 9",
        "com.mongodb.realm-sync#9x",
        "com.mongodb.realm-sync#",
        "com.mongodb.realm-sync##9",
        "com.mongodb.realm-sync#99999999999999999999",
        "com.mongodb.realm-sync/2-7",
    ] {
        check_refused(&[header], NO_COMMON_VERSION);
    }
}

#[test]
fn without_an_offer_there_is_no_answer() {
    check_refused(&[], HandshakeError::NothingOffered);
    for header in [
        "",
        "chat",
        "com.mongodb.realm-sync",
        "com.mongodb.realm-sync9",
        "COM.MONGODB.REALM-SYNC#9",
        "com.mongodb.realm-sync2#9",
        "x com.mongodb.realm-sync#9",
        "ü#9",
    ] {
        check_refused(&[header], HandshakeError::NothingOffered);
    }
    let not_text = [b"\xff\xff#9".as_slice()];
    let outcome = negotiate(not_text, ProtocolVersion::MIN..=ProtocolVersion::MAX);
    assert_eq!(outcome, Err(HandshakeError::NothingOffered));
}

#[test]
fn flexible_sync_is_the_other_mode() {
    let header = "com.mongodb.realm-query-sync#9,com.mongodb.realm-query-sync#8";
    let agreement = try_headers(&[header]).unwrap();
    assert_eq!(agreement.mode, SyncMode::Flexible);
    assert_eq!(agreement.token, "com.mongodb.realm-query-sync#9");
    check_refused(
        &["com.mongodb.realm-query-sync#9, com.mongodb.realm-sync#9"],
        HandshakeError::MixedModes,
    );
}

#[test]
fn a_server_may_speak_fewer_versions() {
    let header = offer(SyncMode::Partition);
    let negotiate = |spoken| negotiate([header.as_bytes()], spoken).map(|agreed| agreed.version);
    assert_eq!(negotiate(version(4)..=version(9)), Ok(version(9)));
    assert_eq!(negotiate(version(2)..=version(2)), Ok(version(2)));
}

#[test]
fn what_is_offered_is_agreed_on() {
    let expected = "com.mongodb.realm-sync#14, com.mongodb.realm-sync#13, com.mongodb.realm-sync#12, \
                    com.mongodb.realm-sync#11, com.mongodb.realm-sync#10, com.mongodb.realm-sync#9, \
                    com.mongodb.realm-sync#8, com.mongodb.realm-sync#7, com.mongodb.realm-sync#6, \
                    com.mongodb.realm-sync#5, com.mongodb.realm-sync#4, com.mongodb.realm-sync#3, \
                    com.mongodb.realm-sync#2";
    assert_eq!(offer(SyncMode::Partition), expected, "as the newest device offers it");
    check(&[expected], "com.mongodb.realm-sync#14", 14);
}

#[test]
fn an_endless_offer_is_not_read() {
    let long = "com.mongodb.realm-sync#9,".repeat(1000);
    check_refused(&[&long], HandshakeError::TooLong);
    let many = vec!["com.mongodb.realm-sync#9"; 1000];
    check_refused(&many, HandshakeError::TooLong);
    let empty = vec![""; 100_000];
    check_refused(&empty, HandshakeError::TooLong);
}
