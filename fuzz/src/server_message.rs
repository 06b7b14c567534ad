//! What a server sends to a device, which may not trust it: messages of all versions, the entries of a DOWNLOAD.

use bailiwick_protocol::ident::{Salt, SessionIdent};
use bailiwick_protocol::message::{Body, Download, DownloadHeader, ServerMessage};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use crate::body::{MAX_LEN, Made};
use crate::input::Input;
use crate::memory;

/// The first byte chooses the version, or a DOWNLOAD with a body that is made; the others are what comes.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let versions = ProtocolVersion::newest_first().count();
    match ProtocolVersion::newest_first().nth(usize::from(input.u8()) % (versions + 1)) {
        Some(version) => message(version, &Bytes::copy_from_slice(input.rest())),
        None => download(input),
    }
}

fn download(mut input: Input<'_>) {
    let session = SessionIdent(input.u32().into());
    let [seen, head, uploaded, integrated] = [0; 4].map(|_: u8| u64::from(input.u16()));
    let header = DownloadHeader {
        session,
        download_cursor: DownloadCursor {
            server_version: ServerVersion(seen),
            last_integrated_client_version: ClientVersion(integrated),
        },
        latest_server_version: SaltedVersion { version: ServerVersion(head), salt: Salt(1) },
        upload_cursor: UploadCursor {
            client_version: ClientVersion(uploaded),
            last_integrated_server_version: ServerVersion(input.u16().into()),
        },
        downloadable_bytes: input.u32().into(),
    };
    let _ = header.check();
    let made = Made::read(input);
    made.check();
    let printed = ServerMessage::Download(Download { header, body: made.body }).print();
    message(ProtocolVersion::MAX, &printed.into());
}

fn message(version: ProtocolVersion, payload: &Bytes) {
    // The values of JSON take more than their text.
    let limit = 128 * payload.len() + 4096;
    let parsed = memory::within(limit, || ServerMessage::parse(version, payload));
    let Ok(message) = parsed else { return };
    let _ = (message.session(), message.name());
    let printed = Bytes::from(message.print());
    match &message {
        // JSON has more than one spelling; what is printed of it is read back.
        ServerMessage::JsonError(_) | ServerMessage::LogMessage(_) => {
            let again = ServerMessage::parse(version, &printed);
            assert_eq!(again.expect("what was printed is read"), message);
        }
        _ => assert_eq!(printed, *payload),
    }
    if let ServerMessage::Download(download) = message {
        entries(&download);
    }
}

fn entries(download: &Download) {
    let Ok(plain) = download.body.inflate(MAX_LEN) else { return };
    assert!(plain.len() <= MAX_LEN);
    let entries: Result<Vec<_>, _> = Download::entries(plain.clone()).collect();
    let Ok(entries) = entries else { return };
    let printed = Body::from_entries(&entries).inflate(MAX_LEN);
    assert_eq!(printed.expect("it is as long as the one that came"), plain);
}
