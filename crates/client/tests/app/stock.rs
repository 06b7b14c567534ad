//! What the tests keep in their realms.

use bailiwick_client::{Credentials, Realm, Schema, User, View, WriteError};

use crate::server::Device;

bailiwick_client::object! {
    /// Something in stock.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Item {
        #[primary_key]
        pub(crate) id: i64,
        pub(crate) name: String,
    }
}

pub(crate) const PARTITION: &str = "Store 42";

pub(crate) fn schema() -> Schema {
    Schema::new().with::<Item>()
}

pub(crate) async fn user(device: &Device) -> User {
    device.app().log_in(Credentials::anonymous()).await.unwrap()
}

pub(crate) async fn put(realm: &Realm, id: i64, name: &'static str) {
    let put = realm.write_async::<_, WriteError>(move |tx| {
        tx.create_or_update("Item", id)?.set("name", name)?;
        Ok(())
    });
    put.await.unwrap();
}

/// Lets go of the file, so that another app can have it.
pub(crate) async fn close(realm: Realm) {
    realm.sync().unwrap().close().await;
}

#[track_caller]
pub(crate) fn check(realm: &Realm, expected: &[(i64, &str)]) {
    check_view(&View::new(realm.snapshot().unwrap()), expected);
}

#[track_caller]
pub(crate) fn check_view(view: &View, expected: &[(i64, &str)]) {
    // In the order of their keys.
    let items = view.all::<Item>().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let items = items.iter().map(|item| (item.id, &*item.name)).collect::<Vec<_>>();
    assert_eq!(items, expected);
}

pub(crate) async fn upload(realm: &Realm) {
    realm.sync().unwrap().wait_for_upload().await.unwrap();
}

pub(crate) async fn download(realm: &Realm) {
    realm.sync().unwrap().wait_for_download().await.unwrap();
}
