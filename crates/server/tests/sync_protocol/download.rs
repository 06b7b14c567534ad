//! What DOWNLOADs carry, and when: wire protocol, sections 4.3, 5.4 and 5.6. The device's own checks are
//! made by the peer for each of them.

use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::{Body, Pong, ServerMessage};
use bailiwick_protocol::version::{ClientVersion, DownloadCursor, ServerVersion};
use bytes::Bytes;

use crate::changesets::{item, schema};
use crate::peer::Peer;
use crate::service::Service;

const HERE: &str = r#""here""#;

#[tokio::test]
async fn a_session_starts_with_one_download_even_if_there_is_nothing() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    let download = device.open(1, HERE).await;
    assert!(download.body.is_empty());
    assert_eq!(download.header.download_cursor, DownloadCursor::default());
    assert_eq!(download.header.downloadable_bytes, 0);
    device.expect_silence().await;
    device.mark(1, 1).await;
    device.expect_mark(1, 1).await;
    // Also for a device that has everything.
    let version = device.write(1, &[schema()]).await;
    device.acknowledged(1, version).await;
    let file = device.close(1).await;
    let download = device.open_again(2, HERE, file).await;
    assert!(download.body.is_empty());
    device.expect_silence().await;
}

#[tokio::test]
async fn what_one_device_uploads_the_others_download() {
    let service = Service::start().await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let mut reader = service.connect(14).await;
    reader.open(1, HERE).await;
    let ident = writer.file(1).ident;
    for (round, changeset) in (1..).zip([schema(), item(1, "one"), item(2, "two")]) {
        let version = writer.write(1, std::slice::from_ref(&changeset)).await;
        writer.acknowledged(1, version).await;
        reader.downloaded(1, round).await;
        let entry = reader.file(1).entries.last().unwrap();
        assert_eq!(entry.server_version, ServerVersion(round));
        assert_eq!(entry.origin_file_ident, ident);
        assert_eq!(entry.changeset, changeset);
        assert_eq!(entry.last_integrated_client_version, ClientVersion(0));
    }
    reader.expect_silence().await;
    writer.expect_silence().await;
}

/// Any number of entries may have nothing in them, and looking for the next one that has takes a thread.
#[tokio::test]
async fn a_long_history_without_anything_in_it_comes_in_several_downloads() {
    let service = Service::start().await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    for _ in 0..2 {
        let version = writer.write(1, &vec![Bytes::new(); 35_000]).await;
        writer.acknowledged(1, version).await;
    }
    let version = writer.write(1, &[schema()]).await;
    writer.acknowledged(1, version).await;

    let mut reader = service.connect(9).await;
    let first = reader.open(1, HERE).await;
    assert!(first.body.is_empty());
    assert_eq!(first.header.download_cursor.server_version, ServerVersion(65_536));
    assert!(first.header.downloadable_bytes > 0);
    reader.mark(1, 1).await;
    reader.downloaded(1, 70_001).await;
    reader.expect_mark(1, 1).await;
    assert_eq!(reader.file(1).entries.len(), 1);
}

#[tokio::test]
async fn an_entry_says_which_own_versions_are_before_it() {
    let service = Service::start().await;
    let (mut a, mut b) = (service.connect(9).await, service.connect(9).await);
    a.open(1, HERE).await;
    let version = a.write(1, &[schema()]).await;
    a.acknowledged(1, version).await;
    b.open(1, HERE).await;
    for id in 0..3 {
        for device in [&mut a, &mut b] {
            let version = device.write(1, &[item(id, "both")]).await;
            device.acknowledged(1, version).await;
        }
    }
    a.downloaded(1, 7).await;
    let seen: Vec<_> = a
        .file(1)
        .entries
        .iter()
        .map(|entry| (entry.server_version.0, entry.last_integrated_client_version.0))
        .collect();
    assert_eq!(seen.last(), Some(&(7, 4)), "{seen:?}");
    assert!(seen.iter().all(|&(version, own)| own <= version.div_ceil(2)), "{seen:?}");
    assert!(a.file(1).entries.iter().all(|entry| entry.origin_file_ident == b.file(1).ident));
    assert_ne!(a.file(1).ident, FileIdent::SERVER);
}

#[tokio::test]
async fn a_body_above_1024_bytes_is_compressed_if_that_makes_it_smaller() {
    let service = Service::start().await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let mut noise = String::new();
    let mut state = 1_u32;
    while noise.len() < 1400 {
        // Cannot be compressed: any UTF-8 text of random letters would be, by a quarter.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.extend(char::from_u32(0x1_0000 + (state >> 8) % 0xF_0000));
    }
    let mut reader = service.connect(9).await;
    reader.open(1, HERE).await;
    let version = writer.write(1, &[schema()]).await;
    writer.acknowledged(1, version).await;
    reader.downloaded(1, 1).await;
    for (head, name, expected) in [
        (2, "x".repeat(900), Some(false)),
        (3, "x".repeat(1400), Some(true)),
        (4, noise, None),
        (5, "y".repeat(200_000), Some(true)),
    ] {
        let len = name.len();
        let version = writer.write(1, &[item(head, &name)]).await;
        writer.acknowledged(1, version).await;
        let download = reader.next_download().await;
        assert_eq!(download.header.download_cursor.server_version, ServerVersion(head));
        // The peer checks that nothing is compressed to more than it was.
        if let Some(expected) = expected {
            let is_compressed = matches!(download.body, Body::Compressed { .. });
            assert_eq!(is_compressed, expected, "{len} bytes");
        }
    }
}

#[tokio::test]
async fn a_long_history_comes_in_batches_that_end_above_the_soft_limit() {
    let service = Service::with(|_, config| config.realms.download_soft_limit = 1000).await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let len = item(100, &"x".repeat(400)).len();
    let mut version = writer.write(1, &[schema()]).await;
    for id in 100..130 {
        version = writer.write(1, &[item(id, &"x".repeat(400))]).await;
    }
    writer.acknowledged(1, version).await;
    let mut reader = service.connect(9).await;
    reader.open(1, HERE).await;
    let (mut batches, mut before) = (1, 0);
    let mut left = u64::MAX;
    while reader.file(1).download.server_version < ServerVersion(31) {
        let batch = &reader.file(1).entries[before..];
        assert!((1..=4).contains(&batch.len()), "{}", batch.len());
        let all: usize = batch.iter().map(|entry| entry.changeset.len()).sum();
        let without_last = all - batch.last().unwrap().changeset.len();
        assert!(all > 1000 && without_last <= 1000, "{all} bytes of {len} each");
        before = reader.file(1).entries.len();
        let download = reader.next_download().await;
        assert_eq!(download.header.latest_server_version.version, ServerVersion(31));
        assert!(download.header.downloadable_bytes < left);
        left = download.header.downloadable_bytes;
        batches += 1;
    }
    assert_eq!(left, 0);
    assert!(batches >= 10, "{batches}");
    assert_eq!(reader.file(1).entries.len(), 31);
}

#[tokio::test]
async fn a_changeset_above_the_limit_comes_alone() {
    let service = Service::with(|_, config| config.realms.download_soft_limit = 1000).await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    let big = "x".repeat(3_000_000);
    let version = writer.write(1, &[schema(), item(1, &big), item(2, "small")]).await;
    writer.acknowledged(1, version).await;
    let mut reader = service.connect(9).await;
    reader.open(1, HERE).await;
    reader.downloaded(1, 3).await;
    assert_eq!(reader.file(1).entries[1].changeset, item(1, &big));
}

/// Fills `partition` with `count` changesets of 300,000 bytes.
async fn fill(writer: &mut Peer, session: u64, partition: &str, count: u64) {
    writer.open(session, partition).await;
    let mut version = writer.write(session, &[schema()]).await;
    for id in 0..count {
        version = writer.write(session, &[item(id, &"z".repeat(300_000))]).await;
    }
    writer.acknowledged(session, version).await;
}

#[tokio::test]
async fn sessions_of_a_connection_take_turns() {
    let service = Service::with(|_, config| config.realms.download_soft_limit = 1000).await;
    let mut writer = service.connect(9).await;
    fill(&mut writer, 1, r#""long""#, 40).await;
    fill(&mut writer, 2, r#""short""#, 2).await;
    let mut reader = service.connect(9).await;
    reader.allocate(1, r#""long""#).await;
    reader.allocate(2, r#""short""#).await;
    reader.identify(1).await;
    reader.identify(2).await;
    let mut of_long = 0;
    while reader.file(2).download.server_version < ServerVersion(3) {
        if reader.next_download().await.header.session.0 == 1 {
            of_long += 1;
        }
    }
    assert!(of_long < 20, "{of_long} of the long one before 3 of the short one");
    reader.downloaded(1, 41).await;
}

#[tokio::test]
async fn a_ping_is_answered_before_downloads_that_wait() {
    let service = Service::with(|_, config| config.realms.download_soft_limit = 1000).await;
    let mut writer = service.connect(9).await;
    fill(&mut writer, 1, HERE, 40).await;
    let mut reader = service.connect(9).await;
    reader.allocate(1, HERE).await;
    reader.identify(1).await;
    reader.next_download().await;
    let timestamp_ms = reader.ping().await;
    let mut before = 0;
    while reader.next().await != (ServerMessage::Pong(Pong { timestamp_ms })) {
        before += 1;
    }
    assert!(before < 20, "{before} DOWNLOADs before the PONG");
    reader.downloaded(1, 41).await;
}
