//! What a device may cost: wire protocol, sections 1.6, 4.4 and 6.6.

use std::sync::Arc;
use std::time::Duration;

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::{ClientMessage, ServerMessage};
use bailiwick_protocol::version::ServerVersion;
use bailiwick_server::serve::ServeConfig;
use bailiwick_storage::redb::RedbOptions;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::changesets::{item, schema};
use crate::peer::{End, entry, upload};
use crate::service::Service;

const HERE: &str = r#""here""#;

#[tokio::test]
async fn one_session_too_many_is_told_to_come_back() {
    let service = Service::with(|_, config| config.max_sessions = 3).await;
    let mut device = service.connect(9).await;
    for session in 1..=3 {
        device.open(session, HERE).await;
    }
    device.bind(4, HERE, true).await;
    let error = device.expect_error(4, ErrorCode::OtherSessionError).await;
    assert_eq!(error.body().action, Action::Transient);
    assert!(error.body().backoff.is_some());
    device.unbind(4).await;
    device.close(1).await;
    device.open(4, HERE).await;
}

#[tokio::test]
async fn a_device_that_goes_on_binding_sessions_is_cut_off() {
    let service = Service::with(|_, config| config.max_sessions = 3).await;
    let mut device = service.connect(9).await;
    for session in 1..=6 {
        device.bind(session, "true", true).await;
        device.next_error().await;
    }
    device.bind(7, HERE, true).await;
    device.expect_error(0, ErrorCode::OtherError).await;
}

#[tokio::test]
async fn a_message_that_is_too_long_is_a_client_reset() {
    let service = Service::with(|_, config| config.max_upload_len = 100_000).await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[schema(), item(1, &"x".repeat(90_000))]).await;
    device.acknowledged(1, version).await;
    // Compressed it is short: the body is too long.
    device.write(1, &[item(2, &"x".repeat(110_000))]).await;
    assert_eq!(device.end().await, End::Closed(1009));
}

#[tokio::test]
async fn an_upload_of_a_million_changesets_is_a_client_reset() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let empty = |version| entry(version, 0, bytes::Bytes::new());
    let entries: Vec<_> = (2..70_000).map(empty).collect();
    device.send(ClientMessage::Upload(upload(1, (70_000, 0), 0, &entries))).await;
    assert_eq!(device.end().await, End::Closed(1009));
}

/// Without being read to its end the connection would be reset, and some devices would lose the close frame.
#[tokio::test]
async fn a_device_that_sends_too_much_can_finish_and_is_told() {
    let service = Service::with(|_, config| config.max_upload_len = 100_000).await;
    for len in [102_000, 20_000_000] {
        let mut device = service.connect(9).await;
        device.send_raw(Message::Binary(vec![b'x'; len].into())).await;
        assert_eq!(device.end().await, End::Closed(1009), "{len} bytes");
        assert_eq!(device.end().await, End::Lost);
    }
}

#[tokio::test]
async fn a_realm_that_is_overrun_sends_the_device_away() {
    let service = Service::with(|_, config| config.realms.max_backlog_len = 20_000).await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[schema()]).await;
    device.acknowledged(1, version).await;
    // All in one go: more than is integrated meanwhile, on any machine.
    let mut frames = Vec::new();
    for version in 2..2000 {
        let changeset = item(version, &format!("{version}").repeat(100));
        let message = upload(1, (version, 1), 1, &[entry(version, 1, changeset)]);
        frames.push(ClientMessage::Upload(message));
    }
    for frame in frames {
        device.send(frame).await;
    }
    loop {
        match device.next().await {
            // Perhaps this machine is that fast.
            ServerMessage::Download(download)
                if download.header.upload_cursor.client_version.0 == 1999 =>
            {
                break;
            }
            ServerMessage::Download(_) => (),
            ServerMessage::JsonError(error) => {
                assert_eq!((error.session().0, error.code()), (0, ErrorCode::ConnectionClosed));
                assert_eq!(error.body().action, Action::Transient);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Whoever says nothing, in HTTP/1 or as the beginning of HTTP/2, does not keep others out for ever.
#[tokio::test]
async fn connections_without_a_request_make_room_for_others() {
    let service = Service::with(|_, config| {
        config.max_requests = 1;
        config.header_timeout = Duration::from_secs(1);
    })
    .await;
    for beginning in ["", "GET / HTTP/1.1\r\nHost: ", "PRI * HTTP/2.0\r\n"] {
        let mut silent = TcpStream::connect(service.address).await.unwrap();
        silent.write_all(beginning.as_bytes()).await.unwrap();
        service.connect(9).await.open(1, HERE).await;
        drop(silent);
    }
}

/// Its requests are not read either, so that no time for them is over.
#[tokio::test]
async fn a_connection_that_does_not_read_its_answers_makes_room_for_others() {
    let service = Service::with(|_, config| {
        config.max_requests = 1;
        config.max_connection_age = Duration::from_secs(1);
        config.drain_timeout = Duration::from_millis(100);
    })
    .await;
    let mut deaf = TcpStream::connect(service.address).await.unwrap();
    let requests = "GET /nothing HTTP/1.1\r\nHost: here\r\n\r\n".repeat(1000);
    // Until no more is taken, or the connection is cut.
    let writing = async { while deaf.write_all(requests.as_bytes()).await.is_ok() {} };
    let connecting = service.connect(9);
    let ((), mut device) = tokio::join!(writing, connecting);
    device.open(1, HERE).await;
}

#[tokio::test]
async fn uploads_for_which_there_is_no_memory_yet_are_integrated_later() {
    let service = Service::with(|_, config| config.realms.max_total_backlog_len = 1).await;
    let mut devices = Vec::new();
    for path in [HERE, HERE, r#""there""#] {
        let mut device = service.connect(9).await;
        device.open(1, path).await;
        devices.push(device);
    }
    let mut last = Vec::new();
    for device in &mut devices {
        device.write(1, &[schema()]).await;
        for id in 0..50 {
            device.write(1, &[item(id, "x")]).await;
        }
        last.push(device.write(1, &[item(50, "x")]).await);
    }
    for (device, last) in devices.iter_mut().zip(last) {
        device.acknowledged(1, last).await;
    }
}

/// Pull, not push: what a device does not fetch stays on the disk.
///
/// Runs in a process of its own, whose memory nothing else takes.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn devices_that_do_not_read_take_no_memory() {
    const NAME: &str = "limits::devices_that_do_not_read_take_no_memory";
    if std::env::var_os("BAILIWICK_TEST_IN_OWN_PROCESS").is_none() {
        let child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env("BAILIWICK_TEST_IN_OWN_PROCESS", "1")
            .output();
        let output = child.await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = RedbOptions::default().cache_len(4 << 20).in_dir(dir.path()).unwrap();
    let change = |_: &mut _, config: &mut ServeConfig| {
        config.realms.download_soft_limit = 200_000;
    };
    let service = Service::on(Arc::new(store), change).await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let version = writer.write(1, &[schema()]).await;
    writer.acknowledged(1, version).await;
    let mut readers = Vec::new();
    for _ in 0..6 {
        let mut reader = service.connect(9).await;
        reader.open(1, HERE).await;
        readers.push(reader);
    }
    let before = resident_len();
    for id in 0..60 {
        let version = writer.write(1, &[item(id, &noise(id, 250_000))]).await;
        writer.acknowledged(1, version).await;
    }
    let grown = resident_len().saturating_sub(before);
    assert!(grown < 50 << 20, "6 devices have not read 15 MB, and the server has {grown} more");
    let mut reader = readers.pop().unwrap();
    reader.downloaded(1, 61).await;
    assert_eq!(reader.file(1).entries.len(), 61);
    assert_eq!(reader.file(1).download.server_version, ServerVersion(61));
}

/// Text of `len` bytes that can hardly be compressed.
fn noise(seed: u64, len: usize) -> String {
    let mut state = seed;
    let char = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + u8::try_from((state >> 33) % 94).unwrap())
    };
    std::iter::repeat_with(char).take(len).collect()
}

#[cfg(target_os = "linux")]
fn resident_len() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
