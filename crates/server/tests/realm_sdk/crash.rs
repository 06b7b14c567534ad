//! The server dies at the worst moment.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::device::{Device, settle};
use crate::dump::Dump;
use crate::server::Server;

const STORE: &str = r#""store42""#;
pub(crate) const UPLOADS_PER_DEVICE: usize = 100;

/// Each transaction creates an entry and adds a line to the journal that both devices share: an upload that was
/// integrated twice leaves a line twice. The next transaction waits for the acknowledgement of the last one.
pub(crate) const WRITE_ALL: &str = r#"
    (async () => {
        for (let n = 0; n < COUNT; n++) {
            const id = `AUTHOR ${n}`;
            write(() => {
                create("Entry", { _id: id, author: "AUTHOR", n });
                get("Journal", "shared").lines.push(id);
            });
            await uploaded();
            report("acknowledged", { id });
        }
        report("finished");
    })();
"#;

#[test]
fn what_was_acknowledged_survives_sigkill_and_nothing_is_there_twice() {
    let mut server = Server::start();
    let (first, second) = (server.device("first"), server.device("second"));
    first.open("journal", STORE);
    first.write(r#"create("Journal", { _id: "shared" })"#);
    first.upload();
    second.open_downloaded("journal", STORE);

    for (device, author) in [(&first, "first"), (&second, "second")] {
        let count = UPLOADS_PER_DEVICE.to_string();
        device.run(&WRITE_ALL.replace("COUNT", &count).replace("AUTHOR", author));
    }
    // Killed three times, at different points of what the devices do.
    let mut acknowledged = BTreeSet::new();
    for wanted in [20, 60, 120] {
        while acknowledged.len() < wanted {
            for device in [&first, &second] {
                acknowledged.insert(acknowledged_id(device));
            }
        }
        server.kill();
        assert_holds(&server.dump(STORE), &acknowledged);
        server.restart();
    }
    // The devices come back by themselves and finish.
    while acknowledged.len() < 2 * UPLOADS_PER_DEVICE {
        for device in [&first, &second] {
            acknowledged.insert(acknowledged_id(device));
        }
    }
    first.wait_for_event("finished");
    second.wait_for_event("finished");
    settle(&[&first, &second]);

    let contents = first.dump();
    contents.assert_same(&second.dump());
    assert_eq!(contents.count("Entry"), 2 * UPLOADS_PER_DEVICE);
    assert_holds(&contents, &acknowledged);
    assert_eq!(contents.journal().len(), acknowledged.len(), "a line was lost or doubled");

    // Afterwards they continue in sync, and somebody new sees the same.
    let seen = second.begin_until(r#"get("Entry", "after") !== null"#);
    first.write(r#"create("Entry", { _id: "after", author: "first", n: -1 })"#);
    seen.finish();
    let seen = first.begin_until(r#"get("Entry", "after").n === -2"#);
    second.write(r#"get("Entry", "after").n = -2"#);
    seen.finish();
    let newcomer = server.device("newcomer");
    newcomer.open_downloaded("journal", STORE);
    let contents = first.dump();
    contents.assert_same(&newcomer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

#[test]
fn a_device_offline_during_the_crash_uploads_what_it_wrote_meanwhile() {
    let mut server = Server::start();
    let device = server.device("device");
    device.open("journal", STORE);
    device.write(r#"create("Entry", { _id: "before", author: "device", n: 1 })"#);
    device.upload();
    device.pause();
    server.kill();
    device.write(r#"create("Entry", { _id: "meanwhile", author: "device", n: 2 })"#);
    device.resume();
    device.write(r#"create("Entry", { _id: "while connecting", author: "device", n: 3 })"#);
    server.restart();
    device.upload();
    server.stop();
    let contents = server.dump(STORE);
    assert_eq!(contents.count("Entry"), 3);
    contents.assert_same(&device.dump());
}

pub(crate) fn acknowledged_id(device: &Device) -> String {
    let event = device.wait_for_event("acknowledged");
    event["id"].as_str().expect("the event names the entry").to_owned()
}

/// Asserts that each acknowledged entry is there, with its line, and no line twice.
pub(crate) fn assert_holds(dump: &Dump, acknowledged: &BTreeSet<String>) {
    let journal = dump.journal();
    let lines: BTreeSet<_> = journal.iter().cloned().collect();
    assert_eq!(lines.len(), journal.len(), "a line is there twice: {journal:?}");
    for id in acknowledged {
        assert!(lines.contains(id), "the line of {id} was acknowledged and is lost");
        let key = serde_json::json!({"type": "string", "value": id});
        assert!(dump.object("Entry", &key).is_some(), "{id} was acknowledged and is lost");
    }
}

impl Dump {
    /// The lines of the journal that the devices share.
    pub(crate) fn journal(&self) -> Vec<String> {
        let key = serde_json::json!({"type": "string", "value": "shared"});
        let journal = self.object("Journal", &key).expect("the journal is there");
        let items = journal["fields"]["lines"]["items"].as_array().expect("lines are a list");
        let text = |line: &Value| line["value"].as_str().expect("a line is text").to_owned();
        items.iter().map(text).collect()
    }
}
