//! A server that has lost a part of its history.

use bailiwick_client::session::{ResetMode, SyncError};
use bailiwick_client::transport::{SyncNotice, SyncStatus};
use futures_util::StreamExt as _;

use crate::device::{Device, TestUser, items};
use crate::service::{Service, within};

/// A device that has written before and after a backup, and once more without a network; then the backup was restored,
/// and somebody else has written.
async fn set_back(mode: ResetMode) -> (Service, Device, Device) {
    let mut service = Service::start_on_disk().await;
    let connection = TestUser::new(&service, service.address).await.connect();
    let other = TestUser::new(&service, service.address).await.connect();
    let device = Device::open_mode(&connection, r#""here""#, mode).await;
    device.put(1, "before the backup");
    device.sync().await;
    service.stop().await;
    service.back_up();
    service.start_again().await;
    device.put(2, "after the backup");
    device.sync().await;
    device.sync.pause().await;
    device.has_status(SyncStatus::Disconnected).await;
    device.put(3, "not uploaded");
    device.put(1, "changed");
    service.stop().await;
    service.restore();
    service.start_again().await;
    let other = Device::open(&other, "here").await;
    for id in 10..14 {
        other.put(id, "another");
    }
    other.sync().await;
    device.sync.resume().await;
    (service, device, other)
}

const OTHERS: [(i64, &str); 4] =
    [(10, "another"), (11, "another"), (12, "another"), (13, "another")];

/// What is there in the end, on both devices.
async fn check(mode: ResetMode, is_recovered: bool, own: &[(i64, &str)]) {
    let (_service, device, other) = set_back(mode).await;
    let mut notices = device.sync.notices();
    let mut next = async || within("the application is told", notices.next()).await.unwrap();
    let started = loop {
        match next().await {
            // Being sent away by a server that stops is not what this is about.
            SyncNotice::Error(error) if !error.is_fatal() => {}
            notice => break notice,
        }
    };
    assert!(matches!(started, SyncNotice::ResetStarted), "{mode:?}: {started:?}");
    let done = next().await;
    let SyncNotice::ResetDone { recovered } = done else { panic!("{mode:?}: {done:?}") };
    assert_eq!(recovered, is_recovered, "{mode:?}");
    device.sync().await;
    other.sync().await;
    assert_eq!(device.items(), items(&[own, &OTHERS[..]].concat()), "{mode:?}");
    assert_eq!(other.items(), device.items(), "{mode:?}");
    // It is a device like any other again.
    device.put(20, "afterwards");
    other.has_item(20, "afterwards").await;
}

#[tokio::test]
async fn what_was_not_uploaded_is_made_again() {
    for mode in [ResetMode::Recover, ResetMode::RecoverOrDiscard] {
        check(mode, true, &[(1, "changed"), (3, "not uploaded")]).await;
    }
}

#[tokio::test]
async fn what_was_not_uploaded_is_dropped_if_the_application_says_so() {
    check(ResetMode::DiscardLocal, false, &[(1, "before the backup")]).await;
}

#[tokio::test]
async fn a_reset_may_be_left_to_the_application() {
    let (_service, device, _other) = set_back(ResetMode::Manual).await;
    let mut errors = device.sync.errors();
    let told = async {
        loop {
            let error = errors.next().await.unwrap();
            if error.is_fatal() {
                break error;
            }
        }
    };
    let error = within("the application is told", told).await;
    assert!(matches!(error, SyncError::ClientReset { .. }), "{error:?}");
    let expected = [(1, "changed"), (2, "after the backup"), (3, "not uploaded")];
    assert_eq!(device.items(), items(&expected));
    let waiting = within("waiting ends", device.sync.wait_for_download()).await;
    assert!(waiting.is_err(), "{waiting:?}");
}
