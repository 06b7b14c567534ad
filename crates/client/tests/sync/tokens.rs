//! Access tokens that the server does not take.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bailiwick_client::session::SyncError;
use futures_util::StreamExt as _;

use crate::device::{Device, TestUser, connect, items};
use crate::service::{Service, within};

#[tokio::test]
async fn a_refused_token_is_refreshed() {
    let service = Service::start().await;
    let user = TestUser::new(&service, service.address).await.with_access_token("a.b.c");
    let user = Arc::new(user);
    let device = Device::open(&connect(Arc::clone(&user)), "here").await;
    device.put(1, "one");
    device.sync().await;
    assert_eq!(user.refreshes.load(Ordering::Relaxed), 1);
    assert_eq!(user.log_outs.load(Ordering::Relaxed), 0);
    let other = Device::new(&service, "here").await;
    other.sync().await;
    assert_eq!(other.items(), items(&[(1, "one")]));
}

#[tokio::test]
async fn without_a_new_token_sync_ends() {
    let service = Service::start().await;
    let user = TestUser::new(&service, service.address).await;
    let user = Arc::new(user.with_access_token("a.b.c").with_refresh_token("d.e.f"));
    let connection = connect(Arc::clone(&user));
    let device = Device::open(&connection, "here").await;
    let waiting = within("waiting ends", device.sync.wait_for_download()).await;
    assert!(matches!(waiting, Err(SyncError::LoggedOut(_))), "{waiting:?}");
    let error = within("the application is told", device.sync.errors().next()).await.unwrap();
    assert!(matches!(error, SyncError::LoggedOut(_)) && error.is_fatal(), "{error:?}");
    assert_eq!(user.refreshes.load(Ordering::Relaxed), 1);
    assert_eq!(user.routes.load(Ordering::Relaxed), 1);
}
