//! Deleting objects: the links to an object go first, one by one, as devices expect it. Spec: applying, section 5.4.

use std::collections::BTreeSet;

use bailiwick_core::apply::{ApplyError, Draft, Transaction};
use bailiwick_core::schema::{Class, ClassId, ClassKind, Schema, ValueType};
use bailiwick_core::state::{
    Link, Object, ObjectRow, ObjectStore, PrimaryKey, Value, decode_row, encode_row,
};
use bailiwick_protocol::changeset::{self, Instruction, Payload, UpdateKind};

use super::WriteTransaction;
use super::error::{Problem, Stop, WriteError};
use super::names;
use super::place::Step;

/// Erases an object after all links to it, in `transaction` and at the end of `draft`.
///
/// `holders` are the rows of objects that may have such links. The links in the object itself go with it.
///
/// # Errors
///
/// As [`Transaction::extend`]. What was done until then stays.
pub(crate) fn erase_object<S: ObjectStore>(
    transaction: &mut Transaction<'_, S>,
    draft: &mut Draft,
    (class, key): (ClassId, &PrimaryKey),
    holders: impl IntoIterator<Item = ObjectRow>,
) -> Result<(), ApplyError<S::Error>> {
    let own = encode_row(class, key);
    let link = Link { class, key: key.clone() };
    for row in holders {
        if row != own
            && let Ok((holder, holder_key)) = decode_row(&row)
        {
            clear_links(transaction, draft, (holder, &holder_key), &link)?;
        }
    }
    let Some((table, object)) = names::object(transaction.schema(), draft, class, key) else {
        return Ok(());
    };
    transaction.extend(draft, Instruction::EraseObject { table, object })
}

/// How a link is taken away.
#[derive(Clone, Copy)]
enum Holding {
    /// A field or a dictionary entry becomes null.
    Value,
    /// A list element goes.
    Element { prior_size: u32 },
    /// A member of a set goes.
    Member,
}

fn clear_links<S: ObjectStore>(
    transaction: &mut Transaction<'_, S>,
    draft: &mut Draft,
    (class, key): (ClassId, &PrimaryKey),
    link: &Link,
) -> Result<(), ApplyError<S::Error>> {
    let mut search = Search { link, steps: Vec::new(), found: Vec::new() };
    if let (Some(object), schema) = transaction.object_and_schema(class, key)?
        && let Some(class) = schema.class_by_id(class)
    {
        search.object(schema, class, object);
    }
    for (steps, holding) in search.found {
        let Some(target) = names::target(transaction.schema(), draft, (class, key), &steps) else {
            continue;
        };
        let instruction = match holding {
            Holding::Value => Instruction::Update {
                target,
                value: Payload::Null,
                kind: UpdateKind::Value { is_default: false },
            },
            Holding::Element { prior_size } => Instruction::ArrayErase { target, prior_size },
            Holding::Member => {
                let named = names::object(transaction.schema(), draft, link.class, &link.key);
                let Some((table, object)) = named else { continue };
                let value = Payload::Link(changeset::Link { table, object });
                Instruction::SetErase { target, value }
            }
        };
        transaction.extend(draft, instruction)?;
    }
    Ok(())
}

/// Looks for a link in an object.
struct Search<'a> {
    link: &'a Link,
    steps: Vec<Step>,
    /// In an order in which each can be taken away without moving those that follow.
    found: Vec<(Vec<Step>, Holding)>,
}

impl Search<'_> {
    fn object(&mut self, schema: &Schema, class: &Class, object: &Object) {
        let mut columns: Vec<_> = class.columns().collect();
        columns.sort_unstable_by_key(|(_, column)| column.id);
        for (name, column) in columns {
            if let Some(value) = object.get(column.id) {
                self.steps.push(Step::Field(name.into()));
                self.value(schema, column.value_type, value);
                self.steps.pop();
            }
        }
    }

    fn value(&mut self, schema: &Schema, value_type: ValueType, value: &Value) {
        match value {
            Value::Link(_) if self.is_it(value) => self.found(Holding::Value),
            Value::List(list) => {
                let mut len = u32::try_from(list.len()).unwrap_or(u32::MAX);
                for (index, element) in (0..len).rev().zip(list.iter().rev()) {
                    self.steps.push(Step::Index(index));
                    if self.is_it(element) {
                        self.found(Holding::Element { prior_size: len });
                        len -= 1;
                    } else {
                        self.value(schema, value_type, element);
                    }
                    self.steps.pop();
                }
            }
            Value::Set(set) if set.iter().any(|element| self.is_it(element)) => {
                self.found(Holding::Member);
            }
            Value::Dictionary(dictionary) => {
                for (key, entry) in dictionary.iter() {
                    self.steps.push(Step::Key(key.into()));
                    self.value(schema, value_type, entry);
                    self.steps.pop();
                }
            }
            Value::Object(object) => {
                let class = value_type.target().and_then(|class| schema.class_by_id(class));
                if let Some(class) = class {
                    self.object(schema, class, object);
                }
            }
            _ => (),
        }
    }

    fn is_it(&self, value: &Value) -> bool {
        matches!(value, Value::Link(link) if **link == *self.link)
    }

    fn found(&mut self, holding: Holding) {
        self.found.push((self.steps.clone(), holding));
    }
}

impl WriteTransaction<'_> {
    /// Deletes an object that is there. Links in other objects of the class `going` can stay, since these objects go, too.
    pub(super) fn delete_object(
        &mut self,
        class: ClassId,
        key: &PrimaryKey,
        going: Option<ClassId>,
    ) -> Result<(), WriteError> {
        let kind = self.schema().class_by_id(class).map(Class::kind);
        if kind == Some(ClassKind::Asymmetric) {
            return Err(self.refuse_object(class, key, Problem::Asymmetric));
        }
        let mut holders = self.holders(class, key)?;
        holders.retain(|row| decode_row(row).is_ok_and(|(holder, _)| Some(holder) != going));
        let erased = erase_object(&mut self.objects, &mut self.draft, (class, key), holders);
        erased.map_err(|error| self.refuse_object(class, key, Stop::from(error)))
    }

    /// The rows of objects that may have links to this one: those that had them before, and those that got them here.
    fn holders(&self, class: ClassId, key: &PrimaryKey) -> Result<BTreeSet<ObjectRow>, WriteError> {
        let row = encode_row(class, key);
        let mut holders: BTreeSet<ObjectRow> = self.links.get(&row).cloned().unwrap_or_default();
        holders.extend(self.snapshot.links_to(&row)?);
        Ok(holders)
    }
}
