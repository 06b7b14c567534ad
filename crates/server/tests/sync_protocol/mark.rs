//! MARK: wire protocol, section 6.4.

use bailiwick_protocol::message::ServerMessage;
use bailiwick_protocol::version::ServerVersion;

use crate::changesets::{item, schema};
use crate::service::Service;

const HERE: &str = r#""here""#;

#[tokio::test]
async fn a_mark_is_answered_after_the_history_up_to_its_arrival() {
    let service = Service::with(|_, config| config.realms.download_soft_limit = 10).await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let mut version = writer.write(1, &[schema()]).await;
    for id in 0..50 {
        version = writer.write(1, &[item(id, "x")]).await;
    }
    writer.acknowledged(1, version).await;
    let mut reader = service.connect(9).await;
    reader.allocate(1, HERE).await;
    reader.identify(1).await;
    reader.mark(1, 2).await;
    while !matches!(reader.next().await, ServerMessage::Mark(_)) {}
    assert!(reader.file(1).download.server_version >= ServerVersion(51));
    reader.expect_silence().await;
}

#[tokio::test]
async fn a_mark_sees_what_was_acknowledged_to_another_device_before() {
    let service = Service::start().await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let mut reader = service.connect(9).await;
    reader.open(1, HERE).await;
    let version = writer.write(1, &[schema()]).await;
    writer.acknowledged(1, version).await;
    for round in 1..50 {
        let version = writer.write(1, &[item(round, "x")]).await;
        writer.acknowledged(1, version).await;
        reader.mark(1, round).await;
        while !matches!(reader.next().await, ServerMessage::Mark(_)) {}
        assert!(reader.file(1).download.server_version > ServerVersion(round), "round {round}");
    }
}

#[tokio::test]
async fn marks_are_answered_while_others_write_all_the_time() {
    let service = Service::start().await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let version = writer.write(1, &[schema()]).await;
    writer.acknowledged(1, version).await;
    let mut reader = service.connect(9).await;
    reader.open(1, HERE).await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn(async move {
        let mut id = 0;
        while stopped.try_recv().is_err() {
            id += 1;
            let version = writer.write(1, &[item(id, "x")]).await;
            writer.acknowledged(1, version).await;
        }
    });
    for request in 1..=20 {
        reader.mark(1, request).await;
        while !matches!(reader.next().await, ServerMessage::Mark(_)) {}
    }
    stop.send(()).unwrap();
    writing.await.unwrap();
}

#[tokio::test]
async fn the_newest_mark_stands_for_the_older_ones() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.allocate(1, HERE).await;
    device.identify(1).await;
    for request in 1..=3 {
        device.mark(1, request).await;
    }
    loop {
        if let ServerMessage::Mark(mark) = device.next().await
            && mark.request_ident.0 == 3
        {
            break;
        }
    }
    device.expect_silence().await;
}

#[tokio::test]
async fn a_mark_belongs_to_its_session() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    device.open(2, r#""elsewhere""#).await;
    device.mark(2, 1).await;
    device.expect_mark(2, 1).await;
    device.mark(1, 1).await;
    device.expect_mark(1, 1).await;
    device.expect_silence().await;
}
