use std::sync::Arc;

use futures_util::FutureExt as _;
use serde_json::json;
use tokio::sync::Semaphore;

use super::exchange::{
    Exchange, Fixture, PROFILE, SESSION, access, exchange, profile, refresh, refusal, token,
};
use crate::app::{AppError, User, UserState};
use crate::transport::{AuthFailure, Authenticator};

fn renew() -> Exchange {
    exchange("POST", SESSION).token(&refresh("one"))
}

fn renewed(name: &str) -> Exchange {
    renew().answers(201, &json!({"access_token": access(name)}))
}

fn ended() -> Exchange {
    renew().answers(401, &refusal("invalid session", "InvalidSession"))
}

#[tokio::test]
async fn a_refresh_brings_a_token_and_custom_data() {
    let (fixture, user) = Fixture::with_user().await;
    fixture.server.expect([renewed("two")]);
    user.refresh().await.unwrap();
    fixture.server.done();
    assert_eq!(user.access_token().unwrap(), access("two"));
    assert_eq!(user.custom_data()["name"], "two");
    let user = fixture.started_again().current_user().unwrap();
    assert_eq!(user.access_token().unwrap(), access("two"));
    assert_eq!(user.refresh_token().unwrap(), refresh("one"));
}

#[tokio::test]
async fn callers_at_the_same_time_share_a_refresh() {
    let gate = Arc::new(Semaphore::new(0));
    for (answer, is_ok) in [(renewed("two"), true), (renew().breaks(), false)] {
        let (fixture, user) = Fixture::with_user().await;
        fixture.server.expect([answer.gate(&gate)]);
        let callers = (0..10).map(|_| user.refresh());
        let open = async { gate.add_permits(1) };
        let (results, ()) = tokio::join!(futures_util::future::join_all(callers), open);
        assert!(results.iter().all(|result| result.is_ok() == is_ok), "{results:?}");
        fixture.server.done();
        // The next one is another.
        fixture.server.expect([renewed("three")]);
        user.refresh().await.unwrap();
        fixture.server.done();
    }
}

#[tokio::test]
async fn a_refresh_that_nobody_waits_for_comes_to_its_end() {
    let (fixture, user) = Fixture::with_user().await;
    let gate = Arc::new(Semaphore::new(0));
    fixture.server.expect([renewed("two").gate(&gate)]);
    assert!(user.refresh().now_or_never().is_none());
    gate.add_permits(1);
    user.refresh().await.unwrap();
    assert_eq!(user.access_token().unwrap(), access("two"));
    fixture.server.done();
}

#[tokio::test]
async fn a_token_with_little_left_is_refreshed_before_connecting() {
    let (fixture, user) = Fixture::with_user().await;
    fixture.advance(1800 - 30);
    assert_eq!(Authenticator::access_token(&user).await.unwrap(), access("one"));
    fixture.advance(1);
    fixture.server.expect([renewed("two")]);
    assert_eq!(Authenticator::access_token(&user).await.unwrap(), access("two"));
    fixture.server.done();
}

#[tokio::test]
async fn a_token_without_expiry_is_refreshed_before_connecting() {
    let (fixture, user) = Fixture::with_user().await;
    let endless = token("endless", &json!({}));
    fixture
        .server
        .expect([renew().answers(201, &json!({ "access_token": endless })), renewed("two")]);
    user.refresh().await.unwrap();
    assert_eq!(Authenticator::access_token(&user).await.unwrap(), access("two"));
    fixture.server.done();
}

#[tokio::test]
async fn a_token_that_cannot_be_refreshed_now_is_kept() {
    for answer in [
        renew().breaks(),
        renew().answers_text(500, None, ""),
        renew().answers(404, &refusal("what?", "BadRequest")),
        renew().answers(200, &json!({})),
        renew().answers(200, &json!({"access_token": "a.b"})),
        renew().answers_text(200, None, "no JSON"),
    ] {
        let (fixture, user) = Fixture::with_user().await;
        fixture.advance(4000);
        fixture.server.expect([answer.clone()]);
        assert_eq!(Authenticator::access_token(&user).await.unwrap(), access("one"));
        fixture.server.done();
        fixture.server.expect([answer]);
        let failure = user.refresh_access_token().await.unwrap_err();
        assert!(matches!(failure, AuthFailure::Unavailable(_)), "{failure:?}");
        assert_eq!(user.state(), UserState::LoggedIn);
        fixture.server.done();
    }
}

#[tokio::test]
async fn a_refused_refresh_logs_the_user_out() {
    for status in [401, 403] {
        let (fixture, user) = Fixture::with_named_user().await;
        fixture.server.expect([renew().answers(status, &json!({"error": "gone"}))]);
        let error = user.refresh().await.unwrap_err();
        let text = format!("the session has ended, log in again: gone (HTTP {status})");
        assert_eq!(error.to_string(), text);
        assert_eq!(user.state(), UserState::LoggedOut);
        assert!(fixture.app.current_user().is_none());
        assert_eq!(fixture.started_again().users()[0].state(), UserState::LoggedOut);
        let failure = user.refresh_access_token().await.unwrap_err();
        assert!(matches!(failure, AuthFailure::LoggedOut(_)), "{failure:?}");
        fixture.server.done();
    }
}

#[tokio::test]
async fn connecting_with_a_refused_refresh_says_that_the_user_is_logged_out() {
    let (fixture, user) = Fixture::with_user().await;
    fixture.advance(4000);
    fixture.server.expect([ended()]);
    let failure = Authenticator::access_token(&user).await.unwrap_err();
    let AuthFailure::LoggedOut(reason) = failure else { panic!("{failure:?}") };
    assert!(reason.contains("invalid session"), "{reason}");
    assert_eq!(user.state(), UserState::Removed, "it was anonymous");
    fixture.server.done();
}

#[tokio::test]
async fn a_call_is_repeated_once_with_a_new_token() {
    let (fixture, user) = Fixture::with_user().await;
    let get = |name| exchange("GET", PROFILE).token(&access(name));
    fixture.server.expect([
        get("one").answers_text(401, None, "whatever"),
        renewed("two"),
        get("two").answers(200, &profile(&["anon-user"])),
        // Once more, and not again.
        get("two").answers_text(401, None, ""),
        renewed("three"),
        get("three").answers_text(401, None, ""),
        // Other refusals are not about the token.
        get("three").answers_text(403, None, ""),
    ]);
    user.refresh_profile().await.unwrap();
    for status in [401, 403] {
        let error = user.refresh_profile().await.unwrap_err();
        let AppError::Server(error) = error else { panic!("{error:?}") };
        assert_eq!(error.status, status);
    }
    assert_eq!(user.state(), UserState::LoggedIn);
    fixture.server.done();
}

#[tokio::test]
async fn calls_that_are_refused_at_the_same_time_share_a_refresh() {
    let (fixture, user) = Fixture::with_user().await;
    let get = |name| exchange("GET", PROFILE).token(&access(name));
    fixture.server.expect([
        get("one").answers_text(401, None, ""),
        get("one").answers_text(401, None, ""),
        renewed("two"),
        get("two").answers(200, &profile(&["anon-user"])),
        get("two").answers(200, &profile(&["anon-user"])),
    ]);
    let (one, two) = tokio::join!(user.refresh_profile(), user.refresh_profile());
    one.unwrap();
    two.unwrap();
    fixture.server.done();
}

#[tokio::test]
async fn a_call_with_a_refused_refresh_token_logs_the_user_out() {
    let (fixture, user) = Fixture::with_named_user().await;
    let list = exchange("GET", "/api/client/v2.0/auth/api_keys").token(&refresh("one"));
    fixture
        .server
        .expect([list.answers(401, &refusal("must authenticate first", "MissingAuthReq"))]);
    let error = user.api_keys().list().await.unwrap_err();
    assert!(matches!(error, AppError::SessionEnded(_)), "{error:?}");
    assert_eq!(user.state(), UserState::LoggedOut);
    fixture.server.done();
}

#[tokio::test]
async fn who_logs_out_during_a_refresh_stays_logged_out() {
    let (fixture, user) = Fixture::with_named_user().await;
    let gate = Arc::new(Semaphore::new(0));
    fixture
        .server
        .expect([renewed("two").gate(&gate), exchange("DELETE", SESSION).token(&refresh("one"))]);
    let refreshing = user.clone();
    let refreshing = tokio::spawn(async move { refreshing.refresh().await });
    while fixture.server.waiting() != 1 {
        tokio::task::yield_now().await;
    }
    user.log_out().await.unwrap();
    gate.add_permits(1);
    let error = refreshing.await.unwrap().unwrap_err();
    assert!(matches!(error, AppError::NotLoggedIn(UserState::LoggedOut)), "{error:?}");
    assert_eq!(fixture.started_again().users()[0].state(), UserState::LoggedOut);
    fixture.server.done();
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_logs_the_user_out() {
    let (fixture, user) = Fixture::with_named_user().await;
    user.logged_out("HTTP 403");
    while user.state() == UserState::LoggedIn {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.app.users()[0].state(), UserState::LoggedOut);
    let unknown = User::new(&fixture.app, "unknown");
    let failure = Authenticator::access_token(&unknown).await.unwrap_err();
    assert!(matches!(failure, AuthFailure::LoggedOut(_)), "{failure:?}");
}
