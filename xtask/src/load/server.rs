//! The server that is measured: one that the load generator starts itself, as a process of its own.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bailiwick_client::transport::{Connector, request};
use bytes::Bytes;
use hyper::Request;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::process::{self, Usage};
use crate::crash::server::build;

/// A `bailiwick` that serves an app of its own from a temporary directory. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    database: PathBuf,
    /// Of the database when it was last looked at.
    last_transaction: Cell<Option<u64>>,
    /// How often that was another one than before.
    checkpoints: Cell<u64>,
    address: String,
}

/// The app that it serves.
const APP_ID: &str = "load-abcde";

/// The database in the folder of its data.
const DATABASE: &str = "realms.redb";
/// How long a server has had nothing to do when it is at rest.
const REST: Duration = Duration::from_millis(200);
/// How often to look.
const LOOK: Duration = Duration::from_millis(5);
/// How long a server may take for what is left to do.
const RESTLESS: Duration = Duration::from_secs(30);
/// More than the answer to a login.
const MAX_ANSWER_LEN: usize = 1 << 16;

impl Server {
    /// Starts a program on data in `dir`; without one, the one that is built from here as it is released.
    pub(super) fn start(dir: &Path, program: Option<&Path>) -> Result<Self> {
        let program = program.map_or_else(build, |program| Ok(program.to_owned()))?;
        let app = dir.join("app");
        write_json(&app.join("realm_config.json"), &json!({ "app_id": APP_ID, "name": "load" }))?;
        let partition = json!({ "key": "_partition", "type": "string" });
        let sync = json!({ "type": "partition", "state": "enabled", "partition": partition });
        write_json(&app.join("sync/config.json"), &sync)?;
        let mut command = Command::new(&program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--app"]).arg(app);
        let data = dir.join("data");
        command.arg("--data").arg(&data);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = started.with_context(|| format!("cannot run {}", program.display()))?;
        let out = process.stdout.take().context("the server has no output")?;
        let address = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listening on http://")?.to_owned()));
        let database = data.join(DATABASE);
        let mut server = Self {
            process,
            database,
            last_transaction: Cell::default(),
            checkpoints: Cell::default(),
            address: String::new(),
        };
        server.address = address.context("the server has ended by itself")?;
        Ok(server)
    }

    pub(super) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Of the sync WebSocket.
    pub(super) fn url(&self) -> String {
        format!("ws://{}/api/client/v2.0/app/{APP_ID}/realm-sync", self.address)
    }

    /// The access token of a new user.
    pub(super) async fn log_in(&self) -> Result<String> {
        let address = &self.address;
        let url =
            format!("http://{address}/api/client/v2.0/app/{APP_ID}/auth/providers/anon-user/login");
        let login = Request::post(url).header("content-type", "application/json");
        let login = login.body(Bytes::from_static(b"{}"))?;
        let answer = request(&Connector::default(), login, MAX_ANSWER_LEN).await;
        let answer = answer.context("cannot log in")?;
        ensure!(answer.status().is_success(), "logging in is answered with {}", answer.status());
        let answer: Value = serde_json::from_slice(answer.body())?;
        Ok(answer["access_token"].as_str().context("a login gives no token")?.to_owned())
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        Usage::of(self.process())
    }

    /// How often the database had been written to again when this was called: each time it was a checkpoint, since
    /// commits only go to the log. Two of them between two calls are one. None for a server that keeps its data in
    /// another way.
    pub(super) fn checkpoints(&self) -> Option<u64> {
        let last = Some(last_transaction(&self.database)?);
        let before = self.last_transaction.replace(last);
        if before.is_some() && before != last {
            self.checkpoints.set(self.checkpoints.get() + 1);
        }
        Some(self.checkpoints.get())
    }

    /// Waits until it has had nothing to do for some time: after the last answer there may be a checkpoint that goes on.
    pub(super) async fn rest(&self) -> Result<()> {
        let (start, mut resting_since) = (Instant::now(), Instant::now());
        while resting_since.elapsed() < REST {
            ensure!(start.elapsed() < RESTLESS, "the server does not come to rest");
            if process::is_busy(self.process())? {
                resting_since = Instant::now();
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; the data goes anyway.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The number of the last transaction of a database of redb, which may be in use. As redb's design has it, there are two
/// slots in the head of the file: the one in use, and one that holds the transaction before.
fn last_transaction(database: &Path) -> Option<u64> {
    let mut head = [0; HEAD_LEN];
    File::open(database).ok()?.read_exact(&mut head).ok()?;
    head.starts_with(MAGIC).then_some(())?;
    let number = |at: usize| Some(u64::from_le_bytes(head[at..].first_chunk().copied()?));
    number(FIRST_SLOT_AT + NUMBER_AT).max(number(FIRST_SLOT_AT + SLOT_LEN + NUMBER_AT))
}

const MAGIC: &[u8] = b"redb\x1a\n\xa9\r\n";
const FIRST_SLOT_AT: usize = 64;
const SLOT_LEN: usize = 128;
/// Where the number stands in a slot.
const NUMBER_AT: usize = 104;
const HEAD_LEN: usize = FIRST_SLOT_AT + 2 * SLOT_LEN;

fn write_json(path: &Path, value: &Value) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, value.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use redb::{Database, TableDefinition};

    use super::*;

    #[test]
    fn each_transaction_of_a_database_is_seen_while_it_is_open() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("database");
        let database = Database::create(&path)?;
        let table: TableDefinition<'_, u64, u64> = TableDefinition::new("table");
        let mut seen = Vec::new();
        for key in 0..5 {
            let transaction = database.begin_write()?;
            transaction.open_table(table)?.insert(key, 0)?;
            transaction.commit()?;
            seen.push(last_transaction(&path).context("it is one of redb")?);
            assert_eq!(last_transaction(&path), seen.last().copied(), "nothing was written");
        }
        assert!(seen.is_sorted_by(|before, after| before < after), "{seen:?}");
        std::fs::write(&path, [0; HEAD_LEN])?;
        assert_eq!(last_transaction(&path), None);
        Ok(())
    }
}
