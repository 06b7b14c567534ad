//! A server that was restored from a backup has forgotten what a device knows, so that the device has to begin anew.

use std::sync::{Arc, Mutex};

use bailiwick_client::local::{LocalFile, OpenOptions, Owner};
use bailiwick_client::{Realm, ResetMode, ResetObserver, SyncError, SyncNotice, View};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use crate::server::Device;
use crate::service::Service;
use crate::stock::{PARTITION, check, check_view, close, put, schema, upload, user};

/// A device that has written 1 before the backup, 2 after it, and 3 without a server.
struct Ahead {
    realm: Realm,
    notices: BoxStream<'static, SyncNotice>,
    witness: Arc<Witness>,
    /// As it was at the time of the backup; it does not run.
    server: Service,
    device: Device,
}

/// What the application saw before and after.
#[derive(Default)]
struct Witness(Mutex<Vec<(View, View, bool)>>);

impl Ahead {
    async fn new(mode: ResetMode) -> Self {
        let mut server = Service::start_on_disk().await;
        let device = server.device();
        let user = user(&device).await;
        let witness = Arc::<Witness>::default();
        let realm = user.realm(PARTITION, schema()).reset_mode(mode);
        let realm = realm.observe_resets(Arc::<Witness>::clone(&witness)).open().await.unwrap();
        put(&realm, 1, "before the backup").await;
        upload(&realm).await;
        server.stop().await;
        server.back_up();
        server.start_again().await;
        realm.sync().unwrap().reconnect().await;
        put(&realm, 2, "after the backup").await;
        upload(&realm).await;
        server.stop().await;
        server.restore();
        put(&realm, 3, "not uploaded").await;
        let notices = realm.sync().unwrap().notices();
        Self { realm, notices, witness, server, device }
    }

    /// Whether the changes that were not uploaded were recovered; or why there was no reset.
    async fn reset(&mut self) -> Result<bool, SyncError> {
        self.realm.sync().unwrap().reconnect().await;
        loop {
            match self.notices.next().await.unwrap() {
                SyncNotice::ResetDone { recovered } => return Ok(recovered),
                SyncNotice::Error(error @ SyncError::ClientReset { .. }) => return Err(error),
                _ => (),
            }
        }
    }

    #[track_caller]
    fn check_witness(&self, after: &[(i64, &str)], recovered: bool) {
        let seen = self.witness.0.lock().unwrap();
        let [(seen_before, seen_after, seen_recovered)] = &**seen else { panic!("{}", seen.len()) };
        check_view(seen_before, &ALL);
        check_view(seen_after, after);
        assert_eq!(*seen_recovered, recovered);
    }
}

const ALL: [(i64, &str); 3] =
    [(1, "before the backup"), (2, "after the backup"), (3, "not uploaded")];

async fn check_reset(mode: ResetMode, after: &[(i64, &str)], recovered: bool) {
    let mut ahead = Ahead::new(mode).await;
    ahead.server.start_again().await;
    assert_eq!(ahead.reset().await.unwrap(), recovered);
    ahead.check_witness(after, recovered);
    check(&ahead.realm, after);
    // It goes on, and others see it.
    put(&ahead.realm, 4, "after the reset").await;
    upload(&ahead.realm).await;
    let other = user(&ahead.server.device()).await;
    let other = other.open_and_download(PARTITION, schema()).await.unwrap();
    let after = [after, &[(4, "after the reset")]].concat();
    check(&other, &after);
    check(&ahead.realm, &after);
    let Ahead { realm, mut server, .. } = ahead;
    drop((realm, other));
    server.stop().await;
}

#[tokio::test]
async fn what_was_not_uploaded_is_recovered() {
    let after = [(1, "before the backup"), (3, "not uploaded")];
    for mode in [ResetMode::Recover, ResetMode::RecoverOrDiscard] {
        check_reset(mode, &after, true).await;
    }
}

#[tokio::test]
async fn what_was_not_uploaded_is_dropped_if_so_wished() {
    check_reset(ResetMode::DiscardLocal, &[(1, "before the backup")], false).await;
}

#[tokio::test]
async fn in_mode_manual_nothing_happens_by_itself() {
    let mut ahead = Ahead::new(ResetMode::Manual).await;
    ahead.server.start_again().await;
    ahead.reset().await.unwrap_err();
    check(&ahead.realm, &ALL);
    assert!(ahead.witness.0.lock().unwrap().is_empty());
    put(&ahead.realm, 4, "later").await;
    let Ahead { realm, mut server, .. } = ahead;
    drop(realm);
    server.stop().await;
}

#[tokio::test]
async fn a_realm_that_is_given_up_begins_anew_and_its_file_is_kept() {
    let mut ahead = Ahead::new(ResetMode::Manual).await;
    ahead.server.start_again().await;
    ahead.reset().await.unwrap_err();
    let Ahead { realm, device, mut server, .. } = ahead;
    realm.give_up().unwrap();
    check(&realm, &ALL);
    close(realm).await;

    let user = device.app().current_user().unwrap();
    let realm = user.open_and_download(PARTITION, schema()).await.unwrap();
    check(&realm, &ALL[..1]);
    let path = user.realm(PARTITION, schema()).path();
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let kept = files.map(|file| file.unwrap().path());
    let kept = kept.filter(|file| file.to_str().unwrap().contains(".given-up-"));
    let [kept] = &*kept.collect::<Vec<_>>() else { panic!("one file is kept") };
    let owner = Owner {
        app_id: device.app().app_id().to_owned(),
        user_id: user.id().to_owned(),
        partition: format!("{PARTITION:?}"),
    };
    let kept = LocalFile::open(kept, &OpenOptions::new(owner)).unwrap();
    check_view(&View::new(kept.snapshot().unwrap()), &ALL);
    drop((realm, kept));
    server.stop().await;
}

impl ResetObserver for Witness {
    fn before(&self, _: &View) {}

    fn after(&self, before: &View, after: &View, recovered: bool) {
        self.0.lock().unwrap().push((before.clone(), after.clone(), recovered));
    }
}
