//! What a device sends: the handshake, messages of all versions, the entries of an UPLOAD.

use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::handshake::negotiate;
use bailiwick_protocol::message::{Body, ClientMessage, Entries, Upload, UploadEntry};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bytes::Bytes;

use crate::input::Input;
use crate::memory;

/// Bytes of a body that are read.
pub(crate) const MAX_BODY_LEN: usize = 1 << 16;

/// The first byte chooses the version, or the handshake; the others are what comes.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match ProtocolVersion::new(input.u8()) {
        Some(version) => message(version, input.rest()),
        None => handshake(input.rest()),
    }
}

/// What is answered to an offer is a part of it.
fn handshake(offer: &[u8]) {
    let spoken = ProtocolVersion::MIN..=ProtocolVersion::MAX;
    let Ok(agreement) = negotiate(offer.split(|&byte| byte == b'\n'), spoken) else { return };
    let token = agreement.token.as_bytes();
    let offered = offer.split(|&byte| byte == b'\n' || byte == b',');
    assert!(offered.map(<[u8]>::trim_ascii).any(|offered| offered == token));
    let number = agreement.version.number().to_string();
    assert!(agreement.token.ends_with(&number));
}

fn message(version: ProtocolVersion, payload: &[u8]) {
    let payload = Bytes::copy_from_slice(payload);
    let limit = 4 * payload.len() + 4096;
    let parsed = memory::within(limit, || ClientMessage::parse(version, &payload));
    let message = match parsed {
        Ok(message) => message,
        Err(error) => {
            assert!(error.to_string().len() < 1000, "a short error: {error}");
            return;
        }
    };
    assert_eq!(Bytes::from(message.print()), payload);
    let _ = (message.session(), message.name());
    match message {
        ClientMessage::Bind(bind) => {
            let _ = PartitionValue::parse(&bind.path);
        }
        ClientMessage::Upload(upload) => entries(&upload),
        _ => (),
    }
}

fn entries(upload: &Upload) {
    let Ok(plain) = upload.body.inflate(MAX_BODY_LEN) else { return };
    assert!(plain.len() <= MAX_BODY_LEN);
    let entries: Result<Vec<_>, _> = Upload::entries(plain.clone()).collect();
    let Ok(entries) = entries else { return };
    let printed = Body::from_entries(&entries).inflate(MAX_BODY_LEN);
    assert_eq!(printed.expect("it is as long as the one that came"), plain);
    let message = upload.header.print_with(&entries);
    let message = ClientMessage::parse(ProtocolVersion::MAX, &message.into());
    let Ok(ClientMessage::Upload(again)) = message else { panic!("an UPLOAD was printed") };
    let again = again.body.inflate(MAX_BODY_LEN).expect("it is as long as the one that came");
    let again: Result<Vec<UploadEntry>, _> = Entries::new(again).collect();
    assert_eq!(again, Ok(entries));
}
