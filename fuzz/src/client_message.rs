//! What a device sends: the handshake, messages of all versions, the entries of an UPLOAD.

use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::handshake::negotiate;
use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::{
    Body, ClientMessage, Entries, Upload, UploadEntry, UploadHeader,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, ServerVersion, UploadCursor};
use bytes::Bytes;

use crate::body::{MAX_LEN, Made};
use crate::input::Input;
use crate::memory;

/// The first byte chooses the version, the handshake, or an UPLOAD with a body that is made; the others are what comes.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let versions = ProtocolVersion::newest_first().count();
    match ProtocolVersion::newest_first().nth(usize::from(input.u8()) % (versions + 1)) {
        Some(version) => message(version, input.rest()),
        None if input.u8().is_multiple_of(2) => handshake(input.rest()),
        None => upload(input),
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

fn upload(mut input: Input<'_>) {
    let header = UploadHeader {
        session: SessionIdent(input.u32().into()),
        progress: UploadCursor {
            client_version: ClientVersion(input.u32().into()),
            last_integrated_server_version: ServerVersion(input.u16().into()),
        },
        locked_server_version: ServerVersion(input.u16().into()),
    };
    let made = Made::read(input);
    made.check();
    let printed = ClientMessage::Upload(Upload { header, body: made.body }).print();
    message(ProtocolVersion::MAX, &printed);
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
    let Ok(plain) = upload.body.inflate(MAX_LEN) else { return };
    assert!(plain.len() <= MAX_LEN);
    let entries: Result<Vec<_>, _> = Upload::entries(plain.clone()).collect();
    let Ok(entries) = entries else { return };
    let printed = Body::from_entries(&entries).inflate(MAX_LEN);
    assert_eq!(printed.expect("it is as long as the one that came"), plain);
    let message = upload.header.print_with(&entries);
    let message = ClientMessage::parse(ProtocolVersion::MAX, &message.into());
    let Ok(ClientMessage::Upload(again)) = message else { panic!("an UPLOAD was printed") };
    let again = again.body.inflate(MAX_LEN).expect("it is as long as the one that came");
    let again: Result<Vec<UploadEntry>, _> = Entries::new(again).collect();
    assert_eq!(again, Ok(entries));
}
