//! Increments of Rust devices add up, with each other's and with what an SDK device writes.

use super::STORE;
use super::device::{RustDevice, settle_all};
use super::schemas::thing;
use crate::device::{Device, later};
use crate::server::Server;

#[test]
fn increments_add_up_if_the_sdk_device_hears_of_them_first() {
    check_increments(|sdk, rust| {
        for device in rust {
            device.resume();
            device.upload();
        }
        sdk.resume();
    });
}

#[test]
fn increments_add_up_if_the_server_hears_of_the_sdk_device_first() {
    check_increments(|sdk, rust| {
        sdk.resume();
        sdk.upload();
        for device in rust {
            device.resume();
        }
    });
}

/// Everybody is offline; the SDK device writes before the increments are made.
fn check_increments(resume: fn(&Device, &[RustDevice; 2])) {
    let mut server = Server::start();
    let sdk = server.device("SDK");
    sdk.open("thing", STORE);
    sdk.write("for (const _id of [1, 2, 3, 4, 5]) create('Thing', { _id, count: 10 })");
    sdk.write("create('Thing', { _id: 6, count: 2n ** 63n - 1n })");
    sdk.upload();
    let rust = [server.rust_device("Rust"), server.rust_device("other Rust")];
    for device in &rust {
        device.open_downloaded(thing(), STORE);
        device.pause();
    }
    sdk.pause();
    sdk.write("get('Thing', 1).a = 'another field'; get('Thing', 2).count = 100");
    sdk.write("get('Thing', 3).count = null; realm.delete(get('Thing', 4))");
    later();
    for device in &rust {
        device.write(|tx| {
            (1..=6).try_for_each(|key| {
                tx.object("Thing", key)?.add("count", if key == 6 { 1 } else { 5 }).map(drop)
            })
        });
    }
    resume(&sdk, &rust);
    settle_all(&sdk, &rust);

    sdk.check("get('Thing', 1).count === 20 && get('Thing', 1).a === 'another field'");
    sdk.check("get('Thing', 2).count === 110");
    sdk.check("get('Thing', 3).count === null");
    sdk.check("get('Thing', 4) === null");
    sdk.check("get('Thing', 5).count === 20");
    sdk.check("all('Thing').filtered('_id == 6 AND count == -9223372036854775807').length === 1");

    // A later write of the field replaces the sum, whoever writes it; a new sum starts from there.
    for device in &rust {
        device.pause();
    }
    sdk.pause();
    rust[0].write(|tx| {
        tx.object("Thing", 1)?.add("count", 1)?;
        tx.object("Thing", 2)?.add("count", 1).map(drop)
    });
    later();
    sdk.write("get('Thing', 1).count = 7");
    rust[1].write(|tx| tx.object("Thing", 2)?.set("count", 7)?.add("count", 1).map(drop));
    resume(&sdk, &rust);
    settle_all(&sdk, &rust);
    sdk.check("get('Thing', 1).count === 7 && get('Thing', 2).count === 8");

    let contents = sdk.dump();
    server.stop();
    contents.assert_same(&server.dump(STORE));
}
