//! Random values and keys.

use std::collections::BTreeMap;

use bailiwick_client::schema::{CollectionKind, Property, PropertyType};
use bailiwick_client::value::{Decimal, Link, ObjectId, PrimaryKey, Timestamp, Uuid, Value};

use super::Clocks;
use super::plan::Plan;
use crate::sim::choices::Choices;

/// The keys that dictionaries have entries for.
const ENTRIES: [&str; 3] = ["a", "b", "longer, with ä"];

/// How deep collections in mixed values are made.
const DEPTH: usize = 2;

/// Two or three keys for objects of a class.
pub(super) fn keys(choices: &mut Choices, key: &Property) -> Vec<PrimaryKey> {
    let mut keys: Vec<PrimaryKey> = (0..3_u8)
        .map(|number| match key.value_type {
            PropertyType::String => ["", "b", "a longer one, with ä"][usize::from(number)].into(),
            PropertyType::ObjectId => ObjectId([number; 12]).into(),
            PropertyType::Uuid => Uuid([number; 16]).into(),
            _ => [0, -1, i64::MAX][usize::from(number)].into(),
        })
        .collect();
    if key.nullable {
        keys[choices.below(3)] = PrimaryKey::Null;
    }
    keys.truncate(2 + choices.below(2));
    keys
}

/// The key of a dictionary's entry.
pub(super) fn entry(choices: &mut Choices) -> &'static str {
    ENTRIES[choices.below(ENTRIES.len())]
}

/// A value of this type that is neither a collection nor an object.
pub(super) fn scalar(choices: &mut Choices, plan: &Plan, value_type: &PropertyType) -> Value {
    match value_type {
        PropertyType::Int => int(choices).into(),
        PropertyType::Bool => choices.yes().into(),
        PropertyType::String => text(choices).into(),
        PropertyType::Binary => Value::Binary(vec![7; choices.below(5)]),
        PropertyType::Timestamp => Timestamp::from_millis(int(choices) % 1_000_000).into(),
        PropertyType::Float => Value::Float([0.0, -1.5, f32::MAX][choices.below(3)]),
        PropertyType::Double => Value::Double([0.0, 0.1, -1e300][choices.below(3)]),
        PropertyType::Decimal => Decimal::from(small(choices)).into(),
        PropertyType::ObjectId => ObjectId([byte(choices); 12]).into(),
        PropertyType::Uuid => Uuid([byte(choices); 16]).into(),
        PropertyType::Link(class) => link(choices, plan, class),
        PropertyType::Mixed => mixed(choices, plan),
        PropertyType::Embedded(_) => Value::Null,
    }
}

/// A mixed value that is no collection. All numbers are integers, so that sets can hold it.
pub(super) fn mixed(choices: &mut Choices, plan: &Plan) -> Value {
    let value_type = match choices.below(9) {
        0 => return Value::Null,
        1 => PropertyType::Bool,
        2 => PropertyType::String,
        3 => PropertyType::Binary,
        4 => PropertyType::Timestamp,
        5 => PropertyType::Uuid,
        6..=7 => PropertyType::Link(choices.pick(&plan.classes).name.clone()),
        _ => PropertyType::Int,
    };
    scalar(choices, plan, &value_type)
}

/// A list in a mixed value.
pub(super) fn list(choices: &mut Choices, plan: &Plan, depth: usize) -> Value {
    Value::List((0..choices.below(3)).map(|_| nested(choices, plan, depth + 1)).collect())
}

/// A dictionary in a mixed value.
pub(super) fn dictionary(choices: &mut Choices, plan: &Plan, depth: usize) -> Value {
    let entries = (0..choices.below(3)).map(|_| {
        let key = entry(choices).to_owned();
        (key, nested_entry(choices, plan, depth + 1))
    });
    Value::Dictionary(entries.collect())
}

/// A mixed value, which may be a collection if it is not too deep.
pub(super) fn nested(choices: &mut Choices, plan: &Plan, depth: usize) -> Value {
    match choices.below(6) {
        0..=1 if depth < DEPTH => list(choices, plan, depth),
        2..=3 if depth < DEPTH => dictionary(choices, plan, depth),
        _ => mixed(choices, plan),
    }
}

/// What an entry of a dictionary in a mixed value can be.
pub(super) fn nested_entry(choices: &mut Choices, plan: &Plan, depth: usize) -> Value {
    match plan.style.clocks {
        Clocks::Steady => nested(choices, plan, depth),
        // It might have to become something else one day.
        Clocks::Jumping => mixed(choices, plan),
    }
}

/// A new embedded object with some of its fields.
pub(super) fn object(choices: &mut Choices, plan: &Plan, class: &str, version: usize) -> Value {
    let mut fields = BTreeMap::new();
    for field in plan.class(class).fields.iter().filter(|field| field.since <= version) {
        let is_single = field.property.collection == CollectionKind::Single;
        let is_link = field.property.value_type.target().is_some();
        if is_single && !is_link && choices.yes() {
            let value = scalar(choices, plan, &field.property.value_type);
            // Null where it cannot be is for edits, not for what is in them.
            if field.property.is_nullable() || value != Value::Null {
                fields.insert(field.property.name.clone(), value);
            }
        }
    }
    Value::Object(fields)
}

/// A value of a type that fields seldom have.
pub(super) fn misfit(choices: &mut Choices) -> Value {
    choices
        .pick(&[Value::Float(0.5), Value::Set(Vec::new()), Value::ObjectId(ObjectId([9; 12]))])
        .clone()
}

fn link(choices: &mut Choices, plan: &Plan, class: &str) -> Value {
    let keys = &plan.class(class).keys;
    let key = choices.pick(keys);
    let key = if plan.are_links_kept() { &keys[0] } else { key };
    Link::new(class, key.clone()).into()
}

/// A number that is often equal to others.
pub(super) fn int(choices: &mut Choices) -> i64 {
    match choices.below(16) {
        0 => i64::MAX - small(choices),
        1 => i64::MIN + small(choices),
        _ => small(choices) - 2,
    }
}

fn small(choices: &mut Choices) -> i64 {
    i64::from(byte(choices))
}

fn byte(choices: &mut Choices) -> u8 {
    u8::try_from(choices.below(7)).expect("it is below 7")
}

/// Short text mostly, and now and then some that is worth compressing or more than a message likes.
fn text(choices: &mut Choices) -> String {
    match choices.below(256) {
        0 => "long ".repeat(choices.below(8000)),
        1..=24 => "text ".repeat(choices.below(60)),
        _ => (*choices.pick(&["", "a", "b", "ä longer one"])).to_owned(),
    }
}
