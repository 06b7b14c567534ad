//! The names of objects and places in a changeset.

use bailiwick_core::apply::Draft;
use bailiwick_core::schema::{ClassId, Schema};
use bailiwick_core::state::PrimaryKey;
use bailiwick_protocol::changeset::{MAX_STRING_LEN, ObjectKey, PathElement, Symbol, Target};

use super::error::Problem;
use super::place::Step;

/// What the names and keys of one transaction can hold together, in bytes; a changeset numbers them with 32 bits.
const MAX_TEXT_LEN: usize = 1 << 30;

/// Whether devices can read the keys that an instruction is to hold, and the changeset has room for them.
pub(super) fn check(draft: &Draft, key: &PrimaryKey, steps: &[Step]) -> Result<(), Problem> {
    let key = match key {
        PrimaryKey::String(text) => Some(text.len()),
        _ => None,
    };
    let keys = steps.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.len()),
        Step::Field(_) | Step::Index(_) => None,
    });
    let mut all = draft.changeset().strings.text_len();
    for len in key.into_iter().chain(keys) {
        if len as u64 > MAX_STRING_LEN {
            return Err(Problem::KeyLength(len));
        }
        all += len;
    }
    if all > MAX_TEXT_LEN { Err(Problem::TooLarge) } else { Ok(()) }
}

/// The names of an object, if it has a class.
pub(super) fn object(
    schema: &Schema,
    draft: &mut Draft,
    class: ClassId,
    key: &PrimaryKey,
) -> Option<(Symbol, ObjectKey)> {
    let table = draft.intern(schema.class_by_id(class)?.name());
    let object = key.to_object_key(|text| draft.intern(text));
    Some((table, object))
}

/// The name of a place in an object, if the steps lead to one.
pub(super) fn target(
    schema: &Schema,
    draft: &mut Draft,
    (class, key): (ClassId, &PrimaryKey),
    steps: &[Step],
) -> Option<Target> {
    let (Step::Field(field), path) = steps.split_first()? else { return None };
    let (table, object) = object(schema, draft, class, key)?;
    let field = draft.intern(field);
    let path = path.iter().map(|step| match step {
        Step::Index(index) => PathElement::Index(*index),
        Step::Field(name) | Step::Key(name) => PathElement::Key(draft.intern(name)),
    });
    let path = path.collect();
    Some(Target { table, object, field, path })
}
