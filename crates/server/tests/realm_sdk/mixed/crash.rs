//! The server dies while an SDK device and a Rust device upload.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};

use bailiwick_client::value::PrimaryKey;
use bailiwick_client::{Realm, WriteError};

use super::STORE;
use super::device::{RustDevice, settle};
use super::schemas::journal;
use crate::crash::{UPLOADS_PER_DEVICE, WRITE_ALL, acknowledged_id, assert_holds};
use crate::device::PATIENCE;
use crate::server::Server;

#[test]
fn what_was_acknowledged_to_sdk_and_rust_devices_survives_sigkill_and_nothing_is_there_twice() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    rust.open(journal(), STORE);
    rust.write(|tx| tx.create("Journal", "shared").map(drop));
    rust.upload();
    sdk.open_downloaded("journal", STORE);

    sdk.run(&WRITE_ALL.replace("COUNT", &UPLOADS_PER_DEVICE.to_string()).replace("AUTHOR", "SDK"));
    let rust_acknowledged = write_all(&rust);
    let mut acknowledged = BTreeSet::new();
    // Killed three times, at different points of what the devices do.
    for wanted in [20, 60, 120, 2 * UPLOADS_PER_DEVICE] {
        while acknowledged.len() < wanted {
            acknowledged.insert(acknowledged_id(&sdk));
            acknowledged.insert(rust_acknowledged.recv_timeout(PATIENCE).unwrap());
        }
        if wanted < 2 * UPLOADS_PER_DEVICE {
            server.kill();
            assert_holds(&server.dump(STORE), &acknowledged);
            // The devices come back by themselves and finish.
            server.restart();
        }
    }
    sdk.wait_for_event("finished");
    settle(&sdk, &rust);

    let contents = sdk.dump();
    contents.assert_same(&rust.dump());
    assert_eq!(contents.count("Entry"), 2 * UPLOADS_PER_DEVICE);
    assert_holds(&contents, &acknowledged);
    assert_eq!(contents.journal().len(), acknowledged.len(), "a line was lost or doubled");

    // Afterwards they continue in sync, and somebody new sees the same.
    rust.write(|tx| create_entry(tx, "after", -1));
    sdk.until(r#"get("Entry", "after") !== null"#);
    sdk.write(r#"get("Entry", "after").n = -2"#);
    rust.until("the SDK's write", |view| {
        let after = view.object("Entry", "after").unwrap().unwrap();
        after.get("n").unwrap().as_int() == Some(-2)
    });
    let newcomer = server.rust_device("newcomer");
    newcomer.open_downloaded(journal(), STORE);
    let contents = rust.dump();
    contents.assert_same(&newcomer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

/// What [`WRITE_ALL`] does: each transaction waits for the acknowledgement of the last one. The keys of the entries come
/// as they are acknowledged.
fn write_all(device: &RustDevice) -> Receiver<String> {
    let (acknowledge, acknowledged) = channel();
    device.spawn(write_entries(device.realm(), acknowledge));
    acknowledged
}

async fn write_entries(realm: Realm, acknowledge: Sender<String>) {
    for n in 0..UPLOADS_PER_DEVICE {
        let id = format!("Rust {n}");
        let line = id.clone();
        let written = realm.write_async::<_, WriteError>(move |tx| {
            create_entry(tx, &line, i64::try_from(n).expect("it is small"))?;
            tx.object("Journal", "shared")?.list("lines")?.push(line).map(drop)
        });
        written.await.unwrap();
        realm.sync().unwrap().wait_for_upload().await.unwrap();
        acknowledge.send(id).unwrap();
    }
}

fn create_entry(
    tx: &mut bailiwick_client::WriteTransaction<'_>,
    id: &str,
    n: i64,
) -> Result<(), WriteError> {
    tx.create("Entry", PrimaryKey::from(id))?.set("author", "Rust")?.set("n", n).map(drop)
}
