//! Waiting for uploads and downloads.

use std::pin::pin;

use bailiwick_client::session::SyncError;
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::device::{Device, TestUser, items};
use crate::proxy::Proxy;
use crate::service::{Service, within};

#[tokio::test]
async fn with_nothing_to_upload_there_is_nothing_to_wait_for() {
    let mut service = Service::start().await;
    let device = Device::new(&service, "here").await;
    device.sync().await;
    service.stop().await;
    within("nothing is uploaded", device.sync.wait_for_upload()).await.unwrap();
}

#[tokio::test]
async fn waiting_goes_on_while_there_is_no_network() {
    let service = Service::start().await;
    let proxy = Proxy::to(service.address).await;
    proxy.take_down();
    let user = TestUser::new(&service, proxy.address).await;
    let device = Device::open(&user.connect(), "here").await;
    device.put(1, "one");
    {
        let mut uploaded = pin!(device.sync.wait_for_upload());
        let mut downloaded = pin!(device.sync.wait_for_download());
        tokio::select! {
            // Twice, so that the first failure has been handled.
            () = proxy.has_accepted(2) => (),
            result = &mut uploaded => panic!("{result:?}"),
            result = &mut downloaded => panic!("{result:?}"),
        }
        proxy.put_up();
        device.sync.reconnect().await;
        let both = async { tokio::join!(uploaded, downloaded) };
        let (uploaded, downloaded) = within("both are done", both).await;
        uploaded.unwrap();
        downloaded.unwrap();
    }
    let other = Device::new(&service, "here").await;
    other.sync().await;
    assert_eq!(other.items(), items(&[(1, "one")]));
}

#[tokio::test]
async fn a_wait_covers_what_was_committed_before_it() {
    let service = Service::start().await;
    let device = Device::new(&service, "here").await;
    for round in 0..50 {
        device.put(round, "before");
        within("it is uploaded", device.sync.wait_for_upload()).await.unwrap();
        let progress = device.sync.progress().borrow().expect("there was an answer");
        assert_eq!(progress.uploaded, progress.uploadable, "in round {round}");
    }
}

#[tokio::test]
async fn all_who_wait_at_the_same_time_are_told() {
    let service = Service::start().await;
    let proxy = Proxy::to(service.address).await;
    proxy.take_down();
    let user = TestUser::new(&service, proxy.address).await;
    let device = Device::open(&user.connect(), "here").await;
    device.put(1, "one");
    let waits = [(); 3].map(|()| (device.sync.wait_for_upload(), device.sync.wait_for_download()));
    let waits = join_all(waits.map(|(up, down)| async { (up.await, down.await) }));
    let network = async {
        proxy.has_accepted(1).await;
        proxy.put_up();
        device.sync.reconnect().await;
    };
    let (done, ()) = within("all are told", async { tokio::join!(waits, network) }).await;
    for (uploaded, downloaded) in done {
        uploaded.unwrap();
        downloaded.unwrap();
    }
}

#[tokio::test]
async fn many_wait_and_give_up() {
    let service = Service::start().await;
    let proxy = Proxy::to(service.address).await;
    proxy.take_down();
    let user = TestUser::new(&service, proxy.address).await;
    let device = Device::open(&user.connect(), "here").await;
    for _ in 0..1000 {
        let waiting = device.sync.wait_for_download();
        assert!(waiting.now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    proxy.put_up();
    device.sync().await;
}

#[tokio::test]
async fn the_end_of_sync_ends_all_waits() {
    let mut service = Service::start().await;
    service.stop().await;
    let device = offline(&service).await;
    device.put(1, "one");
    let clone = device.sync.clone();
    let (uploaded, downloaded, (), ()) = within("all waits end", async {
        tokio::join!(
            device.sync.wait_for_upload(),
            device.sync.wait_for_download(),
            device.sync.close(),
            clone.close(),
        )
    })
    .await;
    for result in [uploaded, downloaded, clone.wait_for_upload().await] {
        assert!(matches!(result, Err(SyncError::Ended)), "{result:?}");
    }
    within("it is closed already", clone.close()).await;
}

/// A device that finds nobody.
async fn offline(service: &Service) -> Device {
    Device::open(&TestUser::offline(service).connect(), "here").await
}
