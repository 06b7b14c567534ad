use axum::http::StatusCode;
use bailiwick_storage::account::Accounts;
use serde_json::Value;

use crate::service::{DELETE, PROFILE, SESSION, Service, Session};

#[tokio::test]
async fn a_refresh_token_gets_a_new_access_token() {
    let service = Service::new();
    let session = service.log_in().await;
    service.advance(1800);
    service.get(PROFILE, Some(&session.access_token)).await.error(401, "InvalidSession");
    let access_token = refresh(&service, &session).await;
    service.get(PROFILE, Some(&access_token)).await.json(StatusCode::OK);
}

#[tokio::test]
async fn the_body_of_a_refresh_is_not_read() {
    let service = Service::new();
    let session = service.log_in().await;
    for body in ["", "{}", "{", "\0"] {
        let answer = service.post(SESSION, Some(&session.refresh_token), body).await;
        answer.json(StatusCode::CREATED);
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_and_may_be_repeated() {
    let service = Service::new();
    let (session, other) = (service.log_in().await, service.log_in().await);
    service.delete(SESSION, Some(&session.refresh_token)).await.check_empty();
    service.delete(SESSION, Some(&session.refresh_token)).await.check_empty();
    service.post(SESSION, Some(&session.refresh_token), "").await.error(401, "InvalidSession");
    service.get(PROFILE, Some(&session.access_token)).await.error(401, "InvalidSession");
    service.get(PROFILE, Some(&other.access_token)).await.json(StatusCode::OK);
}

#[tokio::test]
async fn a_logout_after_the_refresh_token_has_expired_succeeds() {
    let service = Service::new();
    let session = service.log_in().await;
    service.advance(18_250 * 24 * 60 * 60);
    service.post(SESSION, Some(&session.refresh_token), "").await.error(401, "InvalidSession");
    service.delete(SESSION, Some(&session.refresh_token)).await.check_empty();
}

#[tokio::test]
async fn a_logout_with_an_unknown_token_says_what_the_web_client_forgives() {
    let service = Service::new();
    let session = service.log_in().await;
    for token in ["not.a.token", &session.access_token] {
        let message = service.delete(SESSION, Some(token)).await.error(401, "InvalidSession");
        assert!(message.contains("failed to find refresh token"), "{message}");
    }
    service.get(PROFILE, Some(&session.access_token)).await.json(StatusCode::OK);
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_can_still_log_out() {
    let service = Service::new();
    let (session, other) = (service.log_in().await, service.log_in().await);
    service.delete(DELETE, Some(&session.access_token)).await.check_empty();
    service.get(PROFILE, Some(&session.access_token)).await.error(401, "InvalidSession");
    service.post(SESSION, Some(&session.refresh_token), "").await.error(401, "InvalidSession");
    service.delete(DELETE, Some(&session.access_token)).await.error(401, "InvalidSession");
    service.delete(SESSION, Some(&session.refresh_token)).await.check_empty();
    service.get(PROFILE, Some(&other.access_token)).await.json(StatusCode::OK);
    assert_eq!(service.accounts.user(&session.user_id).unwrap(), None);
}

#[tokio::test]
async fn a_disabled_user_is_told_so() {
    let service = Service::new();
    let session = service.log_in().await;
    let mut user = service.accounts.user(&session.user_id).unwrap().unwrap();
    user.disabled = true;
    service.accounts.put_user(&user).unwrap();
    service.get(PROFILE, Some(&session.access_token)).await.error(401, "UserDisabled");
    service.post(SESSION, Some(&session.refresh_token), "").await.error(401, "UserDisabled");
    user.disabled = false;
    service.accounts.put_user(&user).unwrap();
    service.get(PROFILE, Some(&session.access_token)).await.json(StatusCode::OK);
}

#[tokio::test]
async fn what_needs_a_token_says_so() {
    let service = Service::new();
    service.get(PROFILE, None).await.error(401, "MissingAuthReq");
    service.post(SESSION, None, "").await.error(401, "MissingAuthReq");
    service.delete(SESSION, None).await.error(401, "MissingAuthReq");
    service.delete(DELETE, None).await.error(401, "MissingAuthReq");
    service.get(PROFILE, Some("")).await.error(401, "MissingAuthReq");
}

#[tokio::test]
async fn a_server_that_starts_again_knows_its_tokens() {
    let service = Service::new();
    let session = service.log_in().await;
    let again = service.started_again();
    again.get(PROFILE, Some(&session.access_token)).await.json(StatusCode::OK);
    assert_eq!(again.api.authenticator.domain_id(), service.api.authenticator.domain_id());
}

async fn refresh(service: &Service, session: &Session) -> String {
    let body =
        service.post(SESSION, Some(&session.refresh_token), "").await.json(StatusCode::CREATED);
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    match &body["access_token"] {
        Value::String(token) => token.clone(),
        other => panic!("{other}"),
    }
}
