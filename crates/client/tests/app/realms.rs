use std::sync::Arc;

use bailiwick_client::local::OpenError;
use bailiwick_client::{
    App, AppError, Credentials, EncryptionKey, ObjectId, OpenRealmError, PartitionValue, SyncError,
    SyncStatus, User,
};
use futures_util::StreamExt as _;

use crate::service::Service;
use crate::stock::{PARTITION, check, close, download, put, schema, upload, user};

#[tokio::test]
async fn two_devices_see_what_the_other_has_written() {
    let mut server = Service::start().await;
    let (a, b) = (server.device(), server.device());
    let a = user(&a).await.open(PARTITION, schema()).await.unwrap();
    put(&a, 1, "nut").await;
    upload(&a).await;
    let b = user(&b).await.open_and_download(PARTITION, schema()).await.unwrap();
    check(&b, &[(1, "nut")]);
    put(&b, 2, "bolt").await;
    upload(&b).await;
    download(&a).await;
    check(&a, &[(1, "nut"), (2, "bolt")]);
    drop((a, b));
    server.stop().await;
}

#[tokio::test]
async fn without_a_server_a_realm_shows_what_is_stored_and_takes_more() {
    let mut server = Service::start().await;
    let device = server.device();
    let realm = user(&device).await.open(PARTITION, schema()).await.unwrap();
    put(&realm, 1, "nut").await;
    upload(&realm).await;
    close(realm).await;
    server.stop().await;

    let app = device.app();
    let realm = app.current_user().unwrap().open(PARTITION, schema()).await.unwrap();
    check(&realm, &[(1, "nut")]);
    put(&realm, 2, "bolt").await;
    check(&realm, &[(1, "nut"), (2, "bolt")]);
    assert_eq!(*realm.sync().unwrap().status().borrow(), SyncStatus::Disconnected);

    server.start_again().await;
    realm.sync().unwrap().reconnect().await;
    upload(&realm).await;
    let other = user(&server.device()).await;
    let other = other.open_and_download(PARTITION, schema()).await.unwrap();
    check(&other, &[(1, "nut"), (2, "bolt")]);
    drop((realm, other));
    server.stop().await;
}

#[tokio::test]
async fn a_first_open_can_wait_for_the_whole_partition() {
    let mut server = Service::start().await;
    let realm = user(&server.device()).await.open(PARTITION, schema()).await.unwrap();
    // More than the server sends in one message.
    let name: &str = "y".repeat(200_000).leak();
    let items: Vec<_> = (1..=20).map(|id| (id, name)).collect();
    for (id, name) in &items {
        put(&realm, *id, name).await;
    }
    upload(&realm).await;
    let other = user(&server.device()).await;
    let other = other.open_and_download(PARTITION, schema()).await.unwrap();
    check(&other, &items);
    drop((realm, other));
    server.stop().await;
}

#[tokio::test]
async fn the_file_of_another_user_or_partition_is_refused() {
    let mut server = Service::start().await;
    let device = server.device();
    let one = user(&device).await;
    close(one.open(PARTITION, schema()).await.unwrap()).await;
    let file = one.realm(PARTITION, schema()).path();
    let refused = async |user: &User, partition: &str| {
        let path = user.realm(partition, schema()).path();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(&file, path).unwrap();
        let error = user.open(partition, schema()).await.unwrap_err();
        let OpenRealmError::File(error @ OpenError::Owner { .. }) = error else {
            panic!("{error:?}")
        };
        error.to_string()
    };
    let text = refused(&user(&server.device()).await, PARTITION).await;
    assert!(text.contains(&format!("belongs to another user, {:?}", one.id())), "{text}");
    let text = refused(&one, "Store 43").await;
    assert!(text.contains("belongs to another partition"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_realm_that_is_open_twice_has_one_file_and_one_session() {
    let mut server = Service::start().await;
    let device = server.device();
    let user = user(&device).await;
    let (one, two) = tokio::join!(user.open(PARTITION, schema()), user.open(PARTITION, schema()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(Arc::ptr_eq(one.file(), two.file()));
    put(&one, 1, "nut").await;
    check(&two, &[(1, "nut")]);
    drop(one);
    put(&two, 2, "bolt").await;
    upload(&two).await;
    // Another handle of the app, on the same folder, has no place for it.
    let error = device.app().current_user().unwrap().open(PARTITION, schema()).await.unwrap_err();
    assert!(matches!(error, OpenRealmError::File(OpenError::Locked { .. })), "{error:?}");
    drop(two);
    server.stop().await;
}

#[tokio::test]
async fn a_realm_can_be_opened_again_at_once() {
    let mut server = Service::start().await;
    let device = server.device();
    let user = user(&device).await;
    for number in 1..=5 {
        let realm = user.open(PARTITION, schema()).await.unwrap();
        put(&realm, number, "nut").await;
    }
    let realm = user.open(PARTITION, schema()).await.unwrap();
    let snapshot = realm.snapshot().unwrap();
    let file = Arc::clone(realm.file());
    drop(realm);
    // Somebody still reads.
    let realm = user.open(PARTITION, schema()).await.unwrap();
    assert!(Arc::ptr_eq(&file, realm.file()));
    drop((file, snapshot));
    // One whose sync was ended.
    realm.sync().unwrap().close().await;
    let again = user.open(PARTITION, schema()).await.unwrap();
    upload(&again).await;
    check(&realm, &[(1, "nut"), (2, "nut"), (3, "nut"), (4, "nut"), (5, "nut")]);
    drop((realm, again));
    server.stop().await;
}

#[tokio::test]
async fn partitions_have_files_of_their_own() {
    let mut server = Service::start().await;
    let device = server.device();
    let user = user(&device).await;
    let values: [PartitionValue; 6] = [
        PartitionValue::Null,
        "".into(),
        "42".into(),
        42.into(),
        ObjectId([0x34; 12]).into(),
        "../../../etc/passwd".into(),
    ];
    let paths = values.map(|value| user.realm(value, schema()).path());
    for (at, path) in paths.iter().enumerate() {
        assert_eq!(path.parent().unwrap(), user.folder());
        assert!(!paths[..at].contains(path));
    }
    assert_eq!(user.folder(), device.folder.path().join("inventory-abcde").join(user.id()));
    // The name will be the same for ever: SHA-256 of 1 and "42".
    let name = paths[2].file_name().unwrap().to_str().unwrap();
    assert_eq!(name, "05872079f3b40dea0ea6d273bd0d5578e1e5daa9540bd5d6e7a9d709e18d5dc0.realm");
    server.stop().await;
}

#[tokio::test]
async fn a_partition_that_the_server_does_not_have_is_an_error_for_who_waits() {
    let mut server = Service::start().await;
    let user = user(&server.device()).await;
    let error = user.open_and_download(42, schema()).await.unwrap_err();
    let OpenRealmError::Download(SyncError::Server { message, .. }) = error else {
        panic!("{error:?}")
    };
    assert!(message.contains("expected partition to have type string but found long"), "{message}");
    // Whoever does not wait has the file, and the error as news.
    let realm = user.open(42, schema()).await.unwrap();
    let error = realm.sync().unwrap().errors().next().await.unwrap();
    assert!(matches!(error, SyncError::Server { .. }), "{error:?}");
    drop(realm);
    server.stop().await;
}

#[tokio::test]
async fn a_realm_rests_while_its_user_is_logged_out() {
    let mut server = Service::start().await;
    let user = user(&server.device()).await;
    let realm = user.open_and_download(PARTITION, schema()).await.unwrap();
    let mut status = realm.sync().unwrap().status();
    status.wait_for(|status| *status == SyncStatus::Connected).await.unwrap();
    user.log_out().await.unwrap();
    status.wait_for(|status| *status == SyncStatus::Disconnected).await.unwrap();
    put(&realm, 1, "nut").await;
    check(&realm, &[(1, "nut")]);
    let error = user.open(PARTITION, schema()).await.unwrap_err();
    assert!(matches!(error, OpenRealmError::User(AppError::NotLoggedIn(_))), "{error:?}");
    drop(realm);
    server.stop().await;
}

#[tokio::test]
async fn realms_are_encrypted_with_the_key_of_the_app() {
    let mut server = Service::start().await;
    let device = server.device();
    let app = || {
        let mut config = device.config();
        config.encryption_key = Some(EncryptionKey::new([1; 64]));
        App::new(config).unwrap()
    };
    let first = app();
    let user = first.log_in(Credentials::anonymous()).await.unwrap();
    let realm = user.open(PARTITION, schema()).await.unwrap();
    put(&realm, 1, "a text that is easily found").await;
    let path = user.realm(PARTITION, schema()).path();
    let bytes = std::fs::read(&path).unwrap();
    let text = b"a text that is easily found";
    assert!(bytes.len() > 1000 && !bytes.windows(text.len()).any(|window| window == text));
    close(realm).await;
    let user = app().current_user().unwrap();
    let realm = user.open(PARTITION, schema()).await.unwrap();
    check(&realm, &[(1, "a text that is easily found")]);
    drop(realm);
    server.stop().await;
}
