//! The server's data is older than what a device has seen of it.

use crate::device::settle;
use crate::server::Server;

const STORE: &str = r#""store42""#;

/// Its changesets are in the backup, only how far it had got with the server's is not; it has nothing to reset for.
#[test]
fn after_a_restored_backup_a_device_that_has_only_read_since_goes_on() {
    let mut server = Server::start();
    let writer = server.device("writer");
    writer.open("entry", STORE);
    let reader = server.device("reader");
    reader.open("entry", STORE);
    reader.write(r#"create("Entry", { _id: "of the reader", author: "reader", n: 1 })"#);
    settle(&[&reader, &writer]);
    reader.pause();
    writer.write(r#"create("Entry", { _id: "read later", author: "writer", n: 2 })"#);
    writer.upload();
    server.stop();
    server.back_up();
    server.restart();
    // What it reports of this is told to it as integrated when it comes again.
    reader.resume();
    reader.download();
    for _ in 0..3 {
        reader.pause();
        reader.resume();
        reader.download();
    }

    server.stop();
    server.restore();
    server.restart();
    reader.write(r#"create("Entry", { _id: "after the backup", author: "reader", n: 3 })"#);
    settle(&[&reader, &writer]);
    let contents = writer.dump();
    contents.assert_same(&reader.dump());
    assert_eq!(contents.count("Entry"), 3);
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

#[test]
fn after_a_restored_backup_a_device_is_told_to_reset_and_others_go_on() {
    let mut server = Server::start();
    let device = server.device("device");
    device.open("entry", STORE);
    device.write(r#"create("Entry", { _id: "before the backup", author: "device", n: 1 })"#);
    device.upload();
    server.stop();
    server.back_up();
    server.restart();
    device.write(r#"create("Entry", { _id: "after the backup", author: "device", n: 2 })"#);
    settle(&[&device]);
    device.pause();
    device.write(r#"create("Entry", { _id: "not uploaded", author: "device", n: 3 })"#);

    server.stop();
    server.restore();
    server.restart();
    // Another history goes on from where the backup ends, under the same versions.
    let other = server.device("other");
    other.open_downloaded("entry", STORE);
    other.check(r#"all("Entry").length === 1"#);
    for n in 0..5 {
        other
            .write(&format!(r#"create("Entry", {{ _id: "other {n}", author: "other", n: {n} }})"#));
    }
    other.upload();

    // The WebAssembly build of the SDK leaves resets to the application, whatever mode it is given.
    device.resume();
    let told = device.wait_for_event("sync error");
    assert_eq!(told["name"], "ClientReset", "{told}");
    let again = server.device("again");
    again.open_downloaded("entry", STORE);
    again.write(r#"create("Entry", { _id: "not uploaded", author: "again", n: 3 })"#);
    settle(&[&again, &other]);
    let contents = other.dump();
    contents.assert_same(&again.dump());
    assert_eq!(contents.count("Entry"), 7);
    server.stop();
    contents.assert_same(&server.dump(STORE));
}
