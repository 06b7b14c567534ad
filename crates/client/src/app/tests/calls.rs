use serde_json::{Value, json};

use super::exchange::{
    API, APP, DEVICE_ID, Exchange, Fixture, LOGIN, PROFILE, SESSION, USER_ID, access, exchange,
    location, login, login_body, profile, refresh, refusal, with_fields,
};
use crate::app::{ApiKey, AppError, Credentials, Identity, UserState};

async fn check_login(credentials: Credentials, provider: &str, body: Value) {
    let fixture = Fixture::new();
    let path = LOGIN.replace("anon-user", provider);
    fixture.server.expect([
        location(),
        exchange("POST", &path).body(body).answers(200, &login("one")),
        exchange("GET", PROFILE).token(&access("one")).answers(200, &profile(&[provider])),
    ]);
    let user = fixture.app.log_in(credentials).await.unwrap();
    fixture.server.done();
    assert_eq!(user.id(), USER_ID);
    assert_eq!(user.state(), UserState::LoggedIn);
    assert_eq!(user.device_id().as_deref(), Some(DEVICE_ID));
    assert_eq!(user.profile().data["email"], "a@b.c");
    assert_eq!(user.custom_data()["name"], "one");
    assert_eq!(user.access_token().unwrap(), access("one"));
    let identity = Identity { id: "identity-0".to_owned(), provider_type: provider.to_owned() };
    assert_eq!(user.identities(), [identity]);
    assert_eq!(user.is_anonymous(), provider == "anon-user");
    assert_eq!(fixture.app.current_user().unwrap().id(), USER_ID);
}

#[tokio::test]
async fn every_provider_gets_its_credentials() {
    let cases = [
        (Credentials::anonymous(), "anon-user", json!({})),
        (
            Credentials::email_password("a@b.c", "pw"),
            "local-userpass",
            json!({"username": "a@b.c", "password": "pw"}),
        ),
        (Credentials::api_key("k"), "api-key", json!({"key": "k"})),
        (Credentials::jwt("a.b.c"), "custom-token", json!({"token": "a.b.c"})),
        (Credentials::google_id_token("t"), "oauth2-google", json!({"id_token": "t"})),
        (Credentials::google_auth_code("c"), "oauth2-google", json!({"authCode": "c"})),
        (Credentials::apple("t"), "oauth2-apple", json!({"id_token": "t"})),
        (Credentials::facebook("t"), "oauth2-facebook", json!({"accessToken": "t"})),
    ];
    for (credentials, provider, fields) in cases {
        check_login(credentials, provider, with_fields(login_body(provider), fields)).await;
    }
}

#[tokio::test]
async fn a_function_gets_its_payload_and_no_provider() {
    let payload = json!({"username": "x", "n": {"$numberLong": "5"}, "provider": "mine"});
    let body = with_fields(login_body(""), payload.clone());
    check_login(Credentials::function(payload), "custom-function", body).await;
    let mut body = login_body("");
    body.as_object_mut().unwrap().remove("provider");
    check_login(Credentials::function(json!({})), "custom-function", body).await;
}

#[tokio::test]
async fn payloads_that_would_not_arrive_are_refused() {
    let fixture = Fixture::new();
    for (payload, text) in [
        (json!({"options": 1}), "a field `options`"),
        (json!([]), "no JSON object"),
        (json!(null), "no JSON object"),
    ] {
        let error = fixture.app.log_in(Credentials::function(payload)).await.unwrap_err();
        assert!(matches!(error, AppError::Credentials(_)), "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
    fixture.server.done();
}

#[tokio::test]
async fn an_anonymous_user_stays_the_same_without_a_call() {
    let (fixture, user) = Fixture::with_user().await;
    let again = fixture.app.log_in(Credentials::anonymous()).await.unwrap();
    assert_eq!(again.id(), user.id());
    let app = fixture.started_again();
    assert_eq!(app.log_in(Credentials::anonymous()).await.unwrap().id(), user.id());
    fixture.server.done();
}

#[tokio::test]
async fn anonymous_logins_at_the_same_time_are_one() {
    let fixture = Fixture::new();
    fixture.server.expect([
        location(),
        exchange("POST", LOGIN).body(login_body("anon-user")).answers(200, &login("one")),
        exchange("GET", PROFILE).token(&access("one")).answers(200, &profile(&["anon-user"])),
    ]);
    let log_in = || fixture.app.log_in(Credentials::anonymous());
    let (one, two) = tokio::join!(log_in(), log_in());
    assert_eq!(one.unwrap().id(), two.unwrap().id());
    fixture.server.done();
}

#[tokio::test]
async fn accounts_are_made_confirmed_and_reset() {
    let fixture = Fixture::new();
    let path = |name| format!("{APP}/auth/providers/local-userpass/{name}");
    let post = |name, body| exchange("POST", &path(name)).body(body);
    fixture.server.expect([
        location(),
        post("register", json!({"email": "a@b.c", "password": "pw"})).answers(201, &json!({})),
        post("confirm", json!({"token": "t", "tokenId": "i"})).answers(200, &json!({})),
        post("confirm/send", json!({"email": "a@b.c"})),
        post("confirm/call", json!({"email": "a@b.c"})),
        post("reset/send", json!({"email": "a@b.c"})),
        post("reset", json!({"password": "pw", "token": "t", "tokenId": "i"})),
        post(
            "reset/call",
            json!({"email": "a@b.c", "password": "pw", "arguments": [{"$numberLong": "1"}, "x"]}),
        ),
        post("register", json!({"email": "a@b.c", "password": "pw"}))
            .answers(409, &refusal("name already in use", "AccountNameInUse")),
    ]);
    let accounts = fixture.app.email_password();
    accounts.register("a@b.c", "pw").await.unwrap();
    accounts.confirm("t", "i").await.unwrap();
    accounts.resend_confirmation("a@b.c").await.unwrap();
    accounts.retry_confirmation("a@b.c").await.unwrap();
    accounts.send_reset("a@b.c").await.unwrap();
    accounts.reset("pw", "t", "i").await.unwrap();
    let arguments = [json!({"$numberLong": "1"}), json!("x")];
    accounts.call_reset("a@b.c", "pw", &arguments).await.unwrap();
    let error = accounts.register("a@b.c", "pw").await.unwrap_err();
    let AppError::Server(error) = error else { panic!("{error:?}") };
    assert_eq!(error.error_code.as_deref(), Some("AccountNameInUse"));
    assert_eq!((error.status, &*error.message), (409, "name already in use"));
    assert_eq!(error.link.as_deref(), Some("http://localhost:9090/errors/AccountNameInUse"));
    fixture.server.done();
}

#[tokio::test]
async fn api_keys_are_managed_with_the_refresh_token() {
    let (fixture, user) = Fixture::with_named_user().await;
    let id = "5f0000000000000000000001";
    let call = |method, rest: &str| -> Exchange {
        exchange(method, &format!("{API}/auth/api_keys{rest}")).token(&refresh("one"))
    };
    let shown = json!({"_id": id, "name": "n1", "disabled": false});
    let made = with_fields(shown.clone(), json!({"key": "secret-key"}));
    fixture.server.expect([
        call("POST", "").body(json!({"name": "n1"})).answers(201, &made),
        call("GET", "").answers(200, &json!([shown, {"_id": "b", "name": "n2", "disabled": true}])),
        call("GET", &format!("/{id}")).answers(200, &shown),
        call("PUT", &format!("/{id}/disable")),
        call("PUT", &format!("/{id}/enable")),
        call("DELETE", &format!("/{id}")),
        call("DELETE", "/5f00").answers(404, &refusal("API key not found", "APIKeyNotFound")),
    ]);
    let keys = user.api_keys();
    let key = ApiKey { id: id.to_owned(), name: "n1".to_owned(), is_disabled: false, key: None };
    let made = keys.create("n1").await.unwrap();
    assert!(!format!("{made:?}").contains("secret-key"));
    assert_eq!(made, ApiKey { key: Some("secret-key".to_owned()), ..key.clone() });
    let other = ApiKey { id: "b".to_owned(), name: "n2".to_owned(), is_disabled: true, key: None };
    assert_eq!(keys.list().await.unwrap(), [key.clone(), other]);
    assert_eq!(keys.get(id).await.unwrap(), key);
    keys.disable(id).await.unwrap();
    keys.enable(id).await.unwrap();
    keys.delete(id).await.unwrap();
    let error = keys.delete("5f00").await.unwrap_err();
    assert!(matches!(error, AppError::Server(_)), "{error:?}");
    for id in ["", "../session", "a?b", "a/b"] {
        let error = keys.delete(id).await.unwrap_err();
        assert!(matches!(error, AppError::ApiKeyId(_)), "{error:?}");
    }
    fixture.server.done();
}

#[tokio::test]
async fn a_linked_user_has_both_identities() {
    let (fixture, user) = Fixture::with_user().await;
    let path = format!("{APP}/auth/providers/local-userpass/login?link=true");
    let fields = json!({"username": "a@b.c", "password": "pw"});
    let body = with_fields(login_body("local-userpass"), fields);
    let mut answer = login("two");
    answer.as_object_mut().unwrap().remove("refresh_token");
    let identities = profile(&["anon-user", "local-userpass"]);
    fixture.server.expect([
        exchange("POST", &path).token(&access("one")).body(body).answers(200, &answer),
        exchange("GET", PROFILE).token(&access("two")).answers(200, &identities),
    ]);
    user.link(Credentials::email_password("a@b.c", "pw")).await.unwrap();
    fixture.server.done();
    assert!(!user.is_anonymous());
    for app in [fixture.app.clone(), fixture.started_again()] {
        let user = app.current_user().unwrap();
        let identities = user.identities();
        let types = identities.iter().map(|identity| &*identity.provider_type);
        assert_eq!(types.collect::<Vec<_>>(), ["anon-user", "local-userpass"]);
        assert_eq!(user.access_token().unwrap(), access("two"));
        assert_eq!(user.refresh_token().unwrap(), refresh("one"));
    }
}

#[tokio::test]
async fn a_link_that_leads_to_another_user_changes_nothing() {
    let (fixture, user) = Fixture::with_user().await;
    let path = format!("{APP}/auth/providers/api-key/login?link=true");
    let body = with_fields(login_body("api-key"), json!({"key": "k"}));
    let call = || exchange("POST", &path).token(&access("one")).body(body.clone());
    let other = with_fields(login("two"), json!({"user_id": "5f00000000000000000000ff"}));
    fixture.server.expect([
        call().answers(200, &other),
        call().answers(409, &refusal("in use", "AccountNameInUse")),
    ]);
    let error = user.link(Credentials::api_key("k")).await.unwrap_err();
    assert_eq!(error.to_string(), "the answer to `link` cannot be used: it is about another user");
    let error = user.link(Credentials::api_key("k")).await.unwrap_err();
    assert!(matches!(error, AppError::Server(_)), "{error:?}");
    let error = user.link(Credentials::anonymous()).await.unwrap_err();
    assert!(matches!(error, AppError::Credentials(_)), "{error:?}");
    assert!(user.is_anonymous());
    assert_eq!(user.access_token().unwrap(), access("one"));
    fixture.server.done();
}

#[tokio::test]
async fn a_deleted_user_is_removed() {
    let (fixture, user) = Fixture::with_named_user().await;
    let delete = || exchange("DELETE", "/api/client/v2.0/auth/delete").token(&access("one"));
    fixture.server.expect([delete().answers_text(500, None, ""), delete()]);
    let error = user.delete().await.unwrap_err();
    assert!(matches!(error, AppError::Server(_)), "{error:?}");
    assert_eq!(user.state(), UserState::LoggedIn);
    user.delete().await.unwrap();
    assert_eq!(user.state(), UserState::Removed);
    assert!(fixture.app.users().is_empty() && fixture.started_again().users().is_empty());
    let error = user.refresh().await.unwrap_err();
    assert_eq!(error.to_string(), "the user is removed, log in first");
    fixture.server.done();
}

#[tokio::test]
async fn a_profile_is_read_again() {
    let (fixture, user) = Fixture::with_named_user().await;
    let answer = with_fields(profile(&["api-key"]), json!({"data": {"name": "N"}}));
    fixture.server.expect([exchange("GET", PROFILE).token(&access("one")).answers(200, &answer)]);
    user.refresh_profile().await.unwrap();
    assert_eq!(user.profile().data["name"], "N");
    assert_eq!(fixture.started_again().users()[0].identities()[0].provider_type, "api-key");
    fixture.server.done();
}

#[tokio::test]
async fn a_logout_holds_whatever_the_server_says() {
    for answer in [
        exchange("DELETE", SESSION),
        exchange("DELETE", SESSION).answers(401, &refusal("invalid session", "InvalidSession")),
        exchange("DELETE", SESSION).breaks(),
    ] {
        let (fixture, user) = Fixture::with_named_user().await;
        fixture.server.expect([answer.token(&refresh("one"))]);
        user.log_out().await.unwrap();
        fixture.server.done();
        assert_eq!(user.state(), UserState::LoggedOut);
        assert_eq!(
            user.access_token().unwrap_err().to_string(),
            "the user is logged out, log in first"
        );
        assert!(user.custom_data().is_empty());
        assert_eq!(user.profile().data["email"], "a@b.c");
        assert!(fixture.app.current_user().is_none());
        // There is nothing more to be done.
        user.log_out().await.unwrap();
        let again = fixture.started_again();
        assert_eq!(again.users().len(), 1);
        assert_eq!(again.users()[0].state(), UserState::LoggedOut);
    }
}

#[tokio::test]
async fn an_anonymous_user_who_logs_out_is_removed() {
    let (fixture, user) = Fixture::with_user().await;
    fixture.server.expect([exchange("DELETE", SESSION).token(&refresh("one"))]);
    user.log_out().await.unwrap();
    assert_eq!(user.state(), UserState::Removed);
    assert!(fixture.started_again().users().is_empty());
    fixture.server.done();
}

#[tokio::test]
async fn a_user_who_logs_in_again_is_the_same() {
    let (fixture, user) = Fixture::with_named_user().await;
    fixture.server.expect([
        exchange("DELETE", SESSION).token(&refresh("one")),
        exchange("POST", &LOGIN.replace("anon-user", "api-key"))
            .body(with_fields(login_body("api-key"), json!({"key": "k"})))
            .answers(200, &login("two")),
        exchange("GET", PROFILE).token(&access("two")).answers(200, &profile(&["api-key"])),
    ]);
    user.log_out().await.unwrap();
    fixture.app.log_in(Credentials::api_key("k")).await.unwrap();
    assert_eq!(user.state(), UserState::LoggedIn);
    assert_eq!(user.access_token().unwrap(), access("two"));
    assert_eq!(fixture.app.users().len(), 1);
    fixture.server.done();
}
