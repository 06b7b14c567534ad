//! The configuration directory of an app: what is read, what is noted, what is refused with which advice.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::error::Error;
use std::fs;
use std::path::Path;

use bailiwick_core::partition::PartitionType;
use bailiwick_server::app::App;
use bailiwick_server::app::fault::AppError;
use serde_json::json;

const ROOT: (&str, &str) =
    ("realm_config.json", r#"{"config_version":20210101,"app_id":"a-bcdef"}"#);
const SYNC: (&str, &str) = (
    "sync/config.json",
    r#"{"type":"partition","state":"enabled","partition":{"key":"k","type":"string"}}"#,
);

#[test]
fn the_example_is_the_store_inventory() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory");
    let app = App::read(&dir).unwrap();
    assert_eq!(app.id.as_str(), "inventory-abcde");
    assert_eq!(app.name, "inventory");
    assert_eq!((app.location.as_str(), app.deployment_model.as_str()), ("US-VA", "GLOBAL"));
    assert_eq!(app.allowed_request_origins, Vec::<String>::new());
    assert_eq!(app.sync.partition_field, "store_number");
    assert_eq!(app.sync.partition_key.partition_type, PartitionType::String);
    assert!(app.sync.partition_key.required, "its schema requires the key");
    assert_eq!(app.sync.permissions.read, json!({"%%partition": {"$in": ["Store 42", "Store 7"]}}));
    assert_eq!(
        app.sync.permissions.write,
        json!({"%%user.custom_data.employee_of": "%%partition"})
    );
    let notices = app.notices.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        notices,
        [
            "auth/ is not used yet",
            "data_sources/ is not used yet, except for the place of the partition key in its schemas",
            "environments/ is not used yet",
            "sync/config.json: `client_max_offline_days` is not used yet",
            "sync/config.json: `database_name` is not used yet",
            "sync/config.json: `development_mode_enabled` is not used yet",
            "sync/config.json: `is_recovery_mode_disabled` is not used yet",
            "sync/config.json: `partition.permissions` is not enforced yet: \
             every user may read and write every partition",
        ]
    );
}

#[test]
fn the_least_that_an_app_needs_is_filled_up() {
    let app = read(&[ROOT, SYNC]).unwrap();
    assert_eq!(app.name, "a-bcdef");
    assert_eq!((app.location.as_str(), app.deployment_model.as_str()), ("US-VA", "GLOBAL"));
    assert_eq!(app.sync.permissions.read, json!({}));
    assert_eq!(app.sync.permissions.write, json!({}));
    assert!(!app.sync.partition_key.required);
    assert_eq!(app.notices.len(), 1, "{:?}", app.notices);
}

#[test]
fn each_partition_type_is_read() {
    for (name, expected) in [
        ("string", PartitionType::String),
        ("objectId", PartitionType::ObjectId),
        ("long", PartitionType::Long),
        ("int", PartitionType::Long),
        ("uuid", PartitionType::Uuid),
    ] {
        let sync = format!(r#"{{"partition":{{"key":"k","type":"{name}"}}}}"#);
        let app = read(&[ROOT, ("sync/config.json", &sync)]).unwrap();
        assert_eq!(app.sync.partition_key.partition_type, expected, "{name}");
    }
}

#[test]
fn newer_exports_and_editors_that_mark_their_files_are_understood() {
    let root = "\u{feff}{\"app_id\":\"a-bcdef\",\"allowed_request_origins\":[\"https://a.test\"]}";
    let app = read(&[("root_config.json", root), SYNC, ("realm_config.json", " \n")]).unwrap();
    assert_eq!(app.allowed_request_origins, ["https://a.test"]);
}

#[test]
fn the_key_is_required_where_all_schemas_that_have_it_say_so() {
    let with = r#"{"required":["k"],"properties":{"k":{"bsonType":"string"}}}"#;
    let without = r#"{"required":["other"],"properties":{"k":{"bsonType":"string"}}}"#;
    let unrelated = r#"{"properties":{"x":{"bsonType":"int"}}}"#;
    check_required(&[with, with], None, true);
    check_required(&[with, unrelated], None, true);
    check_required(&[with, without], None, false);
    check_required(&[without], None, false);
    check_required(&[unrelated], None, false);
    check_required(&[], None, false);
    check_required(&[with], Some(false), false);
    check_required(&[without], Some(true), true);
}

#[test]
fn a_missing_file_is_named_with_the_way_out() {
    check_fault(&[], "realm_config.json", "export the app with realm-cli");
    check_fault(&[SYNC], "realm_config.json", "is missing");
    check_fault(&[("realm_config.json", ""), SYNC], "realm_config.json", "is missing");
    check_fault(&[ROOT], "sync/config.json", "export the app while sync is enabled");
    let error = App::read(Path::new("/no/such/directory")).unwrap_err();
    assert!(text(&error).contains("/no/such/directory: this is not a directory"), "{error:?}");
}

#[test]
fn a_slip_in_the_json_is_named_with_its_place() {
    let broken = "{\n  \"app_id\": \"a-bcdef\"\n  \"name\": 1\n}";
    check_fault(&[("realm_config.json", broken), SYNC], "realm_config.json", "line 3, column 3");
    check_fault(&[("realm_config.json", broken), SYNC], "realm_config.json", "expected `,` or `}`");
    check_fault(&[ROOT, ("sync/config.json", "[]")], "sync/config.json", "but holds an array");
    let schema = ("data_sources/s/d/c/schema.json", "{");
    check_fault(&[ROOT, SYNC, schema], "schema.json", "line 1, column 1");
}

#[test]
fn a_wrong_root_file_is_refused() {
    for (root, expected) in [
        (
            "{}",
            "the field `app_id` is missing; add it, for example as `\"app_id\": \"inventory-abcde\"`",
        ),
        (r#"{"app_id":null}"#, "the field `app_id` is missing"),
        (r#"{"app_id":7}"#, "the field `app_id` must be a string, but is a number"),
        (r#"{"app_id":""}"#, "\"\" is not an app id"),
        (r#"{"app_id":"a/b"}"#, "\"a/b\" is not an app id"),
        (r#"{"app_id":"a","name":[]}"#, "the field `name` must be a string, but is an array"),
        (r#"{"app_id":"a","allowed_request_origins":[1]}"#, "must be an array of strings"),
        (r#"{"app_id":"a","allowed_request_origins":"x"}"#, "must be an array of strings"),
    ] {
        check_fault(&[("realm_config.json", root), SYNC], "realm_config.json", expected);
    }
}

#[test]
fn a_wrong_sync_configuration_is_refused() {
    for (sync, expected) in [
        (r#"{"type":"flexible","state":"enabled"}"#, "flexible sync, which is not served yet"),
        (r#"{"type":"other"}"#, "the field `type` is \"other\"; write \"partition\""),
        (r#"{"development_mode_enabled":false}"#, "sync is not enabled in this app"),
        (r#"{"type":"partition"}"#, "there is no `partition`"),
        (r#"{"partition":[]}"#, "the field `partition` must be an object, but is an array"),
        (r#"{"partition":{"key":"k","type":"string"},"state":"disabled"}"#, "write \"enabled\""),
        (r#"{"partition":{"key":"k","type":"string"},"state":""}"#, "`state` is \"\""),
        (r#"{"partition":{"type":"string"}}"#, "the field `partition.key` is missing"),
        (r#"{"partition":{"key":"_id","type":"string"}}"#, "the field `partition.key` is \"_id\""),
        (r#"{"partition":{"key":"$k","type":"string"}}"#, "the field `partition.key` is \"$k\""),
        (r#"{"partition":{"key":"","type":"string"}}"#, "the field `partition.key` is \"\""),
        (r#"{"partition":{"key":"k"}}"#, "the field `partition.type` is missing"),
        (
            r#"{"partition":{"key":"k","type":"double"}}"#,
            "is \"double\"; a partition key is one of",
        ),
        (r#"{"partition":{"key":"k","type":7}}"#, "`partition.type` must be a string"),
        (r#"{"partition":{"key":"k","type":"uuid","required":1}}"#, "must be true or false"),
        (r#"{"partition":{"key":"k","type":"uuid","permissions":1}}"#, "must be an object"),
    ] {
        check_fault(&[ROOT, ("sync/config.json", sync)], "sync/config.json", expected);
    }
}

#[test]
fn a_schema_that_contradicts_the_sync_configuration_is_refused() {
    let schema = r#"{"properties":{"k":{"bsonType":"objectId"}}}"#;
    check_fault(
        &[ROOT, SYNC, ("data_sources/s/d/c/schema.json", schema)],
        "data_sources/s/d/c/schema.json",
        "has type \"objectId\" here, but `partition.type` in sync/config.json is \"string\"",
    );
}

#[test]
fn what_has_no_effect_is_noted() {
    let app = read(&[
        ("realm_config.json", r#"{"app_id":"a-bcdef","environment":"qa"}"#),
        (
            "sync/config.json",
            r#"{"partition":{"key":"k","type":"string","extra":1},"last_disabled":7,"what":{}}"#,
        ),
        ("values/low.json", "not even JSON"),
        ("notes.txt", ""),
        ("README.md", ""),
        (".mdb/app_meta.json", "{}"),
    ]);
    let notices = app.unwrap().notices.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        notices,
        [
            "notes.txt is not used yet",
            "realm_config.json: `environment` is not used yet",
            "sync/config.json: `partition.extra` is not used yet",
            "sync/config.json: `partition.permissions` is not enforced yet: \
             every user may read and write every partition",
            "sync/config.json: `what` is not used yet",
            "values/ is not used yet",
        ]
    );
}

fn read(files: &[(&str, &str)]) -> Result<App, AppError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    App::read(dir.path())
}

#[track_caller]
fn check_required(schemas: &[&str], configured: Option<bool>, expected: bool) {
    let partition = match configured {
        Some(required) => json!({"key": "k", "type": "string", "required": required}),
        None => json!({"key": "k", "type": "string"}),
    };
    let sync = json!({"service_name": "s", "partition": partition}).to_string();
    let names = (0..schemas.len())
        .map(|index| format!("data_sources/s/d/c{index}/schema.json"))
        .collect::<Vec<_>>();
    let mut files = vec![ROOT, ("sync/config.json", sync.as_str())];
    // Of another data source, so it does not count.
    let foreign = r#"{"required":["k"],"properties":{"k":{"bsonType":"uuid"}}}"#;
    files.push(("data_sources/other/d/c/schema.json", foreign));
    files.extend(names.iter().map(String::as_str).zip(schemas.iter().copied()));
    let app = read(&files).unwrap();
    assert_eq!(app.sync.partition_key.required, expected, "{schemas:?} {configured:?}");
}

#[track_caller]
fn check_fault(files: &[(&str, &str)], file: &str, expected: &str) {
    let error = read(files).unwrap_err();
    assert!(error.file.ends_with(file), "{file}: {error:?}");
    let text = text(&error);
    assert!(text.contains(expected), "{expected}: {text}");
}

/// An error as it is printed: with all its causes.
fn text(error: &AppError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
