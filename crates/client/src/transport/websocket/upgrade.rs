//! From a connection to a WebSocket, by HTTP.

use std::fmt::Write as _;

use bailiwick_protocol::handshake::{SyncMode, negotiate, offer_of};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::causes::with_causes;
use crate::session::ConnectError;
use crate::transport::connection::SyncConfig;
use crate::transport::endpoint::Endpoint;
use crate::transport::http::{MAX_HEAD_LEN, address};

/// What this client calls itself.
const AGENT: &str = concat!("bailiwick-client/", env!("CARGO_PKG_VERSION"));

/// Asks for a WebSocket that speaks a version of the sync protocol.
pub(super) async fn upgrade(
    config: &SyncConfig,
    url: &Uri,
    access_token: &str,
) -> Result<(Upgraded, ProtocolVersion), ConnectError> {
    let endpoint = Endpoint::try_from(url).map_err(network)?;
    let key = random_key()?;
    let offered = offer_of(SyncMode::Partition, &config.versions);
    let mut request = Request::get(with_token(url, access_token)?)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_PROTOCOL, &offered)
        .header(USER_AGENT, AGENT)
        .body(Empty::<Bytes>::new())
        .map_err(network)?;
    address(&mut request).map_err(network)?;

    let stream = config.connector.connect(&endpoint).await.map_err(network)?;
    let handshake =
        http1::Builder::new().max_buf_size(MAX_HEAD_LEN).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(network)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(network)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ConnectError::Status(response.status().as_u16()));
        }
        check_accepted(response.headers(), &key)?;
        let version = agreed_version(response.headers(), &offered)?;
        let upgraded = hyper::upgrade::on(response).await.map_err(network)?;
        Ok((upgraded, version))
    };
    // The connection does its part only as long as it is polled; a failure of it is one of the exchange, too.
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        upgraded = &mut exchange => upgraded,
        _ = connection.with_upgrades() => exchange.await,
    }
}

fn with_token(url: &Uri, access_token: &str) -> Result<Uri, ConnectError> {
    let separator = if url.query().is_some() { '&' } else { '?' };
    let mut url = format!("{url}{separator}baas_at=");
    for byte in access_token.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) {
            url.push(byte.into());
        } else {
            write!(url, "%{byte:02X}").expect("a string can be written to");
        }
    }
    url.parse().map_err(network)
}

fn random_key() -> Result<String, ConnectError> {
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(network)?;
    Ok(BASE64_STANDARD.encode(key))
}

/// Whether it is a WebSocket server that has answered, and to this request.
fn check_accepted(headers: &HeaderMap, key: &str) -> Result<(), ConnectError> {
    let accepted = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accepted == Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        Ok(())
    } else {
        Err(ConnectError::Network("what answers is no WebSocket server".to_owned()))
    }
}

/// The answer has to be one of the tokens that were offered, to the letter.
fn agreed_version(headers: &HeaderMap, offered: &str) -> Result<ProtocolVersion, ConnectError> {
    let Some(answer) = headers.get(SEC_WEBSOCKET_PROTOCOL) else {
        return Err(ConnectError::Protocol("the server names no sync protocol".to_owned()));
    };
    let spoken = ProtocolVersion::MIN..=ProtocolVersion::MAX;
    match negotiate([answer.as_bytes()], spoken) {
        Ok(agreed) if offered.split(", ").any(|token| token == answer) => Ok(agreed.version),
        _ => {
            let text = format!("the server speaks {answer:?}, which was not offered");
            Err(ConnectError::Protocol(text))
        }
    }
}

/// As text, which is all that the session machine asks for.
fn network(error: impl std::error::Error) -> ConnectError {
    ConnectError::Network(with_causes(&error))
}

#[cfg(test)]
mod tests {
    use bailiwick_protocol::handshake::offer;

    use super::*;

    #[test]
    fn the_token_is_one_part_of_the_query() {
        let check = |url: &'static str, token: &str, expected: &str| {
            assert_eq!(with_token(&Uri::from_static(url), token).unwrap(), expected);
        };
        check("ws://h/realm-sync", "a.b-c_D9", "ws://h/realm-sync?baas_at=a.b-c_D9");
        check("ws://h/realm-sync?x=1", "a", "ws://h/realm-sync?x=1&baas_at=a");
        check("ws://h/", "a&b=c #%\n", "ws://h/?baas_at=a%26b%3Dc%20%23%25%0A");
    }

    #[test]
    fn only_an_offered_version_is_taken() {
        let offered = offer(SyncMode::Partition);
        let agreed = |answer: &'static str| {
            let headers = [(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(answer))];
            let headers = headers.into_iter().collect();
            agreed_version(&headers, &offered).map(ProtocolVersion::number)
        };
        assert_eq!(agreed("com.mongodb.realm-sync#14"), Ok(14));
        assert_eq!(agreed("com.mongodb.realm-sync#2"), Ok(2));
        for answer in [
            "",
            "com.mongodb.realm-sync#15",
            "com.mongodb.realm-sync/14",
            "com.mongodb.realm-query-sync#14",
            "com.mongodb.realm-sync#14, com.mongodb.realm-sync#13",
            "chat",
        ] {
            assert!(matches!(agreed(answer), Err(ConnectError::Protocol(_))), "{answer}");
        }
    }
}
