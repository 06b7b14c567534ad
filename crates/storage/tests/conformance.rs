//! The contract, for every store of this crate.

use bailiwick_storage::conformance;
use bailiwick_storage::memory::MemoryStore;

conformance::suite!(memory, (), |()| MemoryStore::new());
