//! Every type of property, and what its values may be, goes from the SDK to Rust and back.

use std::collections::BTreeMap;

use bailiwick_client::value::PrimaryKey;
use bailiwick_client::write::ObjectMut;
use bailiwick_client::{ObjectId, Uuid, Value, View, WriteError};

use super::STORE;
use super::device::{RustDevice, settle};
use super::schemas::everything;
use crate::device::{Device, later};
use crate::dump::Dump;
use crate::server::Server;
use crate::types::{TAKE_AWAY, check_limits};

#[test]
fn every_type_round_trips_between_sdk_and_rust() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    sdk.open("everything", STORE);
    sdk.write("createEverything(1)");
    sdk.upload();
    rust.open_downloaded(everything(), STORE);
    let contents = sdk.dump();
    contents.assert_same(&rust.dump());

    // All of it is written again, from what a Rust program reads.
    let objects = read_all(&rust.view(), "Everything");
    rust.write(|tx| tx.delete_all("Everything").map(drop));
    rust.upload();
    sdk.until("all('Everything').length === 0");
    rust.write(|tx| {
        for (key, _) in &objects {
            tx.create("Everything", key)?;
        }
        objects.iter().try_for_each(|(key, fields)| {
            tx.object("Everything", key)?.set_all(fields.clone()).map(drop)
        })
    });
    rust.upload();
    sdk.download();
    contents.assert_same(&sdk.dump());
    check_limits(&sdk);

    // What is taken away is gone on the other side as well.
    sdk.write(TAKE_AWAY);
    agree(&sdk, &rust);
    rust.write(|tx| {
        for (key, fields) in &objects {
            let mut object = tx.object("Everything", key)?;
            fields.keys().try_for_each(|name| take_away(&mut object, name))?;
        }
        Ok(())
    });
    let contents = agree(&sdk, &rust);
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

/// A second time, with what is left.
fn take_away(object: &mut ObjectMut<'_, '_>, name: &str) -> Result<(), WriteError> {
    match object.get(name)? {
        Value::List(items) if !items.is_empty() => object.list(name)?.remove(0).map(drop),
        Value::Set(items) if !items.is_empty() => {
            object.set_of(name)?.remove(items[items.len() - 1].clone()).map(drop)
        }
        Value::Dictionary(entries) => match entries.last_key_value() {
            Some((key, _)) => object.dictionary(name)?.remove(key).map(drop),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

#[test]
fn every_type_of_primary_key_round_trips_between_sdk_and_rust() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    sdk.open("everything", STORE);
    sdk.write(
        r#"
        for (const _id of ["", "x", "ü🦀", "a\u0000b", "k".repeat(5_000)]) create("ByString", { _id, value: "v" });
        for (const hex of ["0".repeat(24), "f".repeat(24)]) create("ByObjectId", { _id: new BSON.ObjectId(hex) });
        for (const digit of "08f") create("ByUuid", { _id: new BSON.UUID(`${digit.repeat(8)}-0000-4000-8000-${digit.repeat(12)}`) });
        for (const _id of [null, 0n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]) create("ByOptionalInt", { _id, value: null });
        for (const _id of [null, "", "null"]) create("ByOptionalString", { _id, value: String(_id) });
        "#,
    );
    sdk.upload();
    rust.open_downloaded(everything(), STORE);
    let contents = sdk.dump();
    contents.assert_same(&rust.dump());

    let classes = ["ByString", "ByObjectId", "ByUuid", "ByOptionalInt", "ByOptionalString"];
    for class in classes {
        let objects = read_all(&rust.view(), class);
        let seen = sdk.begin_until(&format!("all('{class}').length === 0"));
        rust.write(|tx| objects.iter().try_for_each(|(key, _)| tx.delete(class, key)));
        seen.finish();
        rust.write(|tx| {
            objects.iter().try_for_each(|(key, fields)| {
                tx.create(class, key)?.set_all(fields.clone()).map(drop)
            })
        });
    }
    settle(&sdk, &rust);
    contents.assert_same(&sdk.dump());

    // Found by their keys, and made by a program that has the keys from elsewhere.
    rust.write(|tx| {
        tx.object("ByOptionalInt", PrimaryKey::Null)?.set("value", "the object without a key")?;
        tx.object("ByOptionalString", None::<String>)?.delete()?;
        tx.create("ByObjectId", ObjectId([7; 12]))?.set("value", "7")?;
        let uuid: Uuid = "aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f000".parse().unwrap();
        tx.create("ByUuid", uuid)?.set("value", "by its text").map(drop)
    });
    agree(&sdk, &rust);
    sdk.check("get('ByOptionalInt', null).value === 'the object without a key'");
    sdk.check("get('ByOptionalString', null) === null && all('ByOptionalString').length === 2");
    sdk.check("get('ByObjectId', new BSON.ObjectId('07'.repeat(12))).value === '7'");
    sdk.check(
        "get('ByUuid', new BSON.UUID('aa5f9e9b-7c0a-4d39-93a8-5f4bd2e2f000')).value === 'by its text'",
    );
    sdk.write("realm.delete(get('ByOptionalInt', null)); realm.delete(get('ByString', ''))");
    let contents = agree(&sdk, &rust);
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

#[test]
fn removing_null_from_a_set_reaches_devices_of_both_kinds() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    sdk.open("everything", STORE);
    sdk.write(
        "for (const _id of [1, 2]) create('Everything', { _id, ...required(), stringOptSet: [null, 'x', 'y'], intOptSet: [null, 5], mixedSet: [null, 'x'] })",
    );
    sdk.upload();
    rust.open_downloaded(everything(), STORE);
    rust.write(|tx| {
        let mut object = tx.object("Everything", 1)?;
        for set in ["stringOptSet", "intOptSet", "mixedSet"] {
            assert!(object.set_of(set)?.remove(Value::Null)?, "{set}");
        }
        Ok(())
    });
    sdk.write("const t = get('Everything', 2); t.stringOptSet.delete(null); t.intOptSet.delete(null); t.mixedSet.delete(null)");
    let contents = agree(&sdk, &rust);
    sdk.check("[1, 2].every((key) => get('Everything', key).stringOptSet.size === 2)");
    sdk.check("[1, 2].every((key) => get('Everything', key).mixedSet.size === 1)");
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

/// Both remove the same keys offline; each is told of the other's removal when the key is gone.
#[test]
fn dictionaries_of_every_type_survive_being_emptied_by_sdk_and_rust() {
    let mut server = Server::start();
    let (sdk, rust) = (server.device("SDK"), server.rust_device("Rust"));
    sdk.open("everything", STORE);
    rust.open(everything(), STORE);
    for is_rust_first in [true, false] {
        sdk.write("realm.delete(all('Everything')); createEverything(1)");
        agree(&sdk, &rust);
        sdk.pause();
        rust.pause();
        sdk.write(
            r#"
            for (const object of all("Everything").snapshot()) {
                for (const name of Object.keys(object.toJSON()).filter((name) => name.endsWith("Map"))) {
                    object[name].remove(Object.keys(object[name]));
                }
            }
            "#,
        );
        later();
        rust.write(|tx| {
            for key in tx.keys("Everything")? {
                let mut object = tx.object("Everything", key)?;
                for class in everything().classes.iter().filter(|class| class.name == "Everything")
                {
                    let maps = class.properties.iter().filter(|field| field.name.ends_with("Map"));
                    for map in maps {
                        let mut map = object.dictionary(&map.name)?;
                        for key in map.keys()? {
                            map.remove(&key)?;
                        }
                    }
                }
            }
            Ok(())
        });
        if is_rust_first {
            rust.resume();
            rust.upload();
            sdk.resume();
        } else {
            sdk.resume();
            sdk.upload();
            rust.resume();
        }
        agree(&sdk, &rust);
        sdk.check("all('Everything').filtered('stringMap.@count > 0 OR mixedMap.@count > 0').length === 0");
    }
    let contents = sdk.dump();
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

fn agree(sdk: &Device, rust: &RustDevice) -> Dump {
    settle(sdk, rust);
    let contents = sdk.dump();
    contents.assert_same(&rust.dump());
    contents
}

/// All objects of a class, by their keys.
fn read_all(view: &View, class: &str) -> Vec<(PrimaryKey, BTreeMap<String, Value>)> {
    let objects = view.objects(class).unwrap().map(Result::unwrap);
    objects.map(|object| (object.key().clone(), object.to_fields().unwrap())).collect()
}
