//! One device writes, another reads; updates flow both ways over connections that stay.

use crate::device::settle;
use crate::server::Server;

const STORE: &str = r#""store42""#;

#[test]
fn a_second_device_reads_what_the_first_wrote_and_updates_flow_both_ways() {
    let mut server = Server::start();
    let writer = server.device("writer");
    writer.open("task", STORE);
    writer.write(
        r#"create("Task", { _id: new BSON.ObjectId("65a1b2c3d4e5f60718293a4b"), name: "count the apples", points: 3 })"#,
    );
    writer.upload();

    let reader = server.device("reader");
    reader.open_downloaded("task", STORE);
    reader.check(r#"all("Task").length === 1"#);
    let task = r#"get("Task", new BSON.ObjectId("65a1b2c3d4e5f60718293a4b"))"#;
    reader.check(&format!(r#"{task}.name === "count the apples" && {task}.points === 3"#));
    reader.check(&format!("{task}.done === false"));

    // From now on a change of the connection's state would be a reconnection.
    for device in [&writer, &reader] {
        device.run(
            "globalThis.changes = []; realm.syncSession.addConnectionNotification((now) => changes.push(now))",
        );
    }
    for round in 1..=20 {
        let seen = reader.begin_until(&format!("{task}.points === {round}"));
        writer.write(&format!("{task}.points = {round}"));
        seen.finish();
        let seen = writer.begin_until(&format!(r#"{task}.name === "round {round}""#));
        reader.write(&format!(r#"{task}.name = "round {round}""#));
        seen.finish();
    }
    let gone = writer.begin_until(r#"all("Task").length === 0"#);
    reader.write(r#"realm.delete(all("Task"))"#);
    gone.finish();
    let appeared = reader.begin_until(r#"all("Task").length === 1"#);
    writer.write(r#"create("Task", { _id: new BSON.ObjectId(), name: "count the pears" })"#);
    appeared.finish();
    writer.check("changes.length === 0");
    reader.check("changes.length === 0");

    settle(&[&writer, &reader]);
    let contents = writer.dump();
    contents.assert_same(&reader.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

#[test]
fn a_device_that_was_away_catches_up() {
    let server = Server::start();
    let (busy, away) = (server.device("busy"), server.device("away"));
    busy.open("task", STORE);
    away.open("task", STORE);
    settle(&[&busy, &away]);

    away.pause();
    for _ in 0..10 {
        busy.write(r#"create("Task", { _id: new BSON.ObjectId(), name: "meanwhile" })"#);
    }
    busy.upload();
    away.check(r#"all("Task").length === 0"#);
    away.resume();
    away.until(r#"all("Task").length === 10"#);
    busy.dump().assert_same(&away.dump());
}
