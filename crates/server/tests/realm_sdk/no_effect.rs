//! Instructions that find their work already done: a device has to be able to apply whatever the server passes on.

use serde_json::{Value, json};

use crate::device::settle;
use crate::peer::Peer;
use crate::server::Server;

const STORE: &str = r#""store42""#;

#[test]
fn what_has_no_effect_is_no_trouble_to_a_device() {
    let mut server = Server::start();
    let device = server.device("device");
    device.open("thing", STORE);
    device.write(
        "create('Thing', { _id: 1, set: ['there'], map: { there: 'x' }, part: { x: 1 }, partMap: { there: { x: 1 } }, a: 'a' })",
    );
    device.upload();
    let mut peer = Peer::connect(&server, STORE);

    let text = |text: &str| json!({"type": "string", "value": text});
    let erased = || json!({"type": "erased"});
    let instructions = [
        json!({"op": "CreateObject", "table": "Thing", "object": key(1)}),
        json!({"op": "EraseObject", "table": "Thing", "object": key(99)}),
        at("SetInsert", "set", &[], json!({"value": text("there")})),
        at("SetErase", "set", &[], json!({"value": text("absent")})),
        at(
            "SetErase",
            "linkSet",
            &[],
            json!({"value": {"type": "link", "table": "Thing", "object": key(99)}}),
        ),
        at("Update", "map", &["absent"], json!({"value": erased(), "isDefault": false})),
        at("Update", "anyMap", &["absent"], json!({"value": erased(), "isDefault": false})),
        at("Update", "linkMap", &["absent"], json!({"value": erased(), "isDefault": false})),
        at("Update", "partMap", &["absent"], json!({"value": erased(), "isDefault": false})),
        at("Update", "part", &[], json!({"value": {"type": "objectValue"}, "isDefault": false})),
        at("Update", "part", &["inner"], json!({"value": {"type": "null"}, "isDefault": false})),
        at("Update", "link", &[], json!({"value": {"type": "null"}, "isDefault": false})),
        at("Update", "a", &[], json!({"value": text("a"), "isDefault": false})),
        at("AddInteger", "count", &[], json!({"value": 5})),
        at("Clear", "list", &[], json!({"collection": "list"})),
        at("Clear", "parts", &[], json!({"collection": "list"})),
        at("Clear", "links", &[], json!({"collection": "list"})),
        at("Clear", "anyList", &[], json!({"collection": "list"})),
        at("Clear", "linkSet", &[], json!({"collection": "set"})),
        at("Clear", "linkMap", &[], json!({"collection": "dictionary"})),
        at("Clear", "anyMap", &[], json!({"collection": "dictionary"})),
    ];
    let before = device.dump();
    for instruction in instructions {
        peer.write(&json!([instruction]));
        // An instruction that the device cannot apply would be an error, or its end.
        device.download();
        before.assert_same(&device.dump());
    }
    device.write("get('Thing', 1).a = 'still here'");
    settle(&[&device]);
    let newcomer = server.device("newcomer");
    newcomer.open_downloaded("thing", STORE);
    let contents = device.dump();
    contents.assert_same(&newcomer.dump());
    server.stop();
    contents.assert_same(&server.dump(STORE));
}

fn key(value: i64) -> Value {
    json!({"type": "int", "value": value})
}

/// An instruction about a place inside of object 1.
fn at(op: &str, field: &str, path: &[&str], operands: Value) -> Value {
    let mut instruction =
        json!({"op": op, "table": "Thing", "object": key(1), "field": field, "path": path});
    let (Value::Object(all), Value::Object(operands)) = (&mut instruction, operands) else {
        unreachable!("both are written as objects");
    };
    all.extend(operands);
    instruction
}
