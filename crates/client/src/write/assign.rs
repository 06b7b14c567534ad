//! Whole values: what a value becomes when it takes a place, with all that is in it.

use bailiwick_core::apply::Fault;
use bailiwick_core::schema::ValueType;
use bailiwick_core::state::{self, SetOrder};
use bailiwick_protocol::changeset::{CollectionKind, Instruction, Payload};

use super::WriteTransaction;
use super::error::{Problem, WriteError};
use super::place::{ObjectPlace, Place, Step};
use crate::value::Value;

impl WriteTransaction<'_> {
    /// Gives a field, a list element or a dictionary entry another value.
    pub(super) fn assign(
        &mut self,
        place: &Place,
        value: Value,
        is_default: bool,
    ) -> Result<(), WriteError> {
        let kind = match &value {
            Value::List(_) => CollectionKind::List,
            Value::Set(_) => CollectionKind::Set,
            Value::Dictionary(_) => CollectionKind::Dictionary,
            _ => CollectionKind::Single,
        };
        if place.slot.collection != CollectionKind::Single {
            if place.slot.collection != kind {
                let (expected, found) = (place.expected(), value.type_name());
                return Err(self.refuse(place, Fault::Type { expected, found }));
            }
            return self.whole(|tx| {
                tx.clear_collection(place, kind)?;
                tx.fill(place, value)
            });
        }
        match (value, place.slot.value_type) {
            (value @ Value::Object(_), ValueType::Embedded(_)) => {
                self.whole(|tx| tx.embed(place, value, is_default))
            }
            (Value::Null, ValueType::Embedded(_)) if is_default => {
                // A default must not destroy what another device creates here.
                if self.read(place, state::Value::is_null)? {
                    Ok(())
                } else {
                    self.emit_update(place, Payload::Null, true)
                }
            }
            (value, _) if kind == CollectionKind::Single => {
                let value = self.payload(place, value)?;
                self.emit_update(place, value, is_default)
            }
            (value, _) => self.whole(|tx| {
                let payload = tx.payload(place, Value::empty(&value))?;
                let is_element = matches!(place.steps.last(), Some(Step::Index(_)));
                let is_same_kind = is_element && tx.holds(place, kind)?;
                tx.emit_update(place, payload, is_default)?;
                if is_same_kind {
                    tx.clear_collection(place, kind)?;
                }
                // Also where there is nothing to clear here: another device may have made such a collection, and
                // what is in that one is not to be mixed with this one. Spec: merge, section 9. Elements of lists
                // have no rule for it.
                if !is_element {
                    tx.clear(place, kind)?;
                }
                tx.fill(place, value)
            }),
        }
    }

    /// Inserts an element with all that is in it; the place is its position in a list.
    pub(super) fn insert_value(&mut self, place: &Place, value: Value) -> Result<(), WriteError> {
        match value {
            Value::List(_) | Value::Set(_) | Value::Dictionary(_) | Value::Object(_) => {
                self.whole(|tx| {
                    let payload = tx.payload(place, Value::empty(&value))?;
                    tx.emit_insert(place, payload)?;
                    tx.fill(place, value)
                })
            }
            value => {
                let payload = self.payload(place, value)?;
                self.emit_insert(place, payload)
            }
        }
    }

    /// Adds an element to a set; whether it is new.
    pub(super) fn add_member(&mut self, place: &Place, value: Value) -> Result<bool, WriteError> {
        if self.has_member(place, &value)? {
            return Ok(false);
        }
        let value = self.payload(place, value)?;
        self.emit(place, |target| Instruction::SetInsert { target, value })?;
        Ok(true)
    }

    /// Removes an element from a set; whether it was there.
    pub(super) fn remove_member(
        &mut self,
        place: &Place,
        value: Value,
    ) -> Result<bool, WriteError> {
        let is_there = self.has_member(place, &value)?;
        if is_there {
            let value = self.payload(place, value)?;
            self.emit(place, |target| Instruction::SetErase { target, value })?;
        }
        Ok(is_there)
    }

    /// Whether an element, or an equal one, is in a set.
    pub(super) fn has_member(&mut self, place: &Place, value: &Value) -> Result<bool, WriteError> {
        let order = SetOrder::of(place.slot.value_type);
        let Some(stored) = self.stored(value) else { return Ok(false) };
        self.read(place, |set| match set {
            state::Value::Set(set) => set.contains(&stored, order),
            _ => false,
        })
    }

    /// Empties a collection, unless it is empty.
    pub(super) fn clear_collection(
        &mut self,
        place: &Place,
        kind: CollectionKind,
    ) -> Result<(), WriteError> {
        let is_empty = self.read(place, |value| match value {
            state::Value::List(list) => list.is_empty(),
            state::Value::Set(set) => set.iter().next().is_none(),
            state::Value::Dictionary(dictionary) => dictionary.iter().next().is_none(),
            _ => true,
        })?;
        if is_empty { Ok(()) } else { self.clear(place, kind) }
    }

    /// Puts a new embedded object in the place of what is there.
    fn embed(&mut self, place: &Place, value: Value, is_default: bool) -> Result<(), WriteError> {
        match place.steps.last() {
            Some(Step::Index(_)) => {
                self.erase(place)?;
                self.emit_insert(place, Payload::ObjectValue)?;
            }
            // In a dictionary, a new object makes the old one go.
            Some(Step::Key(_)) => self.emit_update(place, Payload::ObjectValue, false)?,
            _ => {
                if !self.read(place, state::Value::is_null)? {
                    self.emit_update(place, Payload::Null, false)?;
                }
                self.emit_update(place, Payload::ObjectValue, is_default)?;
            }
        }
        self.fill(place, value)
    }

    /// Fills what is new and empty with what is in the value.
    fn fill(&mut self, place: &Place, value: Value) -> Result<(), WriteError> {
        match value {
            Value::List(elements) => {
                for (index, element) in elements.into_iter().enumerate() {
                    let index = self.index(place, index)?;
                    self.insert_value(&place.below(Step::Index(index)), element)?;
                }
                Ok(())
            }
            Value::Set(elements) => elements
                .into_iter()
                .try_for_each(|element| self.add_member(place, element).map(|_| ())),
            Value::Dictionary(entries) => entries.into_iter().try_for_each(|(key, entry)| {
                self.assign(&place.below(Step::Key(key.into())), entry, false)
            }),
            Value::Object(fields) => {
                let Some(object) = place.object() else { return Ok(()) };
                self.assign_fields(&object, fields)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn assign_fields(
        &mut self,
        object: &ObjectPlace,
        fields: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(), WriteError> {
        for (field, value) in fields {
            let place = object.field(self.schema(), &field);
            let place = place.map_err(|problem| self.refuse_at(object, problem))?;
            self.assign(&place, value, false)?;
        }
        Ok(())
    }

    /// A position in the list that is at the place.
    pub(super) fn index(&self, place: &Place, index: usize) -> Result<u32, WriteError> {
        u32::try_from(index).map_err(|_| self.refuse(place, Problem::TooLarge))
    }

    /// Whether a mixed value is a collection of this kind.
    fn holds(&mut self, place: &Place, kind: CollectionKind) -> Result<bool, WriteError> {
        if self.is_absent(place)? {
            return Ok(false);
        }
        self.read(place, |value| match value {
            state::Value::List(_) => kind == CollectionKind::List,
            state::Value::Dictionary(_) => kind == CollectionKind::Dictionary,
            _ => false,
        })
    }

    /// Whether the place is a dictionary entry that is not there.
    pub(super) fn is_absent(&mut self, place: &Place) -> Result<bool, WriteError> {
        let Some((Step::Key(key), around)) = place.steps.split_last() else { return Ok(false) };
        let mut outer = place.clone();
        outer.steps.truncate(around.len());
        self.read(&outer, |value| match value {
            state::Value::Dictionary(dictionary) => dictionary.get(key).is_none(),
            _ => false,
        })
    }

    /// The form in which a set would hold the value, if it could.
    fn stored(&self, value: &Value) -> Option<state::Value> {
        Some(match value {
            Value::Null => state::Value::Null,
            Value::Int(value) => state::Value::Int(*value),
            Value::Bool(value) => state::Value::Bool(*value),
            Value::String(text) => state::Value::String(text.as_str().into()),
            Value::Binary(bytes) => state::Value::Binary(bytes.as_slice().into()),
            Value::Timestamp(timestamp) => state::Value::Timestamp((*timestamp).into()),
            Value::Float(value) => state::Value::Float(*value),
            Value::Double(value) => state::Value::Double(*value),
            Value::Decimal(value) => state::Value::Decimal((*value).into()),
            Value::ObjectId(id) => state::Value::ObjectId(id.0),
            Value::Uuid(id) => state::Value::Uuid(id.0),
            Value::Link(link) => {
                let class = self.schema().class(&link.class)?.id();
                state::Value::Link(state::Link { class, key: link.key.clone() }.into())
            }
            _ => return None,
        })
    }
}

impl Value {
    /// The same kind of value, with nothing in it.
    fn empty(value: &Self) -> Self {
        match value {
            Self::List(_) => Self::List(Vec::new()),
            Self::Set(_) => Self::Set(Vec::new()),
            Self::Dictionary(_) => Self::Dictionary(std::collections::BTreeMap::new()),
            Self::Object(_) => Self::Object(std::collections::BTreeMap::new()),
            _ => Self::Null,
        }
    }
}
