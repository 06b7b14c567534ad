//! From an HTTP request to a connection. Whatever is wrong is said before the upgrade: real devices crash
//! on a 101 without the right subprotocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bailiwick_protocol::handshake::{SyncMode, negotiate};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::SyncState;
use super::driver::{self, Peer};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::token::web_socket_token;
use crate::realm::ConnectionId;

/// Bytes of the buffers of one connection. The library's defaults take 135 KiB for every idle device.
const BUFFER_LEN: usize = 4096;
/// Bytes of a message beyond the body of an UPLOAD: its header.
const HEADER_LEN: usize = 1024;

static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

pub(super) async fn upgrade(
    State(sync): State<Arc<SyncState>>,
    Path(app_id): Path<String>,
    mut request: Request,
) -> Result<Response, ApiError> {
    if app_id != sync.api.app.id.as_str() {
        return Err(ApiError::not_found(format!("cannot find app using Client App ID '{app_id}'")));
    }
    let token = web_socket_token(request.uri(), request.headers())?;
    let access = sync.api.authenticator.verify_access(&token, sync.api.clock.now_ms()).await?;
    let key = web_socket_key(request.headers())?;
    let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let spoken = ProtocolVersion::MIN..=ProtocolVersion::MAX;
    let agreement = match negotiate(offers.iter().map(HeaderValue::as_bytes), spoken) {
        Ok(agreement) => agreement,
        Err(error) => return Ok((StatusCode::BAD_REQUEST, error.to_string()).into_response()),
    };
    if *sync.stopping.borrow() {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down").into_response());
    }
    let Ok(place) = Arc::clone(&sync.places).try_acquire_owned() else {
        tracing::warn!("turned a device away: as many as may be are connected");
        return Ok(
            (StatusCode::SERVICE_UNAVAILABLE, "too many devices are connected").into_response()
        );
    };
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
        .header(SEC_WEBSOCKET_PROTOCOL, agreement.token)
        .body(Body::empty())
        .map_err(|error| ApiError::bad_request(error.to_string()))?;

    let peer = Peer {
        connection: ConnectionId(NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed)),
        version: agreement.version,
        is_flexible: agreement.mode == SyncMode::Flexible,
        access,
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgraded.await {
            Ok(upgraded) => {
                let max_len = sync.sessions.max_upload_len + HEADER_LEN;
                let config = WebSocketConfig::default()
                    .read_buffer_size(BUFFER_LEN)
                    .write_buffer_size(BUFFER_LEN)
                    .max_message_size(Some(max_len))
                    .max_frame_size(Some(max_len));
                let io = TokioIo::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
                driver::run(sync, peer, socket).await;
            }
            Err(error) => tracing::debug!(%error, "a connection was lost while it was upgraded"),
        }
        drop(place);
    });
    Ok(response)
}

/// The key of a request that asks for a WebSocket.
fn web_socket_key(headers: &HeaderMap) -> Result<HeaderValue, ApiError> {
    let has = |name: HeaderName, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    };
    let asks =
        has(CONNECTION, "upgrade") && has(UPGRADE, "websocket") && has(SEC_WEBSOCKET_VERSION, "13");
    match headers.get(SEC_WEBSOCKET_KEY) {
        Some(key) if asks => Ok(key.clone()),
        _ => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::BadRequest,
            "this address is for WebSockets of version 13; is there a proxy that does not forward upgrades?",
        )),
    }
}
