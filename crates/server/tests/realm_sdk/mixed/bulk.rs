//! Much at once, and little very often, from the SDK to Rust and back.

use bailiwick_client::{Binary, Query, Uuid, Value, View};

use super::STORE;
use super::device::settle;
use super::schemas::{entry, everything, journal};
use crate::server::Server;

#[test]
fn ten_thousand_objects_in_one_transaction_of_sdk_and_of_rust() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    rust.open(entry(), STORE);
    rust.write(|tx| {
        (0..10_000).try_for_each(|n| {
            let mut entry = tx.create("Entry", format!("entry {n}"))?;
            entry.set("author", "the same author every time")?.set("n", n).map(drop)
        })
    });
    rust.upload();
    sdk.open_downloaded("entry", STORE);
    let contents = sdk.dump();
    assert_eq!(contents.count("Entry"), 10_000);
    contents.assert_same(&rust.dump());

    // All of them changed by the SDK, then most of them gone, each in one transaction too.
    sdk.write(r#"for (const entry of all("Entry").snapshot()) entry.n = -entry.n"#);
    rust.until("all changed", |view| count_below_zero(view) == 9_999);
    let seen = sdk.begin_until(r#"all("Entry").length === 1"#);
    let changed = rust.view();
    rust.write(|tx| {
        for entry in changed.objects("Entry").unwrap().map(Result::unwrap) {
            if entry.get("n").unwrap() != Value::Int(0) {
                tx.delete("Entry", entry.key())?;
            }
        }
        Ok(())
    });
    seen.finish();
    sdk.write(
        r#"for (let n = 1; n < 10_000; n++) create("Entry", { _id: `entry ${n}`, author: "the SDK", n: -n })"#,
    );
    rust.until("all created again", |view| count_below_zero(view) == 9_999);
    let contents = sdk.dump();
    contents.assert_same(&rust.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

fn count_below_zero(view: &View) -> usize {
    view.count(&Query::class("Entry").filter(|entry| entry.get("n").unwrap().as_int() < Some(0)))
        .unwrap()
}

#[test]
fn eight_hundred_transactions_made_offline_by_sdk_and_by_rust() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    sdk.open("journal", STORE);
    rust.open(journal(), STORE);
    settle(&sdk, &rust);
    sdk.pause();
    rust.pause();
    sdk.run(
        r#"
        write(() => create("Journal", { _id: "of the SDK" }));
        for (let n = 1; n < 800; n++) {
            write(() => {
                if (n % 2) create("Entry", { _id: `SDK ${n}`, author: "SDK", n });
                else get("Entry", `SDK ${n - 1}`).n = -n;
                get("Journal", "of the SDK").lines.push(`line ${n}`);
            });
        }
        "#,
    );
    rust.write(|tx| tx.create("Journal", "of Rust").map(drop));
    for n in 1..800 {
        rust.write(|tx| {
            if n % 2 == 1 {
                let mut entry = tx.create("Entry", format!("Rust {n}"))?;
                entry.set("author", "Rust")?.set("n", n)?;
            } else {
                tx.object("Entry", format!("Rust {}", n - 1))?.set("n", -n)?;
            }
            tx.object("Journal", "of Rust")?.list("lines")?.push(format!("line {n}")).map(drop)
        });
    }
    sdk.resume();
    rust.resume();
    settle(&sdk, &rust);
    let contents = sdk.dump();
    assert_eq!(contents.count("Entry"), 800);
    for journal in ["of the SDK", "of Rust"] {
        sdk.check(&format!(r#"get("Journal", "{journal}").lines.length === 799"#));
        sdk.check(&format!(
            r#"get("Journal", "{journal}").lines.every((line, i) => line === `line ${{i + 1}}`)"#
        ));
    }
    contents.assert_same(&rust.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

#[test]
fn strings_and_binaries_of_a_megabyte_of_sdk_and_of_rust() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    sdk.open("everything", STORE);
    // Text that compresses well, bytes that do not, and characters of four bytes.
    sdk.write(
        r#"
        create("Everything", {
            _id: 1, ...required(),
            string: "compressible ".repeat(80_660),
            data: crypto.getRandomValues(new Uint8Array(65_536)).buffer,
            stringList: ["🦀".repeat(262_144), "", "x".repeat(1_048_576)],
            dataOpt: new Uint8Array(1_048_576).map((_, i) => (i * 2_654_435_761) >>> 24).buffer,
        })
        "#,
    );
    sdk.upload();
    rust.open_downloaded(everything(), STORE);
    rust.dump().assert_same(&sdk.dump());

    let bytes: Vec<_> =
        (0..1_048_576_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    rust.write(|tx| {
        let mut object = tx.create("Everything", 2)?;
        // The SDK reads only UUIDs of version 4.
        object.set("uuid", Uuid::new_v4())?;
        object.set("string", "compressible ".repeat(80_660) + "the end")?;
        object.set("dataList", vec![Binary(bytes.clone()), Binary(bytes)])?;
        object
            .set("stringOptMap", std::collections::BTreeMap::from([("k", "🦀".repeat(262_144))]))?;
        let mut object = tx.object("Everything", 1)?;
        let longer = object.get("string")?.as_str().unwrap().to_owned() + "the end";
        object.set("string", longer).map(drop)
    });
    rust.upload();
    sdk.until("get('Everything', 2) !== null");
    sdk.check("get('Everything', 2).string === get('Everything', 1).string");
    sdk.check("get('Everything', 2).string.length === 1_048_587");
    let contents = sdk.dump();
    contents.assert_same(&rust.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}
