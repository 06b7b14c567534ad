use axum::Router;
use axum::http::{Method, StatusCode, header};
use axum::routing::get;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::http::cors::AllowedOrigins;
use bailiwick_server::http::error::ApiError;

use crate::service::{APP, LOGIN, PROFILE, SESSION, Service};

#[tokio::test]
async fn unknown_paths_are_json_errors() {
    let service = Service::new();
    for path in [
        "/nothing",
        "/api",
        "/api/client/v2.0",
        "/api/client/v2.0/auth/profile/",
        "/api/client/v3.0/auth/profile",
        "/api/client/v2.0/app/inventory-abcde",
        "/api/client/v2.0/app//location",
        "/%FF",
    ] {
        let message = service.get(path, None).await.error(404, "BadRequest");
        assert!(message.contains("GET"), "{path}: {message}");
    }
    let path = format!("{APP}/functions/call");
    service.post(&path, None, "{}").await.error(404, "BadRequest");
}

#[tokio::test]
async fn unknown_methods_are_json_errors() {
    let service = Service::new();
    let location = format!("{APP}/location");
    for (method, path, allowed) in [
        (Method::GET, LOGIN, "POST"),
        (Method::PUT, SESSION, "POST,DELETE"),
        (Method::POST, PROFILE, "GET,HEAD"),
        (Method::PATCH, location.as_str(), "GET,HEAD"),
    ] {
        let answer = service.call(method, path, None, "").await;
        answer.error(405, "BadRequest");
        assert_eq!(answer.headers[header::ALLOW], allowed, "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_nothing_else() {
    async fn faulty() -> StatusCode {
        panic!("the secret is 42")
    }
    let service = with_route(Router::new().route("/faulty", get(faulty)));
    for _ in 0..2 {
        let message = service.get("/faulty", None).await.error(500, "InternalServerError");
        assert_eq!(message, "internal server error");
    }
    service.log_in().await;
}

#[tokio::test]
async fn errors_of_routes_from_elsewhere_get_their_link() {
    async fn refusing() -> ApiError {
        ApiError::missing_token()
    }
    let service = with_route(Router::new().route("/refusing", get(refusing)));
    service.get("/refusing", None).await.error(401, "MissingAuthReq");
}

#[tokio::test]
async fn the_link_of_an_error_leads_to_an_explanation() {
    let service = Service::new();
    let answer = service.get("/errors/InvalidSession", None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.starts_with("InvalidSession\n\nThe token"), "{}", answer.body);
    service.get("/errors/NoSuchCode", None).await.error(404, "BadRequest");
    service.get("/errors/%FF", None).await.error(404, "BadRequest");
}

#[tokio::test]
async fn a_running_server_says_so() {
    let service = Service::new();
    for path in ["/", "/health"] {
        let answer = service.get(path, None).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, "Bailiwick is running.\n");
    }
}

fn with_route(more: Router) -> Service {
    Service::with(Addressing::FromHost, AllowedOrigins::Any, more)
}
