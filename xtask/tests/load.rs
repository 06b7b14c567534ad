//! The load generator, as it is run.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

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
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Devices in each of two partitions, all of which write.
const MEMBERS: u64 = 3;

/// The same as arguments: each device keeps two changesets on the way, for a second.
const SIX: [&str; 10] = [
    "--devices",
    "6",
    "--partitions",
    "2",
    "--in-flight",
    "2",
    "--payload",
    "2000",
    "--seconds",
    "1",
];

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

    /// Runs the load generator with an access token, and it succeeds; what it prints, and its report.
    async fn load(&self, arguments: &[&str]) -> (String, Value) {
        let token = log_in(&format!("http://{}{}", self.address, self.api())).await;
        fs::write(self.path("tokens"), format!("\n{token}\n\n")).unwrap();
        let outputs = ["--json", &self.path("json"), "--svg", &self.path("svg")];
        let server = self.arguments();
        let server: Vec<_> = server.iter().map(String::as_str).collect();
        let output = load(&[&server[..], arguments, &outputs].concat()).await;
        assert!(output.status.success(), "{output:?}");
        let report = serde_json::from_slice(&fs::read(self.path("json")).unwrap()).unwrap();
        (String::from_utf8(output.stdout).unwrap(), report)
    }

    /// Where the server is, and with which tokens to go there.
    fn arguments(&self) -> [String; 6] {
        let (url, path) = (format!("ws://{}", self.address), format!("{}/realm-sync", self.api()));
        ["--url".into(), url, "--path".into(), path, "--token".into(), self.path("tokens")]
    }

    fn api(&self) -> String {
        format!("/api/client/v2.0/app/{}", self.app_id)
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
    let (text, report) = service.load(&[&SIX[..], &["--protocol", "9"]].concat()).await;
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
    let mut written = 0;
    for _ in 0..2 {
        let (_, report) = service.load(&SIX).await;
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
    let (text, report) = service.load(&["--devices", "1", "--seconds", "1"]).await;
    assert!(text.contains("1 of them writing, on 1 partition\n"), "{text}");
    assert!(text.contains("to others      none\n") && !text.contains("NaN"), "{text}");
    assert_eq!(report["receipt"]["p50_ms"], Value::Null);
    assert!(report["acknowledgement"]["p50_ms"].as_f64() > Some(0.0), "{report}");
    check_elements(&fs::read_to_string(service.path("svg")).unwrap());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_is_shown_to_the_end_and_compared_with_the_machine() {
    let service = Service::start().await;
    let devices = ["--devices", "4", "--partitions", "1", "--rate", "40", "--seconds", "3"];
    let (text, report) = service.load(&[&devices[..], &["--baseline"]].concat()).await;
    service.stop().await;

    let seconds = report["seconds"].as_f64().unwrap();
    assert!(seconds >= 3.0, "{report}");
    // What was due in each of the three rounds, give or take one at either end.
    let (expected, due) = (seconds * 40.0, report["acknowledgement"]["count"].as_f64().unwrap());
    assert!((due - expected).abs() <= 6.0, "{due} of {expected}");
    assert_eq!(report["receipt"]["count"].as_f64(), Some(due * 3.0));

    let points = report["points"].as_array().unwrap();
    let at = |point: &Value| point["second"].as_f64().unwrap();
    assert!(points.len() >= 6 && at(&points[0]) > 0.0, "{points:?}");
    assert!(points.windows(2).all(|pair| at(&pair[0]) < at(&pair[1])), "{points:?}");
    assert!((seconds - at(points.last().unwrap())).abs() < 0.1, "{points:?}");
    let (mut before, mut sum) = (0.0, 0.0);
    for point in points {
        sum += (at(point) - before) * point["acknowledged_per_second"].as_f64().unwrap();
        before = at(point);
    }
    // Rests that are left out are part of the next point here.
    let acknowledged = report["acknowledged"].as_f64().unwrap();
    assert!((sum / acknowledged - 1.0).abs() < 0.2, "{sum} of {acknowledged}");

    assert_eq!(report["limits_measured"].as_array().unwrap().len(), 4);
    assert!(report["limits_spread"].as_f64() >= Some(1.0), "{report}");
    let ratios = report["ratios"].as_array().unwrap();
    let number = |ratio: &Value, name: &str| ratio[name].as_f64().unwrap();
    for ratio in ratios {
        let quotient = number(ratio, "figure") / number(ratio, "limit");
        assert!((number(ratio, "ratio") / quotient - 1.0).abs() < 1e-9, "{ratio}");
        assert!(text.contains(ratio["name"].as_str().unwrap()), "{text}");
    }
    for (name, figure) in [
        ("acknowledgement p50 ms : fdatasync + echo", "/acknowledgement/p50_ms"),
        ("receipt p95 ms : fdatasync + echo", "/receipt/p95_ms"),
        ("receipt max ms : fdatasync + echo", "/receipt/max_ms"),
        ("uploads/s : redb, 100 rows a commit", "/acknowledged_per_second"),
    ] {
        let ratio = ratios.iter().find(|it| it["name"] == name).expect(name);
        assert_eq!(Some(number(ratio, "figure")), report.pointer(figure).unwrap().as_f64());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_in_which_nothing_happens_is_one() {
    let service = Service::start().await;
    let (text, report) =
        service.load(&["--devices", "2", "--writers", "0", "--seconds", "1"]).await;
    service.stop().await;
    assert!(text.contains("acknowledged     0 /s, 0 in 1.0 s"), "{text}");
    assert_eq!(report["points"].as_array().unwrap().len(), 2);
    assert_eq!((&report["missing"], &report["acknowledged"]), (&Value::Null, &0.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_the_server_refuses_is_told_of() {
    let service = Service::start().await;
    fs::write(service.path("tokens"), "nobody's").unwrap();
    let output = load(&service.arguments()).await;
    let errors = failed(output);
    service.stop().await;
    assert!(errors.contains("401"), "{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    let errors = failed(load(&["--url", &url, "--devices", "1"]).await);
    assert!(errors.contains("no connection") && errors.contains("refused"), "{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_go_where_the_template_says_with_the_tokens_in_turn() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let refusing = tokio::spawn(refuse(listener, Arc::clone(&asked)));
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    fs::write(&tokens, "\nfirst\n\n  second\n").unwrap();
    let path = ["--path", "/of/{partition}/{device}", "--token", tokens.to_str().unwrap()];
    let devices = ["--devices", "4", "--partitions", "2"];
    failed(load(&[&["--url", &url][..], &path, &devices].concat()).await);
    refusing.abort();
    let asked = asked.lock().unwrap();
    let asked: Vec<_> = asked.iter().map(String::as_str).collect();
    let expected =
        ["0/0?baas_at=first", "0/2?baas_at=first", "1/1?baas_at=second", "1/3?baas_at=second"];
    assert_eq!(asked, expected.map(|it| format!("/of/{it}")));
}

#[tokio::test]
async fn options_that_would_change_nothing_are_refused() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    let url = ["--url", "ws://127.0.0.1:1"];
    let cases: [(&[&str], &str); 8] = [
        (&["--scenario", "idle", "--seconds", "3"], "--seconds is not for this scenario"),
        (&["--scenario", "fanout", "--seconds", "3"], "--seconds is not for this scenario"),
        (&["--scenario", "idle", "--payload", "3"], "--payload is not for this scenario"),
        (&["--scenario", "latency", "--devices-per-connection", "2"], "cannot be used with"),
        (
            &[&url[..], &["--path", "/{device}", "--devices-per-connection", "2"]].concat(),
            "say nothing if devices share a connection",
        ),
        (&[&url[..], &["--token", empty]].concat(), "there is no token in"),
        (&["--seconds", "1e300"], "it is not between 0.1"),
        (&["--rate", "1e-300"], "it is not between 0.0003 and 1000000"),
    ];
    for (arguments, expected) in cases {
        let errors = failed(load(arguments).await);
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
    }
}

/// Runs the load generator.
async fn load<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    let mut load = Command::new(env!("CARGO_BIN_EXE_xtask"));
    load.args(["load", "--this-build"]).args(arguments);
    tokio::task::spawn_blocking(move || load.output()).await.unwrap().unwrap()
}

/// What it says about why it has failed.
fn failed(output: Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Lets nobody in, and notes what was asked for.
async fn refuse(listener: TcpListener, asked: Arc<Mutex<BTreeSet<String>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufStream::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap() > "\r\n".len() {
            if let Some(request) = line.strip_prefix("GET ") {
                let path = request.split(' ').next().unwrap();
                asked.lock().unwrap().insert(path.to_owned());
            }
            line.clear();
        }
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
    }
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
