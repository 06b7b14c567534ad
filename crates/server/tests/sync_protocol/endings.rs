//! How connections end that did nothing wrong: wire protocol, sections 1.6, 1.7 and 6.2.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::version::ServerVersion;
use bailiwick_server::serve::ServeConfig;
use bailiwick_storage::fault::{Fault, Faults, FaultyStore};
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::redb::RedbStore;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::changesets::{item, schema};
use crate::peer::{End, Peer};
use crate::service::{Login, Service};
use crate::upgrade::{access_token, log_out, now_ms};

const HERE: &str = r#""here""#;

/// The device is asked to come back, and nothing else.
async fn check_sent_away(device: &mut Peer) {
    let error = device.expect_error(0, ErrorCode::ConnectionClosed).await;
    assert_eq!(error.body().action, Action::Transient);
    assert!(error.body().try_again);
    assert_eq!(error.body().backoff, None);
}

#[tokio::test]
async fn a_device_that_says_nothing_is_sent_away_and_then_cut_off() {
    let service = Service::with(|_, config| {
        config.web_socket.idle_timeout = Duration::from_millis(100);
        config.web_socket.closing_timeout = Duration::from_millis(50);
    })
    .await;
    let mut silent = service.connect(9).await;
    check_sent_away(&mut silent).await;
    assert_eq!(silent.end().await, End::Lost);
}

#[tokio::test]
async fn a_ping_keeps_a_connection_alive() {
    let service = Service::with(|_, config| {
        config.web_socket.idle_timeout = Duration::from_millis(1500);
    })
    .await;
    let mut device = service.connect(9).await;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        device.expect_silence().await;
    }
}

#[tokio::test]
async fn a_connection_outlives_its_token_but_not_its_login() {
    let service = Service::with(|_, config| {
        config.web_socket.access_check_interval = Duration::from_millis(20);
    })
    .await;
    let login = service.log_in().await;
    // Tokens live for half an hour.
    let expires_ms = now_ms() + 1500;
    let token = access_token(&service, &login, expires_ms - 30 * 60 * 1000);
    let answer = service.upgrade(&token, "com.mongodb.realm-sync#9").await;
    assert_eq!(answer.status, 101, "{answer:?}");
    let mut device = Peer::new(answer, 9);
    device.open(1, HERE).await;
    while service.upgrade(&token, "com.mongodb.realm-sync#9").await.status != 401 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Some checks have been made by the time that this is through.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        device.expect_silence().await;
    }
    log_out(&service, &login).await;
    check_sent_away(&mut device).await;
}

#[tokio::test]
async fn a_device_that_leaves_is_forgotten() {
    let service = Service::start().await;
    let login = service.log_in().await;
    for _ in 0..20 {
        let mut device = service.connect_as(&login, 9).await;
        device.open(1, HERE).await;
        drop(device); // Without UNBIND and without a close frame.
    }
    let mut device = service.connect_as(&login, 9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[schema()]).await;
    device.acknowledged(1, version).await;
}

/// Who cannot be read from yet is not forgotten for that.
#[tokio::test]
async fn a_device_whose_upload_has_to_wait_is_sent_away_when_the_server_stops() {
    let store = FaultyStore::new(MemoryStore::new());
    let faults = store.faults();
    let config = |_: &mut _, config: &mut ServeConfig| config.realms.max_total_backlog_len = 1000;
    let mut service = Service::on(Arc::new(store), config).await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[schema()]).await;
    device.acknowledged(1, version).await;
    faults.stall();
    for id in 0..20 {
        device.write(1, &[item(id, &"x".repeat(200))]).await;
    }
    // Time to get as far as to wait: the device would be sent away without it as well.
    tokio::time::sleep(Duration::from_millis(50)).await;
    service.stop();
    check_sent_away(&mut device).await;
    drop(device);
    faults.go_on();
    service.stopped().await;
}

/// Nothing of what it waits for was acknowledged.
#[tokio::test]
async fn a_server_whose_storage_stalls_stops_nevertheless() {
    let store = FaultyStore::new(MemoryStore::new());
    let faults = store.faults();
    let config = |_: &mut _, config: &mut ServeConfig| {
        config.drain_timeout = Duration::from_millis(100);
    };
    let mut service = Service::on(Arc::new(store), config).await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    faults.stall();
    device.write(1, &[schema()]).await;
    device.expect_silence().await; // The realm has got it by then.
    service.stop();
    service.stopped().await;
    faults.go_on();
}

/// And with it what it holds of the store.
#[tokio::test]
async fn half_a_request_is_cut_when_the_server_stops() {
    let dir = tempfile::tempdir().unwrap();
    let open = || RedbStore::in_dir(dir.path());
    let mut service = Service::on(Arc::new(open().unwrap()), |_, config| {
        config.drain_timeout = Duration::from_millis(500);
    })
    .await;
    let mut half = TcpStream::connect(service.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
    service.log_in().await; // It has been accepted by then.
    service.stop();
    service.stopped().await;
    open().unwrap();
}

#[tokio::test]
async fn everything_that_was_acknowledged_is_there_after_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(RedbStore::in_dir(dir.path()).unwrap());
    let mut service = Service::on(open(), |_, _| ()).await;
    let login = service.log_in().await;
    let mut device = service.connect_as(&login, 9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[schema()]).await;
    device.acknowledged(1, version).await;
    let mut last = version;
    for id in 0..50 {
        last = device.write(1, &[item(id, "x")]).await;
    }
    service.stop();
    // Acknowledgements of the last writes may still come; then the device is sent away.
    loop {
        use bailiwick_protocol::message::ServerMessage;
        match device.next().await {
            ServerMessage::Download(_) => (),
            ServerMessage::JsonError(error) => {
                assert_eq!(error.code(), ErrorCode::ConnectionClosed);
                assert_eq!(error.body().action, Action::Transient);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let file = device.file(1).clone();
    drop(device);
    service.stopped().await;

    // The store is closed, so it can be opened again.
    let service = Service::on(open(), |_, _| ()).await;
    let mut device = service.connect_as(&login, 9).await;
    let known = file.acknowledged;
    let download = device.open_again(1, HERE, file).await;
    let integrated = download.header.upload_cursor.client_version;
    assert!(integrated >= known.client_version);
    // The device uploads again what it has not heard of. Version 1 was the schema, version n item n - 2.
    let missing: Vec<_> = (integrated.0 + 1..=last.0)
        .map(|version| crate::peer::entry(version, 1, item(version - 2, "x")))
        .collect();
    let again = crate::peer::upload(1, (last.0, 1), 1, &missing);
    device.send(bailiwick_protocol::message::ClientMessage::Upload(again)).await;
    device.acknowledged(1, last).await;
    let mut reader = service.connect(9).await;
    reader.open(1, HERE).await;
    assert_eq!(reader.file(1).entries.len(), 51, "everything is there, and once");
    assert_eq!(reader.file(1).download.server_version, ServerVersion(51));
}

/// What the disk holds is not known then: whoever watches the process starts it again.
#[tokio::test]
async fn a_storage_that_fails_ends_the_server_and_sends_the_devices_away() {
    let store = Arc::new(FaultyStore::new(MemoryStore::default()));
    let faults = store.faults();
    let service = Service::on(store, |_, _| ()).await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    faults.arrange(Fault::BeforeCommit(1));
    device.write(1, &[schema()]).await;
    let error = device.next_error().await;
    if error.code() == ErrorCode::OtherSessionError {
        assert_eq!(error.body().action, Action::Transient);
        check_sent_away(&mut device).await;
    } else {
        assert_eq!(error.code(), ErrorCode::ConnectionClosed);
    }
    drop(device);
    service.failed().await;
}

/// The store is not asked again, so that nobody is told that it has stopped.
#[tokio::test]
async fn accounts_that_cannot_be_changed_end_the_server_at_once() {
    for (method, path) in [("POST", LOGIN), ("DELETE", SESSION), ("DELETE", DELETE)] {
        let (service, faults, login) = faulty_service().await;
        let token = if path == SESSION { login.refresh_token } else { login.access_token };
        faults.arrange(Fault::BeforeCommit(1));
        assert_eq!(request(&service, method, path, &token).await, 500, "{method} {path}");
        faults.reopen();
        service.failed().await;
    }
}

/// After it, everything is as it was.
#[tokio::test]
async fn accounts_that_cannot_be_read_end_nothing() {
    let (mut service, faults, login) = faulty_service().await;
    faults.arrange(Fault::Read(1));
    assert_eq!(request(&service, "GET", PROFILE, &login.access_token).await, 500);
    service.connect(9).await.open(1, HERE).await;
    service.stop();
    service.stopped().await;
}

const LOGIN: &str = "/api/client/v2.0/app/inventory-abcde/auth/providers/anon-user/login";
const PROFILE: &str = "/api/client/v2.0/auth/profile";
const SESSION: &str = "/api/client/v2.0/auth/session";
const DELETE: &str = "/api/client/v2.0/auth/delete";

async fn faulty_service() -> (Service, Faults, Login) {
    let store = Arc::new(FaultyStore::new(MemoryStore::default()));
    let faults = store.faults();
    let service = Service::on(store, |_, _| ()).await;
    let login = service.log_in().await;
    (service, faults, login)
}

/// The status of the answer.
async fn request(service: &Service, method: &str, path: &str, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("Connection", "close")];
    service.request(method, path, &headers, "{}").await.status
}
