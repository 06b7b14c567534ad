//! Bodies: compression, what a hostile one costs, entries.

use std::io::Write as _;

use bailiwick_protocol::error_code::ConnectionCode;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::limits::{COMPRESSION_THRESHOLD, DEFAULT_MAX_PLAIN_LEN};
use bailiwick_protocol::message::{
    Body, ClientMessage, Download, DownloadEntry, DownloadHeader, EntryError, InflateError,
    Refusal, ServerMessage, Upload, UploadEntry, UploadHeader,
};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::version;

fn zlib(plain: &[u8], level: u32) -> Bytes {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap().into()
}

fn compressed(uncompressed_len: u64, bytes: impl Into<Bytes>) -> Body {
    Body::Compressed { uncompressed_len, bytes: bytes.into() }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect::<Vec<_>>().into()
}

#[test]
fn a_body_is_compressed_above_the_threshold_if_that_makes_it_smaller() {
    let check = |plain: Bytes, is_compressed| {
        let body = Body::compress(plain.clone());
        assert_eq!(matches!(body, Body::Compressed { .. }), is_compressed, "{}", plain.len());
        assert!(body.len() <= plain.len());
        assert_eq!(body.inflate(plain.len()).unwrap(), plain);
    };
    check(Bytes::new(), false);
    check(vec![0; COMPRESSION_THRESHOLD].into(), false);
    check(vec![0; COMPRESSION_THRESHOLD + 1].into(), true);
    check(vec![0; 1 << 20].into(), true);
    check(noise(COMPRESSION_THRESHOLD + 1), false);
    check(noise(1 << 20), false);
}

#[test]
fn devices_start_their_streams_with_the_same_bytes() {
    let Body::Compressed { bytes, .. } = Body::compress(vec![7; 5000].into()) else { panic!() };
    assert_eq!(bytes[..2], [0x78, 0x01]);
}

#[test]
fn any_level_inflates() {
    let plain: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    for level in 0..=9 {
        let body = compressed(200_000, zlib(&plain, level));
        assert_eq!(body.inflate(DEFAULT_MAX_PLAIN_LEN).unwrap(), plain);
    }
}

#[test]
fn a_stream_yields_exactly_what_is_announced() {
    let plain = vec![b'x'; 3000];
    let stream = zlib(&plain, 6);
    let check = |announced, bytes: &[u8], expected: &str| {
        let error = compressed(announced, bytes.to_vec()).inflate(1 << 20).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.refusal(), Refusal::Error(ConnectionCode::OtherError));
    };
    assert_eq!(compressed(3000, stream.clone()).inflate(3000).unwrap(), plain);
    check(2999, &stream, "the body inflates to 3000 bytes, 2999 are announced");
    check(3001, &stream, "the body inflates to 3000 bytes, 3001 are announced");
    check(1, &stream, "the body inflates to 2 bytes, 1 are announced");
    check(0, &stream, "the body inflates to 1 bytes, 0 are announced");
    let mut more = stream.to_vec();
    more.push(0);
    check(3000, &more, "the zlib stream does not end with the message");
    for len in 3..stream.len() {
        check(3000, &stream[..len], "the zlib stream does not end with the message");
    }
    let mut wrong_checksum = stream.to_vec();
    *wrong_checksum.last_mut().unwrap() ^= 1;
    check(3000, &wrong_checksum, "the body is not a zlib stream");
    check(3000, b"not a zlib stream", "the body is not a zlib stream");
    // The header asks for a dictionary, which the protocol does not have.
    check(3000, b"\x78\x20\x00\x00\x00\x01abc", "the body is not a zlib stream");
    check(1, b"", "0 bytes can't inflate to the announced 1");
}

#[test]
fn nothing_is_no_stream() {
    let error = compressed(0, Bytes::new()).inflate(10).unwrap_err();
    assert!(matches!(error, InflateError::WrongEnd), "{error}");
    assert_eq!(compressed(0, zlib(b"", 1)).inflate(10).unwrap(), Bytes::new());
}

#[test]
fn an_announced_size_is_bounded_before_it_is_believed() {
    let check = |announced, limit| {
        let error = compressed(announced, zlib(b"x", 1)).inflate(limit).unwrap_err();
        assert!(matches!(error, InflateError::TooLarge { .. }), "{error}");
    };
    check(u64::MAX, usize::MAX >> 1);
    check(i64::MAX.unsigned_abs(), DEFAULT_MAX_PLAIN_LEN);
    check(1025, 1024);
    let error = Body::Plain(vec![0; 1025].into()).inflate(1024).unwrap_err();
    assert!(matches!(error, InflateError::TooLarge { announced: 1025, limit: 1024 }), "{error}");
}

#[test]
fn a_short_stream_can_not_claim_much_memory() {
    let stream = zlib(b"x", 1);
    let error = compressed(1 << 40, stream.clone()).inflate(usize::MAX).unwrap_err();
    assert!(
        matches!(error, InflateError::Implausible { announced: 0x100_0000_0000, .. }),
        "{error}"
    );
    // The densest stream that there is stays within what is plausible.
    let plain = vec![0; 2 << 20];
    let body = compressed(2 << 20, zlib(&plain, 9));
    assert!(body.len() < plain.len() / 1000, "{}", body.len());
    assert_eq!(body.inflate(DEFAULT_MAX_PLAIN_LEN).unwrap(), plain);
}

fn upload_entries(sizes: &[usize]) -> Vec<UploadEntry> {
    let entry = |(version, &len): (u64, &usize)| UploadEntry {
        client_version: ClientVersion(version),
        last_integrated_server_version: ServerVersion(10 * version),
        origin_timestamp: OriginTimestamp(375_249_941_155),
        origin_file_ident: FileIdent::SELF,
        changeset: vec![b' '; len].into(),
    };
    (2..).zip(sizes).map(entry).collect()
}

fn download_entries(sizes: &[usize]) -> Vec<DownloadEntry> {
    let entry = |(version, &len): (u64, &usize)| DownloadEntry {
        server_version: ServerVersion(version),
        last_integrated_client_version: ClientVersion(0),
        origin_timestamp: OriginTimestamp(1),
        origin_file_ident: FileIdent::SERVER,
        original_changeset_len: 99,
        changeset: noise(len),
    };
    (2..).zip(sizes).map(entry).collect()
}

const SIZES: [&[usize]; 6] =
    [&[], &[0], &[0, 0, 1], &[9, 10, 11, 99, 100], &[1000], &[5000, 0, 70_000]];

#[test]
fn an_upload_made_from_entries_is_the_message_of_their_body() {
    let header = UploadHeader {
        session: SessionIdent(7),
        progress: UploadCursor {
            client_version: ClientVersion(9),
            last_integrated_server_version: ServerVersion(8),
        },
        locked_server_version: ServerVersion(6),
    };
    for sizes in SIZES {
        let entries = upload_entries(sizes);
        let payload = Bytes::from(header.print_with(&entries));
        let message = ClientMessage::parse(version(9), &payload).unwrap();
        let body = Body::from_entries(&entries);
        assert_eq!(message, ClientMessage::Upload(Upload { header, body: body.clone() }));
        assert_eq!(message.print(), payload);
        let plain = body.inflate(1 << 20).unwrap();
        assert_eq!(Upload::entries(plain).collect::<Result<Vec<_>, _>>(), Ok(entries));
    }
}

#[test]
fn a_download_made_from_entries_is_the_message_of_their_body() {
    let header = DownloadHeader {
        session: SessionIdent(1),
        download_cursor: DownloadCursor {
            server_version: ServerVersion(7),
            last_integrated_client_version: ClientVersion(2),
        },
        latest_server_version: SaltedVersion { version: ServerVersion(8), salt: Salt(777) },
        upload_cursor: UploadCursor {
            client_version: ClientVersion(4),
            last_integrated_server_version: ServerVersion(3),
        },
        downloadable_bytes: 12,
    };
    for sizes in SIZES {
        let entries = download_entries(sizes);
        let payload = Bytes::from(header.print_with(&entries));
        let message = ServerMessage::parse(version(9), &payload).unwrap();
        let body = Body::from_entries(&entries);
        assert_eq!(message, ServerMessage::Download(Download { header, body: body.clone() }));
        assert_eq!(message.print(), payload);
        let plain = body.inflate(1 << 20).unwrap();
        assert_eq!(Download::entries(plain).collect::<Result<Vec<_>, _>>(), Ok(entries));
    }
}

#[test]
fn changesets_share_the_memory_of_the_message() {
    let payload = Bytes::from_static(b"upload 1 0 13 0 5 1 1\n2 0 9 0 3 abc");
    let ClientMessage::Upload(upload) = ClientMessage::parse(version(9), &payload).unwrap() else {
        panic!("an upload is an upload");
    };
    let plain = upload.body.inflate(100).unwrap();
    let entry = Upload::entries(plain).next().unwrap().unwrap();
    assert_eq!(entry.changeset.as_ptr(), payload[payload.len() - 3..].as_ptr());
}

#[test]
fn a_malformed_entry_is_named() {
    let check = |body: &str, index: usize, offset: usize, text: &str| {
        let entries: Vec<Result<UploadEntry, EntryError>> =
            Upload::entries(Bytes::copy_from_slice(body.as_bytes())).collect();
        assert_eq!(entries.len(), index + 1, "{body:?}: it ends after the error");
        let error = *entries[index].as_ref().expect_err(body);
        assert_eq!((error.index, error.offset), (index, offset), "{body:?}");
        let expected = format!("entry {index}, at byte {offset} of the body: {text}");
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.refusal(), Refusal::Error(ConnectionCode::BadSyntax));
    };
    check("x", 0, 0, "client_version: a digit is missing");
    check("2", 0, 0, "client_version: not followed by its separator");
    check("2 ", 0, 2, "server_version: a digit is missing");
    check("2  0 9 0 0 ", 0, 2, "server_version: a digit is missing");
    check("2 0 9 0 0", 0, 8, "changeset_size: not followed by its separator");
    check("2 0 9 0 0\n", 0, 8, "changeset_size: not followed by its separator");
    check("2 0 9 0 01 x", 0, 8, "changeset_size: leading zero");
    check("2 0 -9 0 1 x", 0, 4, "origin_timestamp: a digit is missing");
    check("2 0 9 0 4 abc", 0, 10, "changeset_size: 4 bytes are announced, 3 are left");
    check(
        "2 0 9 0 9223372036854775807 abc",
        0,
        28,
        "changeset_size: 9223372036854775807 bytes are announced, 3 are left",
    );
    check("2 0 9 0 9223372036854775808 abc", 0, 8, "changeset_size: out of range");
    check("2 0 9 0 3 abc3 0 9 0 0 x", 2, 23, "client_version: a digit is missing");
    check("2 0 9 0 3 abc 3 0 9 0 0 ", 1, 13, "client_version: a digit is missing");
}
