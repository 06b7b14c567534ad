//! Increments that add up, whoever makes them.
//!
//! The JavaScript SDK of this version has no `AddInteger`: what it sends is the sum. Peers that speak the protocol themselves
//! send the increments, and the SDK has to merge them with its own writes.

use crate::device::{Device, later, settle};
use crate::peer::Peer;
use crate::server::Server;

const STORE: &str = r#""store42""#;

#[test]
fn increments_add_up_if_the_device_hears_of_them_first() {
    check_increments(|_| ());
}

#[test]
fn increments_add_up_if_the_server_hears_of_the_device_first() {
    check_increments(|device| {
        device.resume();
        device.upload();
    });
}

/// The device writes before the increments are made; `before` is what it does until they reach the server.
fn check_increments(before: fn(&Device)) {
    let mut server = Server::start();
    let device = server.device("device");
    device.open("thing", STORE);
    device.write("for (const _id of [1, 2, 3, 4, 5]) create('Thing', { _id, count: 10 })");
    device.write("create('Thing', { _id: 6, count: 2n ** 63n - 1n }); create('Thing', { _id: 7 })");
    device.upload();
    let mut peers = [Peer::connect(&server, STORE), Peer::connect(&server, STORE)];

    device.pause();
    device.write("get('Thing', 1).a = 'another field'; get('Thing', 2).count = 100");
    device.write("get('Thing', 3).count = null; realm.delete(get('Thing', 4))");
    later();
    before(&device);
    for peer in &mut peers {
        for key in 1..=7 {
            peer.add_integer("Thing", key, "count", if key == 6 { 1 } else { 5 });
        }
    }
    device.resume();
    settle(&[&device]);

    device.check("get('Thing', 1).count === 20 && get('Thing', 1).a === 'another field'");
    device.check("get('Thing', 2).count === 110");
    device.check("get('Thing', 3).count === null");
    device.check("get('Thing', 4) === null");
    device.check("get('Thing', 5).count === 20");
    device
        .check("all('Thing').filtered('_id == 6 AND count == -9223372036854775807').length === 1");
    device.check("get('Thing', 7).count === null");

    // A later write of the field replaces the sum.
    device.pause();
    let mut late = Peer::connect(&server, STORE);
    late.add_integer("Thing", 5, "count", 1);
    later();
    device.write("get('Thing', 5).count = 7");
    device.resume();
    settle(&[&device]);
    device.check("get('Thing', 5).count === 7");

    let newcomer = server.device("newcomer");
    newcomer.open_downloaded("thing", STORE);
    let contents = device.dump();
    contents.assert_same(&newcomer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}
