use serde_json::{Value, json};

use super::exchange::{
    APP, BASE, Exchange, Fixture, PROFILE, access, exchange, location, location_at, profile,
    with_fields,
};
use crate::app::{AppError, RedirectFault, User};
use crate::transport::{Authenticator, Route};

const LOCATION: &str = "/api/client/v2.0/app/inventory-abcde/location";

fn get_profile(base: &str) -> Exchange {
    exchange("GET", &format!("{base}{PROFILE}")).token(&access("one"))
}

async fn read_profile(exchanges: impl IntoIterator<Item = Exchange>) -> Result<(), AppError> {
    let (fixture, user) = Fixture::with_user().await;
    fixture.server.expect(exchanges);
    let result = user.refresh_profile().await;
    fixture.server.done();
    result
}

fn route(url: &str, is_confirmed: bool) -> Route {
    Route { url: url.parse().unwrap(), is_confirmed }
}

#[tokio::test]
async fn requests_go_where_the_location_service_says() {
    let fixture = Fixture::new();
    let moved = json!({
        "hostname": "http://eu.example.com:81/",
        "ws_hostname": "wss://ws.eu.example.com",
    });
    fixture.server.expect([
        exchange("GET", LOCATION).answers(200, &moved),
        exchange(
            "POST",
            &format!("http://eu.example.com:81{APP}/auth/providers/local-userpass/confirm/send"),
        )
        .body(json!({"email": "a@b.c"})),
        exchange(
            "POST",
            &format!("http://eu.example.com:81{APP}/auth/providers/local-userpass/reset/send"),
        )
        .body(json!({"email": "a@b.c"})),
    ]);
    fixture.app.email_password().resend_confirmation("a@b.c").await.unwrap();
    fixture.app.email_password().send_reset("a@b.c").await.unwrap();
    fixture.server.done();
    let user = User::new(&fixture.app, "any");
    let expected = format!("wss://ws.eu.example.com{APP}/realm-sync");
    assert_eq!(user.route().await.unwrap(), route(&expected, true));
}

#[tokio::test]
async fn a_sync_route_is_taken_as_it_is() {
    let fixture = Fixture::new();
    let route_field = json!({"sync_route": "wss://sync.example.com/here?x=1"});
    let answer = with_fields(location_at("localhost:9090"), route_field);
    fixture.server.expect([exchange("GET", LOCATION).answers(200, &answer)]);
    let user = User::new(&fixture.app, "any");
    assert_eq!(user.route().await.unwrap(), route("wss://sync.example.com/here?x=1", true));
    fixture.server.done();
}

#[tokio::test]
async fn a_location_that_does_not_answer_is_asked_again() {
    let fixture = Fixture::new();
    let user = User::new(&fixture.app, "any");
    fixture.server.expect([exchange("GET", LOCATION).breaks()]);
    let guess = format!("ws://localhost:9090{APP}/realm-sync");
    assert_eq!(user.route().await.unwrap(), route(&guess, false));
    fixture.server.done();
    fixture.server.expect([location()]);
    assert_eq!(user.route().await.unwrap(), route(&guess, true));
    assert_eq!(user.route().await.unwrap(), route(&guess, true));
    fixture.server.done();
}

#[tokio::test]
async fn callers_at_the_same_time_ask_once() {
    let fixture = Fixture::new();
    fixture.server.expect([location()]);
    let user = User::new(&fixture.app, "any");
    let (one, two) = tokio::join!(user.route(), user.route());
    assert_eq!(one, two);
    fixture.server.done();
}

#[tokio::test]
async fn a_location_that_cannot_be_refreshed_stays() {
    let (fixture, user) = Fixture::with_user().await;
    let old = user.route().await.unwrap();
    fixture.server.expect([exchange("GET", LOCATION).answers_text(500, None, "")]);
    user.refresh_route().await.unwrap_err();
    assert_eq!(user.route().await.unwrap(), old);
    fixture.server.expect([exchange("GET", LOCATION).answers(200, &location_at("new:1"))]);
    user.refresh_route().await.unwrap();
    assert_eq!(user.route().await.unwrap(), route(&format!("ws://new:1{APP}/realm-sync"), true));
    fixture.server.done();
}

#[tokio::test]
async fn a_location_that_lacks_something_says_what() {
    let good = location_at("localhost:9090");
    let with = |fields: Value| with_fields(good.clone(), fields);
    for (answer, text) in [
        (json!({"ws_hostname": "ws://x"}), "the field `hostname` is missing"),
        (json!({"hostname": "http://x"}), "the field `ws_hostname` is missing"),
        (with(json!({"hostname": 1})), "the field `hostname` is no string"),
        (with(json!({"hostname": "x:1"})), r#"the field `hostname` is no address: "x:1""#),
        (
            with(json!({"ws_hostname": "http://x"})),
            r#"the field `ws_hostname` is no address: "http://x""#,
        ),
        (
            with(json!({"sync_route": "http://x"})),
            r#"the field `sync_route` is no address: "http://x""#,
        ),
        (json!(1), "it is no JSON object"),
    ] {
        let fixture = Fixture::new();
        fixture.server.expect([exchange("GET", LOCATION).answers(200, &answer)]);
        let error = fixture.app.email_password().send_reset("a@b.c").await.unwrap_err();
        let text = format!("the answer to `get location` cannot be used: {text}");
        assert_eq!(error.to_string(), text);
        fixture.server.done();
    }
}

#[tokio::test]
async fn a_secure_base_url_is_never_left_for_an_insecure_one() {
    for answer in [
        exchange("GET", &format!("https://safe{LOCATION}"))
            .answers(200, &json!({"hostname": "http://safe", "ws_hostname": "wss://safe"})),
        exchange("GET", &format!("https://safe{LOCATION}"))
            .answers(200, &json!({"hostname": "https://safe", "ws_hostname": "ws://safe"})),
        exchange("GET", &format!("https://safe{LOCATION}")).redirects(301, Some("http://safe")),
    ] {
        let fixture = Fixture::new();
        let config =
            crate::app::AppConfig { base_url: "https://safe".to_owned(), ..fixture.config() };
        let app = crate::app::App::new(config).unwrap();
        fixture.server.expect([answer]);
        let error = app.email_password().send_reset("a@b.c").await.unwrap_err();
        assert!(error.to_string().contains("from https to "), "{error}");
        fixture.server.done();
    }
}

#[tokio::test]
async fn redirections_are_followed_by_way_of_the_location_service() {
    for status in [301, 308] {
        let target = "http://new.example.com:82/anything?x=1";
        read_profile([
            get_profile(BASE).redirects(status, Some(target)),
            exchange("GET", &format!("http://new.example.com:82{LOCATION}"))
                .redirects(status, Some("http://newest.example.com/")),
            exchange("GET", &format!("http://newest.example.com{LOCATION}"))
                .answers(200, &location_at("newest.example.com:83")),
            get_profile("http://newest.example.com:83").answers(200, &profile(&["anon-user"])),
        ])
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn redirections_that_lead_nowhere_are_errors() {
    for (target, fault) in [
        (None, RedirectFault::Missing),
        (Some("/here"), RedirectFault::Target("/here".to_owned())),
        (Some("ftp://x"), RedirectFault::Target("ftp://x".to_owned())),
        (Some("http://u:p@x"), RedirectFault::Target("http://u:p@x".to_owned())),
    ] {
        let error = read_profile([get_profile(BASE).redirects(308, target)]).await.unwrap_err();
        assert!(matches!(&error, AppError::Redirect(is) if *is == fault), "{error:?}");
    }
    let error = read_profile([get_profile(BASE).answers_text(302, None, "")]).await.unwrap_err();
    assert!(matches!(error, AppError::Server(_)), "{error:?}");
}

#[tokio::test]
async fn redirections_have_an_end() {
    let again = |_| {
        [
            get_profile(BASE).redirects(301, Some(BASE)),
            exchange("GET", LOCATION).answers(200, &location_at("localhost:9090")),
        ]
    };
    let exchanges = (0..20).flat_map(again).chain([get_profile(BASE).redirects(301, Some(BASE))]);
    let error = read_profile(exchanges).await.unwrap_err();
    assert!(matches!(error, AppError::Redirect(RedirectFault::TooMany(20))), "{error:?}");

    let around = (0..20).map(|_| exchange("GET", LOCATION).redirects(301, Some(BASE)));
    let exchanges = [get_profile(BASE).redirects(301, Some(BASE))].into_iter().chain(around);
    let error = read_profile(exchanges).await.unwrap_err();
    assert!(matches!(error, AppError::Redirect(RedirectFault::TooMany(20))), "{error:?}");
}
