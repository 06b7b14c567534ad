//! What is told before it can be read.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use bailiwick_protocol::version::ServerVersion;

use super::disks::Disks;
use crate::conformance::sample::{append, key};
use crate::store::Store as _;

/// Whoever is told of a commit and reads finds it, though it was told before it can be read.
#[test]
fn a_read_waits_for_what_was_told() {
    let store = Arc::new(Disks::empty().open(1 << 20).unwrap());
    let (found, finds) = channel();
    let mut reader = None;
    let commits = [(key("realm"), append(0, 1, &[b"first"]))];
    let told = store.commit_early(&commits, &mut |answers| {
        assert_eq!(answers, [Ok(())]);
        let (store, found) = (Arc::clone(&store), found.clone());
        reader = Some(std::thread::spawn(move || {
            found.send(store.realm(&key("realm")).unwrap().head.version).unwrap();
        }));
        let early = finds.recv_timeout(Duration::from_millis(100));
        assert_eq!(early, Err(RecvTimeoutError::Timeout), "it was read too early");
    });
    told.unwrap();
    assert_eq!(finds.recv().unwrap(), ServerVersion(1));
    reader.unwrap().join().unwrap();
}
