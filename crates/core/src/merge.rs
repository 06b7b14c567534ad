//! Operational transformation: two sides changed the same state at the same time, and each is rewritten so
//! that it can follow the other.
//!
//! A device runs the same procedure over what it downloads, and cannot be told another outcome. So the rules
//! are kept to the letter, oddities included; where a rule looks wrong, it says so.
//!
//! Names and objects become numbers once for each instruction, the incoming side is arranged by object and
//! field, and a local instruction is only compared with what it can conflict with. Without conflicts the cost
//! is linear. Instructions on one list all renumber each other; long histories of one list are woven instead,
//! which costs a logarithm for each of them.
//!
//! Spec: merge.

mod driver;
mod error;
mod field;
mod footprint;
mod footprints;
mod index;
mod list;
mod nested;
mod object;
mod op;
#[cfg(any(test, feature = "oracle"))]
#[doc(hidden)]
pub mod oracle;
mod pair;
mod schema;
mod set;
mod weave;

use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;

use driver::Driver;
pub use error::{MergeError, MergeFault, Position, SchemaMismatch};
pub use footprint::Footprint;
pub use footprints::Footprints;
use index::Weaving;
use op::Disc;

/// One changeset that takes part in a merge, with what its author said of it.
#[derive(Clone, Debug)]
pub struct Concurrent {
    changeset: Changeset,
    origin_timestamp: OriginTimestamp,
    origin_file_ident: FileIdent,
    is_dirty: bool,
}

impl Concurrent {
    /// A changeset as its author made it, or as earlier merges have left it.
    ///
    /// `origin_timestamp` and `origin_file_ident` are the original author's whatever became of the changeset
    /// since. The ident is never [`FileIdent::SELF`]: a server names itself [`FileIdent::SERVER`].
    pub fn new(
        changeset: Changeset,
        origin_timestamp: OriginTimestamp,
        origin_file_ident: FileIdent,
    ) -> Self {
        debug_assert_ne!(origin_file_ident, FileIdent::SELF, "an author that cannot be compared");
        Self { changeset, origin_timestamp, origin_file_ident, is_dirty: false }
    }

    /// Whether a merge has changed it; otherwise its original bytes still stand for it.
    pub fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// What is left of it.
    pub fn changeset(&self) -> &Changeset {
        &self.changeset
    }

    /// What is left of it.
    pub fn into_changeset(self) -> Changeset {
        self.changeset
    }

    fn disc(&self) -> Disc {
        Disc { timestamp: self.origin_timestamp, file_ident: self.origin_file_ident }
    }
}

/// Carries every local changeset through all incoming ones.
///
/// Both sides start from the same state and are in the order in which they were made. Afterwards the incoming
/// changesets can be applied on top of the local ones, and the local ones on top of the incoming ones, which
/// is their reciprocal form. Discarded instructions are gone; the strings keep their symbols, and those that
/// an inserted instruction needs stand behind them.
///
/// It may be called again with the same local side and the next incoming changesets: merging all at once gives
/// the same, but perhaps another order of the strings that inserted instructions have brought with them.
///
/// Takes time in proportion to the instructions of both sides and to the pairs that can conflict: those on one
/// field or dictionary entry; those on one element of a list. For instructions that insert, erase and set the
/// elements of one list it is in proportion to their number and its logarithm. It is the product where moves or
/// clears are among them, or where many insertions meet erasures and clocks that go back.
///
/// # Errors
///
/// The first contradiction, in the order in which pairs meet. Both sides are unspecified then.
///
/// # Panics
///
/// If a symbol is not of its changeset; no changeset that was decoded has such a symbol.
pub fn merge(local: &mut [Concurrent], remote: &mut [Concurrent]) -> Result<(), MergeError> {
    merge_weaving(local, remote, Weaving::USUAL)
}

fn merge_weaving(
    local: &mut [Concurrent],
    remote: &mut [Concurrent],
    weaving: Weaving,
) -> Result<(), MergeError> {
    if local.is_empty() || remote.is_empty() {
        return Ok(());
    }
    Driver::new(local, remote, weaving).run()
}

#[cfg(test)]
mod tests;
