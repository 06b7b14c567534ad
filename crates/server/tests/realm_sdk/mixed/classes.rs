//! Devices whose apps are of different versions: one has classes and fields that the other does not have.

use bailiwick_client::Value;
use bailiwick_client::schema::{Class, PropertyType};

use super::STORE;
use super::device::settle;
use super::schemas::entry;
use crate::server::Server;

#[test]
fn classes_and_fields_that_only_one_side_has_are_no_trouble_to_the_other() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    // A class that only the SDK's app has.
    sdk.open("journal", STORE);
    sdk.write(r#"create("Journal", { _id: "j", lines: ["one"] })"#);
    sdk.write(r#"create("Entry", { _id: "by the SDK", author: "SDK", n: 1 })"#);
    sdk.upload();
    rust.open_downloaded(entry(), STORE);
    sdk.dump().assert_same(&rust.dump());

    // A field, of a class that both have, and a class that only the Rust program has.
    let mut schema = entry();
    let known = schema.classes.remove(0);
    let note = Class::new("Note").primary_key("_id", PropertyType::Int);
    let note = note.property("about", PropertyType::Link("Entry".into()));
    rust.open(schema.class(known.optional("mood", PropertyType::String)).class(note), STORE);
    rust.write(|tx| {
        tx.object("Entry", "by the SDK")?.set("mood", "good")?;
        let entry = tx.create("Entry", "in Rust")?.set("mood", "better")?.key().clone();
        tx.create("Note", 1)?
            .set("about", bailiwick_client::value::Link::new("Entry", entry))
            .map(drop)
    });
    settle(&sdk, &rust);
    sdk.check(r#"get("Entry", "by the SDK").author === "SDK" && get("Entry", "in Rust").n === 0"#);
    sdk.write(
        r#"get("Entry", "by the SDK").n = 2; realm.delete(get("Entry", "in Rust")); get("Journal", "j").lines.push("two")"#,
    );
    settle(&sdk, &rust);
    let view = rust.view();
    let entry = view.object("Entry", "by the SDK").unwrap().unwrap();
    assert_eq!(entry.get("n").unwrap(), Value::Int(2));
    assert_eq!(entry.get("mood").unwrap(), Value::from("good"));
    let note = view.object("Note", 1).unwrap().unwrap();
    assert_eq!(note.get("about").unwrap(), Value::Null);
    let journal = view.object("Journal", "j").unwrap().unwrap();
    assert_eq!(journal.get("lines").unwrap(), Value::from(vec!["one", "two"]));

    let newcomer = server.rust_device("newcomer");
    newcomer.open_downloaded(bailiwick_client::Schema::new(), STORE);
    let contents = rust.dump();
    contents.assert_same(&newcomer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}
