use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use axum::routing::get;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::http::cors::AllowedOrigins;

use crate::service::{APP, Answer, LOGIN, PROFILE, SESSION, Service};

const PAGE: &str = "https://shop.test";

#[tokio::test]
async fn options_is_answered_on_any_path() {
    let service = Service::new();
    for path in [LOGIN, PROFILE, SESSION, "/", "/no/such/path", "//api/client/v2.0/auth/delete"] {
        let answer = ask(&service, Method::OPTIONS, path, Some(PAGE)).await;
        answer.check_empty();
        check_open_to(&answer, Some("*"));
    }
}

#[tokio::test]
async fn every_answer_is_open_to_pages() {
    let service = Service::with(Addressing::FromHost, AllowedOrigins::Any, faulty_route());
    let location = format!("{APP}/location");
    for (method, path, status) in [
        (Method::GET, location.as_str(), 200),
        (Method::GET, PROFILE, 401),
        (Method::PATCH, PROFILE, 405),
        (Method::GET, "/no/such/path", 404),
        (Method::POST, LOGIN, 200),
        (Method::GET, "/faulty", 500),
    ] {
        let answer = ask(&service, method, path, Some(PAGE)).await;
        assert_eq!(answer.status, status, "{path}");
        check_open_to(&answer, Some("*"));
    }
}

#[tokio::test]
async fn listed_origins_are_answered_by_name() {
    let service = listing(&["https://other.test", "HTTPS://Shop.test/"]);
    let location = format!("{APP}/location");
    for (method, path, status) in [
        (Method::GET, location.as_str(), 200),
        (Method::OPTIONS, LOGIN, 204),
        (Method::GET, PROFILE, 401),
    ] {
        let answer = ask(&service, method, path, Some(PAGE)).await;
        assert_eq!(answer.status, status, "{path}");
        check_open_to(&answer, Some(PAGE));
        assert_eq!(answer.headers[header::VARY], "origin");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_turned_away() {
    let service = listing(&["https://other.test"]);
    for origin in [PAGE, "http://other.test", "https://other.test:8443", "null"] {
        let answer = ask(&service, Method::POST, LOGIN, Some(origin)).await;
        answer.error(403, "DomainNotAllowed");
        check_open_to(&answer, None);
        let preflight = ask(&service, Method::OPTIONS, LOGIN, Some(origin)).await;
        preflight.check_empty();
        check_open_to(&preflight, None);
    }
}

#[tokio::test]
async fn whoever_sends_no_origin_is_no_page() {
    let service = listing(&["https://other.test"]);
    let answer = ask(&service, Method::POST, LOGIN, None).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[test]
fn an_allowed_origin_is_a_scheme_and_a_host() {
    for (origin, valid) in [
        ("https://shop.test", true),
        ("http://localhost:8080", true),
        ("shop.test", false),
        ("https://shop.test/page", false),
        ("*", false),
    ] {
        assert_eq!(AllowedOrigins::from_list(&[origin.to_owned()]).is_ok(), valid, "{origin}");
    }
    assert_eq!(AllowedOrigins::from_list(&[]).unwrap(), AllowedOrigins::Any);
}

fn listing(origins: &[&str]) -> Service {
    let origins = origins.iter().map(|&origin| origin.to_owned()).collect::<Vec<_>>();
    let origins = AllowedOrigins::from_list(&origins).unwrap();
    Service::with(Addressing::FromHost, origins, Router::new())
}

fn faulty_route() -> Router {
    async fn faulty() -> StatusCode {
        panic!("out of luck")
    }
    Router::new().route("/faulty", get(faulty))
}

async fn ask(service: &Service, method: Method, path: &str, origin: Option<&str>) -> Answer {
    let mut request =
        Request::builder().method(method).uri(path).header(header::HOST, "sync.test:9090");
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    service.send(request.body(Body::empty()).unwrap()).await
}

#[track_caller]
fn check_open_to(answer: &Answer, origin: Option<&str>) {
    let value = |name| answer.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(value(header::ACCESS_CONTROL_ALLOW_ORIGIN), origin);
    let expected = |value| origin.map(|_| value);
    assert_eq!(
        value(header::ACCESS_CONTROL_ALLOW_METHODS),
        expected("GET, POST, PUT, PATCH, DELETE, OPTIONS")
    );
    assert_eq!(
        value(header::ACCESS_CONTROL_ALLOW_HEADERS),
        expected("authorization, content-type")
    );
    assert_eq!(value(header::ACCESS_CONTROL_MAX_AGE), expected("600"));
}
