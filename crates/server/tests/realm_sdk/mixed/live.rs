//! One device writes, another reads; updates flow both ways over connections that stay.

use std::slice;

use bailiwick_client::{ObjectId, Schema, SyncStatus, View, object};

use super::device::{RustDevice, settle};
use crate::device::Device;
use crate::server::Server;

object! {
    #[derive(Debug, Clone, PartialEq)]
    struct Task {
        #[primary_key]
        _id: ObjectId,
        name: String,
        done: bool,
        points: Option<i64>,
    }
}

const ID: &str = "65a1b2c3d4e5f60718293a4b";
const TASK: &str = r#"get("Task", new BSON.ObjectId("65a1b2c3d4e5f60718293a4b"))"#;

#[test]
fn sdk_and_rust_devices_read_what_the_other_wrote_and_updates_flow_both_ways() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    let written = Task {
        _id: ID.parse().unwrap(),
        name: "count the apples".into(),
        done: false,
        points: Some(3),
    };

    let by_sdk = r#""written by the SDK""#;
    sdk.open("task", by_sdk);
    sdk.write(&format!(
        r#"create("Task", {{ _id: new BSON.ObjectId("{ID}"), name: "count the apples", points: 3 }})"#
    ));
    sdk.upload();
    rust.open_downloaded(schema(), by_sdk);
    assert_eq!(tasks(&rust.view()), slice::from_ref(&written));
    exchange(&sdk, &rust);
    let contents_by_sdk = sdk.dump();

    let by_rust = r#""written in Rust""#;
    rust.open(schema(), by_rust);
    rust.write(|tx| tx.insert(&written));
    rust.upload();
    sdk.open_downloaded("task", by_rust);
    sdk.check(r#"all("Task").length === 1"#);
    sdk.check(&format!(r#"{TASK}.name === "count the apples" && {TASK}.points === 3"#));
    sdk.check(&format!("{TASK}.done === false"));
    exchange(&sdk, &rust);
    let contents_by_rust = sdk.dump();

    server.stop();
    contents_by_sdk.assert_same(&server.dump(by_sdk));
    contents_by_rust.assert_same(&server.dump(by_rust));
}

/// Both change the task, hear of it, and stay connected; then each catches up with what the other did while it was away.
fn exchange(sdk: &Device, rust: &RustDevice) {
    sdk.run(
        "globalThis.changes = []; realm.syncSession.addConnectionNotification((now) => changes.push(now))",
    );
    let mut status = rust.realm().sync().unwrap().status();
    assert_eq!(*status.borrow_and_update(), SyncStatus::Connected);
    for round in 1..=20 {
        let seen = sdk.begin_until(&format!("{TASK}.points === {round}"));
        rust.write(|tx| tx.update(&Task { points: Some(round), ..task(&rust.view()) }));
        seen.finish();
        sdk.write(&format!(r#"{TASK}.name = "round {round}""#));
        let name = format!("round {round}");
        rust.until(&name, |view| task(view).name == name);
    }
    let gone = sdk.begin_until(r#"all("Task").length === 0"#);
    rust.write(|tx| tx.delete_all("Task").map(drop));
    gone.finish();
    sdk.write(r#"create("Task", { _id: new BSON.ObjectId(), name: "count the pears" })"#);
    rust.until("a new task", |view| tasks(view).len() == 1);
    sdk.check("changes.length === 0");
    assert!(!status.has_changed().unwrap(), "the device reconnected");
    settle(sdk, rust);
    sdk.dump().assert_same(&rust.dump());

    rust.pause();
    for _ in 0..10 {
        sdk.write(r#"create("Task", { _id: new BSON.ObjectId(), name: "meanwhile" })"#);
    }
    sdk.upload();
    assert_eq!(tasks(&rust.view()).len(), 1);
    rust.resume();
    rust.until("what was written meanwhile", |view| tasks(view).len() == 11);
    sdk.pause();
    for _ in 0..10 {
        let task =
            Task { _id: ObjectId::new(), name: "meanwhile".into(), done: true, points: None };
        rust.write(|tx| tx.insert(&task));
    }
    rust.upload();
    sdk.check(r#"all("Task").length === 11"#);
    sdk.resume();
    sdk.until(r#"all("Task").length === 21"#);
    sdk.dump().assert_same(&rust.dump());
}

fn schema() -> Schema {
    Schema::new().with::<Task>()
}

fn tasks(view: &View) -> Vec<Task> {
    view.all().unwrap().collect::<Result<_, _>>().unwrap()
}

fn task(view: &View) -> Task {
    let id: ObjectId = ID.parse().unwrap();
    view.get(id).unwrap().expect("nobody has deleted the task")
}
