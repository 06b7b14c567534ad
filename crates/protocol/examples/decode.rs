//! Prints a changeset as JSON, and says whether it passes the checks that need no state.
//!
//! `cargo run -p bailiwick-protocol --example decode -- 3f000441646472000001`

#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::error::Error;

use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::changeset::json::ChangesetJson;

fn main() -> Result<(), Box<dyn Error>> {
    let hex =
        std::env::args().nth(1).ok_or("the changeset is missing: give it in hexadecimal digits")?;
    let changeset = Changeset::decode(&hex::decode(hex.trim())?)?;
    println!("{}", serde_json::to_string_pretty(&ChangesetJson::from(&changeset))?);
    match changeset.check() {
        Ok(()) => println!("it passes the checks"),
        Err(error) => println!("a server refuses it: {error}"),
    }
    Ok(())
}
