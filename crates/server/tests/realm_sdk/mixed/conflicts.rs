//! An SDK device and a Rust device edit the same objects offline, and agree afterwards: with each other, with devices of
//! both kinds that come later, and with what the server has materialised.

use super::cases::{CASES as RUST_CASES, RustCase};
use super::device::{RustDevice, settle, settle_all};
use super::edits::{Edits, T, edit};
use super::random_edits::RandomEdits;
use super::schemas::thing;
use crate::conflicts::cases::{CASES, Case};
use crate::conflicts::{with_objects, with_t};
use crate::device::{Device, later};
use crate::dump::Dump;
use crate::server::Server;

/// Who makes an edit.
#[derive(Clone, Copy)]
enum Side<'a> {
    Sdk(&'a Device),
    Rust(&'a RustDevice),
}

/// The same edit for both.
type Pick = (fn(&Case) -> &'static str, fn(&RustCase) -> Edits);

struct Round {
    ours: Pick,
    theirs: Pick,
    merged: fn(&Case) -> &'static str,
}

const ROUNDS: &[Round] = &[
    Round {
        ours: (|case| case.ours, |case| case.ours),
        theirs: (|case| case.theirs, |case| case.theirs),
        merged: |case| case.merged,
    },
    // What a merge left behind (unresolved links, moved elements) must carry further edits.
    Round {
        ours: (|case| case.ours_again, |case| case.ours_again),
        theirs: (|case| case.theirs_again, |case| case.theirs_again),
        merged: |case| case.merged_again,
    },
];

#[derive(Clone, Copy, Debug)]
enum First {
    TheEarlierWriter,
    TheLaterWriter,
}

#[test]
fn offline_edits_of_an_sdk_and_a_rust_device_converge() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    let thirds = (server.device("third SDK"), server.rust_device("third Rust"));
    let mut all = Vec::new();
    for first in [First::TheEarlierWriter, First::TheLaterWriter] {
        for (who, ours, theirs) in [
            ("Rust", Side::Rust(&rust), Side::Sdk(&sdk)),
            ("SDK", Side::Sdk(&sdk), Side::Rust(&rust)),
        ] {
            eprintln!("{who} writes earlier, {first:?} resumes first");
            let partition = format!(r#""{who} {first:?}""#);
            sdk.open("thing", &partition);
            rust.open(thing(), &partition);
            run_cases([ours, theirs], first, (&sdk, &rust));
            all.push((
                agree_with_newcomers((&sdk, &rust), (&thirds.0, &thirds.1), &partition),
                partition,
            ));
        }
    }
    server.stop();
    for (contents, partition) in all {
        contents.assert_same(&server.dump(&partition));
    }
}

/// All cases at once; `theirs` always writes later than `ours`.
fn run_cases([ours, theirs]: [Side<'_>; 2], first: First, (sdk, rust): (&Device, &RustDevice)) {
    for (i, (case, rust_case)) in CASES.iter().zip(RUST_CASES).enumerate() {
        assert_eq!(case.claim, rust_case.claim);
        match ours {
            Side::Sdk(device) => device.write(&with_objects(
                i,
                &format!("create('Thing', {{ _id: base }}); {}", with_t(case.base)),
            )),
            Side::Rust(device) => edit(device, i, |edit| {
                edit.create(T)?;
                (rust_case.base)(edit)
            }),
        }
    }
    assert_eq!(CASES.len(), RUST_CASES.len());
    settle(sdk, rust);

    for Round { ours: our_edits, theirs: their_edits, merged } in ROUNDS {
        ours.pause();
        theirs.pause();
        for i in 0..CASES.len() {
            ours.edit(i, *our_edits);
            later();
            theirs.edit(i, *their_edits);
        }
        let order = match first {
            First::TheEarlierWriter => [ours, theirs],
            First::TheLaterWriter => [theirs, ours],
        };
        for side in order {
            side.resume();
        }
        settle(sdk, rust);
        rust.dump().assert_same(&sdk.dump());
        for (i, case) in CASES.iter().enumerate() {
            let expected = merged(case);
            let state = "JSON.stringify([t, u, v], (key, value) => typeof value === 'bigint' ? String(value) : value)";
            let verdict = sdk
                .run(&with_objects(i, &format!("return ({expected}) ? 'as expected' : {state};")));
            assert_eq!(verdict, "as expected", "{}: {expected}", case.claim);
        }
    }
}

/// Devices that were never connected before download all of it; their own schemas change nothing, and everybody hears of
/// their first writes.
fn agree_with_newcomers(
    (sdk, rust): (&Device, &RustDevice),
    (third_sdk, third_rust): (&Device, &RustDevice),
    partition: &str,
) -> Dump {
    let contents = sdk.dump();
    third_sdk.open_downloaded("thing", partition);
    contents.assert_same(&third_sdk.dump());
    third_rust.open_downloaded(thing(), partition);
    contents.assert_same(&third_rust.dump());

    let seen = sdk.begin_until("get('Thing', -1) !== null && get('Thing', -2) !== null");
    third_sdk.write("create('Thing', { _id: -1, a: 'third' })");
    third_rust.write(|tx| tx.create("Thing", -2)?.set("a", "third").map(drop));
    seen.finish();
    rust.until("what newcomers wrote", |view| {
        [-1, -2].iter().all(|&key| view.object("Thing", key).unwrap().is_some())
    });
    settle(third_sdk, third_rust);
    let contents = third_rust.dump();
    for other in [third_sdk.dump(), sdk.dump(), rust.dump()] {
        contents.assert_same(&other);
    }
    contents
}

impl Side<'_> {
    fn edit(self, case: usize, (javascript, rust): Pick) {
        match self {
            Side::Sdk(device) => device.write(&with_objects(case, javascript(&CASES[case]))),
            Side::Rust(device) => edit(device, case, rust(&RUST_CASES[case])),
        }
    }

    fn pause(self) {
        match self {
            Side::Sdk(device) => device.pause(),
            Side::Rust(device) => device.pause(),
        }
    }

    /// Goes online again and uploads.
    fn resume(self) {
        match self {
            Side::Sdk(device) => {
                device.resume();
                device.upload();
            }
            Side::Rust(device) => {
                device.resume();
                device.upload();
            }
        }
    }
}

/// Each with its own stream of random edits of the same few objects, over several rounds.
///
/// Nobody edits while others' edits arrive: once this SDK has merged one of its own changesets away to nothing, it starts
/// again from the original when the next message arrives, and fails or diverges, from other SDK devices as well.
#[test]
fn random_offline_edits_of_sdk_and_rust_devices_converge() {
    const REALMS: u32 = 3;
    const ROUNDS: usize = 5;
    const EDITS: usize = 40;
    // Another seed can be tried by hand; what it finds becomes a case.
    let first_seed: u32 = std::env::var("SEED").map_or(2015, |seed| seed.parse().unwrap());
    let mut server = Server::start();
    let sdk = server.device("SDK");
    let rust = [server.rust_device("Rust"), server.rust_device("other Rust")];
    let mut all = Vec::new();
    for seed in first_seed..first_seed + REALMS {
        eprintln!("SEED={seed}");
        let partition = format!(r#""seed {seed}""#);
        sdk.open("thing", &partition);
        sdk.run(&format!("seed({seed} * 3)"));
        let mut random = [1, 2].map(|i| RandomEdits::new(seed * 3 + i));
        for device in &rust {
            device.open(thing(), &partition);
        }
        for round in 0..ROUNDS {
            sdk.pause();
            sdk.run(&format!("randomEdits({EDITS})"));
            for (device, random) in rust.iter().zip(&mut random) {
                device.pause();
                random.edit(device, EDITS);
            }
            // Another device is first each time.
            let sides = [Side::Sdk(&sdk), Side::Rust(&rust[0]), Side::Rust(&rust[1])];
            for i in 0..sides.len() {
                sides[(i + round) % sides.len()].resume();
            }
            settle_all(&sdk, &rust);
        }
        all.push((sdk.dump(), partition));
    }
    server.stop();
    for (contents, partition) in all {
        contents.assert_same(&server.dump(&partition));
    }
}
