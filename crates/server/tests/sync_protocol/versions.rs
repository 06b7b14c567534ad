//! What depends on the version that a device speaks: wire protocol, sections 3.2 and 7.

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::{ClientMessage, ServerMessage};

use crate::changesets::{item, nested, schema};
use crate::peer::{Peer, upload};
use crate::service::Service;

const HERE: &str = r#""here""#;

#[tokio::test]
async fn the_oldest_devices_are_told_errors_as_text() {
    let service = Service::start().await;
    for version in [2, 3] {
        let mut device = service.connect(version).await;
        device.bind(1, "true", true).await;
        let ServerMessage::Error(error) = device.next().await else { panic!("not an ERROR") };
        assert_eq!((error.session().0, error.code()), (1, ErrorCode::IllegalRealmPath));
        assert!(!error.try_again());
        assert!(error.text().starts_with("attempted to bind"));
        device.open(2, HERE).await;
        device.send_bytes(b"mark 9 1\n").await;
        let ServerMessage::Error(error) = device.next().await else { panic!("not an ERROR") };
        assert_eq!((error.session().0, error.code()), (0, ErrorCode::BadSessionIdent));
        assert!(error.try_again());
    }
}

#[tokio::test]
async fn all_others_are_told_errors_as_json() {
    let service = Service::start().await;
    for version in 4..=14 {
        let mut device = service.connect(version).await;
        device.bind(1, "true", true).await;
        // The peer checks every field.
        device.expect_error(1, ErrorCode::IllegalRealmPath).await;
        device.open(2, HERE).await;
        device.send(ClientMessage::Upload(upload(2, (1, 9), 0, &[]))).await;
        device.expect_error(2, ErrorCode::BadServerVersion).await;
        device.send_bytes(b"mark 9 1\n").await;
        device.expect_error(0, ErrorCode::BadSessionIdent).await;
    }
}

#[tokio::test]
async fn devices_below_7_send_no_errors() {
    let service = Service::start().await;
    for (version, is_known) in [(6, false), (7, true)] {
        let mut device = service.connect(version).await;
        device.open(1, HERE).await;
        device.send_bytes(b"json_error 212 15 1\n{\"message\":\"x\"}").await;
        if is_known {
            device.expect_silence().await;
        } else {
            device.expect_error(0, ErrorCode::BadSyntax).await;
        }
    }
}

/// A partition with a list in a mixed field, as version 3.
async fn nested_partition(service: &Service) -> Peer {
    let mut writer = service.connect(14).await;
    writer.open(1, HERE).await;
    let version = writer.write(1, &[schema(), item(1, "one"), nested()]).await;
    writer.acknowledged(1, version).await;
    writer
}

#[tokio::test]
async fn nested_collections_come_to_devices_that_know_them_only() {
    let service = Service::start().await;
    let _writer = nested_partition(&service).await;
    for version in [13, 14] {
        let mut device = service.connect(version).await;
        device.open(1, HERE).await;
        assert_eq!(device.file(1).entries.len(), 3);
    }
    for version in [4, 9, 12] {
        let mut device = service.connect(version).await;
        device.open(2, r#""elsewhere""#).await;
        device.allocate(1, HERE).await;
        device.identify(1).await;
        let error = device.expect_error(1, ErrorCode::InvalidSchemaChange).await;
        let message = &error.body().message;
        assert!(message.contains("needs sync protocol 13"), "{message}");
        assert!(message.contains(&format!("speaks {version}")), "{message}");
        device.mark(2, 1).await;
        device.expect_mark(2, 1).await;
    }
}

#[tokio::test]
async fn an_old_device_goes_on_until_the_first_nested_collection() {
    let service = Service::start().await;
    let mut writer = service.connect(14).await;
    writer.open(1, HERE).await;
    let mut old = service.connect(9).await;
    old.open(1, HERE).await;
    let version = writer.write(1, &[schema(), item(1, "one")]).await;
    writer.acknowledged(1, version).await;
    old.downloaded(1, 2).await;
    let version = old.write(1, &[item(2, "two")]).await;
    old.acknowledged(1, version).await;
    writer.downloaded(1, 3).await;
    let version = writer.write(1, &[nested()]).await;
    writer.acknowledged(1, version).await;
    old.refused(1, ErrorCode::InvalidSchemaChange).await;
    old.expect_silence().await;
}
