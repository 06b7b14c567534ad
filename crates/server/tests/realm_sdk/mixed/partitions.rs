//! A partition is the same realm for SDK and Rust devices, and another one than all others, whatever type its value has.

use bailiwick_client::{SyncError, View};

use super::device::settle;
use super::schemas::entry;
use crate::partitions::ILLEGAL_REALM_PATH;
use crate::server::Server;

#[test]
fn strings_are_the_same_partitions_for_both() {
    let long = format!(r#""{}""#, "a long name ".repeat(40));
    let values = [
        r#""store42""#,
        r#""Store42""#,
        r#""""#,
        r#""42""#,
        r#""null""#,
        r#""with \"quotes\" and ü/\\""#,
        r#""../../etc/passwd""#,
        r#""emoji 🦀 and {\"$oid\":\"0\"}""#,
        &long,
        "null",
    ];
    check_values("string", &values, "42");
}

#[test]
fn ints_are_the_same_partitions_for_both() {
    let values =
        ["42", "0", "-7", "2147483647", "2147483648", "-2147483649", "9007199254740991", "null"];
    check_values("long", &values, r#""42""#);
}

#[test]
fn object_ids_are_the_same_partitions_for_both() {
    let values = [
        r#"{"$oid":"65a1b2c3d4e5f60718293a4b"}"#,
        r#"{"$oid":"65a1b2c3d4e5f60718293a4c"}"#,
        r#"{"$oid":"000000000000000000000000"}"#,
        "null",
    ];
    check_values("objectId", &values, r#""65a1b2c3d4e5f60718293a4b""#);
}

#[test]
fn uuids_are_the_same_partitions_for_both() {
    let values = [
        r#"{"$uuid":"aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f000"}"#,
        r#"{"$uuid":"aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f001"}"#,
        r#"{"$uuid":"00000000-0000-4000-8000-000000000000"}"#,
        "null",
    ];
    check_values("uuid", &values, "0");
}

/// Each value is a realm of its own, in which both devices read what the other wrote, and nothing else; all over one
/// connection a device. A value of another type is refused, and nothing else breaks.
fn check_values(partition_type: &str, values: &[&str], wrong: &str) {
    let mut server = Server::start_with_partition_type(partition_type);
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    sdk.run("globalThis.realms = []");
    for (i, value) in values.iter().enumerate() {
        sdk.open("entry", value);
        // The same keys everywhere: objects of different partitions have nothing to do with each other.
        sdk.write(&format!(r#"create("Entry", {{ _id: "by the SDK", author: "SDK", n: {i} }})"#));
        sdk.run("realms.push(realm); await uploaded()");
    }
    let realms: Vec<_> = (0i64..)
        .zip(values)
        .map(|(i, value)| {
            rust.open_downloaded(entry(), value);
            assert_eq!(numbers(&rust.view()), [i]);
            rust.write(|tx| {
                tx.create("Entry", "in Rust")?.set("author", "Rust")?.set("n", -i).map(drop)
            });
            rust.upload();
            rust.realm()
        })
        .collect();
    let enter = |i: usize| {
        rust.enter(realms[i].clone());
        sdk.run(&format!("realm = realms[{i}]"));
    };

    rust.open(entry(), wrong);
    let error = rust.expect_sync_error();
    let SyncError::Server { code, fatal: true, .. } = error else { panic!("{error:?}") };
    assert_eq!(u64::from(code.number()), ILLEGAL_REALM_PATH);
    enter(0);
    let seen = sdk.begin_until(r#"get("Entry", "by the SDK").author === "Rust""#);
    rust.write(|tx| tx.object("Entry", "by the SDK")?.set("author", "Rust").map(drop));
    seen.finish();

    let mut dumps = Vec::new();
    for i in 0..values.len() {
        enter(i);
        settle(&sdk, &rust);
        sdk.check(&format!(
            r#"all("Entry").length === 2 && get("Entry", "by the SDK").n === {i} && get("Entry", "in Rust").n === -{i}"#
        ));
        let contents = sdk.dump();
        contents.assert_same(&rust.dump());
        dumps.push(contents);
    }
    server.stop();
    for (value, contents) in values.iter().zip(dumps) {
        contents.assert_same(&server.dump(value));
    }
}

fn numbers(view: &View) -> Vec<i64> {
    let entries = view.objects("Entry").unwrap();
    entries.map(|entry| entry.unwrap().get("n").unwrap().as_int().unwrap()).collect()
}
