//! The load generator, as it is run.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bailiwick_client::transport::{Connector, request};
use bailiwick_protocol::version::ServerVersion;
use bailiwick_server::app::App;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::http::websocket::realm_key;
use bailiwick_server::serve::{ServeConfig, Server};
use bailiwick_storage::redb::RedbStore;
use bailiwick_storage::store::Store as _;
use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Devices in each of two partitions, all of which write.
const MEMBERS: u64 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reported_is_what_the_server_has() {
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
    let api = format!("/api/client/v2.0/app/{app_id}");
    fs::write(dir.path().join("tokens"), log_in(&format!("http://{address}{api}")).await).unwrap();

    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let mut load = Command::new(env!("CARGO_BIN_EXE_xtask"));
    load.args(["load", "--this-build", "--devices", "6", "--partitions", "2"]);
    load.args(["--in-flight", "2", "--seconds", "1", "--payload", "2000", "--protocol", "9"]);
    load.args(["--url", &format!("ws://{address}"), "--path", &format!("{api}/realm-sync")]);
    load.args(["--token", &path("tokens"), "--json", &path("json"), "--svg", &path("svg")]);
    let output = tokio::task::spawn_blocking(move || load.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();

    let report: Value = serde_json::from_slice(&fs::read(path("json")).unwrap()).unwrap();
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap();
    let written = count("/total/written");
    assert!(written >= 2 * 2 * MEMBERS, "each device keeps two on the way: {report}");
    assert_eq!(count("/total/acknowledged"), written);
    assert_eq!(count("/total/received"), written * (MEMBERS - 1));
    assert_eq!(report["errors"], Value::Object(serde_json::Map::new()));
    assert!(count("/acknowledged") <= written);

    let (mut entries, mut objects) = (0, 0);
    for partition in ["\"p0\"", "\"p1\""] {
        let key = realm_key(&app_id, &partition_key.bind(partition).unwrap());
        let head = store.realm(&key).unwrap().head.version;
        let all = store.entries(&key, ServerVersion(0), head, usize::MAX).unwrap();
        entries += all.iter().filter(|entry| entry.changeset.len() >= 2000).count() as u64;
        objects += store.scan_objects(&key, &[], None, usize::MAX).unwrap().len() as u64;
    }
    assert_eq!((entries, objects), (written, written));

    let svg = fs::read_to_string(path("svg")).unwrap();
    check_elements(&svg);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("2 in flight on each device, 2000 bytes each"), "{text}");
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
