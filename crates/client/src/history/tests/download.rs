//! Integration: what is refused, and what is left of the history.

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::CursorError;

use super::*;
use crate::history::ProtocolViolation;

/// A device that has integrated a dog at server version 2, and resized it in versions 4 and 5.
fn device() -> Device {
    let device = Device::new();
    let entries = [entry(1, 0, &declare()), entry(2, 0, &create(1))];
    assert!(device.download(&header((2, 0), 2, (0, 0)), &entries).unwrap());
    device.write(10, resize(1, 10));
    device.write(20, resize(1, 20));
    assert_eq!(device.snapshot().state().version, ClientVersion(5));
    device
}

/// A DOWNLOAD is refused, and nothing is different afterwards.
fn refused(
    device: &Device,
    header: &DownloadHeader,
    entries: &[DownloadEntry],
) -> IntegrationError {
    let before = (device.snapshot().state().clone(), device.history(), device.size(1));
    let error = device.download(header, entries).expect_err("it is refused");
    assert_eq!(before, (device.snapshot().state().clone(), device.history(), device.size(1)));
    error
}

#[track_caller]
fn violates(header: &DownloadHeader, entries: &[DownloadEntry], expected: &ProtocolViolation) {
    let device = device();
    assert!(device.download(&self::header((3, 4), 5, (4, 2)), &[]).unwrap());
    match refused(&device, header, entries) {
        IntegrationError::Protocol(found) => assert_eq!(found, *expected),
        other => panic!("{other}"),
    }
}

#[test]
fn cursors_do_not_go_back() {
    let goes_back = |what, header: DownloadHeader| {
        violates(&header, &[], &ProtocolViolation::GoesBack(what));
    };
    goes_back("latest server version", header((4, 4), 4, (4, 2)));
    goes_back("upload cursor", header((4, 3), 6, (3, 2)));
    goes_back("download cursor", header((2, 4), 6, (5, 2)));
    goes_back("last integrated client version", header((4, 3), 6, (4, 2)));
}

#[test]
fn cursors_do_not_contradict_each_other() {
    violates(&header((7, 4), 6, (4, 2)), &[], &CursorError::BeyondHead.into());
    violates(&header((6, 5), 6, (4, 2)), &[], &CursorError::Unacknowledged.into());
    violates(&header((6, 4), 6, (5, 7)), &[], &CursorError::NotIntegrated.into());
    violates(&header((6, 4), 6, (7, 2)), &[], &ProtocolViolation::NotWritten);
}

#[test]
fn entries_lead_from_cursor_to_cursor() {
    let header = header((6, 5), 6, (5, 2));
    let version = |of| ProtocolViolation::ServerVersion(ServerVersion(of));
    violates(&header, &[entry(3, 4, &resize(1, 1))], &version(3));
    violates(&header, &[entry(7, 4, &resize(1, 1))], &version(7));
    violates(&header, &[entry(5, 4, &resize(1, 1)), entry(5, 4, &resize(1, 1))], &version(5));
    let client_version = |of| ProtocolViolation::ClientVersion(ServerVersion(of));
    violates(&header, &[entry(5, 3, &resize(1, 1))], &client_version(5));
    violates(&header, &[entry(5, 6, &resize(1, 1))], &client_version(5));
    violates(
        &header,
        &[entry(5, 5, &resize(1, 1)), entry(6, 4, &resize(1, 1))],
        &client_version(6),
    );
}

#[test]
fn entries_are_written_by_others() {
    for author in [FileIdent::SELF, OWN] {
        let entry = DownloadEntry { origin_file_ident: author, ..entry(4, 4, &resize(1, 1)) };
        let header = header((4, 4), 5, (4, 2));
        violates(&header, &[entry], &ProtocolViolation::Author(ServerVersion(4)));
    }
}

#[test]
fn a_body_consists_of_entries() {
    let device = device();
    let entries = Download::entries(Bytes::from_static(b"3 0 1 3 1 100 short"));
    let (snapshot, header) = (device.snapshot(), header((3, 0), 3, (0, 0)));
    let outcome = integrate(&snapshot, &mut Unintegrated::default(), &header, entries);
    assert!(matches!(outcome, Err(IntegrationError::Protocol(ProtocolViolation::Entry(_)))));
}

#[test]
fn nothing_is_integrated_without_a_client_file() {
    let device = Device::nameless();
    let error =
        device.download(&header((1, 0), 1, (0, 0)), &[entry(1, 0, &declare())]).unwrap_err();
    assert!(matches!(error, IntegrationError::Protocol(ProtocolViolation::NoClientFile)));
    assert_eq!(error.code(), None);
}

#[test]
fn an_acknowledgement_on_an_earlier_base_is_bad_progress() {
    let device = device();
    assert!(device.download(&header((3, 4), 3, (4, 2)), &[]).unwrap());
    let error = refused(&device, &header((3, 4), 3, (5, 1)), &[]);
    assert_eq!(error.code(), Some(ErrorCode::BadProgress), "{error}");
}

#[test]
fn one_bad_changeset_refuses_all() {
    let check = |bad: DownloadEntry, text: &str| {
        let entries = [entry(3, 0, &create(2)), bad];
        let error = refused(&device(), &header((4, 0), 4, (0, 0)), &entries);
        assert_eq!(error.code(), Some(ErrorCode::BadChangeset), "{error}");
        assert_eq!(error.to_string(), text);
    };
    let noise =
        DownloadEntry { changeset: Bytes::from_static(b"noise"), ..entry(4, 0, &create(1)) };
    check(noise, "the changeset of server version 4 is malformed");
    check(entry(4, 0, &resize(7, 1)), "the changeset of server version 4 cannot be applied");
}

#[test]
fn a_contradiction_names_the_changesets() {
    let device = Device::new();
    device.write(1, declare());
    let mut other = declare();
    let Instruction::AddTable { kind: TableKind::TopLevel(key), .. } = &mut other.instructions[0]
    else {
        panic!("it declares a class")
    };
    key.key_type = KeyType::String;
    let error = refused(&device, &header((1, 0), 1, (0, 0)), &[entry(1, 0, &other)]);
    assert_eq!(error.code(), Some(ErrorCode::BadChangeset));
    let text =
        "one of the changesets of server versions 1 to 1 contradicts that of client version 3";
    assert_eq!(error.to_string(), text);
}

#[test]
fn what_was_integrated_is_not_integrated_again() {
    let device = device();
    let mut add = Changeset::default();
    let [table, field] = ["Dog", "size"].map(|text| add.strings.intern(text));
    let target = Target { table, object: ObjectKey::Int(1), field, path: Path::new() };
    add.instructions.push(Instruction::AddInteger { target, value: 1 });

    let (first, second) = (header((3, 0), 3, (0, 0)), header((4, 0), 4, (0, 0)));
    assert!(device.download(&first, &[entry(3, 0, &add)]).unwrap());
    assert!(device.download(&second, &[entry(4, 0, &add)]).unwrap());
    let state = device.snapshot().state().clone();
    assert!(!device.download(&second, &[entry(4, 0, &add)]).unwrap());
    assert!(!device.download(&first, &[entry(3, 0, &add)]).unwrap());
    assert_eq!((device.size(1), device.snapshot().state()), (Some(22), &state));
}

#[test]
fn a_download_without_changesets_brings_progress() {
    let device = device();
    let mut header = header((5, 0), 8, (0, 0));
    header.downloadable_bytes = 100;
    assert!(device.download(&header, &[]).unwrap());
    let state = device.snapshot().state().clone();
    assert_eq!(state.version, ClientVersion(6));
    assert_eq!(state.progress.download, header.download_cursor);
    assert_eq!(state.progress.latest, header.latest_server_version);
    assert_eq!(state.bytes.remaining, 100);
    assert!(!device.download(&header, &[]).unwrap());
    header.downloadable_bytes = 0;
    assert!(device.download(&header, &[]).unwrap(), "less is left");
}

#[test]
fn only_what_a_merge_changed_has_another_form() {
    let device = device();
    device.write(30, fill(1, 3));
    let forms = || device.history().into_iter().map(|entry| entry.reciprocal).collect::<Vec<_>>();
    assert_eq!(forms(), [None, None, None, None], "versions 3 to 6");
    assert!(device.download(&header((3, 0), 3, (0, 0)), &[entry(3, 0, &resize(1, 1))]).unwrap());
    // The other device's size is later than both of ours; nobody else has filled the dog.
    assert_eq!(device.size(1), Some(1));
    assert_eq!(forms(), [Some(Bytes::new()), Some(Bytes::new()), None, None], "versions 4 to 7");
    assert!(device.history()[0].is_uploadable(), "what is uploaded is what was written");
}

#[test]
fn what_the_server_had_integrated_is_not_merged_again() {
    let device = device();
    // It had the first of two sizes, which its changeset replaces; the second one comes later.
    let download = header((4, 4), 4, (5, 2));
    let remote =
        DownloadEntry { origin_timestamp: OriginTimestamp(1), ..entry(4, 4, &resize(1, 1)) };
    assert!(device.download(&download, &[remote]).unwrap());
    assert_eq!(device.size(1), Some(20));
    let forms: Vec<_> =
        device.history().into_iter().map(|it| (it.version.0, it.reciprocal)).collect();
    assert_eq!(forms, [(5, None), (6, None)]);
}

#[test]
fn what_nobody_needs_any_more_is_trimmed() {
    let device = device();
    // The file's ident and the first DOWNLOAD wait for nothing but a successor.
    assert_eq!(device.versions(), [3, 4, 5]);
    assert!(device.download(&header((3, 0), 3, (5, 2)), &[]).unwrap());
    assert_eq!(device.versions(), [4, 5, 6]);
    // Acknowledged is not integrated at our cursor.
    assert!(device.download(&header((4, 4), 4, (5, 2)), &[]).unwrap());
    assert_eq!(device.versions(), [5, 6, 7]);
    assert!(device.download(&header((5, 5), 5, (5, 2)), &[]).unwrap());
    assert_eq!(device.versions(), [8]);
}

#[test]
fn bytes_are_counted() {
    let device = device();
    let len = resize(1, 10).encode().len() as u64;
    let before = device.snapshot().state().bytes;
    assert_eq!((before.uploadable, before.uploaded), (2 * len, 0));
    let remote = DownloadEntry { original_changeset_len: 1_000, ..entry(3, 0, &resize(1, 1)) };
    assert!(device.download(&header((3, 0), 3, (4, 2)), &[remote]).unwrap());
    let after = device.snapshot().state().bytes;
    assert_eq!(after.downloaded, before.downloaded + 1_000);
    assert_eq!((after.uploadable, after.uploaded), (2 * len, len));
}

#[test]
fn any_sizes_are_counted() {
    let device = device();
    for version in 3..6 {
        // As much as the wire can say.
        let original_changeset_len = i64::MAX.unsigned_abs();
        let entry = DownloadEntry { original_changeset_len, ..entry(version, 0, &resize(1, 1)) };
        assert!(device.download(&header((version, 0), version, (0, 0)), &[entry]).unwrap());
    }
    assert_eq!(device.snapshot().state().bytes.downloaded, u64::MAX);
}
