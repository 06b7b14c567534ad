//! Whatever is edited: what is uploaded is what was done here, and what is refused was never there.

use std::convert::Infallible;

use bailiwick_core::schema;
use bailiwick_core::state;
use bailiwick_protocol::changeset::CollectionKind::{Dictionary, List, Set};
use proptest::prelude::*;

use super::*;
use crate::schema::Property;
use crate::value::stored::Reader;

/// What an application does next; much of it is refused.
type Step = fn(&mut WriteTransaction<'_>, u32) -> Result<(), WriteError>;

const STEPS: &[Step] = &[
    |tx, n| tx.create("Task", key(n)).map(drop),
    |tx, n| tx.create("Task", key(n)).map(drop),
    |tx, n| tx.create_or_update("Person", name(n)).map(drop),
    |tx, n| tx.create_or_update("Person", name(n)).map(drop),
    |tx, n| tx.create("Person", key(n)).map(drop),
    |tx, n| tx.create("Part", key(n)).map(drop),
    |tx, n| tx.delete("Task", key(n)),
    |tx, n| tx.delete("Person", name(n)),
    |tx, n| if n.is_multiple_of(10) { tx.delete_all("Task").map(drop) } else { Ok(()) },
    |tx, n| tx.object("Task", key(n))?.set("n", scalar(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set_default("any", scalar(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.add("n", i64::from(n)).map(drop),
    |tx, n| tx.object("Task", key(n))?.add("any", i64::from(n)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set("any", nested(n / 3, 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set("next", task(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set("any", task(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set("nothing", 1).map(drop),
    |tx, n| tx.object("Task", key(n))?.set("_id", key(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set("part", part(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set_default("part", Value::Null).map(drop),
    |tx, n| tx.object("Task", key(n))?.embedded("part")?.set("task", task(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.embedded("part")?.embed("inner").map(drop),
    |tx, n| tx.object("Task", key(n))?.embedded("part")?.embedded("inner")?.delete(),
    |tx, n| tx.object("Task", key(n))?.embedded("part")?.delete(),
    |tx, n| list(tx, n, "ints", |list, n| list.insert(at(n), scalar(n / 3)).map(drop)),
    |tx, n| list(tx, n, "ints", |list, n| list.set(at(n), scalar(n / 3)).map(drop)),
    |tx, n| list(tx, n, "ints", |list, n| list.move_to(at(n), at(n / 3)).map(drop)),
    |tx, n| list(tx, n, "anys", |list, n| list.push(nested(n, 2)).map(drop)),
    |tx, n| list(tx, n, "anys", |list, n| list.set(at(n), nested(n / 3, 2)).map(drop)),
    |tx, n| list(tx, n, "anys", |list, n| list.move_to(at(n), at(n / 3)).map(drop)),
    |tx, n| list(tx, n, "anys", |list, n| list.list(at(n))?.push(task(n / 3)).map(drop)),
    |tx, n| list(tx, n, "anys", |list, n| list.dictionary(at(n))?.clear().map(drop)),
    |tx, n| list(tx, n, "anys", |list, n| list.remove(at(n)).map(drop)),
    |tx, n| list(tx, n, "tasks", |list, n| list.push(task(n)).map(drop)),
    |tx, n| list(tx, n, "tasks", |list, n| list.insert(at(n), task(n / 3)).map(drop)),
    |tx, n| list(tx, n, "tasks", |list, n| list.move_to(at(n), at(n / 3)).map(drop)),
    |tx, n| list(tx, n, "parts", |list, n| list.push(part(n)).map(drop)),
    |tx, n| list(tx, n, "parts", |list, n| list.set(at(n), part(n / 3)).map(drop)),
    |tx, n| {
        list(tx, n, "parts", |list, n| {
            list.embedded(at(n))?.list("tasks")?.push(task(n / 3)).map(drop)
        })
    },
    |tx, n| list(tx, n, "parts", |list, n| list.embedded(at(n))?.delete()),
    |tx, n| tx.object("Task", key(n))?.set_of("floats")?.insert(scalar(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set_of("anyset")?.insert(scalar(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set_of("anyset")?.insert(task(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set_of("anyset")?.remove(scalar(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set_of("friends")?.insert(person(n / 3)).map(drop),
    |tx, n| tx.object("Task", key(n))?.set_of("friends")?.clear().map(drop),
    |tx, n| dictionary(tx, n, "anymap", |map, n| map.insert(entry(n), nested(n / 4, 2)).map(drop)),
    |tx, n| dictionary(tx, n, "anymap", |map, n| map.list(entry(n))?.push(person(n)).map(drop)),
    |tx, n| dictionary(tx, n, "anymap", |map, n| map.remove(entry(n)).map(drop)),
    |tx, n| dictionary(tx, n, "people", |map, n| map.insert(entry(n), person(n / 4)).map(drop)),
    |tx, n| dictionary(tx, n, "partmap", |map, n| map.insert(entry(n), part(n / 4)).map(drop)),
    |tx, n| dictionary(tx, n, "partmap", |map, n| map.embedded(entry(n))?.delete()),
    |tx, n| {
        let values = Value::List((0..n % 4).map(|i| nested(n / 5 + i, 1)).collect());
        tx.object("Task", key(n))?.set(["anys", "ints", "anyset"][at(n / 4) % 3], values).map(drop)
    },
    |tx, n| {
        let values = Value::Set((0..n % 4).map(|i| scalar(n / 5 + i)).collect());
        tx.object("Task", key(n))?.set(["anyset", "floats", "any"][at(n / 4) % 3], values).map(drop)
    },
    |tx, n| {
        let values = (0..n % 4).map(|i| (entry(i).to_owned(), nested(n / 5 + i, 1))).collect();
        tx.object("Task", key(n))?.set("anymap", Value::Dictionary(values)).map(drop)
    },
    |tx, n| {
        let fields = [("n", Value::Int(1)), ("any", scalar(n / 3)), ("next", task(n / 5))];
        let fields = fields.map(|(field, value)| (field.to_owned(), value));
        tx.object("Task", key(n))?.set_all(fields).map(drop)
    },
    |tx, n| {
        let field = Property::new(["new", "n"][at(n) % 2], PropertyType::Int);
        let class = Class::new("Task").primary_key("_id", PropertyType::Int).with(field);
        tx.declare(&Schema::new().class(class))
    },
];

fn rich_schema() -> Schema {
    use PropertyType as T;
    let (task, person) = (T::Link("Task".into()), T::Link("Person".into()));
    let part = T::Embedded("Part".into());
    Schema::new()
        .class(
            Class::new("Task")
                .primary_key("_id", T::Int)
                .optional("n", T::Int)
                .property("any", T::Mixed)
                .property("next", task.clone())
                .property("part", part.clone())
                .list("ints", T::Int)
                .list("anys", T::Mixed)
                .list("tasks", task.clone())
                .list("parts", part.clone())
                .with(Property::new("floats", T::Float).nullable().collection(Set))
                .set("anyset", T::Mixed)
                .set("friends", person.clone())
                .with(Property::new("anymap", T::Mixed).collection(Dictionary))
                .dictionary("people", person)
                .dictionary("partmap", part.clone()),
        )
        .class(Class::new("Person").primary_key("name", T::String).property("task", task.clone()))
        .class(
            Class::embedded("Part")
                .property("task", task.clone())
                .property("inner", part)
                .with(Property::new("tasks", task).collection(List)),
        )
}

fn key(n: u32) -> i64 {
    i64::from(n % 3)
}

fn name(n: u32) -> &'static str {
    ["Ann", "Bob", ""][n as usize % 3]
}

fn at(n: u32) -> usize {
    n as usize % 3
}

fn entry(n: u32) -> &'static str {
    ["a", "b", "$c", ""][n as usize % 4]
}

fn task(n: u32) -> Value {
    Link::new("Task", key(n)).into()
}

fn person(n: u32) -> Value {
    Link::new("Person", name(n)).into()
}

fn scalar(n: u32) -> Value {
    match n % 7 {
        0 => Value::Null,
        1 => Value::Int((n / 7 % 3).into()),
        2 => Value::Float(0.0),
        3 => Value::Float(-0.0),
        4 => Value::Double(f64::from(n / 7 % 3)),
        5 => Value::Float(f32::NAN),
        _ => name(n / 7).into(),
    }
}

fn nested(n: u32, depth: u32) -> Value {
    match n % 5 {
        0 if depth > 0 => Value::List((0..n % 3).map(|i| nested(n / 5 + i, depth - 1)).collect()),
        1 if depth > 0 => {
            let entries =
                (0..n % 3).map(|i| (entry(i + n / 9).to_owned(), nested(n / 5 + i, depth - 1)));
            Value::Dictionary(entries.collect())
        }
        2 => task(n / 5),
        3 if n.is_multiple_of(8) => Value::Set(vec![]),
        _ => scalar(n / 5),
    }
}

fn part(n: u32) -> Value {
    let inner = if n.is_multiple_of(4) { part(n / 4 + 1) } else { Value::Null };
    let fields = [("task", task(n)), ("inner", inner), ("tasks", Value::List(vec![task(n / 2)]))];
    match n % 6 {
        0 => Value::Null,
        1 => Value::Object([("other".to_owned(), Value::Null)].into()),
        _ => Value::Object(fields.map(|(field, value)| (field.to_owned(), value)).into()),
    }
}

fn list(
    tx: &mut WriteTransaction<'_>,
    n: u32,
    field: &str,
    edit: fn(&mut ListMut<'_, '_>, u32) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    edit(&mut tx.object("Task", key(n))?.list(field)?, n / 3)
}

fn dictionary(
    tx: &mut WriteTransaction<'_>,
    n: u32,
    field: &str,
    edit: fn(&mut DictionaryMut<'_, '_>, u32) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    edit(&mut tx.object("Task", key(n))?.dictionary(field)?, n / 3)
}

/// What a transaction reads of all its objects.
fn read(tx: &mut WriteTransaction<'_>) -> Vec<String> {
    let mut seen = Vec::new();
    for class in ["Person", "Task"] {
        let fields = tx.schema().class(class).into_iter().flat_map(schema::Class::columns);
        let fields: Vec<String> = fields.map(|(field, _)| field.to_owned()).collect();
        for key in tx.keys(class).unwrap() {
            let mut object = tx.object(class, &key).unwrap();
            for field in &fields {
                seen.push(format!("{class}[{key}].{field} = {:?}", object.get(field).unwrap()));
            }
        }
    }
    seen
}

/// The same of a state.
fn read_state(state: &State) -> Vec<String> {
    let exists = |class, key: &PrimaryKey| Ok::<_, Infallible>(state.contains(class, key));
    let reader = Reader { schema: state.schema(), exists };
    let mut seen = Vec::new();
    for class in ["Person", "Task"] {
        let Some(class) = state.schema().class(class) else { continue };
        for (key, object) in state.objects(class.id()).unwrap() {
            let fields = reader.fields(class, &key, &object).unwrap_or_else(|never| match never {});
            seen.extend(
                fields
                    .into_iter()
                    .map(|(field, value)| format!("{}[{key}].{field} = {value:?}", class.name())),
            );
        }
    }
    seen
}

/// The links in a state whose objects are not there.
fn dangling(state: &State) -> usize {
    fn count(state: &State, value: &state::Value) -> usize {
        match value {
            state::Value::Link(link) => usize::from(!state.contains(link.class, &link.key)),
            state::Value::List(list) => list.iter().map(|element| count(state, element)).sum(),
            state::Value::Set(set) => set.iter().map(|element| count(state, element)).sum(),
            state::Value::Dictionary(map) => map.iter().map(|(_, entry)| count(state, entry)).sum(),
            state::Value::Object(object) => {
                object.fields().map(|(_, value)| count(state, value)).sum()
            }
            _ => 0,
        }
    }
    let classes = state.schema().classes();
    let objects = classes.flat_map(|class| state.objects(class.id()).unwrap());
    objects.map(|(_, object)| object.fields().map(|(_, v)| count(state, v)).sum::<usize>()).sum()
}

fn replay(before: &State, changeset: &Changeset) -> State {
    let decoded = Changeset::decode(&changeset.encode()).unwrap();
    decoded.check().unwrap();
    let mut after = before.clone();
    let _ = after.apply(&decoded).unwrap();
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_uploaded_is_what_was_done(
        transactions in prop::collection::vec(
            prop::collection::vec((0..STEPS.len(), any::<u32>()), 0..60), 1..4),
    ) {
        let realm = Realm::open(Arc::new(LocalFile::in_memory()), rich_schema()).unwrap();
        for steps in transactions {
            let before = state_of(&realm);
            let (changeset, seen) = realm
                .write(|tx| {
                    for (step, n) in steps {
                        let (count, seen) = (tx.changeset().instructions.len(), read(tx));
                        match STEPS[step](tx, n) {
                            Ok(()) => (),
                            Err(WriteError::Refused(_) | WriteError::Schema(_)) => {
                                assert_eq!(tx.changeset().instructions.len(), count);
                                assert_eq!(read(tx), seen);
                            }
                            Err(error) => return Err(error),
                        }
                    }
                    Ok::<_, WriteError>((tx.changeset().clone(), read(tx)))
                })
                .unwrap();
            let after = state_of(&realm);
            prop_assert_eq!(replay(&before, &changeset), after.clone());
            prop_assert_eq!(read_state(&after), seen);
            prop_assert_eq!(dangling(&after), 0);
        }
    }
}
