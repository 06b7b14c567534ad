//! Partitions are realms of their own, whatever type their value has.

use crate::device::settle;
use crate::server::Server;

pub(crate) const ILLEGAL_REALM_PATH: u64 = 204;

#[test]
fn partitions_never_see_each_others_objects() {
    let mut server = Server::start();
    let (north, south, both) =
        (server.device("north"), server.device("south"), server.device("both"));
    north.open("entry", r#""north""#);
    south.open("entry", r#""south""#);
    // The same key on both sides: objects of different partitions have nothing to do with each other.
    north.write(r#"create("Entry", { _id: "same", author: "north", n: 1 })"#);
    south.write(r#"create("Entry", { _id: "same", author: "south", n: 2 })"#);
    south.write(r#"create("Entry", { _id: "other", author: "south", n: 3 })"#);
    settle(&[&north, &south]);
    north.check(r#"all("Entry").length === 1 && get("Entry", "same").author === "north""#);
    south.check(r#"all("Entry").length === 2 && get("Entry", "same").author === "south""#);

    // One device in both at once, over one connection.
    both.open_downloaded("entry", r#""north""#);
    both.check(r#"all("Entry").length === 1 && get("Entry", "same").author === "north""#);
    both.run("globalThis.northern = realm");
    both.open_downloaded("entry", r#""south""#);
    both.check(r#"all("Entry").length === 2 && get("Entry", "same").author === "south""#);
    both.write(r#"realm.delete(get("Entry", "same"))"#);
    both.run(r#"realm = northern; write(() => (get("Entry", "same").n = 10))"#);
    both.upload();
    north.until(r#"get("Entry", "same").n === 10"#);
    south.until(r#"get("Entry", "same") === null && get("Entry", "other").n === 3"#);

    let (northern, southern) = (north.dump(), south.dump());
    northern.assert_same(&both.dump());
    server.stop();
    northern.assert_same(&server.dump(r#""north""#));
    southern.assert_same(&server.dump(r#""south""#));
    assert_eq!(server.dump(r#""east""#).count("Entry"), 0);
}

#[test]
fn strings_are_partitions() {
    let long = format!(r#""{}""#, "a long name ".repeat(40));
    let values = [
        r#""store42""#,
        r#""Store42""#,
        r#""""#,
        r#"" ""#,
        r#""42""#,
        r#""null""#,
        r#""with \"quotes\" and ü/\\""#,
        r#""../../etc/passwd""#,
        r#""emoji 🦀 and {\"$oid\":\"0\"}""#,
        &long,
        "null",
    ];
    check_values(
        "string",
        &values,
        &[
            "42",
            r#"{"$oid":"65a1b2c3d4e5f60718293a4b"}"#,
            r#"{"$uuid":"aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f000"}"#,
        ],
    );
}

#[test]
fn ints_are_partitions() {
    let values =
        ["42", "0", "-7", "2147483647", "2147483648", "-2147483649", "9007199254740991", "null"];
    check_values("long", &values, &[r#""42""#, r#"{"$oid":"65a1b2c3d4e5f60718293a4b"}"#]);
}

#[test]
fn object_ids_are_partitions() {
    let values = [
        r#"{"$oid":"65a1b2c3d4e5f60718293a4b"}"#,
        r#"{"$oid":"65a1b2c3d4e5f60718293a4c"}"#,
        r#"{"$oid":"000000000000000000000000"}"#,
        "null",
    ];
    check_values("objectId", &values, &[r#""65a1b2c3d4e5f60718293a4b""#, "42"]);
}

#[test]
fn uuids_are_partitions() {
    let values = [
        r#"{"$uuid":"aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f000"}"#,
        r#"{"$uuid":"aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f001"}"#,
        r#"{"$uuid":"00000000-0000-4000-8000-000000000000"}"#,
        "null",
    ];
    check_values("uuid", &values, &[r#""aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f000""#, "0"]);
}

/// Each value is a realm of its own, on one connection; a value of another type is refused, and nothing else breaks.
fn check_values(partition_type: &str, values: &[&str], wrong: &[&str]) {
    let mut server = Server::start_with_partition_type(partition_type);
    let writer = server.device("writer");
    writer.run("globalThis.realms = []");
    for (i, value) in values.iter().enumerate() {
        writer.open("entry", value);
        writer.write(&format!(
            r#"create("Entry", {{ _id: "entry {i}", author: "writer", n: {i} }})"#
        ));
        writer.run("realms.push(realm)");
    }
    for i in 0..values.len() {
        writer.run(&format!("realm = realms[{i}]; await uploaded()"));
    }

    let reader = server.device("reader");
    reader.run("globalThis.realms = []");
    let holds = |i: usize| format!(r#"all("Entry").length === 1 && all("Entry")[0].n === {i}"#);
    for (i, value) in values.iter().enumerate() {
        reader.open_downloaded("entry", value);
        reader.check(&holds(i));
        reader.run("realms.push(realm)");
    }

    for value in wrong {
        reader.open("entry", value);
        reader.expect_sync_error(ILLEGAL_REALM_PATH);
        let held = reader
            .begin("realm = realms[0]; await until(() => all('Entry')[0].author === 'again')");
        writer.run("realm = realms[0]; write(() => (all('Entry')[0].author = 'again'))");
        held.finish();
        let back = writer.begin_until("all('Entry')[0].author === 'writer'");
        reader.write("all('Entry')[0].author = 'writer'");
        back.finish();
    }

    settle(&[&writer, &reader]);
    let dumps: Vec<_> = (0..values.len())
        .map(|i| {
            writer.run(&format!("realm = realms[{i}]"));
            writer.dump()
        })
        .collect();
    server.stop();
    for (value, contents) in values.iter().zip(dumps) {
        contents.assert_same(&server.dump(value));
    }
}
