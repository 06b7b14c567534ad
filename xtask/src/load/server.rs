//! The server that is measured: one that the load generator starts itself, as a process of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use bailiwick_client::transport::{Connector, request};
use bytes::Bytes;
use hyper::Request;
use serde_json::{Value, json};

use super::process::Usage;
use crate::step::{cargo, root};

/// A `bailiwick` that serves an app of its own from a temporary directory. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
    address: String,
}

/// The app that it serves.
const APP_ID: &str = "load-abcde";

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
        command.arg("--data").arg(dir.join("data"));
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut process = started.with_context(|| format!("cannot run {}", program.display()))?;
        let out = process.stdout.take().context("the server has no output")?;
        let address = BufReader::new(out)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("listening on http://")?.to_owned()));
        let mut server = Self { process, address: String::new() };
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
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; the data goes anyway.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn build() -> Result<PathBuf> {
    let mut build = cargo(&["build", "--quiet", "--release", "--package", "bailiwick-server"]);
    let status = build.status().context("can't run cargo")?;
    ensure!(status.success(), "the server does not build");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("bailiwick{}", std::env::consts::EXE_SUFFIX)))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, value.to_string()).with_context(|| format!("cannot write {}", path.display()))
}
