//! Users whom the server does not let in as they are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bailiwick_client::session::SyncError;
use futures_util::StreamExt as _;

use crate::device::{Device, TestUser, connect, items};
use crate::proxy::Proxy;
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

/// A server that closes the first connection with this code, and how often that makes the device ask for a token, for
/// the location, and for another connection.
async fn check_closed(code: u16, refreshes: usize, route_refreshes: usize) {
    let service = Service::start().await;
    let proxy = Proxy::closing_first(code, service.address).await;
    let user = Arc::new(TestUser::new(&service, proxy.address).await);
    let device = Device::open(&connect(Arc::clone(&user)), "here").await;
    device.put(1, "one");
    device.sync().await;
    assert_eq!(user.refreshes.load(Ordering::Relaxed), refreshes, "{code}");
    assert_eq!(user.route_refreshes.load(Ordering::Relaxed), route_refreshes, "{code}");
    assert_eq!(user.log_outs.load(Ordering::Relaxed), 0, "{code}");
    assert_eq!(proxy.accepted(), 2, "{code}");
}

#[tokio::test]
async fn a_device_whose_token_has_expired_comes_back_with_another() {
    check_closed(4001, 1, 0).await;
}

#[tokio::test]
async fn a_device_that_is_sent_elsewhere_asks_where() {
    check_closed(4003, 1, 1).await;
}

#[tokio::test]
async fn a_device_comes_back_to_a_server_that_was_stopped() {
    check_closed(1001, 0, 0).await;
    check_closed(1011, 0, 0).await;
}

#[tokio::test]
async fn a_device_that_is_sent_away_for_good_logs_out() {
    let service = Service::start().await;
    let proxy = Proxy::closing_first(4002, service.address).await;
    let user = Arc::new(TestUser::new(&service, proxy.address).await);
    let connection = connect(Arc::clone(&user));
    let device = Device::open(&connection, "here").await;
    let waiting = within("waiting ends", device.sync.wait_for_download()).await;
    assert!(matches!(waiting, Err(SyncError::LoggedOut(_))), "{waiting:?}");
    within("it is closed", device.sync.close()).await;
    assert_eq!(user.log_outs.load(Ordering::Relaxed), 1);
    assert_eq!(proxy.accepted(), 1);
}
