//! What an UPLOAD may say, and how it is acknowledged: wire protocol, sections 5.3 and 5.5.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::{Body, ClientMessage, Upload, UploadEntry};
use bailiwick_protocol::version::{ClientVersion, ServerVersion};
use bytes::Bytes;

use crate::changesets::{item, schema};
use crate::peer::{Peer, entry, upload};
use crate::service::Service;

const HERE: &str = r#""here""#;

/// A device that has been sent the history up to version 3, whose version 5 is integrated, and whose last
/// UPLOAD of this session said progress (6, 2), locked 2.
async fn device(service: &Service) -> Peer {
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let version = writer.write(1, &[schema(), item(1, "one")]).await;
    writer.acknowledged(1, version).await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let first = upload(1, (5, 2), 2, &[entry(5, 2, item(2, "two"))]);
    device.send(ClientMessage::Upload(first)).await;
    device.acknowledged(1, ClientVersion(5)).await;
    device.send(ClientMessage::Upload(upload(1, (6, 2), 2, &[]))).await;
    device
}

async fn check(code: ErrorCode, progress: (u64, u64), locked: u64, entries: &[(u64, u64)]) {
    let service = Service::start().await;
    let mut device = device(&service).await;
    let entries: Vec<UploadEntry> =
        entries.iter().map(|&(client, base)| entry(client, base, item(9, "no"))).collect();
    device.send(ClientMessage::Upload(upload(1, progress, locked, &entries))).await;
    let error = device.next_error().await;
    assert_eq!(
        (error.session().0, error.code()),
        (1, code),
        "progress {progress:?}, locked {locked}, {} entries",
        entries.len()
    );
    assert_eq!(error.body().action, Action::ClientReset);
}

#[tokio::test]
async fn client_versions_ascend_up_to_the_progress() {
    let code = ErrorCode::BadClientVersion;
    check(code, (5, 2), 2, &[]).await;
    check(code, (9, 3), 2, &[(6, 2)]).await;
    check(code, (9, 3), 2, &[(8, 3), (7, 3)]).await;
    check(code, (9, 3), 2, &[(7, 3), (7, 3)]).await;
    check(code, (7, 3), 2, &[(8, 3)]).await;
}

#[tokio::test]
async fn server_versions_are_those_that_were_sent_and_never_go_back() {
    let code = ErrorCode::BadServerVersion;
    check(code, (7, 4), 2, &[]).await;
    check(code, (7, 1), 2, &[]).await;
    check(code, (6, 3), 2, &[]).await;
    check(code, (7, 2), 1, &[]).await;
    check(code, (7, 2), 4, &[]).await;
    check(code, (9, 3), 2, &[(7, 1)]).await;
    check(code, (9, 3), 2, &[(7, 3), (8, 2)]).await;
    check(code, (9, 2), 2, &[(8, 3)]).await;
    check(code, (9, 3), 2, &[(7, 4)]).await;
}

#[tokio::test]
async fn only_a_server_uploads_what_others_wrote() {
    let service = Service::start().await;
    for origin in [1, 2, 3, 99] {
        let mut device = device(&service).await;
        let mut foreign = entry(7, 3, item(9, "no"));
        foreign.origin_file_ident = FileIdent(origin);
        device.send(ClientMessage::Upload(upload(1, (7, 3), 3, &[foreign]))).await;
        let error = device.expect_error(1, ErrorCode::BadOriginFileIdent).await;
        assert_eq!(error.body().action, Action::ProtocolViolation);
        device.expect_silence().await;
    }
}

#[tokio::test]
async fn an_upload_is_acknowledged_by_a_download_without_entries() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    let first = device.open(1, HERE).await;
    assert_eq!(first.header.latest_server_version.version, ServerVersion(0));
    let entries = [entry(2, 0, schema()), entry(3, 0, item(1, "one")), entry(4, 0, item(2, "two"))];
    // A server that was restored from a backup knows that 4 is integrated, for it is in the history; not 6.
    device.send(ClientMessage::Upload(upload(1, (6, 0), 0, &entries))).await;
    let download = device.next_download().await;
    let header = download.header;
    assert!(download.body.is_empty());
    assert_eq!(header.download_cursor.server_version, ServerVersion(3));
    assert_eq!(header.download_cursor.last_integrated_client_version, ClientVersion(4));
    assert_eq!(header.upload_cursor.client_version, ClientVersion(4));
    assert_eq!(header.upload_cursor.last_integrated_server_version, ServerVersion(0));
    assert_eq!(header.latest_server_version.version, ServerVersion(3));
    device.expect_silence().await;
}

#[tokio::test]
async fn an_empty_changeset_is_integrated_and_acknowledged() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[Bytes::new(), schema(), Bytes::new()]).await;
    device.acknowledged(1, version).await;
    assert_eq!(device.file(1).download.server_version, ServerVersion(3));
    let mut other = service.connect(9).await;
    other.open(1, HERE).await;
    assert_eq!(other.file(1).entries.len(), 1, "empty ones are not sent");
    assert_eq!(other.file(1).download.server_version, ServerVersion(3));
}

/// A DOWNLOAD in reply would be a new commit on the device, which 13.x reports again: for ever.
#[tokio::test]
async fn an_upload_without_entries_is_never_answered() {
    let service = Service::start().await;
    let mut device = device(&service).await;
    let progress = upload(1, (8, 3), 3, &[]);
    device.send(ClientMessage::Upload(progress.clone())).await;
    device.send(ClientMessage::Upload(progress)).await; // Says nothing new.
    device.mark(1, 1).await;
    device.expect_mark(1, 1).await;
    // What a neighbour uploads now is committed after the progress: were that answered, it would be first.
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let version = writer.write(1, &[item(7, "seven")]).await;
    writer.acknowledged(1, version).await;
    let download = device.next_download().await;
    assert_eq!(download.header.download_cursor.server_version, ServerVersion(4));
    assert_eq!(download.header.upload_cursor.client_version, ClientVersion(5));
    device.expect_silence().await;
}

#[tokio::test]
async fn the_same_upload_in_a_new_session_is_integrated_once() {
    let service = Service::start().await;
    let login = service.log_in().await;
    let mut device = service.connect_as(&login, 9).await;
    device.open(1, HERE).await;
    let changesets = [schema(), item(1, "one")];
    let entries: Vec<_> = (2..).zip(changesets).map(|(v, bytes)| entry(v, 0, bytes)).collect();
    let retried = upload(1, (3, 0), 0, &entries);
    device.send(ClientMessage::Upload(retried.clone())).await;
    // The acknowledgement is lost with the connection.
    let file = device.file(1).clone();
    drop(device);

    let mut device = service.connect_as(&login, 9).await;
    device.bind_again(1, HERE, file).await;
    device.send(ClientMessage::Upload(retried)).await;
    let more = [entry(5, 0, item(2, "two"))];
    device.send(ClientMessage::Upload(upload(1, (5, 0), 0, &more))).await;
    device.acknowledged(1, ClientVersion(5)).await;
    check_history(&service, 3).await;
}

#[tokio::test]
async fn a_longer_batch_that_repeats_some_adds_only_the_rest() {
    let service = Service::start().await;
    let login = service.log_in().await;
    let mut device = service.connect_as(&login, 9).await;
    device.open(1, HERE).await;
    let mut entries = vec![entry(2, 0, schema()), entry(3, 0, item(1, "one"))];
    device.send(ClientMessage::Upload(upload(1, (3, 0), 0, &entries))).await;
    device.acknowledged(1, ClientVersion(3)).await;
    let file = device.close(1).await;
    device.open_again(2, HERE, file).await;
    entries.push(entry(4, 0, item(2, "two")));
    device.send(ClientMessage::Upload(upload(2, (4, 0), 0, &entries))).await;
    device.acknowledged(2, ClientVersion(4)).await;
    check_history(&service, 3).await;
}

/// The partition has this many entries, and a new device can integrate them.
async fn check_history(service: &Service, count: u64) {
    let mut reader = service.connect(9).await;
    reader.open(1, HERE).await;
    let file = reader.file(1);
    assert_eq!(file.download.server_version, ServerVersion(count));
    let versions: Vec<_> = file.entries.iter().map(|entry| entry.server_version.0).collect();
    assert_eq!(versions, (1..=count).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_uploads_need_no_acknowledgement_in_between() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let mut version = device.write(1, &[schema()]).await;
    for id in 0..200 {
        version = device.write(1, &[item(id, "x")]).await;
    }
    device.acknowledged(1, version).await;
    check_history(&service, 201).await;
}

#[tokio::test]
async fn a_compressed_upload_is_integrated() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let changesets: Vec<_> = std::iter::once(schema())
        .chain((0..100).map(|id| item(id, "the same again and again")))
        .collect();
    let upload: Upload = device.upload_of(1, &changesets);
    assert!(matches!(upload.body, Body::Compressed { .. }));
    let version = upload.header.progress.client_version;
    device.send(ClientMessage::Upload(upload)).await;
    device.acknowledged(1, version).await;
    check_history(&service, 101).await;
}
