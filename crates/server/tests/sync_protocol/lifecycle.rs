//! The states of a session, row by row: wire protocol, section 6.3.

use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{ClientError, ClientMessage};

use crate::changesets::{item, schema};
use crate::peer::{Peer, upload};
use crate::service::Service;

const HERE: &str = r#""here""#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    None,
    WaitingForIdent,
    Active,
    Failed,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Bind,
    Ident,
    Upload,
    Mark,
    Unbind,
    Error,
}

/// A device whose session 1 is in this state, and whose session 2 is active.
async fn device_in(service: &Service, state: State) -> Peer {
    let mut device = service.connect(9).await;
    device.open(2, HERE).await;
    match state {
        State::None => (),
        State::WaitingForIdent => device.allocate(1, HERE).await,
        State::Active => drop(device.open(1, HERE).await),
        State::Failed => {
            device.bind(1, "true", false).await;
            device.expect_error(1, ErrorCode::IllegalRealmPath).await;
        }
        State::Ended => {
            device.open(1, HERE).await;
            device.close(1).await;
        }
    }
    device
}

async fn send(device: &mut Peer, event: Event) {
    let session = SessionIdent(1);
    match event {
        Event::Bind => device.bind(1, HERE, true).await,
        Event::Ident => device.send_bytes(b"ident 1 2 3 0 0 0 0\n").await,
        Event::Upload => device.send(ClientMessage::Upload(upload(1, (2, 0), 0, &[]))).await,
        Event::Mark => device.send_bytes(b"mark 1 1\n").await,
        Event::Unbind => device.unbind(1).await,
        Event::Error => {
            let body = r#"{"message":"x"}"#.to_owned();
            let code = ErrorCode::BadChangeset;
            device.send(ClientMessage::Error(ClientError { session, code, body })).await;
        }
    }
}

/// What comes at the wrong time ends the connection with this code.
async fn check_refused(state: State, event: Event, code: ErrorCode) {
    let service = Service::start().await;
    let mut device = device_in(&service, state).await;
    send(&mut device, event).await;
    let error = device.next_error().await;
    assert_eq!((error.session().0, error.code()), (0, code), "{event:?} when {state:?}");
    assert_eq!(error.body().action, Action::Transient, "it heals by connecting anew");
}

#[tokio::test]
async fn messages_for_sessions_that_do_not_exist_are_refused() {
    for state in [State::None, State::Ended] {
        for event in [Event::Ident, Event::Upload, Event::Mark, Event::Unbind, Event::Error] {
            check_refused(state, event, ErrorCode::BadSessionIdent).await;
        }
    }
}

#[tokio::test]
async fn a_session_ident_that_is_in_use_is_not_bound_again() {
    for state in [State::WaitingForIdent, State::Active, State::Failed] {
        check_refused(state, Event::Bind, ErrorCode::ReuseOfSessionIdent).await;
    }
}

#[tokio::test]
async fn messages_at_the_wrong_time_are_refused() {
    check_refused(State::WaitingForIdent, Event::Upload, ErrorCode::BadMessageOrder).await;
    check_refused(State::WaitingForIdent, Event::Mark, ErrorCode::BadMessageOrder).await;
    check_refused(State::Active, Event::Ident, ErrorCode::BadMessageOrder).await;
}

#[tokio::test]
async fn what_a_device_reports_is_logged_and_not_answered() {
    let service = Service::start().await;
    for state in [State::WaitingForIdent, State::Active, State::Failed] {
        let mut device = device_in(&service, state).await;
        send(&mut device, Event::Error).await;
        device.expect_silence().await;
    }
    // Without a session it is about the connection.
    let mut device = device_in(&service, State::None).await;
    device.send_bytes(b"json_error 101 15 0\n{\"message\":\"x\"}").await;
    device.expect_silence().await;
}

#[tokio::test]
async fn unbind_is_answered_once_and_as_the_last_message() {
    let service = Service::start().await;
    for state in [State::WaitingForIdent, State::Active] {
        let mut device = device_in(&service, state).await;
        device.unbind(1).await;
        device.expect_unbound(1).await;
        device.expect_silence().await;
        device.mark(2, 1).await;
        device.expect_mark(2, 1).await;
    }
}

#[tokio::test]
async fn a_session_in_error_swallows_everything_and_says_nothing() {
    let service = Service::start().await;
    let mut device = device_in(&service, State::Failed).await;
    for event in [Event::Ident, Event::Upload, Event::Mark, Event::Error] {
        send(&mut device, event).await;
        device.expect_silence().await;
    }
    device.unbind(1).await;
    device.expect_silence().await;
    // Its neighbour goes on, and the ident is free again.
    device.mark(2, 1).await;
    device.expect_mark(2, 1).await;
    device.open(1, HERE).await;
}

#[tokio::test]
async fn an_active_session_that_fails_is_sent_nothing_more() {
    let service = Service::start().await;
    let mut device = device_in(&service, State::Active).await;
    let mut writer = service.connect(9).await;
    writer.open(1, HERE).await;
    device.send(ClientMessage::Upload(upload(1, (2, 77), 0, &[]))).await;
    device.expect_error(1, ErrorCode::BadServerVersion).await;
    device.mark(1, 1).await;
    let version = writer.write(1, &[schema(), item(1, "new")]).await;
    writer.acknowledged(1, version).await;
    device.mark(2, 1).await;
    device.downloaded(2, 2).await;
    device.expect_mark(2, 1).await;
    device.expect_silence().await;
    device.unbind(1).await;
    device.expect_silence().await;
}

#[tokio::test]
async fn a_session_ident_can_be_bound_again_after_unbound_and_after_an_error() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let file = device.close(1).await;
    device.open_again(1, HERE, file).await;
    let file = device.file(1).clone();
    device.send(ClientMessage::Upload(upload(1, (2, 77), 0, &[]))).await;
    device.expect_error(1, ErrorCode::BadServerVersion).await;
    // All at once, as a device does that does not wait.
    device.unbind(1).await;
    device.open_again(1, HERE, file).await;
    device.mark(1, 1).await;
    device.expect_mark(1, 1).await;
}

#[tokio::test]
async fn pause_and_resume_take_a_new_session_of_the_same_file() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let version = device.write(1, &[schema()]).await;
    device.acknowledged(1, version).await;
    let file = device.close(1).await;
    let download = device.open_again(2, HERE, file).await;
    assert_eq!(download.header.upload_cursor.client_version, version);
    let version = device.write(2, &[item(1, "resumed")]).await;
    device.acknowledged(2, version).await;
}

#[tokio::test]
async fn a_client_file_has_one_session_of_a_connection() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    device.open(1, HERE).await;
    let file = device.file(1).clone();
    device.bind_again(2, HERE, file).await;
    device.expect_error(0, ErrorCode::BoundInOtherSession).await;
}

#[tokio::test]
async fn another_connection_takes_a_client_file_over() {
    let service = Service::start().await;
    let login = service.log_in().await;
    let mut zombie = service.connect_as(&login, 9).await;
    zombie.open(1, HERE).await;
    let version = zombie.write(1, &[schema()]).await;
    zombie.acknowledged(1, version).await;
    let file = zombie.file(1).clone();
    let mut device = service.connect_as(&login, 9).await;
    let download = device.open_again(1, HERE, file).await;
    assert_eq!(download.header.upload_cursor.client_version, version);
    let error = zombie.expect_error(0, ErrorCode::ConnectionClosed).await;
    assert_eq!(error.body().action, Action::Transient);
    zombie.write(1, &[item(1, "of the past")]).await;
    drop(zombie);
    let version = device.write(1, &[item(2, "of now")]).await;
    device.acknowledged(1, version).await;
    assert_eq!(device.file(1).download.server_version.0, 2, "the zombie's write is not there");
}

#[tokio::test]
async fn a_device_can_leave_before_it_has_its_ident() {
    let service = Service::start().await;
    let mut device = service.connect(9).await;
    // UNBIND is sent before the ident can have been allocated, or after: both are in order.
    device.bind(1, HERE, true).await;
    device.unbind(1).await;
    let mut is_bound = true;
    while is_bound {
        is_bound =
            !matches!(device.next().await, bailiwick_protocol::message::ServerMessage::Unbound(_));
    }
    device.expect_silence().await;
    device.open(1, HERE).await;
    assert!(device.file(1).ident >= FileIdent::FIRST_CLIENT);
    assert_ne!(device.file(1).salt, Salt(0));
}
