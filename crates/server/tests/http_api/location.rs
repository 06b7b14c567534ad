use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::http::cors::AllowedOrigins;
use serde_json::json;

use crate::service::{APP, Service};

#[tokio::test]
async fn location_names_the_host_that_was_asked() {
    check(Addressing::FromHost, &[("host", "phone:9090")], "http://phone:9090", "ws://phone:9090")
        .await;
}

#[tokio::test]
async fn location_believes_a_proxy_only_if_told_to() {
    let headers =
        [("host", "10.0.0.7:9090"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "b.test")];
    check(Addressing::FromHost, &headers, "http://10.0.0.7:9090", "ws://10.0.0.7:9090").await;
    check(Addressing::FromProxy, &headers, "https://b.test", "wss://b.test").await;
}

#[tokio::test]
async fn location_names_the_configured_url_whatever_the_request_says() {
    let configured = || Addressing::Configured("https://c.test/".parse().unwrap());
    check(
        configured(),
        &[("host", "a"), ("x-forwarded-host", "b")],
        "https://c.test",
        "wss://c.test",
    )
    .await;
    check(configured(), &[], "https://c.test", "wss://c.test").await;
}

#[tokio::test]
async fn location_without_any_host_is_refused() {
    let service = Service::new();
    let path = format!("{APP}/location");
    let answer = service.send(Request::get(path).body(Body::empty()).unwrap()).await;
    let body = answer.json(StatusCode::BAD_REQUEST);
    assert_eq!(body["error_code"], "BadRequest");
    assert_eq!(body.get("link"), None, "there is no address that it could lead to");
}

#[tokio::test]
async fn location_ignores_a_token() {
    let service = Service::new();
    let answer = service.get(&format!("{APP}/location"), Some("not.a.token")).await;
    answer.json(StatusCode::OK);
}

#[tokio::test]
async fn doubled_slashes_are_forgiven() {
    let service = Service::new();
    for path in [
        "//api/client/v2.0/app/inventory-abcde/location",
        "//api//client/v2.0///app/inventory-abcde/location?a=//b",
    ] {
        let answer = service.get(path, None).await;
        assert_eq!(answer.json(StatusCode::OK)["hostname"], "http://sync.test:9090", "{path}");
    }
}

#[tokio::test]
async fn an_unknown_app_is_not_found() {
    let service = Service::new();
    for app in ["other-vwxyz", "inventory-abcd", "INVENTORY-ABCDE", "%F0%9F%90%A2", "a%2Fb"] {
        let path = format!("/api/client/v2.0/app/{app}/location");
        let message = service.get(&path, None).await.error(404, "BadRequest");
        assert!(message.starts_with("cannot find app using Client App ID '"), "{message}");
    }
    service.get("/api/client/v2.0/app/%FF/location", None).await.error(400, "BadRequest");
    let login = "/api/client/v2.0/app/other-vwxyz/auth/providers/anon-user/login";
    service.post(login, None, "{}").await.error(404, "BadRequest");
}

async fn check(
    addressing: Addressing,
    headers: &[(&str, &str)],
    hostname: &str,
    ws_hostname: &str,
) {
    let service = Service::with(addressing, AllowedOrigins::Any, Router::new());
    let mut request = Request::get(format!("{APP}/location"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = service.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(
        answer.json(StatusCode::OK),
        json!({
            "deployment_model": "GLOBAL",
            "location": "US-VA",
            "hostname": hostname,
            "ws_hostname": ws_hostname,
        })
    );
}
