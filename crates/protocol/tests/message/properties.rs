//! What holds for whatever bytes arrive, and for whatever is sent.

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::handshake::negotiate;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{
    Bind, Body, ClientError, ClientIdent, ClientMessage, Download, DownloadHeader, Entries, Mark,
    Ping, Pong, RequestIdent, ServerIdent, ServerMessage, Unbind, Unbound, Upload, UploadEntry,
    UploadHeader,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::version;

/// The greatest number that a field holds.
const MAX: u64 = i64::MAX.unsigned_abs();

/// A number of any length, as it may stand in a field.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_u64, 0..=MAX]
}

fn session() -> impl Strategy<Value = SessionIdent> {
    (1..=MAX).prop_map(SessionIdent)
}

fn cursor() -> impl Strategy<Value = DownloadCursor> {
    (number(), number()).prop_map(|(server, client)| DownloadCursor {
        server_version: ServerVersion(server),
        last_integrated_client_version: ClientVersion(client),
    })
}

fn progress() -> impl Strategy<Value = UploadCursor> {
    (number(), number()).prop_map(|(client, server)| UploadCursor {
        client_version: ClientVersion(client),
        last_integrated_server_version: ServerVersion(server),
    })
}

fn salted() -> impl Strategy<Value = SaltedVersion> {
    (number(), number()).prop_map(|(version, salt)| SaltedVersion {
        version: ServerVersion(version),
        salt: Salt(salt),
    })
}

fn body() -> impl Strategy<Value = Body> {
    let bytes = || vec(any::<u8>(), 0..100).prop_map(Bytes::from);
    prop_oneof![
        bytes().prop_map(Body::Plain),
        (number(), bytes())
            .prop_map(|(uncompressed_len, bytes)| Body::Compressed { uncompressed_len, bytes }),
    ]
}

fn mark() -> impl Strategy<Value = Mark> {
    (session(), number())
        .prop_map(|(session, request)| Mark { session, request_ident: RequestIdent(request) })
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    prop_oneof![
        (session(), "\\PC{1,50}", "[a-z.]{0,50}", any::<bool>(), any::<bool>()).prop_map(
            |(session, path, token, need_client_file_ident, is_subserver)| {
                let bind = Bind { session, path, token, need_client_file_ident, is_subserver };
                ClientMessage::Bind(bind)
            }
        ),
        (session(), number(), number(), cursor(), salted()).prop_map(
            |(session, ident, salt, download_cursor, latest_server_version)| {
                ClientMessage::Ident(ClientIdent {
                    session,
                    file_ident: FileIdent(ident),
                    file_ident_salt: Salt(salt),
                    download_cursor,
                    latest_server_version,
                })
            }
        ),
        (session(), progress(), number(), body()).prop_map(|(session, progress, locked, body)| {
            let locked_server_version = ServerVersion(locked);
            let header = UploadHeader { session, progress, locked_server_version };
            ClientMessage::Upload(Upload { header, body })
        }),
        mark().prop_map(ClientMessage::Mark),
        session().prop_map(|session| ClientMessage::Unbind(Unbind { session })),
        (number(), number()).prop_map(|(timestamp_ms, round_trip_time_ms)| {
            ClientMessage::Ping(Ping { timestamp_ms, round_trip_time_ms })
        }),
        (number(), any::<u32>(), "\\PC{0,50}").prop_map(|(session, code, body)| {
            let code = ErrorCode::from_number(code);
            ClientMessage::Error(ClientError { session: SessionIdent(session), code, body })
        }),
    ]
}

fn server_message() -> impl Strategy<Value = ServerMessage> {
    let download = (session(), cursor(), salted(), progress(), number(), body());
    prop_oneof![
        (session(), 1..=MAX, 1..=MAX).prop_map(|(session, ident, salt)| {
            ServerMessage::Ident(ServerIdent {
                session,
                file_ident: FileIdent(ident),
                file_ident_salt: Salt(salt),
            })
        }),
        download.prop_map(|(session, download_cursor, latest, upload_cursor, left, body)| {
            let header = DownloadHeader {
                session,
                download_cursor,
                latest_server_version: latest,
                upload_cursor,
                downloadable_bytes: left,
            };
            ServerMessage::Download(Download { header, body })
        }),
        mark().prop_map(ServerMessage::Mark),
        session().prop_map(|session| ServerMessage::Unbound(Unbound { session })),
        number().prop_map(|timestamp_ms| ServerMessage::Pong(Pong { timestamp_ms })),
    ]
}

fn entry() -> impl Strategy<Value = UploadEntry> {
    let numbers = (number(), number(), number(), number());
    (numbers, vec(any::<u8>(), 0..300)).prop_map(|((client, server, time, ident), changeset)| {
        UploadEntry {
            client_version: ClientVersion(client),
            last_integrated_server_version: ServerVersion(server),
            origin_timestamp: OriginTimestamp(time),
            origin_file_ident: FileIdent(ident),
            changeset: changeset.into(),
        }
    })
}

fn any_version() -> impl Strategy<Value = ProtocolVersion> {
    (2..=14_u8).prop_map(version)
}

/// One byte is changed, or left out, or doubled.
fn mutate(mut payload: Vec<u8>, at: prop::sample::Index, byte: u8, kind: u8) -> Vec<u8> {
    if payload.is_empty() {
        return payload;
    }
    let at = at.index(payload.len());
    match kind {
        0 => payload[at] = byte,
        1 => drop(payload.remove(at)),
        _ => payload.insert(at, byte),
    }
    payload
}

/// Bytes that stand in headers are found more often than others.
fn header_byte() -> impl Strategy<Value = u8> {
    prop_oneof![prop::sample::select(b"0123456789 \n-+".to_vec()), any::<u8>()]
}

/// Whatever is accepted prints as it came. Bodies are looked into as far as they go.
fn parse_both_ways(version: ProtocolVersion, payload: Vec<u8>) -> Result<(), TestCaseError> {
    let payload = Bytes::from(payload);
    if let Ok(message) = ClientMessage::parse(version, &payload) {
        prop_assert_eq!(Bytes::from(message.print()), &payload);
        if let ClientMessage::Upload(upload) = message
            && let Ok(plain) = upload.body.inflate(1 << 16)
        {
            Upload::entries(plain).for_each(drop);
        }
    }
    match ServerMessage::parse(version, &payload) {
        // JSON may be written in other ways; what we print of it stays.
        Ok(message @ (ServerMessage::JsonError(_) | ServerMessage::LogMessage(_))) => {
            let printed = Bytes::from(message.print());
            prop_assert_eq!(ServerMessage::parse(version, &printed).unwrap(), message);
        }
        Ok(message) => {
            prop_assert_eq!(Bytes::from(message.print()), &payload);
            if let ServerMessage::Download(download) = message
                && let Ok(plain) = download.body.inflate(1 << 16)
            {
                Download::entries(plain).for_each(drop);
            }
        }
        Err(_) => (),
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_a_device_sends_is_read_back(message in client_message()) {
        let payload = message.print().into();
        prop_assert_eq!(ClientMessage::parse(version(14), &payload).unwrap(), message);
    }

    #[test]
    fn what_a_server_sends_is_read_back(message in server_message()) {
        let payload = message.print().into();
        prop_assert_eq!(ServerMessage::parse(version(14), &payload).unwrap(), message);
    }

    #[test]
    fn entries_are_read_back(entries in vec(entry(), 0..20)) {
        let body = Body::from_entries(&entries);
        let plain = body.inflate(1 << 20).unwrap();
        let again: Vec<UploadEntry> = Entries::new(plain).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(again, entries);
    }

    #[test]
    fn any_bytes_are_survived(version in any_version(), payload in vec(any::<u8>(), 0..300)) {
        parse_both_ways(version, payload)?;
    }

    #[test]
    fn any_header_is_survived(
        version in any_version(),
        payload in "(bind|ident|upload|download|mark|unbind|unbound|ping|pong|error|json_error|log_message)( [0-9]{0,20}){0,12}\n?[ -~]{0,20}",
    ) {
        parse_both_ways(version, payload.into_bytes())?;
    }

    #[test]
    fn a_damaged_message_of_a_device_is_refused_or_prints_as_it_came(
        message in client_message(), at: prop::sample::Index, byte in header_byte(), kind in 0..3_u8,
    ) {
        parse_both_ways(version(14), mutate(message.print(), at, byte, kind))?;
    }

    #[test]
    fn a_damaged_message_of_a_server_is_refused_or_prints_as_it_came(
        message in server_message(), at: prop::sample::Index, byte in header_byte(), kind in 0..3_u8,
    ) {
        parse_both_ways(version(14), mutate(message.print(), at, byte, kind))?;
    }

    #[test]
    fn a_damaged_stream_yields_what_was_announced_or_nothing(
        plain in vec(0..4_u8, 1500..3000), at: prop::sample::Index, byte: u8, kind in 0..3_u8,
    ) {
        let Body::Compressed { uncompressed_len, bytes } = Body::compress(plain.into()) else {
            return Err(TestCaseError::fail("so regular a body is compressed"));
        };
        let damaged = mutate(bytes.to_vec(), at, byte, kind).into();
        if let Ok(plain) = (Body::Compressed { uncompressed_len, bytes: damaged }).inflate(3000) {
            prop_assert_eq!(u64::try_from(plain.len()).unwrap(), uncompressed_len);
        }
    }

    #[test]
    fn any_offer_is_survived(headers in vec(vec(any::<u8>(), 0..100), 0..4)) {
        let headers = headers.iter().map(Vec::as_slice);
        let _ = negotiate(headers, ProtocolVersion::MIN..=ProtocolVersion::MAX);
    }

    /// The answer is one of the tokens, to the letter.
    #[test]
    fn the_answer_is_a_part_of_the_offer(
        tokens in vec("(com.mongodb.realm-(query-)?sync|chat)[#/-]?[0-9]{0,3}", 0..10),
    ) {
        let header = tokens.join(",");
        let spoken = ProtocolVersion::MIN..=ProtocolVersion::MAX;
        if let Ok(agreement) = negotiate([header.as_bytes()], spoken) {
            prop_assert!(tokens.iter().any(|token| token == agreement.token));
            let number = agreement.version.to_string();
            prop_assert!(agreement.token.ends_with(&number));
        }
    }
}
