//! Every type of property, and what its values may be, goes there and back.

use crate::device::{Device, later, settle};
use crate::server::Server;

const STORE: &str = r#""store42""#;

/// Takes something away from every object of what `createEverything` made, and creates one more.
pub(crate) const TAKE_AWAY: &str = r#"
    for (const object of all("Everything").snapshot()) {
        for (const name of Object.keys(object.toJSON())) {
            const value = object[name];
            if (name.endsWith("Opt") || ["mixed", "link", "part"].includes(name)) object[name] = null;
            else if (name.endsWith("List")) value.length > 1 ? value.remove(1) : (object[name] = []);
            else if (name.endsWith("Map")) value.remove(Object.keys(value).slice(0, 2));
            // What the SDK reads of the largest int is rounded and cannot be removed.
            else if (name.endsWith("Set") && value.size > 0) value.delete(name.startsWith("int") ? -1 : value[0]);
        }
    }
    create("Everything", { _id: 0, ...required() });
"#;

#[test]
fn every_type_round_trips_at_its_limits() {
    let mut server = Server::start();
    let writer = server.device("writer");
    writer.open("everything", STORE);
    writer.write("createEverything(1)");
    writer.upload();
    let reader = server.device("reader");
    reader.open_downloaded("everything", STORE);
    let contents = reader.dump();
    contents.assert_same(&writer.dump());
    check_limits(&reader);

    // What is taken away is gone on the other side as well.
    let seen = writer.begin_until("all('Everything').filtered('_id == 0').length === 1");
    reader.write(TAKE_AWAY);
    seen.finish();
    settle(&[&reader, &writer]);
    let contents = reader.dump();
    contents.assert_same(&writer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

/// Asserts that a device has what `createEverything` makes. Dumps are ours; the SDK's own queries compare what the
/// storage holds.
pub(crate) fn check_limits(device: &Device) {
    let count = |query: &str| {
        device
            .run(&format!("return all('Everything').filtered('{query}').length"))
            .as_u64()
            .unwrap()
    };
    assert_eq!(count("int == 9223372036854775807 AND intOpt == 9223372036854775807"), 1);
    assert_eq!(count("int == -9223372036854775808 AND mixed == -9223372036854775808"), 1);
    assert_eq!(count("int == 9007199254740993"), 1);
    assert_eq!(count("stringOpt == \"\""), 1);
    assert!(count("stringOpt == null") > 70);
    assert_eq!(count("doubleOpt == 5e-324"), 1);
    assert_eq!(count("mixed.@type == \"float\""), 10);
    assert_eq!(count("linkList.@count == 3 AND incoming.@count == 1"), 1);
    device.check(
        "all('Everything').filtered('doubleOpt == 0').some((o) => Object.is(o.doubleOpt, -0))",
    );
}

#[test]
fn every_type_of_primary_key_round_trips() {
    let mut server = Server::start();
    let writer = server.device("writer");
    writer.open("everything", STORE);
    writer.write(
        r#"
        for (const _id of ["", "x", "ü🦀", "a\u0000b", "k".repeat(5_000)]) create("ByString", { _id, value: "v" });
        for (const hex of ["0".repeat(24), "f".repeat(24)]) create("ByObjectId", { _id: new BSON.ObjectId(hex) });
        for (const digit of "08f") create("ByUuid", { _id: new BSON.UUID(`${digit.repeat(8)}-0000-4000-8000-${digit.repeat(12)}`) });
        for (const _id of [null, 0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]) create("ByOptionalInt", { _id, value: null });
        for (const _id of [null, "", "null"]) create("ByOptionalString", { _id, value: String(_id) });
        "#,
    );
    writer.upload();
    let reader = server.device("reader");
    reader.open_downloaded("everything", STORE);
    let contents = reader.dump();
    for (class, count) in [
        ("ByString", 5),
        ("ByObjectId", 2),
        ("ByUuid", 3),
        ("ByOptionalInt", 5),
        ("ByOptionalString", 3),
    ] {
        assert_eq!(contents.count(class), count, "{class}");
    }
    contents.assert_same(&writer.dump());

    let seen = writer.begin_until("all('ByOptionalString').length === 2");
    reader.write(
        "realm.delete(get('ByOptionalString', null)); realm.delete(get('ByOptionalInt', null))",
    );
    seen.finish();
    let contents = reader.dump();
    contents.assert_same(&writer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

/// The SDK sends the removal of null from a typed set in a form that it does not accept itself.
#[test]
fn removing_null_from_a_set_reaches_other_devices() {
    let mut server = Server::start();
    let (writer, reader) = (server.device("writer"), server.device("reader"));
    writer.open("everything", STORE);
    writer.write(
        "create('Everything', { _id: 1, ...required(), stringOptSet: [null, 'x', 'y'], intOptSet: [null, 5], mixedSet: [null, 'x'] })",
    );
    writer.upload();
    reader.open_downloaded("everything", STORE);
    let seen = reader.begin_until("get('Everything', 1).stringOptSet.size === 2");
    writer.write("const t = get('Everything', 1); t.stringOptSet.delete(null); t.intOptSet.delete(null); t.mixedSet.delete(null)");
    seen.finish();
    settle(&[&writer, &reader]);
    let contents = reader.dump();
    contents.assert_same(&writer.dump());
    let newcomer = server.device("newcomer");
    newcomer.open_downloaded("everything", STORE);
    contents.assert_same(&newcomer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

/// Two devices remove the same keys offline; each is told of the other's removal when the key is gone.
#[test]
fn dictionaries_of_every_type_survive_being_emptied_by_two() {
    let mut server = Server::start();
    let (first, second) = (server.device("first"), server.device("second"));
    first.open("everything", STORE);
    first.write("createEverything(1)");
    first.upload();
    second.open_downloaded("everything", STORE);
    let empty = r#"
        for (const object of all("Everything").snapshot()) {
            for (const name of Object.keys(object.toJSON()).filter((name) => name.endsWith("Map"))) {
                object[name].remove(Object.keys(object[name]));
            }
        }
    "#;
    for order in [[&first, &second], [&second, &first]] {
        first.write("realm.delete(all('Everything')); createEverything(1)");
        settle(&[&first, &second]);
        for device in [&first, &second] {
            device.pause();
            device.write(empty);
            later();
        }
        for device in order {
            device.resume();
            device.upload();
        }
        settle(&[&first, &second]);
        first.check("all('Everything').filtered('stringMap.@count > 0 OR mixedMap.@count > 0').length === 0");
        first.dump().assert_same(&second.dump());
    }
    let contents = first.dump();
    server.stop();
    contents.assert_same(&server.dump(STORE));
}
