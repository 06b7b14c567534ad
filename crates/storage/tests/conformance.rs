//! The contract, for every store of this crate.

use bailiwick_storage::conformance;
use bailiwick_storage::fault::FaultyStore;
use bailiwick_storage::memory::MemoryStore;

conformance::suite!(memory, (), |()| MemoryStore::new());
conformance::suite!(fault, (), |()| FaultyStore::new(MemoryStore::new()));

#[cfg(feature = "redb")]
mod redb {
    use bailiwick_storage::conformance;
    use bailiwick_storage::redb::RedbStore;
    use tempfile::{TempDir, tempdir};

    fn open(dir: &TempDir) -> RedbStore {
        RedbStore::in_dir(dir.path()).expect("the directory is new or this test's")
    }

    conformance::suite!(store, tempdir().unwrap(), open);
    conformance::durable_suite!(durable, tempdir().unwrap(), open);
}
