//! From a request to a connection: wire protocol, sections 1.1 to 1.3.

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_server::auth::token::TokenKey;

use crate::peer::Peer;
use crate::service::{Login, Service};

const PBS: &str = "com.mongodb.realm-sync";
const FLX: &str = "com.mongodb.realm-query-sync";

#[tokio::test]
async fn the_answer_is_the_newest_common_token_to_the_letter() {
    let service = Service::start().await;
    let token = service.log_in().await.access_token;
    for (offered, chosen) in [
        ("com.mongodb.realm-sync#14, com.mongodb.realm-sync#13", "com.mongodb.realm-sync#14"),
        ("com.mongodb.realm-sync#9,com.mongodb.realm-sync#2", "com.mongodb.realm-sync#9"),
        ("com.mongodb.realm-sync/7, com.mongodb.realm-sync/2", "com.mongodb.realm-sync/7"),
        ("com.mongodb.realm-sync/2", "com.mongodb.realm-sync/2"),
        ("com.mongodb.realm-sync#2, com.mongodb.realm-sync#3", "com.mongodb.realm-sync#3"),
        ("chat, com.mongodb.realm-sync#15,  com.mongodb.realm-sync#4", "com.mongodb.realm-sync#4"),
        ("com.mongodb.realm-query-sync#14", "com.mongodb.realm-query-sync#14"),
    ] {
        let answer = service.upgrade(&token, offered).await;
        assert_eq!(answer.status, 101, "{offered}: {answer:?}");
        assert_eq!(answer.header("sec-websocket-protocol"), Some(chosen), "{offered}");
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert_eq!(answer.header("connection"), Some("Upgrade"));
        assert_eq!(answer.header("sec-websocket-extensions"), None, "none was offered");
    }
}

#[tokio::test]
async fn the_chosen_version_is_spoken() {
    let service = Service::start().await;
    for version in [2, 3, 4, 6, 7, 9, 10, 13, 14] {
        let mut device = service.connect(version).await;
        device.open(1, r#""a""#).await;
        device.expect_silence().await;
    }
}

#[tokio::test]
async fn without_a_common_version_there_is_no_connection() {
    let service = Service::start().await;
    let token = service.log_in().await.access_token;
    for offered in [
        format!("{PBS}#15, {PBS}#1"),
        format!("{PBS}#x"),
        format!("{PBS}/2-7"),
        "chat".to_owned(),
        String::new(),
        format!("{PBS}#9, {FLX}#9"),
    ] {
        let answer = service.upgrade(&token, &offered).await;
        assert_eq!(answer.status, 400, "{offered}: {answer:?}");
        assert!(!answer.body().await.is_empty(), "clients show the body");
    }
    let path = format!("{}?baas_at={token}", service.sync_path());
    assert_eq!(service.upgrade_with(&path, &[]).await.status, 400, "nothing offered");
}

#[tokio::test]
async fn a_token_that_does_not_count_is_answered_with_401() {
    let service = Service::start().await;
    let login = service.log_in().await;
    let other = service.log_in().await;
    let (head, signature) = login.access_token.rsplit_once('.').unwrap();
    let (_, foreign) = other.access_token.rsplit_once('.').unwrap();
    assert_ne!(signature, foreign);
    let of_other_key = {
        let key = TokenKey::new(&[7; 32], "65a1b2c3d4e5f60718293a4b");
        key.sign_access(&login_session(&service, &login), now_ms())
    };
    let ended = service.log_in().await;
    log_out(&service, &ended).await;
    for (what, token) in [
        ("missing", String::new()),
        ("malformed", "no-token".to_owned()),
        ("of another token's signature", format!("{head}.{foreign}")),
        ("of another server", of_other_key),
        ("expired", access_token(&service, &login, now_ms() - 31 * 60 * 1000)),
        ("a refresh token", login.refresh_token.clone()),
        ("of a session that was logged out", ended.access_token),
    ] {
        let answer = service.upgrade(&token, &format!("{PBS}#9")).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
    }
    assert_eq!(service.upgrade(&login.access_token, &format!("{PBS}#9")).await.status, 101);
}

#[tokio::test]
async fn the_token_may_stand_in_the_header_as_in_old_clients() {
    let service = Service::start().await;
    let token = service.log_in().await.access_token;
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Sec-WebSocket-Protocol", "com.mongodb.realm-sync/2"),
    ];
    let answer = service.upgrade_with(&service.sync_path(), &headers).await;
    assert_eq!(answer.status, 101, "{answer:?}");
    let bad = [("Authorization", "Bearer no"), headers[1]];
    assert_eq!(service.upgrade_with(&service.sync_path(), &bad).await.status, 401);
}

#[tokio::test]
async fn an_unknown_app_is_answered_with_404() {
    let service = Service::start().await;
    let token = service.log_in().await.access_token;
    let path = format!("/api/client/v2.0/app/other-abcde/realm-sync?baas_at={token}");
    let answer = service
        .upgrade_with(&path, &[("Sec-WebSocket-Protocol", "com.mongodb.realm-sync#9")])
        .await;
    assert_eq!(answer.status, 404, "{answer:?}");
}

#[tokio::test]
async fn what_is_no_websocket_request_is_answered_with_400() {
    let service = Service::start().await;
    let token = service.log_in().await.access_token;
    let path = format!("{}?baas_at={token}", service.sync_path());
    let all = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "com.mongodb.realm-sync#9"),
    ];
    for missing in 0..4 {
        let mut headers = all.to_vec();
        headers.remove(missing);
        let answer = service.request("GET", &path, &headers, "").await;
        assert_eq!(answer.status, 400, "{:?}: {answer:?}", all[missing]);
    }
    let mut headers = all;
    headers[2] = ("Sec-WebSocket-Version", "8");
    assert_eq!(service.request("GET", &path, &headers, "").await.status, 400);
    assert_eq!(service.request("POST", &path, &all, "").await.status, 405);
    assert_eq!(service.request("GET", &path, &all, "").await.status, 101, "the unchanged one");
}

#[tokio::test]
async fn pages_of_other_origins_get_no_connection() {
    let service = Service::with(|app, _| {
        app.allowed_request_origins = vec!["https://shop.test".to_owned()];
    })
    .await;
    let token = service.log_in().await.access_token;
    let path = format!("{}?baas_at={token}", service.sync_path());
    for (origin, status) in [("https://shop.test", 101), ("https://other.test", 403), ("null", 403)]
    {
        let headers = [("Origin", origin), ("Sec-WebSocket-Protocol", "com.mongodb.realm-sync#9")];
        let answer = service.upgrade_with(&path, &headers).await;
        assert_eq!(answer.status, status, "{origin}: {answer:?}");
    }
    service.connect(9).await.expect_silence().await; // Whoever sends no origin is no page.
}

#[tokio::test]
async fn flexible_sync_is_told_that_the_app_is_partitioned() {
    let service = Service::start().await;
    let token = service.log_in().await.access_token;
    for version in [9, 14] {
        let answer = service.upgrade(&token, &format!("{FLX}#{version}")).await;
        let mut device = Peer::new(answer, version);
        device.expect_error(0, ErrorCode::SwitchToPartitionSync).await;
    }
}

#[tokio::test]
async fn one_device_more_than_may_be_is_told_to_come_back() {
    let service = Service::with(|_, config| config.max_devices = 2).await;
    let token = service.log_in().await.access_token;
    let first = service.connect(9).await;
    let mut second = service.connect(9).await;
    assert_eq!(service.upgrade(&token, &format!("{PBS}#9")).await.status, 503);
    drop(first);
    second.expect_silence().await;
    let free = async {
        while service.upgrade(&token, &format!("{PBS}#9")).await.status != 101 {
            tokio::task::yield_now().await;
        }
    };
    crate::service::within("the place of a device that left is free", free).await;
}

#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let service = Service::start().await;
    let token = service.log_in().await.access_token;
    let names: Vec<_> = (0..200).map(|n| format!("X-Flood-{n}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let path = format!("{}?baas_at={token}", service.sync_path());
    assert_eq!(service.upgrade_with(&path, &headers).await.status, 431);
    let long = "x".repeat(5000);
    let answer = service.upgrade(&token, &format!("{PBS}#9, {long}")).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    service.connect(9).await.expect_silence().await;
}

#[tokio::test]
async fn a_stopping_server_takes_no_new_devices() {
    let mut service = Service::start().await;
    let mut device = service.connect(9).await;
    // Connected before, asking afterwards.
    let mut late = tokio::net::TcpStream::connect(service.address).await.unwrap();
    let token = service.log_in().await.access_token;
    service.stop();
    device.expect_error(0, ErrorCode::ConnectionClosed).await;
    let path = service.sync_path();
    let request = format!(
        "GET {path}?baas_at={token} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: {PBS}#9\r\n\r\n"
    );
    let mut answer = Vec::new();
    // An idle connection may be closed before it has asked; then there is no answer at all.
    if tokio::io::AsyncWriteExt::write_all(&mut late, request.as_bytes()).await.is_ok() {
        let read = tokio::io::AsyncReadExt::read_to_end(&mut late, &mut answer);
        let _ = crate::service::within("the server answers or closes", read).await;
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(device);
    service.stopped().await;
}

/// The access token of a login, issued at another time.
pub(crate) fn access_token(service: &Service, login: &Login, issued_ms: u64) -> String {
    let secret = service.accounts.secret("token-signing-key", &[]).unwrap();
    let name = format!("app/{}/domain-id", service.app.id);
    let domain = service.accounts.secret(&name, &[]).unwrap();
    TokenKey::new(&secret, hex::encode(domain))
        .sign_access(&login_session(service, login), issued_ms)
}

pub(crate) fn now_ms() -> u64 {
    bailiwick_server::clock::Clock::now_ms(&bailiwick_server::clock::SystemClock)
}

/// Ends a login.
pub(crate) async fn log_out(service: &Service, login: &Login) {
    let bearer = format!("Bearer {}", login.refresh_token);
    let headers = [("Authorization", bearer.as_str()), ("Connection", "close")];
    let answer = service.request("DELETE", "/api/client/v2.0/auth/session", &headers, "").await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

fn login_session(service: &Service, login: &Login) -> bailiwick_storage::account::LoginSession {
    let claims = jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(&login.access_token);
    let claims = claims.unwrap().claims;
    service.accounts.session(claims["iss"].as_str().unwrap()).unwrap().unwrap()
}
