//! What a Rust device writes for an edit is what the SDK writes for it, instruction by instruction.

use std::collections::BTreeMap;

use bailiwick_protocol::changeset::json::ChangesetJson;
use serde_json::Value;

use super::cases::{CASES as RUST_CASES, RustCase};
use super::device::RustDevice;
use super::edits::{Edits, T, edit};
use super::schemas::thing;
use crate::conflicts::cases::{CASES, Case};
use crate::conflicts::{KEYS_PER_CASE, with_objects, with_t};
use crate::device::Device;
use crate::peer::Peer;
use crate::server::Server;

/// Where later SDKs write a Clear, as Rust does, and this one the removal of each key.
const ASSIGNS_A_DICTIONARY: &str = "replacing a dictionary of embedded objects beats a later edit";

#[test]
fn sdk_and_rust_devices_write_the_same_instructions_for_the_same_edits() {
    let server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    let devices = (&server, &sdk, &rust);
    check_edits(devices, "ours", |case| case.ours, |case| case.ours);
    check_edits(devices, "theirs", |case| case.theirs, |case| case.theirs);
}

/// Declares the classes, then carries out two transactions for each case: what both devices of the case know, and an edit.
fn check_edits(
    (server, sdk, rust): (&Server, &Device, &RustDevice),
    which: &str,
    sdk_edit: fn(&Case) -> &'static str,
    rust_edit: fn(&RustCase) -> Edits,
) {
    let [by_sdk, by_rust] = ["SDK", "Rust"].map(|device| format!(r#""{which} of {device}""#));
    sdk.open("thing", &by_sdk);
    rust.open(thing(), &by_rust);
    for (i, (case, rust_case)) in CASES.iter().zip(RUST_CASES).enumerate() {
        let base = format!("create('Thing', {{ _id: base }}); {}", with_t(case.base));
        sdk.write(&with_objects(i, &base));
        sdk.write(&with_objects(i, sdk_edit(case)));
        edit(rust, i, |edit| {
            edit.create(T)?;
            (rust_case.base)(edit)
        });
        edit(rust, i, rust_edit(rust_case));
    }
    sdk.upload();
    rust.upload();
    let mut by_sdk = by_case(&Peer::connect(server, &by_sdk));
    let mut by_rust = by_case(&Peer::connect(server, &by_rust));
    let classes = by_rust.remove(&None);
    assert_eq!(classes.as_ref().map(Vec::len), Some(26), "3 classes and 23 fields");
    assert_eq!(classes, by_sdk.remove(&None), "the classes");
    for (i, case) in CASES.iter().enumerate() {
        let (by_sdk, by_rust) = (by_sdk.remove(&Some(i)), by_rust.remove(&Some(i)));
        assert!(by_rust.is_some(), "{}", case.claim);
        if case.claim != ASSIGNS_A_DICTIONARY {
            assert_eq!(by_rust, by_sdk, "{}", case.claim);
        }
    }
    assert!(by_sdk.is_empty() && by_rust.is_empty());
}

/// Instructions by the position of their case; those about classes have none.
fn by_case(peer: &Peer) -> BTreeMap<Option<usize>, Vec<Value>> {
    let mut instructions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for changeset in peer.downloaded() {
        for instruction in ChangesetJson::from(changeset).instructions {
            let mut instruction = serde_json::to_value(&instruction).unwrap();
            if instruction["op"] == "Clear" {
                // This SDK does not say what it clears.
                instruction["collection"].take();
            }
            let key = instruction["object"]["value"].as_u64();
            let case = key.map(|key| usize::try_from(key).unwrap() / KEYS_PER_CASE - 1);
            instructions.entry(case).or_default().push(instruction);
        }
    }
    instructions
}
