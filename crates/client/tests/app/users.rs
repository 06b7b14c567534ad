use bailiwick_client::app::{AppError, Credentials, UserState};
use bailiwick_client::transport::{AuthFailure, Authenticator};
use bailiwick_storage::account::Accounts;

use crate::server::Tokens;

#[tokio::test]
async fn an_anonymous_user_logs_in_and_stays() {
    let server = Tokens::start().await;
    let device = server.device();
    let app = device.app();
    let user = app.log_in(Credentials::anonymous()).await.unwrap();
    assert!(user.is_anonymous());
    assert_eq!(user.id().len(), 24);
    assert_eq!(user.device_id().map(|id| id.len()), Some(24));
    assert_eq!(app.log_in(Credentials::anonymous()).await.unwrap().id(), user.id());
    user.refresh_profile().await.unwrap();
    let route = user.route().await.unwrap();
    let path = "/api/client/v2.0/app/inventory-abcde/realm-sync";
    assert_eq!((route.url.path(), route.is_confirmed), (path, true));
    let other = server.device().app().log_in(Credentials::anonymous()).await.unwrap();
    assert_ne!(other.id(), user.id());
    // Without the server, and in another process.
    server.stop();
    assert_eq!(device.app().current_user().unwrap().id(), user.id());
}

#[tokio::test]
async fn a_token_that_has_ended_is_replaced() {
    let server = Tokens::start().await;
    let app = server.device().app();
    let user = app.log_in(Credentials::anonymous()).await.unwrap();
    let old = user.access_token().unwrap();
    server.advance(1800);
    user.refresh_profile().await.unwrap();
    assert_ne!(user.access_token().unwrap(), old);
    user.refresh_profile().await.unwrap();
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_logs_the_user_out() {
    let server = Tokens::start().await;
    let device = server.device();
    let app = device.app();
    let user = app.log_in(Credentials::anonymous()).await.unwrap();
    server.disable(user.id(), true);
    let error = user.refresh().await.unwrap_err();
    let AppError::SessionEnded(error) = error else { panic!("{error:?}") };
    assert_eq!((error.status, error.error_code.as_deref()), (401, Some("UserDisabled")));
    assert_eq!(user.state(), UserState::Removed);
    assert!(app.current_user().is_none() && device.app().users().is_empty());
    let failure = user.refresh_access_token().await.unwrap_err();
    assert!(matches!(failure, AuthFailure::LoggedOut(_)), "{failure:?}");
}

#[tokio::test]
async fn a_logout_ends_the_session_on_the_server() {
    let server = Tokens::start().await;
    let device = server.device();
    let user = device.app().log_in(Credentials::anonymous()).await.unwrap();
    // Another process, which has not heard of the logout.
    let stale = device.app().current_user().unwrap();
    user.log_out().await.unwrap();
    assert_eq!(user.state(), UserState::Removed);
    let error = stale.refresh().await.unwrap_err();
    assert!(matches!(error, AppError::SessionEnded(_)), "{error:?}");
    assert_eq!(stale.state(), UserState::Removed);
}

#[tokio::test]
async fn a_deleted_user_is_gone_from_the_server() {
    let server = Tokens::start().await;
    let user = server.device().app().log_in(Credentials::anonymous()).await.unwrap();
    user.delete().await.unwrap();
    assert_eq!(server.accounts.user(user.id()).unwrap(), None);
    assert_eq!(user.state(), UserState::Removed);
}

#[tokio::test]
async fn what_the_server_does_not_offer_is_refused_in_its_words() {
    let server = Tokens::start().await;
    let app = server.device().app();
    for credentials in [
        Credentials::email_password("a@b.c", "password"),
        Credentials::api_key("key"),
        Credentials::jwt("a.b.c"),
        Credentials::function(serde_json::json!({"x": 1})),
    ] {
        let error = app.log_in(credentials).await.unwrap_err();
        let AppError::Server(error) = error else { panic!("{error:?}") };
        assert_eq!(
            (error.status, error.error_code.as_deref()),
            (404, Some("AuthProviderNotFound"))
        );
        assert!(error.message.contains("not available on this server yet"), "{error}");
        assert!(error.link.unwrap().ends_with("/errors/AuthProviderNotFound"));
    }
    let error = app.email_password().register("a@b.c", "password").await.unwrap_err();
    assert!(matches!(error, AppError::Server(_)), "{error:?}");
}

#[tokio::test]
async fn an_app_that_the_server_does_not_know_is_refused() {
    let server = Tokens::start().await;
    let device = server.device();
    let mut config = device.config();
    config.app_id = "other-vwxyz".to_owned();
    let app = bailiwick_client::app::App::new(config).unwrap();
    let error = app.log_in(Credentials::anonymous()).await.unwrap_err();
    let AppError::Server(error) = error else { panic!("{error:?}") };
    assert_eq!(error.status, 404);
    assert!(error.message.contains("other-vwxyz"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_matter_of_the_network() {
    let server = Tokens::start().await;
    let device = server.device();
    server.stop();
    let error = device.app().log_in(Credentials::anonymous()).await.unwrap_err();
    assert!(matches!(error, AppError::Network(_)), "{error:?}");
}
