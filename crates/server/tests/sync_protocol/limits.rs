//! What a device may cost: wire protocol, sections 1.6, 4.4 and 6.6.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::ClientMessage;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::changesets::{item, schema};
use crate::peer::{End, entry, upload};
use crate::service::{Service, within};

const HERE: &str = r#""here""#;

#[tokio::test]
async fn one_session_too_many_is_told_to_come_back() {
    let service = Service::with(|_, config| config.max_sessions = 3).await;
    let mut device = service.connect(9).await;
    for session in 1..=3 {
        device.open(session, HERE).await;
    }
    device.bind(4, HERE, true).await;
    let error = device.expect_error(4, ErrorCode::OtherSessionError).await;
    assert_eq!(error.body().action, Action::Transient);
    assert!(error.body().backoff.is_some());
    device.unbind(4).await;
    device.close(1).await;
    device.open(4, HERE).await;
}

#[tokio::test]
async fn a_device_that_goes_on_binding_sessions_is_cut_off() {
    let service = Service::with(|_, config| config.max_sessions = 3).await;
    let mut device = service.connect(9).await;
    for session in 1..=6 {
        device.bind(session, "true", true).await;
        device.next_error().await;
    }
    device.bind(7, HERE, true).await;
    device.expect_error(0, ErrorCode::OtherError).await;
}

#[tokio::test]
async fn a_message_that_is_too_long_is_a_client_reset() {
    let service = Service::with(|_, config| config.max_upload_len = 100_000).await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[schema(), item(1, &"x".repeat(90_000))]).await;
    device.acknowledged(1, version).await;
    // Compressed it is short: the body is too long.
    device.write(1, &[item(2, &"x".repeat(110_000))]).await;
    assert_eq!(device.end().await, End::Closed(1009));
}

/// The device has to learn of it even while it is still sending.
#[tokio::test]
async fn a_frame_that_is_too_long_is_answered_before_it_has_come() {
    let service = Service::with(|_, config| config.max_upload_len = 100_000).await;
    for len in [102_000, 8_000_000] {
        let device = service.connect(9).await;
        let (mut sink, mut stream) = device.socket.split();
        let message = Message::Binary(vec![b'x'; len].into());
        let (_, received) = within(
            "the server has answered",
            futures_util::future::join(sink.send(message), stream.next()),
        )
        .await;
        match received {
            Some(Ok(Message::Close(Some(frame)))) => {
                assert_eq!(u16::from(frame.code), 1009, "{len} bytes");
            }
            other => panic!("{len} bytes: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_realm_that_is_overrun_sends_the_device_away() {
    let service = Service::with(|_, config| config.realms.max_backlog_len = 20_000).await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[schema()]).await;
    device.acknowledged(1, version).await;
    let mut bound = false;
    // All in one go: more than is integrated meanwhile, on any machine.
    let mut frames = Vec::new();
    for version in 2..2000 {
        let changeset = item(version, &format!("{version}").repeat(100));
        let message = upload(1, (version, 1), 1, &[entry(version, 1, changeset)]);
        frames.push(ClientMessage::Upload(message));
    }
    for frame in frames {
        device.send(frame).await;
    }
    while !bound {
        use bailiwick_protocol::message::ServerMessage;
        match device.next().await {
            ServerMessage::Download(download) => {
                // Perhaps this machine is that fast.
                bound = download.header.upload_cursor.client_version.0 == 1999;
            }
            ServerMessage::JsonError(error) => {
                assert_eq!((error.session().0, error.code()), (0, ErrorCode::ConnectionClosed));
                assert_eq!(error.body().action, Action::Transient);
                bound = true;
            }
            other => panic!("{other:?}"),
        }
    }
}
