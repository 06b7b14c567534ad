//! A write transaction: instructions, and the objects as they leave them.

use bailiwick_core::schema::{Class, Column, Slot, ValueType};
use bailiwick_core::state::{self, Object, PrimaryKey, State, Value};
use bailiwick_protocol::changeset::{
    Changeset, Instruction, Link, ObjectKey, PathElement, Payload, Symbol, Target, UpdateKind,
};

use super::app::Style;
use super::schema::{AppVersion, declarations};

/// A write transaction.
pub(super) struct Writer {
    /// The objects, with what is written so far.
    pub(super) state: State,
    pub(super) changeset: Changeset,
    /// A name for the device.
    pub(super) author: u8,
    pub(super) style: Style,
}

/// A place in an object, by names.
#[derive(Clone)]
pub(super) struct Place {
    class: String,
    key: PrimaryKey,
    pub(super) field: String,
    pub(super) path: Vec<Hop>,
}

/// One step below a field.
#[derive(Clone)]
pub(super) enum Hop {
    Index(usize),
    Key(String),
}

/// A link that has to go before its object does.
enum Holder {
    Value,
    Element { len: usize },
    Member,
}

impl Writer {
    pub(super) fn new(state: State, author: u8, style: Style) -> Self {
        Self { state, changeset: Changeset::default(), author, style }
    }

    /// Declares what this version of the app has.
    pub(super) fn declare(&mut self, version: AppVersion) {
        for instruction in declarations(&self.state, version, &mut self.changeset) {
            self.write(instruction);
        }
    }

    /// Takes an instruction into the transaction.
    pub(super) fn write(&mut self, instruction: Instruction) {
        let strings = self.changeset.strings.clone();
        let alone = Changeset { strings, instructions: vec![instruction.clone()] };
        // A device applies everything as it writes it.
        let _ = self.state.apply(&alone).unwrap_or_else(|error| panic!("{error}"));
        self.changeset.instructions.push(instruction);
    }

    /// Takes away all links to an object, then the object.
    pub(super) fn erase(&mut self, class: &str, key: &PrimaryKey) {
        let target = state::Link {
            class: self.state.schema().class(class).expect("it has objects").id(),
            key: key.clone(),
        };
        let mut holders = Vec::new();
        for other in self.state.schema().classes() {
            for (other_key, object) in self.objects(other) {
                if (other.name(), &other_key) == (class, key) {
                    continue;
                }
                for (name, column) in other.columns() {
                    let Some(value) = object.get(column.id) else { continue };
                    let place = Place::of(other.name(), &other_key, name);
                    self.find_links(value, column.value_type, &place, &target, &mut holders);
                }
            }
        }
        for (place, holder) in holders {
            let target_place = self.target(&place);
            match holder {
                Holder::Value => self.update(&place, Payload::Null),
                Holder::Element { len } => {
                    let prior_size = size(len);
                    self.write(Instruction::ArrayErase { target: target_place, prior_size });
                }
                Holder::Member => {
                    let (table, object) = self.name_object(class, key);
                    let value = Payload::Link(Link { table, object });
                    self.write(Instruction::SetErase { target: target_place, value });
                }
            }
        }
        let (table, object) = self.name_object(class, key);
        self.write(Instruction::EraseObject { table, object });
    }

    pub(super) fn update(&mut self, place: &Place, value: Payload) {
        let target = self.target(place);
        self.write(Instruction::Update {
            target,
            value,
            kind: UpdateKind::Value { is_default: false },
        });
    }

    pub(super) fn object(&self, class: &str, key: &PrimaryKey) -> Option<Object> {
        let objects = self.objects(self.state.schema().class(class)?);
        objects.into_iter().find(|(other, _)| other == key).map(|(_, object)| object)
    }

    pub(super) fn objects(&self, class: &Class) -> Vec<(PrimaryKey, Object)> {
        self.state.objects(class.id()).expect("what was written can be read")
    }

    /// The columns of the objects that a column of this type holds.
    pub(super) fn embedded_columns(&self, value_type: ValueType) -> Vec<(String, Column)> {
        let class = value_type.target().and_then(|class| self.state.schema().class_by_id(class));
        let columns = class.into_iter().flat_map(Class::columns);
        columns.map(|(name, column)| (name.to_owned(), *column)).collect()
    }

    pub(super) fn payload(&mut self, value: &Value) -> Payload {
        let Self { state, changeset, .. } = self;
        value.to_payload(|link| {
            let class = state.schema().class_by_id(link.class).expect("no class is erased");
            let table = changeset.strings.intern(class.name());
            let object = link.key.to_object_key(|text| changeset.strings.intern(text));
            Some(Link { table, object })
        })
    }

    pub(super) fn name_object(&mut self, class: &str, key: &PrimaryKey) -> (Symbol, ObjectKey) {
        let strings = &mut self.changeset.strings;
        let object = key.to_object_key(|text| strings.intern(text));
        (strings.intern(class), object)
    }

    pub(super) fn target(&mut self, place: &Place) -> Target {
        let (table, object) = self.name_object(&place.class, &place.key);
        let strings = &mut self.changeset.strings;
        let path = place.path.iter().map(|hop| match hop {
            Hop::Index(index) => PathElement::Index(size(*index)),
            Hop::Key(key) => PathElement::Key(strings.intern(key)),
        });
        let path = path.collect();
        Target { table, object, field: strings.intern(&place.field), path }
    }

    fn find_links(
        &self,
        value: &Value,
        value_type: ValueType,
        place: &Place,
        target: &state::Link,
        found: &mut Vec<(Place, Holder)>,
    ) {
        let is_it = |value: &Value| matches!(value, Value::Link(link) if **link == *target);
        match value {
            Value::Link(_) if is_it(value) => found.push((place.clone(), Holder::Value)),
            Value::List(list) => {
                let mut len = list.len();
                // From the end, so that what is erased moves nothing that comes later.
                for (index, element) in
                    list.iter().enumerate().collect::<Vec<_>>().into_iter().rev()
                {
                    if is_it(element) {
                        found.push((place.at(Hop::Index(index)), Holder::Element { len }));
                        len -= 1;
                    } else {
                        let at = place.at(Hop::Index(index));
                        self.find_links(element, value_type, &at, target, found);
                    }
                }
            }
            Value::Set(set) if set.iter().any(is_it) => found.push((place.clone(), Holder::Member)),
            Value::Dictionary(dictionary) => {
                for (key, entry) in dictionary.iter() {
                    self.find_links(entry, value_type, &place.key(key), target, found);
                }
            }
            Value::Object(object) => {
                for (name, column) in self.embedded_columns(value_type) {
                    if let Some(value) = object.get(column.id) {
                        self.find_links(value, column.value_type, &place.key(&name), target, found);
                    }
                }
            }
            _ => (),
        }
    }
}

impl Place {
    pub(super) fn of(class: &str, key: &PrimaryKey, field: &str) -> Self {
        let (class, field) = (class.to_owned(), field.to_owned());
        Self { class, key: key.clone(), field, path: Vec::new() }
    }

    pub(super) fn at(&self, hop: Hop) -> Self {
        let mut place = self.clone();
        place.path.push(hop);
        place
    }

    /// Whether a `Clear` may be the only instruction about it: not for a collection inside of a collection.
    pub(super) fn can_be_cleared(&self, slot: Slot) -> bool {
        slot.value_type != ValueType::Mixed || self.path.is_empty()
    }

    pub(super) fn key(&self, key: &str) -> Self {
        self.at(Hop::Key(key.to_owned()))
    }
}

pub(super) fn size(len: usize) -> u32 {
    u32::try_from(len).expect("lists are short")
}
