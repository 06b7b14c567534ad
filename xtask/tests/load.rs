//! The load generator, as it is run.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bailiwick_client::transport::{Connector, request};
use bailiwick_core::partition::PartitionKey;
use bailiwick_protocol::version::ServerVersion;
use bailiwick_server::app::App;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::http::websocket::realm_key;
use bailiwick_server::serve::{ServeConfig, Server, StorageFailed};
use bailiwick_storage::redb::RedbStore;
use bailiwick_storage::store::Store as _;
use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Devices in each of two partitions, all of which write.
const MEMBERS: u64 = 3;

/// A server, and where the load generator leaves what it has found out.
struct Service {
    dir: TempDir,
    app_id: String,
    partition_key: PartitionKey,
    store: Arc<RedbStore>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), StorageFailed>>,
}

impl Service {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = App::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/inventory"));
        let app = app.unwrap();
        let (app_id, partition_key) = (app.id.to_string(), app.sync.partition_key);
        let store = Arc::new(RedbStore::in_dir(dir.path().join("data")).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = ServeConfig::default();
        let server = Server::new(app, Arc::clone(&store), Addressing::FromHost, config).unwrap();
        let (stop, stopping) = oneshot::channel();
        let serving = tokio::spawn(server.run(listener, async { stopping.await.unwrap() }));
        Self { dir, app_id, partition_key, store, address, stop, serving }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Runs the load generator, which succeeds; what it prints, and its report.
    async fn load(&self, arguments: &[&str]) -> (String, Value) {
        let api = format!("/api/client/v2.0/app/{}", self.app_id);
        let token = log_in(&format!("http://{}{api}", self.address)).await;
        fs::write(self.path("tokens"), token).unwrap();
        let mut load = Command::new(env!("CARGO_BIN_EXE_xtask"));
        load.args(["load", "--this-build", "--seconds", "1"]).args(arguments);
        load.args(["--url", &format!("ws://{}", self.address)]);
        load.args(["--path", &format!("{api}/realm-sync"), "--token", &self.path("tokens")]);
        load.args(["--json", &self.path("json"), "--svg", &self.path("svg")]);
        let output = tokio::task::spawn_blocking(move || load.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{output:?}");
        let report = serde_json::from_slice(&fs::read(self.path("json")).unwrap()).unwrap();
        (String::from_utf8(output.stdout).unwrap(), report)
    }

    async fn stop(self) -> (TempDir, Arc<RedbStore>) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
        (self.dir, self.store)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_is_what_the_server_has() {
    let service = Service::start().await;
    let arguments =
        ["--devices", "6", "--partitions", "2", "--in-flight", "2", "--payload", "2000"];
    let (text, report) = service.load(&[&arguments[..], &["--protocol", "9"]].concat()).await;
    let (svg, app_id) = (fs::read_to_string(service.path("svg")).unwrap(), service.app_id.clone());
    let partition_key = service.partition_key;
    let (_dir, store) = service.stop().await;

    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap();
    let written = count("/total/written");
    assert!(written >= 2 * 2 * MEMBERS, "each device keeps two on the way: {report}");
    assert_eq!(count("/total/acknowledged"), written);
    assert_eq!(count("/total/received"), written * (MEMBERS - 1));
    assert_eq!(report["errors"], Value::Object(serde_json::Map::new()));
    assert!(count("/acknowledged") <= written);

    let stored = stored(&store, &app_id, partition_key);
    assert_eq!(stored, Stored { entries: written, objects: written });

    check_elements(&svg);
    assert!(text.contains("2 in flight on each device, 2000 bytes each"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_counts_only_what_is_its_own() {
    let service = Service::start().await;
    let arguments =
        ["--devices", "6", "--partitions", "2", "--in-flight", "2", "--payload", "2000"];
    let mut written = 0;
    for _ in 0..2 {
        let (_, report) = service.load(&arguments).await;
        let total = |name: &str| report["total"][name].as_u64().unwrap();
        assert_eq!(total("acknowledged"), total("written"));
        assert_eq!(total("received"), total("written") * (MEMBERS - 1));
        assert!(report["receipt"]["max_ms"].as_f64() < Some(60_000.0), "{report}");
        written += total("written");
    }
    let (app_id, partition_key) = (service.app_id.clone(), service.partition_key);
    let (_dir, store) = service.stop().await;
    let stored = stored(&store, &app_id, partition_key);
    assert_eq!(stored, Stored { entries: written, objects: written }, "nothing was overwritten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_happened_took_no_time_that_could_be_told() {
    let service = Service::start().await;
    let (text, report) = service.load(&["--devices", "1"]).await;
    assert!(text.contains("1 of them writing, on 1 partition\n"), "{text}");
    assert!(text.contains("to others      none\n") && !text.contains("NaN"), "{text}");
    assert_eq!(report["receipt"]["p50_ms"], Value::Null);
    assert!(report["acknowledgement"]["p50_ms"].as_f64() > Some(0.0), "{report}");
    check_elements(&fs::read_to_string(service.path("svg")).unwrap());
    service.stop().await;
}

/// What devices have left on the server.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    /// Changesets of 2,000 bytes.
    entries: u64,
    objects: u64,
}

/// In the first two partitions.
fn stored(store: &RedbStore, app_id: &str, partition_key: PartitionKey) -> Stored {
    let mut stored = Stored { entries: 0, objects: 0 };
    for partition in ["\"p0\"", "\"p1\""] {
        let key = realm_key(app_id, &partition_key.bind(partition).unwrap());
        let head = store.realm(&key).unwrap().head.version;
        let all = store.entries(&key, ServerVersion(0), head, usize::MAX).unwrap();
        stored.entries += all.iter().filter(|entry| entry.changeset.len() >= 2000).count() as u64;
        stored.objects += store.scan_objects(&key, &[], None, usize::MAX).unwrap().len() as u64;
    }
    stored
}

async fn log_in(api: &str) -> String {
    let login = hyper::Request::post(format!("{api}/auth/providers/anon-user/login"));
    let login = login.body(Bytes::from_static(b"{}")).unwrap();
    let answer = request(&Connector::default(), login, 1 << 16).await.unwrap();
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

/// Each element that begins ends, in order.
fn check_elements(svg: &str) {
    let mut open = Vec::new();
    let mut count = 0;
    for part in svg.split('<').skip(1) {
        let (element, text) = part.split_once('>').expect("a tag ends");
        assert!(!text.contains('>') && !text.contains('&'), "{text}");
        let name = element.split(' ').next().unwrap();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !element.ends_with('/') {
            open.push(name);
        }
        count += 1;
    }
    assert_eq!(open, Vec::<&str>::new());
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && count > 20, "{svg}");
}
