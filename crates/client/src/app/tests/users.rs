use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::exchange::{
    Fixture, LOGIN, PROFILE, SESSION, access, exchange, login, login_body, profile, refresh,
    with_fields,
};
use crate::app::{App, AppConfig, AppError, Credentials, User, UserState, UsersFileError};
use crate::local::EncryptionKey;

/// Logs in `name`, who is somebody else than the others.
async fn log_in(fixture: &Fixture, app: &App, id: &str) -> User {
    let path = LOGIN.replace("anon-user", "api-key");
    fixture.server.expect([
        exchange("POST", &path)
            .body(with_fields(login_body("api-key"), json!({"key": id})))
            .answers(200, &with_fields(login(id), json!({"user_id": id}))),
        exchange("GET", PROFILE).token(&access(id)).answers(200, &profile(&["api-key"])),
    ]);
    let user = app.log_in(Credentials::api_key(id)).await.unwrap();
    fixture.server.done();
    user
}

fn ids(app: &App) -> Vec<String> {
    app.users().iter().map(|user| user.id().to_owned()).collect()
}

fn file(fixture: &Fixture) -> PathBuf {
    fixture.folder.path().join("inventory-abcde").join("users")
}

fn with_key(fixture: &Fixture, key: u8) -> AppConfig {
    AppConfig { encryption_key: Some(EncryptionKey::new([key; 64])), ..fixture.config() }
}

#[tokio::test]
async fn an_app_starts_without_a_network_with_its_user() {
    let (fixture, user) = Fixture::with_user().await;
    let again = fixture.started_again().current_user().unwrap();
    assert_eq!(again.id(), user.id());
    assert_eq!(again.state(), UserState::LoggedIn);
    assert_eq!(again.identities(), user.identities());
    assert_eq!(again.profile(), user.profile());
    assert_eq!(again.custom_data(), user.custom_data());
    assert_eq!(again.device_id(), user.device_id());
    assert_eq!(again.access_token().unwrap(), access("one"));
    assert_eq!(again.refresh_token().unwrap(), refresh("one"));
    fixture.server.done();
}

#[tokio::test]
async fn several_users_are_kept_apart() {
    let (fixture, a) = Fixture::with_user().await;
    let app = &fixture.app;
    let b = log_in(&fixture, app, "b").await;
    let c = log_in(&fixture, app, "c").await;
    assert_eq!(ids(app), [a.id(), "b", "c"]);
    assert_eq!(app.current_user().unwrap().id(), "c");
    app.switch_user(&a).await.unwrap();
    assert_eq!(fixture.started_again().current_user().unwrap().id(), a.id());
    fixture.server.expect([exchange("DELETE", SESSION).token(&refresh("b"))]);
    b.log_out().await.unwrap();
    assert!(matches!(app.switch_user(&b).await, Err(AppError::NotLoggedIn(UserState::LoggedOut))));
    fixture.server.expect([exchange("DELETE", SESSION).token(&refresh("one"))]);
    a.log_out().await.unwrap();
    assert_eq!(app.current_user().unwrap().id(), "c");
    assert!(matches!(app.switch_user(&a).await, Err(AppError::NotLoggedIn(UserState::Removed))));
    assert_eq!(c.access_token().unwrap(), access("c"));
    assert_eq!(ids(&fixture.started_again()), ["b", "c"]);
    fixture.server.done();
}

#[tokio::test]
async fn what_another_process_has_kept_is_not_lost() {
    let (fixture, a) = Fixture::with_user().await;
    let other = fixture.started_again();
    fixture.server.expect([super::exchange::location()]);
    log_in(&fixture, &other, "b").await;
    log_in(&fixture, &fixture.app, "c").await;
    assert_eq!(ids(&fixture.app), [a.id(), "b", "c"]);
    assert_eq!(ids(&fixture.started_again()), [a.id(), "b", "c"]);
}

#[tokio::test]
async fn an_encrypted_file_tells_nothing_and_opens_with_its_key() {
    let fixture = Fixture::new();
    let app = App::new(with_key(&fixture, 1)).unwrap();
    fixture.server.expect([super::exchange::location()]);
    log_in(&fixture, &app, "b").await;
    let bytes = fs::read(file(&fixture)).unwrap();
    for text in ["api-key", "a@b.c", &*refresh("b"), "users"] {
        let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found, "{text}");
    }
    assert_eq!(ids(&App::new(with_key(&fixture, 1)).unwrap()), ["b"]);

    let error = App::new(with_key(&fixture, 2)).unwrap_err();
    assert!(matches!(error, AppError::Users(UsersFileError::WrongKey(_))), "{error:?}");
    let error = App::new(fixture.config()).unwrap_err();
    assert!(matches!(error, AppError::Users(UsersFileError::KeyNeeded(_))), "{error:?}");
    assert!(error.to_string().ends_with("is encrypted: give the key that it was made with"));
    assert_eq!(fs::read(file(&fixture)).unwrap(), bytes);
}

#[tokio::test]
async fn the_same_users_are_never_encrypted_alike() {
    let mut files = Vec::new();
    for _ in 0..2 {
        let fixture = Fixture::new();
        let app = App::new(with_key(&fixture, 1)).unwrap();
        fixture.server.expect([super::exchange::location()]);
        log_in(&fixture, &app, "b").await;
        files.push(fs::read(file(&fixture)).unwrap());
    }
    // After what is the same in all files, and the nonce.
    assert_ne!(files[0][26..42], files[1][26..42]);
}

#[tokio::test]
async fn a_file_without_encryption_is_not_taken_for_an_encrypted_one() {
    let (fixture, _) = Fixture::with_user().await;
    let error = App::new(with_key(&fixture, 1)).unwrap_err();
    assert!(matches!(error, AppError::Users(UsersFileError::NotEncrypted(_))), "{error:?}");
}

#[tokio::test]
async fn a_file_of_a_future_version_is_left_alone() {
    let (fixture, user) = Fixture::with_user().await;
    let mut bytes = fs::read(file(&fixture)).unwrap();
    assert_eq!((&bytes[..8], bytes[8]), (&b"BWKUSERS"[..], 1));
    bytes[8] = 2;
    fs::write(file(&fixture), &bytes).unwrap();
    let error = App::new(fixture.config()).unwrap_err();
    assert!(
        matches!(error, AppError::Users(UsersFileError::FutureFormat { found: 2, .. })),
        "{error:?}"
    );
    assert!(error.to_string().ends_with("newer than this program: use a newer version of it"));
    // Not even by a program that has it in memory.
    let error = fixture.app.switch_user(&user).await.unwrap_err();
    assert!(matches!(error, AppError::Users(_)), "{error:?}");
    assert_eq!(fs::read(file(&fixture)).unwrap(), bytes);
}

#[tokio::test]
async fn a_change_of_any_byte_is_found() {
    let (fixture, _) = Fixture::with_user().await;
    let good = fs::read(file(&fixture)).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        fs::write(file(&fixture), &bytes).unwrap();
        let error = App::new(fixture.config()).unwrap_err();
        let AppError::Users(error) = error else { panic!("{error:?}") };
        let expected = match at {
            8 => matches!(error, UsersFileError::FutureFormat { .. }),
            _ => matches!(error, UsersFileError::Damaged(_)),
        };
        assert!(expected, "{at}: {error:?}");
        assert_eq!(fs::read(file(&fixture)).unwrap(), bytes);
    }
    for len in 0..good.len() {
        fs::write(file(&fixture), &good[..len]).unwrap();
        let error = App::new(fixture.config()).unwrap_err();
        assert!(matches!(error, AppError::Users(UsersFileError::Damaged(_))), "{error:?}");
    }
}

#[tokio::test]
async fn a_login_that_cannot_be_kept_is_none() {
    let (fixture, user) = Fixture::with_named_user().await;
    let good = fs::read(file(&fixture)).unwrap();
    fs::write(file(&fixture), "damaged").unwrap();
    let path = LOGIN.replace("anon-user", "api-key");
    fixture.server.expect([
        exchange("POST", &path)
            .body(with_fields(login_body("api-key"), json!({"key": "b"})))
            .answers(200, &with_fields(login("b"), json!({"user_id": "b"}))),
        exchange("GET", PROFILE).token(&access("b")).answers(200, &profile(&["api-key"])),
        exchange("DELETE", SESSION).token(&refresh("one")),
    ]);
    let error = fixture.app.log_in(Credentials::api_key("b")).await.unwrap_err();
    assert!(matches!(error, AppError::Users(UsersFileError::Damaged(_))), "{error:?}");
    assert_eq!(ids(&fixture.app), [user.id()]);
    // A logout counts nevertheless, and says that it is not kept.
    let error = user.log_out().await.unwrap_err();
    assert!(matches!(error, AppError::Users(UsersFileError::Damaged(_))), "{error:?}");
    assert_eq!(user.state(), UserState::LoggedOut);
    fixture.server.done();
    // It is kept as soon as anything can be.
    fs::write(file(&fixture), good).unwrap();
    assert_eq!(fixture.started_again().users()[0].state(), UserState::LoggedIn);
    log_in(&fixture, &fixture.app, "c").await;
    assert_eq!(user.state(), UserState::LoggedOut);
    assert_eq!(ids(&fixture.started_again()), [user.id(), "c"]);
    assert_eq!(fixture.started_again().users()[0].state(), UserState::LoggedOut);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let (fixture, _) = Fixture::with_user().await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file(&fixture)), 0o600);
    assert_eq!(mode(file(&fixture).parent().unwrap()), 0o700);
}

#[test]
fn a_new_app_writes_nothing() {
    let fixture = Fixture::new();
    assert!(fixture.app.users().is_empty());
    assert_eq!(fs::read_dir(fixture.folder.path()).unwrap().count(), 0);
}

proptest! {
    #[test]
    fn any_file_opens_or_is_refused(bytes: Vec<u8>, magic: bool, key: bool) {
        let fixture = Fixture::new();
        fs::create_dir(file(&fixture).parent().unwrap()).unwrap();
        let head = if magic { &b"BWKUSERS\x01"[..] } else { b"" };
        fs::write(file(&fixture), [head, &bytes].concat()).unwrap();
        let config = if key { with_key(&fixture, 1) } else { fixture.config() };
        prop_assert!(App::new(config).is_err());
    }
}
