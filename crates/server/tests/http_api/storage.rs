use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use bailiwick_storage::account::{Accounts, LoginSession, User};
use bailiwick_storage::fault::FaultyStore;
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::store::StorageError;
use tokio::task::JoinHandle;

use crate::service::{LOGIN, PROFILE, SESSION, Service};

/// How long anything may take; nothing comes near it unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(20);

/// Accounts that keep secrets and nothing else.
#[derive(Debug)]
struct Broken {
    accounts: Arc<dyn Accounts>,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Failing,
    Panicking,
}

#[tokio::test]
async fn a_storage_that_fails_is_an_internal_error() {
    check(How::Failing).await;
}

#[tokio::test]
async fn a_storage_that_panics_is_an_internal_error() {
    check(How::Panicking).await;
}

async fn check(how: How) {
    let service = Service::new();
    let session = service.log_in().await;
    let accounts = Arc::clone(&service.accounts) as Arc<dyn Accounts>;
    let broken = service.on_accounts(Arc::new(Broken { accounts, how }));
    let (access, refresh) = (Some(&*session.access_token), Some(&*session.refresh_token));
    for answer in [
        broken.post(LOGIN, None, "{}").await,
        broken.get(PROFILE, access).await,
        broken.post(SESSION, refresh, "").await,
        broken.delete(SESSION, refresh).await,
    ] {
        let message = answer.error(500, "InternalServerError");
        assert_eq!(message, "internal server error", "clients learn nothing more");
    }
    // Bad tokens are found out without the storage.
    broken.get(PROFILE, refresh).await.error(401, "InvalidSession");
}

/// Each login is flushed to the disk, and anybody may log in.
#[tokio::test]
async fn a_flood_of_logins_holds_up_nobody_who_has_logged_in() {
    const FLOOD: usize = 640; // More than there are threads that may block.
    const MAX_AT_A_TIME: usize = 16;
    let store = FaultyStore::new(MemoryStore::default());
    let faults = store.faults();
    let service = Arc::new(Service::new().on_accounts(Arc::new(store)));
    let session = service.log_in().await;
    faults.stall();
    let log_in = || {
        let service = Arc::clone(&service);
        tokio::spawn(async move { service.log_in().await })
    };
    // Their clients go, and come again.
    let mut flood = Vec::new();
    for _ in 0..FLOOD / MAX_AT_A_TIME {
        flood.iter().for_each(JoinHandle::abort);
        flood = (0..MAX_AT_A_TIME).map(|_| log_in()).collect();
        // Time to get as far as to the disk: with less the fault could be missed.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let profile = service.get(PROFILE, Some(&session.access_token));
    let profile = tokio::time::timeout(DEADLINE, profile).await;
    faults.go_on();
    profile.expect("it is answered").json(StatusCode::OK);
    for login in flood {
        login.await.unwrap();
    }
}

impl Broken {
    fn break_down<T>(&self) -> Result<T, StorageError> {
        match self.how {
            How::Failing => Err(StorageError::Backend(io::Error::other("disk 7 is full").into())),
            How::Panicking => panic!("disk 7 is on fire"),
        }
    }
}

impl Accounts for Broken {
    fn secret(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StorageError> {
        self.accounts.secret(name, proposal)
    }

    fn put_user(&self, _: &User) -> Result<(), StorageError> {
        self.break_down()
    }

    fn user(&self, _: &str) -> Result<Option<User>, StorageError> {
        self.break_down()
    }

    fn create_user(&self, _: &User, _: &LoginSession) -> Result<(), StorageError> {
        self.break_down()
    }

    fn put_session(&self, _: &LoginSession) -> Result<(), StorageError> {
        self.break_down()
    }

    fn session(&self, _: &str) -> Result<Option<LoginSession>, StorageError> {
        self.break_down()
    }

    fn revoke_session(&self, _: &str) -> Result<bool, StorageError> {
        self.break_down()
    }

    fn delete_user(&self, _: &str) -> Result<bool, StorageError> {
        self.break_down()
    }
}
