//! What a device may claim in IDENT: wire protocol, section 5.2.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::message::{ClientIdent, ClientMessage};
use bailiwick_protocol::version::{ClientVersion, ServerVersion};

use crate::changesets::{item, schema};
use crate::peer::Peer;
use crate::service::{Login, Service};

const HERE: &str = r#""here""#;

/// A partition with history up to version 4, of which a device that was closed has integrated 3 and
/// uploaded its version 2; and what that device would claim.
async fn history(service: &Service, login: &Login) -> (Peer, ClientIdent) {
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let version = writer.write(1, &[schema(), item(1, "one")]).await;
    writer.acknowledged(1, version).await;

    let mut device = service.connect_as(login, 9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[item(2, "two")]).await;
    device.acknowledged(1, version).await;
    // Confirms that version 3 is integrated, so that the server forgets what came before.
    let progress = crate::peer::upload(1, (version.0 + 1, 3), 3, &[]);
    device.send(ClientMessage::Upload(progress)).await;
    device.mark(1, 1).await;
    device.expect_mark(1, 1).await;
    let file = device.close(1).await;

    let version = writer.write(1, &[item(3, "three")]).await;
    writer.acknowledged(1, version).await;
    device.bind(1, HERE, false).await;
    device.adopt(1, file);
    let claim = device.claim(1);
    assert_eq!(claim.download_cursor.server_version, ServerVersion(3));
    (device, claim)
}

async fn check(code: ErrorCode, change: impl FnOnce(&mut ClientIdent)) {
    let service = Service::start().await;
    let login = service.log_in().await;
    let (mut device, mut claim) = history(&service, &login).await;
    change(&mut claim);
    device.send(ClientMessage::Ident(claim)).await;
    let error = device.next_error().await;
    assert_eq!((error.session().0, error.code()), (1, code), "{claim:?}");
    assert_eq!(error.body().action, Action::ClientReset);
    // As after any error of a session: it can be unbound, and a true claim is accepted.
    device.unbind(1).await;
    device.open(1, HERE).await;
}

#[tokio::test]
async fn the_true_claim_is_accepted() {
    let service = Service::start().await;
    let login = service.log_in().await;
    let (mut device, claim) = history(&service, &login).await;
    device.send(ClientMessage::Ident(claim)).await;
    let download = device.next_download().await;
    assert_eq!(download.header.download_cursor.server_version, ServerVersion(4));
    let versions: Vec<_> =
        device.file(1).entries.iter().map(|entry| entry.server_version.0).collect();
    assert_eq!(versions, [1, 2, 4], "what was missed, and nothing else");
}

#[tokio::test]
async fn an_unknown_file_ident_is_refused() {
    check(ErrorCode::BadClientFileIdent, |claim| claim.file_ident = FileIdent(99)).await;
    check(ErrorCode::BadClientFileIdent, |claim| claim.file_ident = FileIdent(0)).await;
    check(ErrorCode::BadClientFileIdent, |claim| claim.file_ident = FileIdent(i64::MAX as u64))
        .await;
    // The server's own has a record, and no salt that anybody knows.
    check(ErrorCode::DivergingHistories, |claim| claim.file_ident = FileIdent(1)).await;
}

#[tokio::test]
async fn another_salt_is_another_history() {
    check(ErrorCode::DivergingHistories, |claim| claim.file_ident_salt.0 ^= 1).await;
    check(ErrorCode::DivergingHistories, |claim| claim.file_ident_salt = Salt(0)).await;
    check(ErrorCode::DivergingHistories, |claim| claim.latest_server_version.salt.0 ^= 1).await;
    check(ErrorCode::DivergingHistories, |claim| {
        claim.latest_server_version.version = ServerVersion(4);
        claim.latest_server_version.salt = Salt(5);
    })
    .await;
}

#[tokio::test]
async fn a_server_version_that_cannot_be_is_refused() {
    let code = ErrorCode::BadServerVersion;
    check(code, |claim| claim.download_cursor.server_version = ServerVersion(2)).await;
    check(code, |claim| claim.download_cursor.server_version = ServerVersion(5)).await;
    check(code, |claim| claim.latest_server_version.version = ServerVersion(2)).await;
    check(code, |claim| claim.latest_server_version.version = ServerVersion(5)).await;
}

#[tokio::test]
async fn a_client_version_that_was_never_integrated_is_refused() {
    check(ErrorCode::BadClientVersion, |claim| {
        claim.download_cursor.last_integrated_client_version = ClientVersion(99);
    })
    .await;
}

#[tokio::test]
async fn a_cursor_of_nothing_with_something_integrated_is_refused() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.allocate(1, HERE).await;
    let mut claim = device.claim(1);
    claim.download_cursor.last_integrated_client_version = ClientVersion(1);
    device.send(ClientMessage::Ident(claim)).await;
    device.expect_error(1, ErrorCode::BadClientVersion).await;
}

#[tokio::test]
async fn a_client_file_belongs_to_its_user() {
    let service = Service::start().await;
    let login = service.log_in().await;
    let (_, claim) = history(&service, &login).await;
    let mut other = service.connect(9).await;
    other.bind(1, HERE, false).await;
    other.send(ClientMessage::Ident(claim)).await;
    let error = other.expect_error(1, ErrorCode::UserMismatch).await;
    assert_eq!(error.body().action, Action::ClientReset);
    other.expect_silence().await;
}

#[tokio::test]
async fn a_client_file_belongs_to_its_partition() {
    let service = Service::start().await;
    let login = service.log_in().await;
    let (mut device, claim) = history(&service, &login).await;
    device.unbind(1).await;
    device.expect_unbound(1).await;
    device.bind(1, r#""elsewhere""#, false).await;
    device.send(ClientMessage::Ident(claim)).await;
    device.expect_error(1, ErrorCode::BadClientFileIdent).await;
}

#[tokio::test]
async fn an_expired_file_has_to_reset() {
    let service = Service::start().await;
    let login = service.log_in().await;
    let (mut device, claim) = history(&service, &login).await;
    let here = bailiwick_core::partition::PartitionValue::String("here".into());
    let key = bailiwick_server::http::websocket::realm_key(service.app.id.as_str(), &here);
    let realm = service.store.realm(&key).unwrap();
    let mut file = service.store.client_file(&key, claim.file_ident).unwrap().unwrap();
    file.last_seen_ms = 0;
    let commit = bailiwick_storage::store::Commit {
        base_revision: realm.revision,
        client_files: vec![(claim.file_ident, file)],
        ..Default::default()
    };
    service.store.commit(&[(key, commit)]).unwrap()[0].clone().unwrap();
    device.send(ClientMessage::Ident(claim)).await;
    let error = device.next_error().await;
    assert_eq!(error.code(), ErrorCode::ClientFileExpired, "{error:?}");
    assert_eq!(error.body().action, Action::ClientReset);
}
