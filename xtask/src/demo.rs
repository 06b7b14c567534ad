//! `cargo xtask demo`: a server, and three devices that edit the same stock offline.

mod device;
mod screen;
mod story;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, anyhow};
use bailiwick_server::app::App;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::serve::{ServeConfig, Server};
use bailiwick_storage::redb::RedbStore;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use crate::step::root;
use device::Device;
use story::STORE;

/// Shows the whole system: starts a server for `examples/inventory`, and three devices that go offline, edit the same
/// stock, come back and merge.
///
/// Each step says what every device sees, and why the merge went that way. At the end the server keeps running, so that
/// a Realm app can join in: the line to paste is printed, and whatever anybody changes is shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask demo                          show everything, then serve until Ctrl-C
  cargo xtask demo --exit                   end after the story; exit code 0 means that all devices agree
  cargo xtask demo --listen 0.0.0.0:9090    let devices on other machines join in")]
pub(crate) struct Args {
    /// Ends after the story instead of serving on.
    #[arg(long)]
    exit: bool,
    /// The address to listen at; port 0 takes a free one. Without it, 127.0.0.1:9090, or a free port if that is taken.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// Where `serve` listens as well.
const USUAL_ADDRESS: &str = "127.0.0.1:9090";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
        runtime.block_on(self.show())
    }

    async fn show(self) -> Result<()> {
        let data = tempfile::tempdir().context("no folder for the demo's files")?;
        let (service, mut running) = Service::start(data.path(), self.listen).await?;
        screen::title("A server");
        screen::say(&format!("It serves {} at {}.", service.app_dir.display(), service.base_url));
        screen::say(&format!(
            "Its data, and the devices' files, are in {} for now.",
            data.path().display()
        ));
        screen::say(&format!(
            "The partition is \"{STORE}\": one realm, which three devices of a shop share."
        ));

        let told = story::tell(&service, data.path());
        let devices = tokio::select! {
            devices = told => devices?,
            ended = &mut running.ended => return Err(early(ended)),
        };
        if !self.exit {
            tokio::select! {
                stayed = stay(&service, &devices[0]) => stayed?,
                ended = &mut running.ended => return Err(early(ended)),
            }
        }
        for device in devices {
            device.close().await;
        }
        running.stop().await
    }
}

/// Serves on until Ctrl-C, and shows what anybody changes.
async fn stay(service: &Service, device: &Device) -> Result<()> {
    screen::title("Join in");
    screen::say("The server keeps running until Ctrl-C. Paste this into a Realm app:");
    screen::code(&[
        &format!(
            "const app = new Realm.App({{ id: \"{}\", baseUrl: \"{}\" }});",
            service.app_id, service.base_url
        ),
        "const user = await app.logIn(Realm.Credentials.anonymous());",
        "const realm = await Realm.open({",
        "  schema: [{ name: \"InventoryItem\", primaryKey: \"_id\", properties: {",
        "    _id: \"objectId\", store_number: \"string\", name: \"string\", quantity: \"int\" } }],",
        &format!("  sync: {{ user, partitionValue: \"{STORE}\" }},"),
        "});",
    ]);
    screen::say("Or run a Rust device, which prints each change:");
    screen::code(&[&format!(
        "cargo run -p bailiwick-client --example follow -- {} {} '\"{STORE}\"'",
        service.base_url, service.app_id
    )]);
    tokio::select! {
        followed = device.follow() => followed,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for Ctrl-C"),
    }
}

/// What to say of a server that has ended before it was told to.
fn early(ended: Result<Result<()>, JoinError>) -> Error {
    match ended {
        Ok(Ok(())) => anyhow!("the server has ended by itself"),
        Ok(Err(error)) => error,
        Err(error) => Error::new(error).context("the server panicked"),
    }
}

/// What the server serves, and where.
struct Service {
    app_dir: PathBuf,
    app_id: String,
    base_url: String,
}

/// The server, in this process.
struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<()>>,
}

impl Service {
    async fn start(data: &Path, listen: Option<SocketAddr>) -> Result<(Self, Running)> {
        let app_dir = PathBuf::from("examples/inventory");
        let app = App::read(&root().join(&app_dir))?;
        let app_id = app.id.to_string();
        let store =
            RedbStore::in_dir(data.join("server")).context("cannot open the server's store")?;
        let listener = match listen {
            Some(address) => TcpListener::bind(address).await.with_context(|| {
                format!("cannot listen at {address}; choose another with --listen")
            })?,
            None => match TcpListener::bind(USUAL_ADDRESS).await {
                Ok(listener) => listener,
                Err(_) => TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?,
            },
        };
        let base_url =
            format!("http://{}", listener.local_addr().context("the listener has no address")?);
        let server =
            Server::new(app, Arc::new(store), Addressing::FromHost, ServeConfig::default())?;
        let (stop, told_to_stop) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let told_to_stop = async {
                // A demo that is gone does not need its server either.
                let _ = told_to_stop.await;
            };
            Ok(server.run(listener, told_to_stop).await?)
        });
        Ok((Self { app_dir, app_id, base_url }, Running { stop, ended }))
    }
}

impl Running {
    async fn stop(self) -> Result<()> {
        // Fails only if the server has ended by itself, which is what the next line tells.
        let _ = self.stop.send(());
        self.ended.await.context("the server panicked")?
    }
}
