//! Users, and the end of the server, as the SDK sees them.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::device::settle;
use crate::server::{APP_ID, Server};

const STORE: &str = r#""store42""#;

#[test]
fn each_anonymous_login_is_a_new_user_and_logout_ends_it() {
    let server = Server::start();
    let device = server.stranger("device");
    let first = device.run("return await logIn()");
    assert_eq!(device.run("return app.currentUser.id"), first);
    assert_eq!(device.run("return app.currentUser.identities.length"), 1);
    assert_eq!(device.run("return app.currentUser.providerType"), "anon-user");
    device.open("task", STORE);
    device.write(r#"create("Task", { _id: new BSON.ObjectId(), name: "of the first user" })"#);
    device.upload();
    device.run("realm.close(); await app.currentUser.logOut()");
    assert!(device.run("return app.currentUser?.id ?? null").is_null());

    let second = device.run("return await logIn()");
    assert_ne!(first, second);
    device.open_downloaded("task", STORE);
    device.check(r#"all("Task").length === 1 && all("Task")[0].name === "of the first user""#);
}

#[test]
fn two_users_on_one_device_share_a_partition() {
    let server = Server::start();
    let device = server.stranger("device");
    let first = device.run("return await logIn()");
    device.open("task", STORE);
    device.run("globalThis.ofFirst = realm");
    let second = device.run("return await logIn(true)");
    assert_ne!(first, second);
    device.open("task", STORE);
    device.run("globalThis.ofSecond = realm");

    let seen = device.begin("realm = ofFirst; await until(() => all('Task').length === 1)");
    device.run("realm = ofSecond; write(() => create('Task', { _id: new BSON.ObjectId(), name: 'of the second' }))");
    seen.finish();
    let seen = device.begin("realm = ofSecond; await until(() => all('Task')[0].points === 5)");
    device.run("realm = ofFirst; write(() => (all('Task')[0].points = 5))");
    seen.finish();
    device.run("realm = ofFirst");
    let contents = device.dump();
    device.run("realm = ofSecond");
    contents.assert_same(&device.dump());

    // The end of one user's session leaves the other's alone.
    device.run(
        "ofFirst.close(); await app.allUsers[FIRST].logOut()"
            .replace("FIRST", &first.to_string())
            .as_str(),
    );
    let other = server.device("other");
    other.open_downloaded("task", STORE);
    let seen = device.begin_until("all('Task')[0].points === 6");
    other.write("all('Task')[0].points = 6");
    seen.finish();
}

#[test]
fn the_server_drains_on_sigterm_and_devices_come_back_to_its_successor() {
    let mut server = Server::start();
    let (first, second) = (server.device("first"), server.device("second"));
    first.open("task", STORE);
    second.open("task", STORE);
    settle(&[&first, &second]);
    let asked = Instant::now();
    server.stop();
    eprintln!("drained in {:?}", asked.elapsed());
    first.run("await untilConnection('disconnected')");
    first.write(r#"create("Task", { _id: new BSON.ObjectId(), name: "meanwhile" })"#);
    server.restart();
    // No error reached the application, and nobody had to ask for the reconnection.
    second.until(r#"all("Task").length === 1"#);
    let seen = first.begin_until("all('Task')[0].done");
    second.write("all('Task')[0].done = true");
    seen.finish();
}

#[test]
fn the_official_http_client_logs_in_and_out() {
    let server = Server::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/realm_sdk/web.mjs");
    let output = Command::new("node")
        .arg(script)
        .args([server.base_url(), APP_ID])
        .output()
        .expect("`node` is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
}
