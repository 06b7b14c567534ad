//! Marks: how a transaction is known again.

use std::collections::BTreeMap;

use bailiwick_client::schema::{Class, PropertyType};
use bailiwick_client::write::{WriteError, WriteTransaction};
use bailiwick_core::state::{PrimaryKey, State, Value};

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

/// The marks of all transactions that a state is made of.
///
/// # Panics
///
/// If there are objects that cannot be read, or marks that nobody writes.
pub(crate) fn marks(state: &State) -> BTreeMap<i64, Mark> {
    let Some(class) = state.schema().class(CLASS) else { return BTreeMap::new() };
    let column = |name| class.column(name).map(|column| column.id);
    let (device, times) = (column(DEVICE), column(TIMES));
    let objects = state.objects(class.id()).expect("what is stored can be read");
    let read = |(key, object): &(PrimaryKey, bailiwick_core::state::Object)| {
        let number = |column: Option<_>| match column.and_then(|column| object.get(column)) {
            None => 0,
            Some(Value::Int(number)) => *number,
            Some(other) => panic!("a mark has a {}", other.type_name()),
        };
        let PrimaryKey::Int(mark) = *key else { panic!("a mark is called {key}") };
        let device = u32::try_from(number(device)).expect("devices have small numbers");
        (mark, Mark { device, times: number(times) })
    };
    objects.iter().map(read).collect()
}
