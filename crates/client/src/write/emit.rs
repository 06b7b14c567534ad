//! From an edit to instructions that are carried out.

use bailiwick_core::apply::Fault;
use bailiwick_core::schema::ClassId;
use bailiwick_core::state::{self, PrimaryKey, encode_row};
use bailiwick_protocol::changeset::{
    CollectionKind, Instruction, Link, MAX_LIST_SIZE, ObjectKey, Payload, Symbol, Target,
    Timestamp, UpdateKind,
};

use super::WriteTransaction;
use super::error::{Problem, RefusedEdit, Stop, WriteError};
use super::names;
use super::place::{ObjectPlace, Place, Step, class_named, describe, walk};
use crate::value::stored::Reader;
use crate::value::{self, Value};

/// What a value, the names of its place and the keys on the way there can hold together, in bytes. They travel in one
/// message, of which servers take 18 MiB by default; the greatest value alone has 16.
const MAX_INSTRUCTION_LEN: usize = 17 << 20;

impl WriteTransaction<'_> {
    /// Does several edits as one: if one of them is refused, none is done.
    pub(super) fn whole<T>(
        &mut self,
        edit: impl FnOnce(&mut Self) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        if self.is_whole {
            return edit(self);
        }
        let savepoint = self.objects.savepoint();
        let count = self.draft.changeset().instructions.len();
        self.is_whole = true;
        let result = edit(self);
        self.is_whole = false;
        match result {
            Ok(_) => self.objects.forget_savepoints(),
            Err(_) => self.objects.take_back(savepoint, &mut self.draft, count),
        }
        result
    }

    /// Writes a value that needs no more than one instruction.
    pub(super) fn emit_update(
        &mut self,
        place: &Place,
        value: Payload,
        is_default: bool,
    ) -> Result<(), WriteError> {
        let prior_size = match place.steps.last() {
            Some(Step::Index(_)) => Some(self.len_around(place)?),
            _ => None,
        };
        self.emit(place, |target| Instruction::Update {
            target,
            value,
            kind: match prior_size {
                Some(prior_size) => UpdateKind::Element { prior_size },
                None => UpdateKind::Value { is_default },
            },
        })
    }

    /// Inserts an element at the place, which is in a list.
    pub(super) fn emit_insert(&mut self, place: &Place, value: Payload) -> Result<(), WriteError> {
        let prior_size = self.len_around(place)?;
        if prior_size >= MAX_LIST_SIZE {
            return Err(self.refuse(place, Problem::TooLarge));
        }
        self.emit(place, |target| Instruction::ArrayInsert { target, value, prior_size })
    }

    /// Removes the element at the place, which is in a list.
    pub(super) fn erase(&mut self, place: &Place) -> Result<(), WriteError> {
        let prior_size = self.len_around(place)?;
        self.emit(place, |target| Instruction::ArrayErase { target, prior_size })
    }

    pub(super) fn clear(
        &mut self,
        place: &Place,
        collection: CollectionKind,
    ) -> Result<(), WriteError> {
        self.emit(place, |target| Instruction::Clear { target, collection })
    }

    /// Carries out an instruction about a place.
    pub(super) fn emit(
        &mut self,
        place: &Place,
        instruction: impl FnOnce(Target) -> Instruction,
    ) -> Result<(), WriteError> {
        let done = self.target(place).and_then(|target| self.extend(instruction(target)));
        done.map_err(|stop| self.refuse(place, stop))
    }

    pub(super) fn extend(&mut self, mut instruction: Instruction) -> Result<(), Stop> {
        let mut len = match instruction.value() {
            Some(Payload::String(text)) => text.len(),
            Some(Payload::Binary(bytes)) => bytes.len(),
            _ => 0,
        };
        let strings = &self.draft.changeset().strings;
        instruction.for_each_symbol_mut(|symbol| len += strings.get(*symbol).len());
        if len > MAX_INSTRUCTION_LEN {
            return Err(Problem::TooLong(len).into());
        }
        Ok(self.objects.extend(&mut self.draft, instruction)?)
    }

    /// What an instruction carries for a value at this place; what is in a collection or object comes later.
    pub(super) fn payload(&mut self, place: &Place, value: Value) -> Result<Payload, WriteError> {
        self.try_payload(place, value).map_err(|stop| self.refuse(place, stop))
    }

    fn try_payload(&mut self, place: &Place, value: Value) -> Result<Payload, Stop> {
        Ok(match value {
            Value::Null => Payload::Null,
            Value::Int(value) => Payload::Int(value),
            Value::Bool(value) => Payload::Bool(value),
            Value::String(text) => Payload::String(text.into()),
            Value::Binary(bytes) => Payload::Binary(bytes.into()),
            Value::Timestamp(timestamp) => Payload::Timestamp(checked(timestamp.into())?),
            Value::Float(value) => Payload::Float(value),
            Value::Double(value) => Payload::Double(value),
            Value::Decimal(value) => Payload::Decimal(value.into()),
            Value::ObjectId(id) => Payload::ObjectId(id.0),
            Value::Uuid(id) => Payload::Uuid(id.0),
            Value::Link(link) => Payload::Link(self.link(place, &link)?),
            Value::List(_) => Payload::List,
            Value::Set(_) => Payload::Set,
            Value::Dictionary(_) => Payload::Dictionary,
            Value::Object(_) => Payload::ObjectValue,
        })
    }

    /// A link to an object that exists.
    fn link(&mut self, place: &Place, link: &value::Link) -> Result<Link, Stop> {
        let class = class_named(self.schema(), &link.class)?.id();
        if !self.moves_links && !self.objects.contains(class, &link.key)? {
            let (class, key) = (link.class.clone(), link.key.clone());
            return Err(Problem::NoTarget { class, key }.into());
        }
        let holders = self.links.entry(encode_row(class, &link.key)).or_default();
        holders.insert(encode_row(place.class, &place.key));
        let (table, object) = self.name(class, &link.key)?;
        Ok(Link { table, object })
    }

    /// The names of an object in the changeset.
    pub(super) fn name(
        &mut self,
        class: ClassId,
        key: &PrimaryKey,
    ) -> Result<(Symbol, ObjectKey), Stop> {
        names::check(&self.draft, key, &[])?;
        let named = names::object(self.objects.schema(), &mut self.draft, class, key);
        named.ok_or_else(|| Fault::NoObject.into())
    }

    fn target(&mut self, place: &Place) -> Result<Target, Stop> {
        names::check(&self.draft, &place.key, &place.steps)?;
        let object = (place.class, &place.key);
        let target = names::target(self.objects.schema(), &mut self.draft, object, &place.steps);
        target.ok_or_else(|| Fault::NoObject.into())
    }

    /// Looks at what is at a place now.
    pub(super) fn read<T>(
        &mut self,
        place: &Place,
        look: impl FnOnce(&state::Value) -> T,
    ) -> Result<T, WriteError> {
        self.try_read(place, &place.steps, look).map_err(|stop| self.refuse(place, stop))
    }

    /// What is at a place now, as an application sees it.
    pub(super) fn value_at(&mut self, place: &Place) -> Result<Value, WriteError> {
        let value = self.read(place, state::Value::clone)?;
        let exists = |class, key: &PrimaryKey| self.contains(class, key);
        Reader { schema: self.schema(), exists }.value(place.slot.value_type, &value)
    }

    /// What is at a place now, with links whose objects are gone.
    pub(super) fn get_all(&mut self, place: &Place) -> Result<Value, WriteError> {
        let value = self.read(place, state::Value::clone)?;
        let exists = |_, _: &PrimaryKey| Ok(true);
        Reader { schema: self.schema(), exists }.value(place.slot.value_type, &value)
    }

    /// The length of the list that the place is in.
    pub(super) fn len_around(&mut self, place: &Place) -> Result<u32, WriteError> {
        let around = &place.steps[..place.steps.len().saturating_sub(1)];
        let len = self.try_read(place, around, |value| match value {
            state::Value::List(list) => u32::try_from(list.len()).ok(),
            _ => None,
        });
        let len = len.and_then(|len| len.ok_or_else(|| Fault::NotAnElement.into()));
        len.map_err(|stop| self.refuse(place, stop))
    }

    fn try_read<T>(
        &mut self,
        place: &Place,
        steps: &[Step],
        look: impl FnOnce(&state::Value) -> T,
    ) -> Result<T, Stop> {
        let (object, schema) = self.objects.object_and_schema(place.class, &place.key)?;
        let object = object.ok_or(Fault::NoObject)?;
        Ok(look(&*walk(schema, place.class, object, steps)?))
    }

    /// The error of an edit of a place.
    pub(super) fn refuse(&self, place: &Place, stop: impl Into<Stop>) -> WriteError {
        self.refusal(place.class, &place.key, &place.steps, stop.into())
    }

    /// The error of an edit of an object that may be embedded.
    pub(super) fn refuse_at(&self, place: &ObjectPlace, stop: impl Into<Stop>) -> WriteError {
        self.refusal(place.class, &place.key, &place.steps, stop.into())
    }

    /// The error of an edit of a whole object.
    pub(super) fn refuse_object(
        &self,
        class: ClassId,
        key: &PrimaryKey,
        stop: impl Into<Stop>,
    ) -> WriteError {
        self.refusal(class, key, &[], stop.into())
    }

    fn refusal(&self, class: ClassId, key: &PrimaryKey, steps: &[Step], stop: Stop) -> WriteError {
        let problem = match stop {
            Stop::Problem(problem) => problem,
            Stop::Error(error) => return error,
        };
        let class = self.schema().class_by_id(class).map_or("?", |class| class.name()).to_owned();
        let (key, path) = (Some(key.clone()), describe(steps));
        WriteError::Refused(Box::new(RefusedEdit { class, key, path, problem }))
    }
}

/// A timestamp that devices can read.
fn checked(timestamp: Timestamp) -> Result<Timestamp, Problem> {
    let Timestamp { seconds, nanoseconds } = timestamp;
    let signs_differ = seconds.signum() * i64::from(nanoseconds.signum()) < 0;
    if signs_differ || nanoseconds.unsigned_abs() >= 1_000_000_000 {
        return Err(Problem::Timestamp { seconds, nanoseconds });
    }
    Ok(timestamp)
}
