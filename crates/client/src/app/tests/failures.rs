use serde_json::{Value, json};

use super::exchange::{
    Exchange, Fixture, LOGIN, PROFILE, USER_ID, access, exchange, location, login, login_body,
    profile, refusal, token, with_fields,
};
use crate::app::transport::MAX_ANSWER_LEN;
use crate::app::{App, AppConfig, AppError, ConfigError, Credentials};

/// A login whose last exchange goes wrong; `kind` is the variant of the error.
async fn check(exchanges: impl IntoIterator<Item = Exchange>, kind: &str, text: &str) {
    let fixture = Fixture::new();
    fixture.server.expect([location()]);
    fixture.server.expect(exchanges);
    let error = fixture.app.log_in(Credentials::anonymous()).await.unwrap_err();
    fixture.server.done();
    assert_eq!(error.to_string(), text);
    assert!(format!("{error:?}").starts_with(kind), "{error:?}");
    assert!(fixture.app.users().is_empty() && fixture.started_again().users().is_empty());
}

fn log_in() -> Exchange {
    exchange("POST", LOGIN).body(login_body("anon-user"))
}

#[tokio::test]
async fn refusals_are_told_in_the_words_of_the_server() {
    let link = "http://localhost:9090/errors";
    let json = Some("application/json");
    let cases = [
        (
            log_in().answers(401, &refusal("invalid username/password", "InvalidPassword")),
            "InvalidCredentials",
            format!(
                "these credentials are not accepted: invalid username/password \
                 (HTTP 401, InvalidPassword, see {link}/InvalidPassword)"
            ),
        ),
        (
            log_in().answers(
                401,
                &json!({"error": "confirmation required", "error_code": "AuthError"}),
            ),
            "InvalidCredentials",
            "these credentials are not accepted: confirmation required (HTTP 401, AuthError)"
                .to_owned(),
        ),
        (
            log_in().answers(401, &json!({"error": "the function says no"})),
            "InvalidCredentials",
            "these credentials are not accepted: the function says no (HTTP 401)".to_owned(),
        ),
        (
            log_in().answers(401, &refusal("disabled", "UserDisabled")),
            "Server",
            format!(
                "the server refuses: disabled (HTTP 401, UserDisabled, see {link}/UserDisabled)"
            ),
        ),
        (
            log_in().answers(404, &refusal("no such provider", "AuthProviderNotFound")),
            "Server",
            format!(
                "the server refuses: no such provider \
                 (HTTP 404, AuthProviderNotFound, see {link}/AuthProviderNotFound)"
            ),
        ),
        // A code makes an error of it, whatever the status.
        (
            log_in().answers(200, &json!({"error_code": "Odd"})),
            "Server",
            r#"the server refuses: {"error_code":"Odd"} (HTTP 200, Odd)"#.to_owned(),
        ),
        (
            log_in().answers(200, &json!({"error": "x"})),
            "Server",
            "the server refuses: x (HTTP 200)".to_owned(),
        ),
        // With a parameter it is still JSON.
        (
            log_in().answers_text(
                403,
                Some("application/JSON; charset=utf-8"),
                r#"{"error":"x","error_code":"Y"}"#,
            ),
            "Server",
            "the server refuses: x (HTTP 403, Y)".to_owned(),
        ),
        (
            log_in().answers_text(502, Some("text/html"), " <b>Bad\nGateway</b> "),
            "Server",
            "the server refuses: <b>Bad Gateway</b> (HTTP 502)".to_owned(),
        ),
        (
            log_in().answers_text(500, json, ""),
            "Server",
            "the server refuses: Internal Server Error (HTTP 500)".to_owned(),
        ),
        (
            log_in().answers_text(500, None, &"x".repeat(1000)),
            "Server",
            format!("the server refuses: {} (HTTP 500)", "x".repeat(200)),
        ),
        (
            log_in().answers_text(302, None, ""),
            "Server",
            "the server refuses: Found (HTTP 302)".to_owned(),
        ),
        (log_in().breaks(), "Network", "the server does not answer".to_owned()),
        (
            log_in().answers_text(200, json, &"x".repeat(MAX_ANSWER_LEN + 1)),
            "Network",
            "the server does not answer".to_owned(),
        ),
    ];
    for (exchange, kind, text) in cases {
        check([exchange], kind, &text).await;
    }
}

#[tokio::test]
async fn a_login_answer_that_lacks_something_says_what() {
    let without = |name: &str| {
        let mut answer = login("one");
        answer.as_object_mut().unwrap().remove(name);
        answer
    };
    let with = |fields: Value| with_fields(login("one"), fields);
    let cases = [
        (without("access_token"), "the field `access_token` is missing"),
        (without("refresh_token"), "the field `refresh_token` is missing"),
        (without("user_id"), "the field `user_id` is missing"),
        (without("device_id"), "the field `device_id` is missing"),
        (with(json!({"device_id": 1})), "the field `device_id` is no string"),
        (with(json!({"user_id": null})), "the field `user_id` is no string"),
        (with(json!({"user_id": ""})), "the field `user_id` is no user id"),
        (with(json!({"user_id": "../users"})), "the field `user_id` is no user id"),
        (with(json!({"user_id": "a\u{0}"})), "the field `user_id` is no user id"),
        (with(json!({"user_id": "x".repeat(129)})), "the field `user_id` is no user id"),
        (
            with(json!({"access_token": "a.b"})),
            "the field `access_token` is no token: it has not three parts",
        ),
        (
            with(json!({"access_token": "a.W10.c"})),
            "the field `access_token` is no token: its claims are no JSON object",
        ),
        (
            with(json!({"access_token": token("s", &json!({"exp": "1"}))})),
            "the field `access_token` is no token: its claim `exp` has the wrong type",
        ),
        (
            with(json!({"refresh_token": "a.b.c\r\nX-Header: 1"})),
            "the field `refresh_token` is no token: it is not encoded as tokens are",
        ),
        (json!([]), "it is no JSON object"),
    ];
    for (answer, text) in cases {
        let text = format!("the answer to `log in` cannot be used: {text}");
        check([log_in().answers(200, &answer)], "Malformed", &text).await;
    }
    let text = "the answer to `log in` cannot be used: it is not JSON";
    for body in ["", "{", "<html>", &"[".repeat(100_000)] {
        let answer = log_in().answers_text(200, Some("application/json"), body);
        check([answer], "Malformed", text).await;
    }
}

#[tokio::test]
async fn a_profile_that_lacks_something_says_what() {
    let with = |fields: Value| with_fields(profile(&["anon-user"]), fields);
    let identity = |value: Value| with(json!({ "identities": [value] }));
    let cases = [
        (json!({"data": {}}), "the field `identities` is missing"),
        (json!({"identities": []}), "the field `data` is missing"),
        (with(json!({"identities": {}})), "the field `identities` is no array"),
        (with(json!({"data": null})), "the field `data` is no object"),
        (identity(json!(1)), "the field `identities` is no array of objects"),
        (identity(json!({"id": "i"})), "the field `provider_type` is missing"),
        (identity(json!({"provider_type": "p"})), "the field `id` is missing"),
        (identity(json!({"id": 1, "provider_type": "p"})), "the field `id` is no string"),
    ];
    for (answer, text) in cases {
        let text = format!("the answer to `get profile` cannot be used: {text}");
        let get = exchange("GET", PROFILE).token(&access("one")).answers(200, &answer);
        check([log_in().answers(200, &login("one")), get], "Malformed", &text).await;
    }
}

#[tokio::test]
async fn a_login_without_a_profile_is_none() {
    let get = exchange("GET", PROFILE).token(&access("one"));
    let get = get.answers(404, &refusal("no profile", "UserNotFound"));
    let text = "the server refuses: no profile \
                (HTTP 404, UserNotFound, see http://localhost:9090/errors/UserNotFound)";
    check([log_in().answers(200, &login("one")), get], "Server", text).await;
}

#[tokio::test]
async fn what_a_server_adds_is_ignored() {
    let fixture = Fixture::new();
    let more = json!({"new": [1], "expires_in": 1800});
    let answer = with_fields(profile(&["anon-user", "something-new"]), more.clone());
    fixture.server.expect([
        location(),
        log_in().answers(200, &with_fields(login("one"), more)),
        exchange("GET", PROFILE).token(&access("one")).answers(200, &answer),
    ]);
    let user = fixture.app.log_in(Credentials::anonymous()).await.unwrap();
    assert_eq!(user.identities()[1].provider_type, "something-new");
    fixture.server.done();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let started = tokio::time::Instant::now();
    check([log_in().never_answers()], "Network", "the server does not answer").await;
    assert_eq!(started.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn tokens_and_passwords_are_not_shown() {
    let (fixture, user) = Fixture::with_user().await;
    let config = fixture.config();
    let credentials = Credentials::email_password("a@b.c", "secret-password");
    let shown = format!("{user:?} {:?} {config:?} {credentials:?}", fixture.app);
    assert!(shown.contains(USER_ID), "{shown}");
    for secret in [access("one"), super::exchange::refresh("one"), "secret-password".to_owned()] {
        assert!(!shown.contains(&secret), "{shown}");
    }
}

#[test]
fn a_base_url_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for url in [
        "",
        "localhost:9090",
        "sync.example.com",
        "ftp://sync.example.com",
        "ws://sync.example.com",
        "http://",
        "http:///path",
        "http://user:password@sync.example.com",
        "http://sync.example.com:0",
        "http://sync.example.com:99999",
        "http://sync.example.com/?x=1",
        "http://sync.example.com/#x",
        "http://sync example.com",
    ] {
        let error = App::new(AppConfig::new(url, "inventory-abcde", folder.path())).unwrap_err();
        assert!(matches!(&error, AppError::Config(ConfigError::BaseUrl(is)) if is == url), "{url}");
        let text = error.to_string();
        assert!(
            text.contains("look like https://sync.example.com or http://localhost:9090"),
            "{text}"
        );
    }
    for url in ["http://[::1]:9090", "https://sync.example.com/", "https://example.com/sync//"] {
        App::new(AppConfig::new(url, "inventory-abcde", folder.path())).unwrap();
    }
}

#[test]
fn an_app_id_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for id in ["", "a b", "a/b", "..", "a?b", "ä", "a.b", &"x".repeat(129)] {
        let error = App::new(AppConfig::new("http://localhost", id, folder.path())).unwrap_err();
        assert!(matches!(&error, AppError::Config(ConfigError::AppId(is)) if is == id), "{id}");
        assert!(error.to_string().contains("the app's realm_config.json names it"));
    }
}
