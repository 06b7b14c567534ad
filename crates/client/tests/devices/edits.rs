//! What applications write, and how it is known again.
//!
//! Left out is what two official devices themselves do not agree on (spec: merge, section 9): moves in lists whose
//! elements have something inside, entries with embedded objects that others make or replace, numbers of different
//! types in one set of mixed values.

use bailiwick_client::local::Snapshot;
use bailiwick_client::schema::{Class, PropertyType, Schema};
use bailiwick_client::value::{Link, Timestamp, Value};
use bailiwick_client::write::{WriteError, WriteTransaction};
use bailiwick_core::apply::Changes;
use bailiwick_core::state::{PrimaryKey, State, encode_row};

/// What somebody does next: which kind of edit, of which task, with which number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) kind: u8,
    pub(super) key: u8,
    pub(super) n: u32,
}

/// How many kinds of edits there are.
pub(super) const KINDS: u8 = 56;

/// From this protocol version on there are collections in mixed values.
pub(super) const NESTED: u8 = 13;

/// What an app declares.
pub(super) fn schema() -> Schema {
    use PropertyType as T;
    let (task, person, part) =
        (T::Link("Task".into()), T::Link("Person".into()), T::Embedded("Part".into()));
    Schema::new()
        .class(
            Class::new("Task")
                .primary_key("_id", T::Int)
                .property("name", T::String)
                .optional("count", T::Int)
                .optional("any", T::Mixed)
                .optional("next", task.clone())
                .optional("when", T::Timestamp)
                .property("yes", T::Bool)
                .property("bytes", T::Binary)
                .property("ratio", T::Double)
                .list("ints", T::Int)
                .list("flat", T::Mixed)
                .list("anys", T::Mixed)
                .list("tasks", task.clone())
                .list("parts", part.clone())
                .set("tags", T::String)
                .set("friends", person.clone())
                .set("anyset", T::Mixed)
                .dictionary("map", T::String)
                .dictionary("anymap", T::Mixed)
                .dictionary("people", person.clone())
                .dictionary("partmap", part.clone())
                .optional("part", part.clone()),
        )
        .class(Class::new("Person").primary_key("_id", T::String).optional("task", task.clone()))
        .class(
            Class::embedded("Part")
                .property("n", T::Int)
                .optional("task", task)
                .list("items", T::Int)
                .dictionary("names", T::String),
        )
        // One for each transaction, and the sum of those of each device.
        .class(Class::new("Mark").primary_key("_id", T::Int).property("device", T::Int))
        .class(Class::new("Total").primary_key("_id", T::Int).property("count", T::Int))
}

/// What an app declares later.
fn later_schema() -> Schema {
    let task = Class::new("Task")
        .primary_key("_id", PropertyType::Int)
        .optional("later", PropertyType::Int);
    Schema::new().class(task).class(Class::new("Later").primary_key("_id", PropertyType::Int))
}

/// Writes a mark, and all steps that are possible; those that are refused do nothing.
pub(super) fn run(
    tx: &mut WriteTransaction<'_>,
    device: usize,
    mark: i64,
    steps: &[Step],
    lowest: u8,
) -> Result<(), WriteError> {
    let device_key = i64::try_from(device).unwrap();
    tx.create("Mark", mark)?.set("device", device_key)?;
    tx.object("Total", device_key)?.add("count", 1)?;
    for step in steps {
        match edit(tx, device, *step, lowest) {
            Ok(()) | Err(WriteError::Refused(_)) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes what is there from the beginning.
pub(super) fn begin(tx: &mut WriteTransaction<'_>, devices: usize) -> Result<(), WriteError> {
    for device in 0..devices {
        tx.create("Total", i64::try_from(device).unwrap())?.set("count", 0)?;
    }
    for key in 0..2 {
        let mut task = tx.create("Task", key)?;
        task.set("count", 0)?.set("part", part(1))?;
        for n in 0..3 {
            task.list("ints")?.push(n)?;
            task.list("parts")?.push(part(2))?;
        }
        task.list("flat")?.push("flat")?.push(1)?;
        task.dictionary("map")?.insert("a", "one")?;
    }
    Ok(())
}

fn edit(
    tx: &mut WriteTransaction<'_>,
    device: usize,
    Step { kind, key, n }: Step,
    lowest: u8,
) -> Result<(), WriteError> {
    let small = n as usize % 4;
    let entry = ["a", "b", "c"][n as usize % 3];
    let own = format!("of {device}");
    let key = i64::from(key % 3);
    let task = Link::new("Task", i64::from(n % 3));
    let person = ["Ann", "Bob"][n as usize % 2];
    let number = Value::from(i64::from(n));
    let nests = lowest >= NESTED;
    let nested = match n % 3 {
        0 if nests => Value::List(vec![number.clone(), "in a list".into()]),
        1 if nests => {
            Value::Dictionary([("k".to_owned(), Value::List(vec![number.clone()]))].into())
        }
        _ => number.clone(),
    };
    match kind {
        0..=2 => return tx.create("Task", key).map(drop),
        3 => return tx.delete("Task", key),
        4..=5 => return tx.create_or_update("Person", person).map(drop),
        6 => return tx.object("Person", person)?.set("task", task).map(drop),
        7 => return tx.delete("Person", person),
        8 => return tx.declare(&later_schema()),
        9 => return tx.object("Task", key)?.set("later", number).map(drop),
        10 => return tx.create_or_update("Later", key).map(drop),
        _ => (),
    }
    let mut object = tx.object("Task", key)?;
    match kind {
        11 => drop(object.set("name", format!("name {n}"))?),
        12 => drop(object.set_default("name", format!("default {n}"))?),
        13 => drop(object.set("count", number)?),
        14 => drop(object.set("count", Value::Null)?),
        15..=17 => drop(object.add("count", i64::from(n))?),
        18 => drop(object.set("any", nested)?),
        19 => drop(object.list("any")?.push(number)?),
        20 => drop(object.dictionary("any")?.insert("k", number)?),
        21 => drop(object.set("any", task)?),
        22 => drop(object.set("next", task)?),
        23 => drop(object.set("next", Value::Null)?),
        24 => drop(object.set("when", Timestamp::from_millis(n.into()))?),
        25 => drop(object.set("yes", n.is_multiple_of(2))?),
        26 => drop(object.set("bytes", Value::Binary(vec![7; small]))?),
        27 => drop(object.set("ratio", f64::from(n % 5) + 0.5)?),
        28..=29 => drop(object.list("ints")?.push(number)?),
        30 => drop(object.list("ints")?.insert(small, number)?),
        31 => drop(object.list("ints")?.set(small, number)?),
        32 => drop(object.list("ints")?.remove(small)?),
        33 => drop(object.list("ints")?.move_to(small, small / 2)?),
        34 => drop(object.list("ints")?.clear()?),
        35 => drop(object.list("flat")?.insert(small, "text")?),
        36 => drop(object.list("flat")?.move_to(small / 2, small)?),
        37 => drop(object.list("anys")?.insert(small, nested)?),
        38 => drop(object.list("anys")?.list(small)?.push(number)?),
        39 => drop(object.list("anys")?.remove(small)?),
        40 => drop(object.list("tasks")?.push(task)?),
        41 => drop(object.list("tasks")?.remove(small)?),
        42 => drop(object.set_of("tags")?.insert(entry)?),
        43 => drop(object.set_of("tags")?.remove(entry)?),
        44 => drop(object.set_of("friends")?.insert(Link::new("Person", person))?),
        45 => match n % 3 {
            0 => drop(object.set_of("anyset")?.insert(i64::from(n % 4))?),
            1 => drop(object.set_of("anyset")?.insert(task)?),
            _ => drop(object.set_of("anyset")?.remove(i64::from(n % 4))?),
        },
        46 => drop(object.dictionary("map")?.insert(entry, format!("{n}"))?),
        47 => drop(object.dictionary("map")?.remove(entry)?),
        48 => drop(object.dictionary("anymap")?.insert(entry, number)?),
        49 => drop(object.dictionary("people")?.insert(entry, Link::new("Person", person))?),
        50 => {
            if object.dictionary("partmap")?.get(&own)?.is_none() {
                object.dictionary("partmap")?.insert(&own, part(n))?;
            }
        }
        51 => match n % 2 {
            0 => drop(object.set("part", part(n))?),
            _ => drop(object.set("part", Value::Null)?),
        },
        52 => drop(object.embedded("part")?.set("task", task)?.list("items")?.push(number)?),
        53 => drop(object.list("parts")?.insert(small, part(n))?),
        54 => drop(object.list("parts")?.embedded(small)?.dictionary("names")?.insert(entry, "x")?),
        _ => drop(object.list("parts")?.remove(small)?),
    }
    Ok(())
}

fn part(n: u32) -> Value {
    let fields = [("n", Value::from(i64::from(n))), ("items", Value::List(vec![1.into()]))];
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

/// All that a file holds, in a form that compares by names.
pub(super) fn contents(snapshot: &Snapshot) -> State {
    let mut objects = Vec::new();
    for class in snapshot.schema().classes() {
        for entry in snapshot.objects(class.id()).unwrap() {
            let (key, object) = entry.unwrap();
            objects.push((encode_row(class.id(), &key), Some(object.encode().into())));
        }
    }
    objects.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut state = State::default();
    state.commit(Changes { schema: Some(snapshot.schema().clone()), objects });
    state
}

/// Whether a mark is there.
pub(super) fn has_mark(state: &State, mark: i64) -> bool {
    let class = state.schema().class("Mark");
    class.is_some_and(|class| state.contains(class.id(), &PrimaryKey::Int(mark)))
}

/// The sum that a device has in a state.
pub(super) fn total(state: &State, device: usize) -> i64 {
    let class = state.schema().class("Total").unwrap();
    let column = class.column("count").unwrap();
    let key = PrimaryKey::Int(i64::try_from(device).unwrap());
    let objects = state.objects(class.id()).unwrap();
    let (_, total) = objects.into_iter().find(|(found, _)| *found == key).unwrap();
    match total.get(column.id).cloned().unwrap_or_else(|| column.default_value()) {
        bailiwick_core::state::Value::Int(count) => count,
        other => panic!("the total of device {device} is {other:?}"),
    }
}
