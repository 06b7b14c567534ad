//! Which realm a BIND leads to: wire protocol, section 3.3.

use bailiwick_core::partition::{PartitionKey, PartitionType};
use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::version::ServerVersion;

use crate::changesets::schema;
use crate::service::Service;

async fn service(partition_type: PartitionType) -> Service {
    Service::with(|app, _| {
        app.sync.partition_key = PartitionKey { partition_type, required: false };
    })
    .await
}

/// All spellings lead to one realm, each of the others to one of its own.
async fn check(partition_type: PartitionType, spellings: &[&str], others: &[&str]) {
    let service = service(partition_type).await;
    let mut device = service.connect(9).await;
    device.open(1, spellings[0]).await;
    let version = device.write(1, &[schema()]).await;
    device.acknowledged(1, version).await;
    for (session, path) in (2..).zip(spellings) {
        device.open(session, path).await;
        assert_eq!(device.file(session).entries.len(), 1, "{path} is {}", spellings[0]);
    }
    for (session, path) in (100..).zip(others) {
        device.open(session, path).await;
        assert_eq!(device.file(session).latest.version, ServerVersion(0), "{path} is another");
        let version = device.write(session, &[schema()]).await;
        device.acknowledged(session, version).await;
    }
}

#[tokio::test]
async fn all_spellings_of_a_string_are_one_realm() {
    let spellings = [r#""ü/\"""#, r#""\u00fc/\"""#, r#" "ü\/\"" "#];
    let others =
        [r#""""#, "null", r#""null""#, r#""Ü/\"""#, r#""ü/\" ""#, r#""u/\"""#, r#""../x""#];
    check(PartitionType::String, &spellings, &others).await;
}

#[tokio::test]
async fn all_spellings_of_a_number_are_one_realm() {
    let spellings =
        ["42", r#"{"$numberInt":"42"}"#, r#"{"$numberLong":"42"}"#, r#"{ "$numberLong" : "42" }"#];
    let others = ["-42", "0", "2147483648", "9007199254740991", "null"];
    check(PartitionType::Long, &spellings, &others).await;
}

#[tokio::test]
async fn all_spellings_of_an_object_id_are_one_realm() {
    let spellings =
        [r#"{"$oid":"65a1b2c3d4e5f60718293a4b"}"#, r#"{ "$oid": "65A1B2C3D4E5F60718293A4B" }"#];
    check(PartitionType::ObjectId, &spellings, &[r#"{"$oid":"65a1b2c3d4e5f60718293a4c"}"#]).await;
}

#[tokio::test]
async fn all_spellings_of_a_uuid_are_one_realm() {
    let spellings = [
        r#"{"$binary":{"base64":"ql+fm3wKTTmTqF9L0uLwAA==","subType":"04"}}"#,
        r#"{"$uuid":"aa5f9f9b-7c0a-4d39-93a8-5f4bd2e2f000"}"#,
    ];
    check(PartitionType::Uuid, &spellings, &["null"]).await;
}

#[tokio::test]
async fn a_value_of_another_type_is_refused_in_the_words_of_the_hosted_service() {
    let service = service(PartitionType::Long).await;
    let mut device = service.connect(9).await;
    let wrong = "attempted to bind on illegal realm partition: expected partition to have type \
                 long but found";
    for (session, (path, found)) in (1..).zip([
        (r#""42""#, "string"),
        (r#"{"$oid":"65a1b2c3d4e5f60718293a4b"}"#, "objectId"),
        (r#"{"$uuid":"aa5f9f9b-7c0a-4d39-93a8-5f4bd2e2f000"}"#, "uuid"),
    ]) {
        device.bind(session, path, true).await;
        let error = device.expect_error(session, ErrorCode::IllegalRealmPath).await;
        assert_eq!(error.body().action, Action::ApplicationBug);
        assert_eq!(error.body().message, format!("{wrong} {found}"));
        device.unbind(session).await;
    }
    device.open(99, "42").await;
}

#[tokio::test]
async fn what_is_no_partition_value_ends_its_session_only() {
    let service = service(PartitionType::String).await;
    let mut device = service.connect(9).await;
    device.open(1, r#""here""#).await;
    for (session, path) in
        (2..).zip(["1.5", "true", "{}", "[]", "store42", "\"", r#"{"$oid":"zz"}"#, "{\"a\":"])
    {
        device.bind(session, path, true).await;
        device.expect_error(session, ErrorCode::IllegalRealmPath).await;
    }
    device.mark(1, 1).await;
    device.expect_mark(1, 1).await;
}

#[tokio::test]
async fn a_required_key_has_no_null_partition() {
    let partition_type = PartitionType::String;
    let service = Service::with(|app, _| {
        app.sync.partition_key = PartitionKey { partition_type, required: true };
    })
    .await;
    let mut device = service.connect(9).await;
    device.bind(1, "null", true).await;
    device.expect_error(1, ErrorCode::IllegalRealmPath).await;
    device.open(2, r#""""#).await;
}
