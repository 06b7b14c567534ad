//! Uploads that are refused for good leave nothing behind and disturb nobody: server history, section 5.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::ClientMessage;
use bailiwick_protocol::version::{ClientVersion, ServerVersion};
use bytes::Bytes;

use crate::changesets;
use crate::changesets::{asymmetric, contradicting_schema, inapplicable, item, schema, unruly};
use crate::peer::{entry, upload};
use crate::service::Service;

const HERE: &str = r#""here""#;

/// A device uploads `bad`, between two changesets that are in order, on top of the server version `base`.
async fn check(what: &str, bad: Bytes, base: u64, (code, action): (ErrorCode, Action)) {
    let service = Service::start().await;
    let login = service.log_in().await;
    let mut neighbour = service.connect(9).await;
    neighbour.open(1, HERE).await;
    let version = neighbour.write(1, &[schema(), item(1, "one")]).await;
    neighbour.acknowledged(1, version).await;

    let mut device = service.connect_as(&login, 9).await;
    device.open(1, HERE).await;
    device.open(2, r#""elsewhere""#).await;
    let good = |id| if base == 0 { schema() } else { item(id, "good") };
    let entries = [entry(2, base, good(10)), entry(3, base, bad), entry(4, base, good(11))];
    device.send(ClientMessage::Upload(upload(1, (4, base), base, &entries))).await;
    let error = device.next_error().await;
    assert_eq!((error.session().0, error.code()), (1, code), "{what}: {error:?}");
    assert_eq!(error.body().action, action, "{what}");
    // What it sends before it has heard of the error is not integrated either.
    let late = entry(5, base, good(12));
    device.send(ClientMessage::Upload(upload(1, (5, base), base, &[late]))).await;

    // Its own other session goes on, and so does the partition.
    device.mark(2, 1).await;
    device.expect_mark(2, 1).await;
    let version = neighbour.write(1, &[item(2, "two")]).await;
    neighbour.acknowledged(1, version).await;
    assert_eq!(neighbour.file(1).download.server_version, ServerVersion(3), "{what}");
    assert!(neighbour.file(1).entries.is_empty(), "{what}: nothing of it came");

    // The client file has nothing integrated, and can go on from there.
    let file = device.file(1).clone();
    device.unbind(1).await;
    let download = device.open_again(1, HERE, file).await;
    assert_eq!(download.header.upload_cursor.client_version, ClientVersion(0), "{what}");
    let retry = [entry(2, base, good(10))];
    device.send(ClientMessage::Upload(upload(1, (2, base), base, &retry))).await;
    device.acknowledged(1, ClientVersion(2)).await;
    assert_eq!(device.file(1).download.server_version, ServerVersion(4), "{what}");
}

const BAD: (ErrorCode, Action) = (ErrorCode::BadChangeset, Action::ProtocolViolation);

#[tokio::test]
async fn a_changeset_that_does_not_decode_is_refused() {
    check("an unknown instruction", Bytes::from_static(b"\x63"), 2, BAD).await;
    let mut cut = item(5, "five").to_vec();
    cut.pop();
    check("cut at the end", cut.into(), 2, BAD).await;
    check("bytes of something else", Bytes::from_static(b"{\"a\":1}"), 2, BAD).await;
}

#[tokio::test]
async fn a_changeset_that_breaks_a_rule_is_refused() {
    check("a class without a name", unruly(), 2, BAD).await;
}

#[tokio::test]
async fn a_changeset_that_cannot_be_merged_is_refused() {
    check("a concurrent class with another key", contradicting_schema(), 0, BAD).await;
}

#[tokio::test]
async fn a_changeset_that_cannot_be_applied_is_refused() {
    check("an object of no class", inapplicable(), 2, BAD).await;
    check("a class with another key", contradicting_schema(), 2, BAD).await;
}

/// Devices refuse to open a partition-based realm that has such a class.
#[tokio::test]
async fn an_asymmetric_class_is_refused() {
    let verdict = (ErrorCode::InvalidSchemaChange, Action::ApplicationBug);
    check("an asymmetric class", asymmetric(), 2, verdict).await;
}

#[tokio::test]
async fn a_refused_upload_does_not_take_a_good_one_of_the_same_batch_along() {
    let service = Service::start().await;
    let mut good = service.connect(9).await;
    good.open(1, HERE).await;
    let version = good.write(1, &[schema()]).await;
    good.acknowledged(1, version).await;
    // Whatever gathers while a commit runs is integrated together; in any grouping the outcome is this.
    for round in 0..10 {
        let mut bad = service.connect(9).await;
        bad.open(1, HERE).await;
        bad.write(1, &[item(100 + round, "lost"), changesets::unruly()]).await;
        let version = good.write(1, &[item(round, "kept")]).await;
        good.acknowledged(1, version).await;
        bad.refused(1, ErrorCode::BadChangeset).await;
    }
    let mut reader = service.connect(9).await;
    reader.open(1, HERE).await;
    assert_eq!(reader.file(1).entries.len(), 11);
}
