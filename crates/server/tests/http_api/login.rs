use axum::http::StatusCode;
use serde_json::json;

use crate::service::{APP, LOGIN, PROFILE, Service};

#[tokio::test]
async fn each_anonymous_login_makes_a_new_user() {
    let service = Service::new();
    let (one, two) = (service.log_in().await, service.log_in().await);
    assert_ne!(one.user_id, two.user_id);
    assert_ne!(one.device_id, two.device_id);
    for id in [&one.user_id, &one.device_id, &two.user_id, &two.device_id] {
        check_id(id);
    }
}

#[tokio::test]
async fn login_takes_whatever_clients_send() {
    let service = Service::new();
    for body in [
        "",
        "{}",
        r#"{"provider":"anon-user"}"#,
        r#"{"provider":"local-userpass","unknown":[1,{"$numberLong":"2"}]}"#,
        r#"{"options":null}"#,
        r#"{"options":{"device":{"deviceId":{"$oid":7}}}}"#,
        r#"{"options":{"device":{"deviceId":["x"],"sdk":"JS","appId":"myapp","bundleId":""}}}"#,
    ] {
        service.post(LOGIN, None, body).await.into_session();
    }
    // Clients send the token that they have, good or bad.
    service.post(LOGIN, Some("expired.or.forged"), "{}").await.into_session();
}

#[tokio::test]
async fn a_known_device_keeps_its_id() {
    let service = Service::new();
    let known = "5f000000000000000000000d";
    let body = json!({"options": {"device": {"deviceId": {"$oid": known}}}}).to_string();
    assert_eq!(service.post(LOGIN, None, body).await.into_session().device_id, known);
}

#[tokio::test]
async fn an_unusable_device_id_is_replaced() {
    let service = Service::new();
    for id in ["000000000000000000000000", "5f", "zz0000000000000000000000", ""] {
        let body = json!({"options": {"device": {"deviceId": {"$oid": id}}}}).to_string();
        let device_id = service.post(LOGIN, None, body).await.into_session().device_id;
        assert_ne!(device_id, id);
        check_id(&device_id);
    }
}

#[tokio::test]
async fn a_login_that_is_not_a_json_object_is_refused() {
    let service = Service::new();
    let deep = "[".repeat(10_000);
    for body in ["{", "[]", "null", "\"x\"", "{}{}", "\0", deep.as_str()] {
        service.post(LOGIN, None, body.to_owned()).await.error(400, "BadRequest");
    }
    service.post(LOGIN, None, vec![0xff, 0xfe]).await.error(400, "BadRequest");
}

#[tokio::test]
async fn an_oversized_login_is_refused() {
    let service = Service::new();
    let body = format!(r#"{{"x":"{}"}}"#, "x".repeat(64 * 1024));
    service.post(LOGIN, None, body).await.error(413, "BadRequest");
}

#[tokio::test]
async fn other_providers_are_not_found() {
    let service = Service::new();
    for (provider, expected) in [
        ("local-userpass", "not available on this server yet"),
        ("api-key", "not available on this server yet"),
        ("custom-token", "not available on this server yet"),
        ("custom-function", "not available on this server yet"),
        ("oauth2-google", "not available on this server yet"),
        ("ANON-USER", "there is no authentication provider"),
        ("nonsense", "there is no authentication provider"),
    ] {
        let path = format!("{APP}/auth/providers/{provider}/login");
        let message = service.post(&path, None, "{}").await.error(404, "AuthProviderNotFound");
        assert!(message.contains(expected), "{message}");
    }
    let path = format!("{APP}/auth/providers/local-userpass/reset/send");
    service.post(&path, None, "{}").await.error(404, "AuthProviderNotFound");
}

#[tokio::test]
async fn an_anonymous_identity_cannot_be_linked() {
    let service = Service::new();
    let session = service.log_in().await;
    let path = format!("{LOGIN}?link=true");
    service.post(&path, Some(&session.access_token), "{}").await.error(400, "BadRequest");
}

#[tokio::test]
async fn the_profile_is_what_clients_need() {
    let service = Service::new();
    let session = service.log_in().await;
    let profile = service.get(PROFILE, Some(&session.access_token)).await.json(StatusCode::OK);
    let identity = &profile["identities"][0];
    for id in [&identity["id"], &identity["provider_id"], &profile["domain_id"]] {
        check_id(id.as_str().unwrap());
    }
    assert_eq!(
        profile,
        json!({
            "user_id": session.user_id,
            "domain_id": service.api.authenticator.domain_id(),
            "type": "normal",
            "identities": [{
                "id": identity["id"],
                "provider_type": "anon-user",
                "provider_id": identity["provider_id"],
            }],
            "data": {},
        })
    );
}

#[track_caller]
fn check_id(id: &str) {
    assert_eq!(id.len(), 24, "{id}");
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()), "{id}");
    assert_ne!(id, "000000000000000000000000");
}
