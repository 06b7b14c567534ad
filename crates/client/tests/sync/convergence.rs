//! What devices have in the end.

use std::collections::BTreeMap;

use bailiwick_client::transport::SyncStatus;

use crate::device::{Device, TestUser, items};
use crate::proxy::Proxy;
use crate::service::{Service, within};

const HERE: &str = "Store 42";

#[tokio::test]
async fn offline_writes_of_two_devices_converge() {
    let service = Service::start().await;
    let (one, two) = (Device::new(&service, HERE).await, Device::new(&service, HERE).await);
    one.put(0, "nobody's");
    one.sync().await;
    two.sync().await;
    assert_eq!(two.items(), items(&[(0, "nobody's")]));

    for device in [&one, &two] {
        device.sync.pause().await;
        device.has_status(SyncStatus::Disconnected).await;
    }
    one.put_all(&[(0, "one's"), (1, "of one")]);
    two.put_all(&[(0, "two's"), (2, "of two")]);
    for device in [&one, &two] {
        device.sync.resume().await;
        device.sync().await;
    }
    one.sync().await;
    assert_eq!(one.items(), two.items());
    assert_eq!(one.items(), items(&[(0, "two's"), (1, "of one"), (2, "of two")]));
}

#[tokio::test]
async fn a_write_reaches_a_device_that_only_listens() {
    let service = Service::start().await;
    let (writer, reader) = (Device::new(&service, HERE).await, Device::new(&service, HERE).await);
    reader.sync().await;
    for (id, name) in [(1, "first"), (2, "second"), (1, "third")] {
        writer.put(id, name);
        reader.has_item(id, name).await;
    }
}

#[tokio::test]
async fn devices_come_back_after_a_restart_of_the_server() {
    let mut service = Service::start().await;
    let (one, two) = (Device::new(&service, HERE).await, Device::new(&service, HERE).await);
    one.put(1, "before");
    one.sync().await;
    two.has_item(1, "before").await;

    service.stop().await;
    for device in [&one, &two] {
        device.has_status(SyncStatus::Disconnected).await;
    }
    one.put(2, "meanwhile");
    two.put(3, "meanwhile");
    service.start_again().await;
    for device in [&one, &two] {
        device.sync().await;
    }
    one.sync().await;
    assert_eq!(one.items(), items(&[(1, "before"), (2, "meanwhile"), (3, "meanwhile")]));
    assert_eq!(two.items(), one.items());
}

#[tokio::test]
async fn nothing_is_lost_on_a_network_that_comes_and_goes() {
    let service = Service::start().await;
    let proxy = Proxy::to(service.address).await;
    let user = TestUser::new(&service, proxy.address).await;
    let device = Device::open(&user.connect(), HERE).await;
    let name = "x".repeat(1000);
    let mut expected = BTreeMap::new();
    for round in 1..=4 {
        device.has_status(SyncStatus::Connected).await;
        for id in round * 100..round * 100 + 20 {
            device.put(id, &name);
            expected.insert(id, name.clone());
        }
        proxy.take_down();
        device.has_status(SyncStatus::Disconnected).await;
        device.put(round, "offline");
        expected.insert(round, "offline".to_owned());
        proxy.put_up();
        device.sync.reconnect().await;
    }
    device.sync().await;
    let other = Device::new(&service, HERE).await;
    other.sync().await;
    assert_eq!(device.items(), expected);
    assert_eq!(other.items(), expected);
}

#[tokio::test]
async fn a_long_history_goes_up_and_down() {
    let service = Service::start().await;
    let one = Device::new(&service, HERE).await;
    let name = "y".repeat(100_000);
    for id in 0..60 {
        one.put(id, &name);
    }
    one.sync().await;
    let progress = one.sync.progress().borrow().unwrap();
    assert!(progress.uploaded > 6_000_000, "{progress:?}");
    assert_eq!(progress.uploaded, progress.uploadable);
    assert!((progress.upload_estimate - 1.0).abs() < f64::EPSILON, "{progress:?}");

    let two = Device::new(&service, HERE).await;
    let mut progress = two.sync.progress();
    assert_eq!(*progress.borrow(), None);
    two.sync().await;
    assert_eq!(two.items().len(), 60);
    let done = progress.wait_for(|progress| {
        progress.is_some_and(|progress| {
            progress.downloaded > 6_000_000 && progress.downloaded == progress.downloadable
        })
    });
    within("the download is reported", done).await.unwrap();
}
