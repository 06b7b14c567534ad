//! Partition values: every spelling of one leads to the same realm, and no two values to one.

use bailiwick_core::partition::{MAX_LEN, PartitionKey, PartitionType, PartitionValue};
use bailiwick_server::http::websocket::realm_key;

use crate::memory;

/// The longest id of an app, in bytes.
const MAX_APP_LEN: usize = 128;

/// Takes any bytes as the key of a store; and, between zeros, as the texts of two BINDs and the ids of two apps.
pub fn run(bytes: &[u8]) {
    if let Ok(value) = PartitionValue::from_key_bytes(bytes) {
        assert_eq!(value.to_key_bytes(), bytes);
    }
    let mut texts = bytes.splitn(4, |&byte| byte == 0).map(str::from_utf8);
    let Some(Ok(text)) = texts.next() else { return };
    let mut others = texts.map(Result::unwrap_or_default);
    // An array in an array, which are two bytes, has room for four values, first as JSON and then as BSON.
    let limit = 320 * text.len().min(MAX_LEN) + 4096;
    let parsed = memory::within(limit, || PartitionValue::parse(text));
    let value = match parsed {
        Ok(value) => value,
        Err(error) => {
            assert!(error.to_string().len() < 200, "a short error: {error}");
            return;
        }
    };
    let json = value.to_json();
    if json.len() <= MAX_LEN {
        assert_eq!(PartitionValue::parse(&json).as_ref(), Ok(&value));
    }
    let key = value.to_key_bytes();
    assert_eq!(PartitionValue::from_key_bytes(&key).as_ref(), Ok(&value));
    assert_eq!(PartitionValue::parse(&format!(" {text}\n")).as_ref().ok(), fitting(text, &value));
    bind(text, &value);
    let _ = value.to_string();
    let other = others.next().and_then(|text| PartitionValue::parse(text).ok());
    let apps = [others.next().unwrap_or("app"), others.next().unwrap_or("ap")];
    keep_apart(&value, &other.unwrap_or(PartitionValue::Null), apps);
}

/// Each value of each app has a realm of its own.
fn keep_apart(value: &PartitionValue, other: &PartitionValue, apps: [&str; 2]) {
    let realms = apps.into_iter().filter(|app| app.len() <= MAX_APP_LEN);
    let realms: Vec<_> = realms.flat_map(|app| [(app, value), (app, other)]).collect();
    for (app, value) in &realms {
        for (other_app, other) in &realms {
            let is_same = (app, value) == (other_app, other);
            assert_eq!(realm_key(app, value) == realm_key(other_app, other), is_same);
        }
    }
}

/// The value, if the text is still short enough with two blanks.
fn fitting<'a>(text: &str, value: &'a PartitionValue) -> Option<&'a PartitionValue> {
    (text.len() + 2 <= MAX_LEN).then_some(value)
}

/// A value is let in by the keys of its own type, and null by those that are not required.
fn bind(text: &str, value: &PartitionValue) {
    let types =
        [PartitionType::String, PartitionType::Long, PartitionType::ObjectId, PartitionType::Uuid];
    for partition_type in types {
        for required in [false, true] {
            let bound = PartitionKey { partition_type, required }.bind(text);
            let fits = match value {
                PartitionValue::Null => !required,
                value => value.type_name() == partition_type.name(),
            };
            assert_eq!(bound.is_ok(), fits);
            assert!(bound.is_err() || bound.as_ref() == Ok(value));
        }
    }
}
