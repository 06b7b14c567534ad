//! A list that cannot be replayed becomes what the device has in the end.

use bailiwick_core::schema::{Class, ClassId, Schema, ValueType};
use bailiwick_core::state::{Object, PrimaryKey, Value};
use bailiwick_protocol::changeset::{
    CollectionKind, Instruction, Link, ObjectKey, PathElement, Payload, Symbol, Target, UpdateKind,
};

use super::import::Import;
use super::places::{CopyPath, ObjectId};
use super::replay::{Replay, Stop};
use crate::reset::same::is_same_value;

impl Replay<'_> {
    /// Makes a list of the fresh copy what the device has in the end, if both have it. Elements that are the same at
    /// the beginning and at the end are left alone.
    pub(super) fn copy_list(&mut self, object: &ObjectId, path: &CopyPath) -> Result<(), Stop> {
        // The list may have made way for something else since.
        if !self.places.is_copied(object, path) {
            return Ok(());
        }
        let Some((wanted, is_complete)) = self.wanted(object, path)? else { return Ok(()) };
        if !is_complete {
            self.incomplete.insert((object.clone(), path.clone()));
        }
        let (there, schema) = self.transaction.object_and_schema(object.0, &object.1)?;
        let Some((Value::List(there), value_type)) =
            there.and_then(|there| find(schema, object.0, there, path))
        else {
            return Ok(());
        };
        let same = |(a, b): &(&Value, &Value)| is_same_value(schema, value_type, a, b);
        let start = there.iter().zip(&wanted).take_while(same).count();
        let longest = there.len().min(wanted.len()) - start;
        let end =
            there.iter().rev().zip(wanted.iter().rev()).take(longest).take_while(same).count();
        let old: Vec<_> =
            there.iter().skip(start).take(there.len() - start - end).cloned().collect();
        let len = there.len();
        let mut list = ListCopy { replay: self, object, path, value_type, len };
        list.replace(start, &old, &wanted[start..wanted.len() - end])
    }

    /// The elements of a list of the device as the fresh copy can have them, and whether these are all.
    fn wanted(
        &self,
        object: &ObjectId,
        path: &CopyPath,
    ) -> Result<Option<(Vec<Value>, bool)>, Stop> {
        let class = self.transaction.schema().class_by_id(object.0);
        let class = class.and_then(|class| self.main.schema().class(class.name()));
        let Some(class) = class.map(Class::id) else { return Ok(None) };
        let Some(holder) = self.main.get(class, &object.1)? else { return Ok(None) };
        let Some((Value::List(list), value_type)) = find(self.main.schema(), class, &holder, path)
        else {
            return Ok(None);
        };
        let mut import =
            Import { main: self.main.schema(), fresh: &self.transaction, is_complete: true };
        let mut wanted = Vec::new();
        for element in list.iter() {
            wanted.extend(import.value(element, value_type)?);
        }
        Ok(Some((wanted, import.is_complete)))
    }
}

/// A list of the fresh copy that is being made equal to another.
struct ListCopy<'r, 'a> {
    replay: &'r mut Replay<'a>,
    object: &'r ObjectId,
    path: &'r CopyPath,
    value_type: ValueType,
    /// The length that the list has.
    len: usize,
}

/// The steps below a list, in the strings of the draft.
type Below = Vec<PathElement>;

impl ListCopy<'_, '_> {
    /// Puts `new` in the place of `old`, which begins at `start`.
    fn replace(&mut self, start: usize, old: &[Value], new: &[Value]) -> Result<(), Stop> {
        let both = old.len().min(new.len());
        for (at, (old, new)) in (start..).zip(old.iter().zip(new)) {
            let schema = self.replay.transaction.schema();
            if is_same_value(schema, self.value_type, old, new) {
                continue;
            }
            if is_plain(new) {
                let (target, value) = (self.target(&vec![position(at)]), self.payload(new));
                let kind = UpdateKind::Element { prior_size: position_number(self.len) };
                self.replay.push(Instruction::Update { target, value, kind })?;
            } else {
                self.erase(at)?;
                self.insert(at, new)?;
            }
        }
        for at in (start + both..start + old.len()).rev() {
            self.erase(at)?;
        }
        for (at, new) in (start + both..).zip(&new[both..]) {
            self.insert(at, new)?;
        }
        Ok(())
    }

    fn erase(&mut self, at: usize) -> Result<(), Stop> {
        let target = self.target(&vec![position(at)]);
        let prior_size = position_number(self.len);
        self.len -= 1;
        Ok(self.replay.push(Instruction::ArrayErase { target, prior_size })?)
    }

    fn insert(&mut self, at: usize, value: &Value) -> Result<(), Stop> {
        let prior_size = self.len;
        self.len += 1;
        self.insert_below(&Below::new(), at, prior_size, self.value_type, value)
    }

    /// Inserts an element, with all that is in it, into this list or one below.
    fn insert_below(
        &mut self,
        below: &Below,
        at: usize,
        prior_size: usize,
        value_type: ValueType,
        value: &Value,
    ) -> Result<(), Stop> {
        let below = [below.as_slice(), &[position(at)]].concat();
        let (target, payload) = (self.target(&below), self.payload(value));
        let prior_size = position_number(prior_size);
        self.replay.push(Instruction::ArrayInsert { target, value: payload, prior_size })?;
        self.fill(&below, value_type, value)
    }

    fn update_below(
        &mut self,
        below: &Below,
        value_type: ValueType,
        value: &Value,
    ) -> Result<(), Stop> {
        let (target, payload) = (self.target(below), self.payload(value));
        let kind = UpdateKind::Value { is_default: false };
        self.replay.push(Instruction::Update { target, value: payload, kind })?;
        self.fill(below, value_type, value)
    }

    /// Fills a collection or an embedded object that is empty.
    fn fill(&mut self, below: &Below, value_type: ValueType, value: &Value) -> Result<(), Stop> {
        match value {
            Value::List(list) => {
                for (at, element) in list.iter().enumerate() {
                    self.insert_below(below, at, at, value_type, element)?;
                }
            }
            Value::Set(set) => {
                for element in set.iter() {
                    let (target, value) = (self.target(below), self.payload(element));
                    self.replay.push(Instruction::SetInsert { target, value })?;
                }
            }
            Value::Dictionary(dictionary) => {
                for (key, entry) in dictionary.iter() {
                    let below = self.below(below, key);
                    self.update_below(&below, value_type, entry)?;
                }
            }
            Value::Object(object) => self.fill_object(below, value_type, object)?,
            _ => (),
        }
        Ok(())
    }

    fn fill_object(
        &mut self,
        below: &Below,
        value_type: ValueType,
        object: &Object,
    ) -> Result<(), Stop> {
        let schema = self.replay.transaction.schema();
        let class = value_type.target().and_then(|class| schema.class_by_id(class));
        let columns = class.into_iter().flat_map(Class::columns);
        let columns: Vec<_> =
            columns.map(|(name, column)| (Box::<str>::from(name), *column)).collect();
        for (name, column) in columns {
            let Some(value) = object.get(column.id) else { continue };
            if *value == column.default_value() {
                continue;
            }
            let below = self.below(below, &name);
            match column.collection {
                CollectionKind::Single => self.update_below(&below, column.value_type, value)?,
                _ => self.fill(&below, column.value_type, value)?,
            }
        }
        Ok(())
    }

    fn below(&mut self, below: &Below, key: &str) -> Below {
        let key = PathElement::Key(self.replay.draft.intern(key));
        [below.as_slice(), &[key]].concat()
    }

    /// A place in the list.
    fn target(&mut self, below: &Below) -> Target {
        let (table, object) = self.name(self.object.0, &self.object.1);
        let draft = &mut self.replay.draft;
        let mut steps = self.path.iter().map(|key| draft.intern(key));
        let field = steps.next().expect("a list lies in a field");
        let path = steps.map(PathElement::Key).chain(below.iter().copied()).collect();
        Target { table, object, field, path }
    }

    fn payload(&mut self, value: &Value) -> Payload {
        value.to_payload(|link| {
            let (table, object) = self.name(link.class, &link.key);
            Some(Link { table, object })
        })
    }

    fn name(&mut self, class: ClassId, key: &PrimaryKey) -> (Symbol, ObjectKey) {
        let Replay { transaction, draft, .. } = &mut *self.replay;
        let name = transaction.schema().class_by_id(class).map_or("", Class::name);
        let table = draft.intern(name);
        let object = key.to_object_key(|text| draft.intern(text));
        (table, object)
    }
}

/// Whether an instruction is enough to write a value over another.
fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Dictionary(_) | Value::Object(_))
}

fn position(at: usize) -> PathElement {
    PathElement::Index(position_number(at))
}

/// Lists are shorter than this allows: an instruction has made each element.
fn position_number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The value at the end of fields and dictionary keys, and the type of values there.
fn find(
    schema: &Schema,
    class: ClassId,
    object: &Object,
    path: &[Box<str>],
) -> Option<(Value, ValueType)> {
    let (first, rest) = path.split_first()?;
    let mut column = *schema.class_by_id(class)?.column(first)?;
    let mut value = object.get(column.id).cloned().unwrap_or_else(|| column.default_value());
    for key in rest {
        value = match value {
            Value::Dictionary(dictionary) => dictionary.get(key)?.clone(),
            Value::Object(object) => {
                column = *schema.class_by_id(column.value_type.target()?)?.column(key)?;
                object.get(column.id).cloned().unwrap_or_else(|| column.default_value())
            }
            _ => return None,
        };
    }
    Some((value, column.value_type))
}
