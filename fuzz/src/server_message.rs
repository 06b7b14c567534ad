//! What a server sends to a device, which may not trust it: messages of all versions, the entries of a DOWNLOAD.

use bailiwick_protocol::message::{Body, Download, ServerMessage};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bytes::Bytes;

use crate::client_message::MAX_BODY_LEN;
use crate::input::Input;
use crate::memory;

/// The first byte chooses the version; the others are what comes.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let range = ProtocolVersion::MAX.number() - ProtocolVersion::MIN.number() + 1;
    let number = ProtocolVersion::MIN.number() + input.u8() % range;
    let version = ProtocolVersion::new(number).expect("it is between the least and the most");
    let payload = Bytes::copy_from_slice(input.rest());
    // The values of JSON take more than their text.
    let limit = 128 * payload.len() + 4096;
    let parsed = memory::within(limit, || ServerMessage::parse(version, &payload));
    let Ok(message) = parsed else { return };
    let _ = (message.session(), message.name());
    let printed = Bytes::from(message.print());
    match &message {
        // JSON has more than one spelling; what is printed of it is read back.
        ServerMessage::JsonError(_) | ServerMessage::LogMessage(_) => {
            let again = ServerMessage::parse(version, &printed);
            assert_eq!(again.expect("what was printed is read"), message);
        }
        _ => assert_eq!(printed, payload),
    }
    if let ServerMessage::Download(download) = message {
        entries(&download);
    }
}

fn entries(download: &Download) {
    let Ok(plain) = download.body.inflate(MAX_BODY_LEN) else { return };
    assert!(plain.len() <= MAX_BODY_LEN);
    let entries: Result<Vec<_>, _> = Download::entries(plain.clone()).collect();
    let Ok(entries) = entries else { return };
    let printed = Body::from_entries(&entries).inflate(MAX_BODY_LEN);
    assert_eq!(printed.expect("it is as long as the one that came"), plain);
}
