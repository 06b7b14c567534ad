//! The suite `wire`: recorded connections. The first line of a file describes the connection, each other line is a
//! message.
//!
//! The offer of the first line leads to the stated answer. A message parses and prints back to the same bytes; the
//! changesets that it carries are listed, written back to the same body, and decode. Where the recorded server was
//! made to do wrong, the record itself says what the device found, and exactly that has to be found here.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, anyhow, ensure};
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::handshake::{SyncMode, negotiate};
use bailiwick_protocol::message::limits::DEFAULT_MAX_PLAIN_LEN;
use bailiwick_protocol::message::{
    Body, ClientMessage, Download, Entries, Entry, ServerMessage, Upload,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::Context;

/// The first line of a file.
#[derive(Deserialize)]
struct Scenario {
    protocol: u8,
    sync: Mode,
    upgrade: Upgrade,
    /// Errors that the application was told, and other things that it saw.
    #[serde(default)]
    application_sees: Vec<Value>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Partition,
    Flexible,
}

#[derive(Deserialize)]
struct Upgrade {
    offered: String,
    chosen: String,
}

/// A line after the first.
#[derive(Deserialize)]
struct Frame {
    dir: Direction,
    #[serde(with = "hex")]
    hex: Vec<u8>,
}

#[derive(Clone, Copy, Deserialize)]
enum Direction {
    #[serde(rename = "c2s")]
    ToServer,
    #[serde(rename = "s2c")]
    ToDevice,
}

/// Checks a whole file: one outcome for each line.
pub(super) fn check(lines: &[Value], _: &Context) -> Vec<Result<()>> {
    let (scenario, frames) = match lines {
        [scenario, frames @ ..] => (Scenario::deserialize(scenario), frames),
        [] => return vec![Err(anyhow!("the file has no first line"))],
    };
    let scenario = match scenario {
        Ok(scenario) => scenario,
        Err(error) => return vec![Err(anyhow!(error).context("the first line"))],
    };
    if scenario.sync == Mode::Flexible {
        return lines.iter().map(|_| Err(anyhow!("flexible sync: not yet"))).collect();
    }
    let Some(version) = ProtocolVersion::new(scenario.protocol) else {
        return vec![Err(anyhow!("there is no protocol version {}", scenario.protocol))];
    };
    let mut faults = Faults::new(stated_faults(&scenario, frames, version));
    let mut outcomes = vec![check_upgrade(&scenario, version)];
    outcomes.extend(frames.iter().map(|frame| check_frame(frame, version, &mut faults)));
    if faults.found != faults.stated {
        outcomes[0] = Err(anyhow!("not all that the device found wrong: {faults:?}"));
    }
    outcomes
}

fn check_upgrade(scenario: &Scenario, version: ProtocolVersion) -> Result<()> {
    let Upgrade { offered, chosen } = &scenario.upgrade;
    let agreement = negotiate([offered.as_bytes()], ProtocolVersion::MIN..=ProtocolVersion::MAX)?;
    ensure!(agreement.token == chosen, "{} is chosen, not {chosen}", agreement.token);
    ensure!(agreement.version == version, "the version is {}", agreement.version);
    ensure!(agreement.mode == SyncMode::Partition, "the mode is {:?}", agreement.mode);
    Ok(())
}

fn check_frame(frame: &Value, version: ProtocolVersion, faults: &mut Faults) -> Result<()> {
    let Frame { dir, hex } = Frame::deserialize(frame)?;
    let payload = Bytes::from(hex);
    match dir {
        Direction::ToServer => check_client_message(version, &payload),
        Direction::ToDevice => check_server_message(version, &payload, faults),
    }
}

fn check_client_message(version: ProtocolVersion, payload: &Bytes) -> Result<()> {
    let message = ClientMessage::parse(version, payload)?;
    ensure!(message.print() == *payload, "{message:?} is printed in another way");
    if let ClientMessage::Upload(upload) = message {
        for entry in check_body(&upload.body, Upload::entries)? {
            Changeset::decode(&entry.changeset)
                .with_context(|| format!("client version {}", entry.client_version))?;
        }
    }
    Ok(())
}

fn check_server_message(
    version: ProtocolVersion,
    payload: &Bytes,
    faults: &mut Faults,
) -> Result<()> {
    let message = ServerMessage::parse(version, payload)?;
    ensure!(message.print() == *payload, "{message:?} is printed in another way");
    if let ServerMessage::Download(download) = message {
        faults.expect(Fault::Cursors, download.header.check())?;
        for entry in check_body(&download.body, Download::entries)? {
            faults.expect(Fault::Changeset, Changeset::decode(&entry.changeset))?;
        }
    }
    Ok(())
}

/// The entries of a body. They are all that is in it, and are worth compressing if the recorded side found so, too.
fn check_body<E: Entry>(body: &Body, entries: fn(Bytes) -> Entries<E>) -> Result<Vec<E>> {
    let plain = body.inflate(DEFAULT_MAX_PLAIN_LEN)?;
    let entries: Vec<E> = entries(plain.clone()).collect::<Result<_, _>>()?;
    let again = Body::from_entries(&entries);
    ensure!(
        again.inflate(DEFAULT_MAX_PLAIN_LEN)? == plain,
        "the entries are written in another way"
    );
    let is_compressed = |body: &Body| matches!(body, Body::Compressed { .. });
    ensure!(is_compressed(&again) == is_compressed(body), "we would differ about compressing it");
    Ok(entries)
}

/// What a recorded server was made to do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// A changeset that does not decode.
    Changeset,
    /// Cursors that contradict each other.
    Cursors,
}

#[derive(Debug)]
struct Faults {
    stated: BTreeSet<Fault>,
    found: BTreeSet<Fault>,
}

impl Faults {
    fn new(stated: BTreeSet<Fault>) -> Self {
        Self { stated, found: BTreeSet::new() }
    }

    /// Takes note of an error; hands it on unless the device found the same.
    fn expect<T, E>(&mut self, fault: Fault, outcome: Result<T, E>) -> Result<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let Err(error) = outcome else { return Ok(()) };
        self.found.insert(fault);
        if self.stated.contains(&fault) { Ok(()) } else { Err(error.into()) }
    }
}

/// What the record itself says that the device found wrong: it complains about a changeset in a message, and about
/// cursors to the application.
fn stated_faults(
    scenario: &Scenario,
    frames: &[Value],
    version: ProtocolVersion,
) -> BTreeSet<Fault> {
    let complains = |frame: &Value| {
        let Ok(Frame { dir: Direction::ToServer, hex }) = Frame::deserialize(frame) else {
            return false;
        };
        let message = ClientMessage::parse(version, &hex.into());
        matches!(message, Ok(ClientMessage::Error(error)) if error.code == ErrorCode::BadChangeset)
    };
    let is_about_cursors = |told: &Value| {
        told["message"].as_str().is_some_and(|text| text.starts_with("Bad progress information"))
    };
    let about_changesets = frames.iter().any(complains).then_some(Fault::Changeset);
    let about_cursors =
        scenario.application_sees.iter().any(is_about_cursors).then_some(Fault::Cursors);
    about_changesets.into_iter().chain(about_cursors).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scenario(chosen: &str, application_sees: &Value) -> Value {
        json!({
            "scenario": "test", "protocol": 9, "sync": "partition",
            "upgrade": {
                "offered": "com.mongodb.realm-sync#9,com.mongodb.realm-sync#8", "chosen": chosen,
            },
            "application_sees": application_sees,
        })
    }

    fn frame(dir: &str, payload: &str) -> Value {
        json!({ "dir": dir, "hex": hex::encode(payload) })
    }

    /// `frames` come after a first line that is right. `expected` are the lines that pass.
    fn check_lines(application_sees: &Value, frames: &[(&str, &str)], expected: &[bool]) {
        let mut lines = vec![scenario("com.mongodb.realm-sync#9", application_sees)];
        lines.extend(frames.iter().map(|(dir, payload)| frame(dir, payload)));
        let outcomes = check(&lines, &Context::default());
        let passed: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
        assert_eq!(passed, expected, "{frames:?}: {outcomes:?}");
    }

    #[test]
    fn a_wrong_answer_to_an_offer_fails() {
        let lines = [scenario("com.mongodb.realm-sync#8", &json!([]))];
        assert!(check(&lines, &Context::default())[0].is_err());
    }

    #[test]
    fn what_is_no_message_of_its_direction_fails() {
        let check = |dir, payload, passes| {
            check_lines(&json!([]), &[(dir, payload)], &[true, passes]);
        };
        check("c2s", "mark 1 1\n", true);
        check("c2s", "mark 1 01\n", false);
        check("c2s", "unbound 1\n", false);
        check("s2c", "unbound 1\n", true);
        check("c2s", "upload 1 0 11 0 2 0 0\n2 0 0 0 0 ~", false);
        check("c2s", "upload 1 0 12 0 2 0 0\n2 0 0 0 2 ~~", false);
    }

    #[test]
    fn a_malformed_changeset_passes_only_if_the_device_complains() {
        const BAD: (&str, &str) = ("s2c", "download 1 2 0 2 7 0 0 0 0 14 0\n2 0 1 9 2 2 ~~");
        const GOOD: (&str, &str) = ("s2c", "download 1 2 0 2 7 0 0 0 0 0 0\n");
        const COMPLAINT: (&str, &str) = ("c2s", "json_error 212 13 1\n{\"message\":1}");
        let none = json!([]);
        check_lines(&none, &[BAD, COMPLAINT], &[true, true, true]);
        check_lines(&none, &[BAD], &[false, false]);
        check_lines(&none, &[GOOD, COMPLAINT], &[false, true, true]);
    }

    #[test]
    fn contradicting_cursors_pass_only_if_the_application_is_told() {
        const BAD: (&str, &str) = ("s2c", "download 1 5 0 4 7 0 0 0 0 0 0\n");
        let told = json!([{ "message": "Bad progress information (DOWNLOAD)" }]);
        check_lines(&told, &[BAD], &[true, true]);
        check_lines(&json!([]), &[BAD], &[false, false]);
        check_lines(&told, &[], &[false]);
    }
}
