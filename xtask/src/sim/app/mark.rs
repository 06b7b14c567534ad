//! Marks: how a transaction is known again.

use std::collections::BTreeMap;

use bailiwick_client::local::{LocalError, Snapshot};
use bailiwick_client::schema::{Class, PropertyType};
use bailiwick_client::write::{WriteError, WriteTransaction};
use bailiwick_core::schema::{ClassId, ColumnId, Schema};
use bailiwick_core::state::{Object, PrimaryKey, State, Value};

use super::Author;

/// A transaction that is part of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The device that wrote it.
    pub(crate) device: u32,
    /// How often it is part of the state: once, or something is wrong.
    pub(crate) times: i64,
}

const CLASS: &str = "Mark";
const DEVICE: &str = "device";
const TIMES: &str = "times";

/// The class of the marks.
pub(super) fn class() -> Class {
    Class::new(CLASS)
        .primary_key("_id", PropertyType::Int)
        .property(DEVICE, PropertyType::Int)
        .property(TIMES, PropertyType::Int)
}

/// Marks a transaction. Nothing is set to one: what comes twice makes two.
pub(super) fn write(tx: &mut WriteTransaction<'_>, author: Author) -> Result<(), WriteError> {
    let device = i64::from(author.device);
    tx.create(CLASS, author.mark)?.set(DEVICE, device)?.add(TIMES, 1)?;
    Ok(())
}

/// The mark of a transaction, if a file has it.
///
/// # Errors
///
/// The file cannot be read.
pub(crate) fn find_mark(snapshot: &Snapshot, mark: i64) -> Result<Option<Mark>, LocalError> {
    let Some(columns) = Columns::of(snapshot.schema()) else { return Ok(None) };
    let object = snapshot.get(columns.class, &PrimaryKey::Int(mark))?;
    Ok(object.map(|object| columns.read(&object)))
}

/// The marks of all transactions that a state is made of.
///
/// # Panics
///
/// If there are objects that cannot be read, or marks that nobody writes.
pub(crate) fn marks(state: &State) -> BTreeMap<i64, Mark> {
    let Some(columns) = Columns::of(state.schema()) else { return BTreeMap::new() };
    let objects = state.objects(columns.class).expect("what is stored can be read");
    let read = |(key, object): &(PrimaryKey, Object)| match *key {
        PrimaryKey::Int(mark) => (mark, columns.read(object)),
        ref key => panic!("a mark is called {key}"),
    };
    objects.iter().map(read).collect()
}

/// Where marks are stored.
struct Columns {
    class: ClassId,
    device: ColumnId,
    times: ColumnId,
}

impl Columns {
    fn of(schema: &Schema) -> Option<Self> {
        let class = schema.class(CLASS)?;
        let column = |name| class.column(name).map(|column| column.id);
        Some(Self { class: class.id(), device: column(DEVICE)?, times: column(TIMES)? })
    }

    fn read(&self, object: &Object) -> Mark {
        let number = |column| match object.get(column) {
            None => 0,
            Some(Value::Int(number)) => *number,
            Some(other) => panic!("a mark has a {}", other.type_name()),
        };
        let device = u32::try_from(number(self.device)).expect("devices have small numbers");
        Mark { device, times: number(self.times) }
    }
}
