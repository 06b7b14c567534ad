//! What is too long for a device or a server never gets into a transaction.

use bailiwick_protocol::changeset::DecodeLimits;

use super::*;

fn schema() -> Schema {
    use PropertyType as T;
    let class = Class::new("Task")
        .primary_key("_id", T::String)
        .property("text", T::String)
        .property("bytes", T::Binary)
        .property("any", T::Mixed)
        .dictionary("map", T::String);
    Schema::new().class(class)
}

fn check(
    edit: impl FnOnce(&mut WriteTransaction<'_>) -> Result<(), WriteError>,
    problem: Option<&Problem>,
) {
    let realm = Realm::in_memory(schema()).unwrap();
    let snapshot = realm.snapshot().unwrap();
    let mut tx = WriteTransaction::new(&snapshot);
    tx.create("Task", "1").unwrap();
    let result = edit(&mut tx);
    assert_eq!(result.as_ref().err().and_then(WriteError::problem), problem);
    if problem.is_some() {
        assert_eq!(written(&tx), ["CreateObject Task[\"1\"]"]);
    }
    let changeset = tx.finish().changeset;
    Changeset::decode_within(&changeset.encode(), &DecodeLimits::NONE).unwrap().check().unwrap();
}

#[test]
fn values_are_as_long_as_devices_can_store() {
    let (text, bytes) = (16_777_199, 16_777_200);
    let set = |field: &'static str, value: Value| {
        move |tx: &mut WriteTransaction<'_>| tx.object("Task", "1")?.set(field, value).map(drop)
    };
    check(set("text", "x".repeat(text).into()), None);
    let too_long = Problem::Fault(Fault::ValueLength(text + 1));
    check(set("text", "x".repeat(text + 1).into()), Some(&too_long));
    check(set("bytes", Value::Binary(vec![0; bytes])), None);
    let too_long = Problem::Fault(Fault::ValueLength(bytes + 1));
    check(set("any", Value::Binary(vec![0; bytes + 1])), Some(&too_long));
}

#[test]
fn keys_are_as_long_as_devices_can_read_and_travel_in_one_message() {
    let long = "x".repeat(16_777_200);
    let too_long = Problem::KeyLength(long.len());
    check(|tx| tx.create("Task", &*long).map(drop), Some(&too_long));
    let insert = |key: &str, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        move |tx: &mut WriteTransaction<'_>| {
            tx.object("Task", "1")?.dictionary("map")?.insert(&key, value).map(drop)
        }
    };
    check(insert(&long, ""), Some(&too_long));
    check(insert(&long[1..], ""), None);
    let two = Problem::TooLong(2 * 16_777_199 + "Task1map".len());
    check(insert(&long[1..], &long[1..]), Some(&two));
}

#[test]
fn collections_lie_a_hundred_deep_and_no_deeper() {
    let nested = |depth: usize| {
        (0..depth).fold(Value::Null, |inner, level| match level % 2 {
            0 => Value::List(vec![inner]),
            _ => Value::Dictionary([("k".to_owned(), inner)].into()),
        })
    };
    let set = |depth| {
        move |tx: &mut WriteTransaction<'_>| {
            tx.object("Task", "1")?.set("any", nested(depth)).map(drop)
        }
    };
    check(set(100), None);
    check(set(101), Some(&Problem::Fault(Fault::Nesting)));
    check(set(2000), Some(&Problem::Fault(Fault::Nesting)));
}
