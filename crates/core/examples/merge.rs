//! Two devices insert at the front of the same list at the same time; both end with the same list.
//!
//! `cargo run -p bailiwick-core --example merge`

#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::error::Error;

use bailiwick_core::merge::{Concurrent, merge};
use bailiwick_protocol::changeset::json::ChangesetJson;
use bailiwick_protocol::changeset::{Changeset, Instruction, Payload};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    // Both have seen the list ["bread"].
    let mut ours = [Concurrent::new(insert("milk")?, OriginTimestamp(100), FileIdent(2))];
    let mut theirs = [Concurrent::new(insert("eggs")?, OriginTimestamp(200), FileIdent(3))];
    merge(&mut ours, &mut theirs)?;

    println!("we have [\"milk\", \"bread\"] and now insert {}", describe(&theirs[0]));
    println!("they have [\"eggs\", \"bread\"] and now insert {}", describe(&ours[0]));
    Ok(())
}

fn insert(item: &str) -> Result<Changeset, Box<dyn Error>> {
    let json: ChangesetJson = serde_json::from_value(json!({
        "strings": ["Shopping", "items"],
        "instructions": [{
            "op": "ArrayInsert",
            "table": "Shopping", "object": { "type": "int", "value": 1 }, "field": "items", "path": [0],
            "value": { "type": "string", "value": item },
            "priorSize": 1,
        }],
    }))?;
    Ok(Changeset::try_from(&json)?)
}

fn describe(side: &Concurrent) -> String {
    match &side.changeset().instructions[..] {
        [Instruction::ArrayInsert { target, value: Payload::String(item), .. }] => {
            format!("{item:?} at {}", target.index().unwrap_or_default())
        }
        others => format!("{others:?}"),
    }
}
