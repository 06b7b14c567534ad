use axum::http::StatusCode;
use bailiwick_server::auth::AccessIdentity;
use bailiwick_storage::account::Accounts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::service::{PROFILE, SESSION, START_S, Service};

#[tokio::test]
async fn tokens_have_the_claims_that_clients_read() {
    let service = Service::new();
    let session = service.log_in().await;
    let domain_id = service.api.authenticator.domain_id();
    let (header, access) = decode(&session.access_token);
    assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
    let session_id = access["iss"].as_str().unwrap();
    assert_eq!(
        access,
        json!({
            "baas_device_id": session.device_id,
            "baas_domain_id": domain_id,
            "exp": START_S + 1800,
            "iat": START_S,
            "iss": session_id,
            "stitch_devId": session.device_id,
            "stitch_domainId": domain_id,
            "sub": session.user_id,
            "typ": "access",
        })
    );
    let (header, refresh) = decode(&session.refresh_token);
    assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
    let identity = &refresh["baas_identity"];
    assert_eq!(identity["provider_type"], "anon-user");
    assert_eq!(
        refresh,
        json!({
            "baas_data": null,
            "baas_device_id": session.device_id,
            "baas_domain_id": domain_id,
            "baas_id": session_id,
            "baas_identity": identity,
            "exp": START_S + 18_250 * 24 * 60 * 60,
            "iat": START_S,
            "stitch_data": null,
            "stitch_devId": session.device_id,
            "stitch_domainId": domain_id,
            "stitch_id": session_id,
            "stitch_ident": identity,
            "sub": session.user_id,
            "typ": "refresh",
        })
    );
    for token in [session.access_token, session.refresh_token] {
        let safe = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
        assert!(token.chars().all(safe), "it travels in a query without escaping: {token}");
    }
}

#[tokio::test]
async fn forged_access_tokens_are_refused() {
    let service = Service::new();
    let good = service.log_in().await.access_token;
    let (_, claims) = decode(&good);
    let parts = good.split('.').collect::<Vec<_>>();
    let none = encode_part(&json!({"alg": "none", "typ": "JWT"}));
    let (other_key, own_key) = (vec![7; 32], signing_key(&service));
    let mut other_user = claims.clone();
    other_user["sub"] = json!("5f000000000000000000000c");
    for (what, token) in [
        ("the algorithm none", format!("{none}.{}.", parts[1])),
        ("the algorithm none with a signature", format!("{none}.{}.{}", parts[1], parts[2])),
        ("another key", sign(Algorithm::HS256, &other_key, &claims)),
        ("an empty key", sign(Algorithm::HS256, &[], &claims)),
        ("another algorithm with the right key", sign(Algorithm::HS384, &own_key, &claims)),
        ("other claims under the signature", {
            format!("{}.{}.{}", parts[0], encode_part(&other_user), parts[2])
        }),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("four parts", format!("{good}.x")),
        ("a truncated signature", good[..good.len() - 4].to_owned()),
        ("no token at all", "x".to_owned()),
        ("dots", "..".to_owned()),
        ("a long text", "a.".repeat(4000)),
    ] {
        let message = service.get(PROFILE, Some(&token)).await.error(401, "InvalidSession");
        assert!(message.starts_with("invalid session"), "{what}: {message}");
    }
    service.get(PROFILE, Some(&good)).await.json(StatusCode::OK);
}

#[tokio::test]
async fn no_character_of_a_token_can_be_changed_or_left_out() {
    let service = Service::new();
    let good = service.log_in().await.access_token;
    for at in 0..good.len() {
        let (start, end) = (&good[..at], &good[at + 1..]);
        let other = if good.as_bytes()[at] == b'A' { 'B' } else { 'A' };
        for token in [format!("{start}{end}"), format!("{start}{other}{end}")] {
            service.get(PROFILE, Some(&token)).await.error(401, "InvalidSession");
        }
    }
}

#[tokio::test]
async fn genuine_tokens_with_wrong_claims_are_refused() {
    let service = Service::new();
    let session = service.log_in().await;
    let (_, claims) = decode(&session.access_token);
    let other = service.log_in().await;
    for (claim, value) in [
        ("exp", json!(START_S)),
        ("exp", json!(-1)),
        ("exp", json!("4000000000")),
        ("exp", json!(4e9)),
        ("exp", Value::Null),
        ("typ", json!("refresh")),
        ("typ", json!("other")),
        ("typ", Value::Null),
        ("iss", json!("5f000000000000000000000c")),
        ("iss", Value::Null),
        ("sub", json!("5f000000000000000000000c")),
        ("sub", json!(other.user_id)),
        ("sub", json!("")),
    ] {
        let mut claims = claims.clone();
        claims[claim] = value;
        let token = sign(Algorithm::HS256, &signing_key(&service), &claims);
        let answer = service.get(PROFILE, Some(&token)).await;
        let message = answer.error(401, "InvalidSession");
        assert!(message.starts_with("invalid session: "), "{claims}: {message}");
    }
    let same = sign(Algorithm::HS256, &signing_key(&service), &claims);
    service.get(PROFILE, Some(&same)).await.json(StatusCode::OK);
}

#[tokio::test]
async fn one_kind_of_token_is_never_taken_for_the_other() {
    let service = Service::new();
    let session = service.log_in().await;
    let message =
        service.get(PROFILE, Some(&session.refresh_token)).await.error(401, "InvalidSession");
    assert!(message.contains("the refresh token was sent where the access token belongs"));
    let message =
        service.post(SESSION, Some(&session.access_token), "").await.error(401, "InvalidSession");
    assert!(message.contains("the access token was sent where the refresh token belongs"));
}

#[tokio::test]
async fn a_token_of_another_app_is_refused() {
    let service = Service::new();
    let other = service.of_other_app();
    assert_ne!(service.api.authenticator.domain_id(), other.api.authenticator.domain_id());
    let session = service.log_in().await;
    let (access, refresh) = (Some(&*session.access_token), Some(&*session.refresh_token));
    other.get(PROFILE, access).await.error(401, "UserAppDomainMismatch");
    other.post(SESSION, refresh, "").await.error(401, "UserAppDomainMismatch");
    other.delete(SESSION, refresh).await.error(401, "InvalidSession");
    service.post(SESSION, refresh, "").await.json(StatusCode::CREATED);
}

#[tokio::test]
async fn an_access_token_is_valid_to_the_last_millisecond() {
    let service = Service::new();
    let session = service.log_in().await;
    let verify = |now_ms| service.api.authenticator.verify_access(&session.access_token, now_ms);
    let end_ms = (START_S + 1800) * 1000;
    let (_, claims) = decode(&session.access_token);
    assert_eq!(
        verify(end_ms - 1).await.unwrap(),
        AccessIdentity {
            user_id: session.user_id.clone(),
            session_id: claims["iss"].as_str().unwrap().to_owned(),
            device_id: session.device_id.clone(),
            expires_ms: end_ms,
        }
    );
    assert!(verify(end_ms).await.is_err());
}

fn decode(token: &str) -> (Value, Value) {
    let parts = token
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect::<Vec<Value>>();
    (parts[0].clone(), parts[1].clone())
}

fn encode_part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn sign(algorithm: Algorithm, key: &[u8], claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
}

/// The key that the server has made, which only the storage knows.
fn signing_key(service: &Service) -> Vec<u8> {
    let key = service.accounts.secret("token-signing-key", &[]).unwrap();
    assert!(key.len() >= 32);
    key
}
