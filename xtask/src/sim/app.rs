//! What the applications of a simulated partition do: random classes, and random transactions over them.
//!
//! All is written through the interface that applications have, which says what cannot be written: nobody takes classes
//! or fields away (`EraseTable`, `EraseColumn`), and classes of asymmetric objects are not for partitions. Left out is
//! what two official devices themselves do not agree on (spec: merge, section 9):
//!
//! - moves in lists whose elements have something inside;
//! - `Clear` of a collection inside of a mixed value, but right after the value became one;
//! - making an embedded object in a dictionary where another device might make or replace one, or be at work inside:
//!   only the device does whose name the key has, and only where there is none. A client reset may do so where there is
//!   one, which a restored server has although it was removed: then nobody else changes anything inside, also not by
//!   deleting an object to which there is a link;
//! - with clocks that jump, changes of a mixed value between list, dictionary and anything else;
//! - numbers of different types in one set of mixed values.

mod edit;
mod mark;
mod nested;
mod plan;
#[cfg(test)]
mod tests;
mod value;

use bailiwick_client::local::Snapshot;
use bailiwick_client::schema::Schema;
use bailiwick_client::write::{WriteError, WriteTransaction};
use bailiwick_core::apply::Changes;
use bailiwick_core::state::{State, encode_row};

pub(crate) use mark::{Mark, find_mark, marks};

use super::choices::Choices;
use edit::Editor;
use plan::Plan;

/// How many versions an application has.
pub(crate) const VERSIONS: usize = 3;

/// The application of one partition.
#[derive(Debug)]
pub(crate) struct App {
    plan: Plan,
}

/// What its devices are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// The lowest protocol version that one of them speaks.
    pub(crate) lowest: u8,
    /// What they write the time from.
    pub(crate) clocks: Clocks,
    /// What the server knows of the past.
    pub(crate) memory: Memory,
}

/// What the clocks of devices do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clocks {
    /// They agree, and do not go back.
    Steady,
    /// They show anything.
    Jumping,
}

/// What a server keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// All that it has acknowledged.
    Everything,
    /// It may be restored from a backup, and devices have to reset.
    UpToBackup,
}

/// Who writes a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author {
    /// The device.
    pub(crate) device: u32,
    /// A number that no other transaction of the partition has.
    pub(crate) mark: i64,
    /// The version of the application that the device has.
    pub(crate) version: usize,
}

/// What became of the edits of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Those that were done.
    pub(crate) edits: usize,
    /// Those that were refused, of which nothing was done.
    pub(crate) refused: usize,
}

/// From these protocol versions on there is more that devices understand. Spec: changeset format, section 16.
const RICH_TYPES: u8 = 3;
const NESTED_COLLECTIONS: u8 = 13;

impl App {
    /// Chooses the classes.
    pub(crate) fn new(choices: &mut Choices, style: Style) -> Self {
        Self { plan: Plan::new(choices, style) }
    }

    /// What a version of it declares: all that the one before does, and more.
    pub(crate) fn schema(&self, version: usize) -> Schema {
        self.plan.schema(version)
    }

    /// Writes a transaction: a mark, and edits that other devices may contradict.
    ///
    /// # Errors
    ///
    /// The file fails.
    ///
    /// # Panics
    ///
    /// If a refused edit has left something.
    pub(crate) fn write(
        &self,
        tx: &mut WriteTransaction<'_>,
        author: Author,
        choices: &mut Choices,
    ) -> Result<Written, WriteError> {
        mark::write(tx, author)?;
        let mut written = Written::default();
        let mut editor = Editor { plan: &self.plan, author, choices };
        for _ in 0..editor.transaction_len() {
            let len = tx.changeset().instructions.len();
            match editor.edit(tx) {
                Ok(()) => written.edits += 1,
                Err(WriteError::Refused(refused)) => {
                    let left = tx.changeset().instructions.len() - len;
                    assert_eq!(left, 0, "instructions of an edit that was refused: {refused}");
                    written.refused += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}

/// All that a file holds, in a form that compares by names.
///
/// # Panics
///
/// If the file cannot be read.
pub(crate) fn contents(snapshot: &Snapshot) -> State {
    let mut objects = Vec::new();
    for class in snapshot.schema().classes() {
        for entry in snapshot.objects(class.id()).expect("the file is read") {
            let (key, object) = entry.expect("the file is read");
            objects.push((encode_row(class.id(), &key), Some(object.encode().into())));
        }
    }
    objects.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut state = State::default();
    state.commit(Changes { schema: Some(snapshot.schema().clone()), objects });
    state
}
