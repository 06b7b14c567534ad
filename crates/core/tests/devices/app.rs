//! What an app writes, as an SDK records it.
//!
//! Left out is what two official devices themselves do not agree on (spec: merge, section 9), and what no SDK
//! writes:
//!
//! - `EraseColumn` and `EraseTable`;
//! - `ArrayMove` in lists whose elements have something inside: lists of embedded objects, and lists of mixed
//!   values but one that never holds collections;
//! - `Clear` of a collection that is an element of a list, or by itself of one that is an entry of a dictionary:
//!   where an earlier erasure of that entry came first, the later `Clear` finds nothing that it could clear, and
//!   is refused;
//! - a dictionary entry with an embedded object is only made by the device whose name its key has, and only
//!   where there is none; anyone changes what is inside and erases it;
//! - a mixed value changes between list, dictionary and others only with clocks that do not go back, and an
//!   empty collection is cleared at once, as SDKs do;
//! - numbers of different types in one set of mixed values; in any set a NaN, which a merge takes for another
//!   one than itself, and the two zeros, or 1 and 1.0 as decimals, which a merge or the set takes for the same;
//! - -0 in a field or list of floating point numbers, where a device that has 0 keeps it;
//! - `AddInteger` on elements of collections.

use bailiwick_core::schema::{Column, Slot, ValueType};
use bailiwick_core::state::{Dictionary, Object, PrimaryKey, Sequence, Set, State, Value};
use bailiwick_protocol::changeset::{CollectionKind, Instruction, Link, Payload, UpdateKind};

use super::schema::{ALWAYS_LIST, AppVersion, FLAT_LIST};
use super::value::{ALL, Dice, IN_FIELDS, IN_SETS, MIXED, NO_NUMBERS, plain, text};
use super::writer::{Hop, Place, Writer, size};

/// What an app is told to do; it does the nearest thing that is possible.
#[derive(Clone, Copy, Debug)]
pub(super) struct Action {
    pub(super) what: u8,
    pub(super) object: u8,
    /// All other choices follow from it.
    pub(super) seed: u16,
}

/// What the clocks of devices do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clocks {
    /// They agree, and do not go back.
    Steady,
    /// They show anything.
    Jumping,
}

/// What the apps of one case are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) clocks: Clocks,
    /// The columns that they use, by their places among the names of their class: conflicts need company.
    pub(super) columns: u32,
}

impl Writer {
    pub(super) fn act(&mut self, Action { what, object, seed }: Action) {
        let mut dice = Dice(seed.into());
        let author = u64::from(self.author);
        let (class, key) = match object % 16 {
            0 if object >= 0xc0 => ("G", PrimaryKey::GlobalKey { hi: author + 1, lo: 0 }),
            1 if object >= 0xc0 => ("G", PrimaryKey::GlobalKey { hi: 1, lo: 0 }),
            2 if object >= 0xc0 => ("O", PrimaryKey::ObjectId([1; 12])),
            3 if object >= 0xc0 => ("U", PrimaryKey::Uuid([1; 16])),
            4 if object >= 0xc0 => ("U", PrimaryKey::Null),
            0..=10 => ("A", PrimaryKey::Int(0)),
            11 | 12 => ("A", PrimaryKey::Int(1)),
            13 => ("B", PrimaryKey::String("".into())),
            14 => ("B", PrimaryKey::Null),
            _ if self.state.schema().class("C").is_some() => ("C", PrimaryKey::String("c".into())),
            _ => ("B", PrimaryKey::String("b".into())),
        };
        match (self.object(class, &key), what % 32) {
            (_, 0) => self.declare(AppVersion::Second),
            // Only who made an object of such a class has a key for it.
            (None, _) if matches!(key, PrimaryKey::GlobalKey { hi, .. } if hi != author + 1) => (),
            (None, _) => self.create(class, &key, &mut dice),
            (Some(_), 1) => self.erase(class, &key),
            (Some(object), _) => self.change_field(class, &key, &object, &mut dice),
        }
    }

    fn create(&mut self, class: &str, key: &PrimaryKey, dice: &mut Dice) {
        let (table, object) = self.name_object(class, key);
        self.write(Instruction::CreateObject { table, object });
        if class != "C" {
            let target = self.target(&Place::of(class, key, "i"));
            let (value, kind) = (dice.int(), UpdateKind::Value { is_default: dice.is(2) });
            self.write(Instruction::Update { target, value, kind });
        }
    }

    fn change_field(&mut self, class: &str, key: &PrimaryKey, object: &Object, dice: &mut Dice) {
        let class = self.state.schema().class(class).expect("it has objects");
        let columns = class.columns().filter(|(name, _)| !class.is_primary_key(name));
        let columns: Vec<_> = columns.map(|(name, column)| (name.to_owned(), *column)).collect();
        let is_used = |place: &usize| self.style.columns >> (place % 32) & 1 == 1;
        let used: Vec<_> = (0..columns.len()).filter(is_used).collect();
        let place = if used.is_empty() { dice.roll(columns.len()) } else { *dice.pick(&used) };
        let (name, column) = columns[place].clone();
        let place = Place::of(class.name(), key, &name);
        self.change_column(&place, &column, object.get(column.id), dice);
    }

    fn change_column(
        &mut self,
        place: &Place,
        column: &Column,
        value: Option<&Value>,
        dice: &mut Dice,
    ) {
        let value = value.cloned().unwrap_or_else(|| column.default_value());
        let Column { value_type, nullable, collection, .. } = *column;
        let slot = Slot { value_type, nullable, collection };
        match (&value, collection) {
            (Value::List(list), CollectionKind::List) => self.change_list(place, slot, list, dice),
            (Value::Set(set), _) => self.change_set(place, slot, set, dice),
            (Value::Dictionary(entries), CollectionKind::Dictionary) => {
                self.change_dictionary(place, slot, entries, dice);
            }
            _ => self.change_value(place, slot, &value, dice),
        }
    }

    /// Changes a field or a dictionary entry that is there.
    fn change_value(&mut self, place: &Place, slot: Slot, value: &Value, dice: &mut Dice) {
        let is_entry = slot.collection == CollectionKind::Dictionary;
        let keeps_kind = place.field == ALWAYS_LIST || self.style.clocks == Clocks::Jumping;
        match (value, slot.value_type) {
            (Value::Object(object), ValueType::Embedded(_)) => match dice.roll(6) {
                0 if !is_entry => self.update(place, Payload::Null),
                1 if !is_entry => {
                    self.update(place, Payload::Null);
                    self.update(place, Payload::ObjectValue);
                }
                _ => self.change_embedded(place, slot, object, dice),
            },
            (Value::Null, ValueType::Embedded(_)) if is_entry => (),
            (Value::Null, ValueType::Embedded(_)) => self.update(place, Payload::ObjectValue),
            (Value::List(list), _) if dice.roll(5) > 0 => self.change_list(place, slot, list, dice),
            (Value::Dictionary(entries), _) if dice.roll(5) > 0 => {
                self.change_dictionary(place, slot, entries, dice);
            }
            (Value::List(_) | Value::Dictionary(_), _) if keeps_kind => (),
            (Value::Null, _) if place.field == ALWAYS_LIST => self.update(place, Payload::List),
            (_, ValueType::Mixed) if !keeps_kind && dice.is(2) => {
                let (payload, collection) = match dice.roll(2) {
                    0 => (Payload::List, CollectionKind::List),
                    _ => (Payload::Dictionary, CollectionKind::Dictionary),
                };
                self.update(place, payload);
                let target = self.target(place);
                self.write(Instruction::Clear { target, collection });
            }
            (Value::Int(_), _) if !is_entry && dice.is(2) => {
                let (target, value) = (self.target(place), dice.small(5) - 2);
                self.write(Instruction::AddInteger { target, value });
            }
            _ => {
                if let Some(payload) = self.scalar(slot, place, dice) {
                    self.update(place, payload);
                }
            }
        }
    }

    fn change_embedded(&mut self, place: &Place, slot: Slot, object: &Object, dice: &mut Dice) {
        let columns = self.embedded_columns(slot.value_type);
        let (name, column) = dice.pick(&columns).clone();
        self.change_column(&place.key(&name), &column, object.get(column.id), dice);
    }

    fn change_list(&mut self, place: &Place, slot: Slot, list: &Sequence<Value>, dice: &mut Dice) {
        let len = list.len();
        let prior_size = size(len);
        let is_flat = match slot.value_type {
            ValueType::Mixed => place.field == FLAT_LIST,
            ValueType::Embedded(_) => false,
            _ => true,
        };
        let index = if len > 0 { dice.roll(len) } else { 0 };
        let at = place.at(Hop::Index(index));
        match dice.roll(16) {
            0 if place.can_be_cleared(slot) => {
                let target = self.target(place);
                self.write(Instruction::Clear { target, collection: CollectionKind::List });
            }
            1..=3 if len > 1 && is_flat => {
                let to = (index + 1 + dice.roll(len - 1)) % len;
                let target = self.target(&at);
                self.write(Instruction::ArrayMove { target, to: size(to), prior_size });
            }
            4..=5 if len > 0 => {
                let target = self.target(&at);
                self.write(Instruction::ArrayErase { target, prior_size });
            }
            6..=10 if len > 0 => self.change_element(&at, slot, list, index, dice),
            _ => {
                let value = match slot.value_type {
                    ValueType::Embedded(_) => Some(Payload::ObjectValue),
                    ValueType::Mixed if !is_flat && place.path.len() < 3 && dice.is(2) => {
                        Some(if dice.is(2) { Payload::List } else { Payload::Dictionary })
                    }
                    _ => self.scalar(slot, place, dice),
                };
                let Some(value) = value else { return };
                let target = self.target(&place.at(Hop::Index(dice.roll(len + 1))));
                self.write(Instruction::ArrayInsert { target, value, prior_size });
            }
        }
    }

    fn change_element(
        &mut self,
        at: &Place,
        slot: Slot,
        list: &Sequence<Value>,
        index: usize,
        dice: &mut Dice,
    ) {
        match list.get(index) {
            Some(Value::Object(object)) => self.change_embedded(at, slot, object, dice),
            Some(Value::List(inner)) if dice.roll(6) > 0 => self.change_list(at, slot, inner, dice),
            Some(Value::Dictionary(inner)) if dice.roll(6) > 0 => {
                self.change_dictionary(at, slot, inner, dice);
            }
            _ => {
                let Some(value) = self.scalar(slot, at, dice) else { return };
                let kind = UpdateKind::Element { prior_size: size(list.len()) };
                let target = self.target(at);
                self.write(Instruction::Update { target, value, kind });
            }
        }
    }

    fn change_set(&mut self, place: &Place, slot: Slot, set: &Set, dice: &mut Dice) {
        let members: Vec<_> = set.iter().cloned().collect();
        let target = self.target(place);
        match dice.roll(8) {
            0 => self.write(Instruction::Clear { target, collection: CollectionKind::Set }),
            1..=3 if !members.is_empty() => {
                let member = dice.pick(&members);
                let value = self.payload(member);
                self.write(Instruction::SetErase { target, value });
            }
            _ => {
                let Some(value) = self.scalar(slot, place, dice) else { return };
                if members.iter().all(|member| self.payload(member) != value) {
                    self.write(Instruction::SetInsert { target, value });
                }
            }
        }
    }

    fn change_dictionary(
        &mut self,
        place: &Place,
        slot: Slot,
        entries: &Dictionary,
        dice: &mut Dice,
    ) {
        let slot = Slot { collection: CollectionKind::Dictionary, ..slot };
        let is_embedded = matches!(slot.value_type, ValueType::Embedded(_));
        let key = match dice.roll(3) {
            _ if is_embedded && dice.is(2) => format!("of {}", self.author),
            0 => "of 0".to_owned(),
            1 => "of 1".to_owned(),
            _ => "k".to_owned(),
        };
        let at = place.key(&key);
        match (dice.roll(12), entries.get(&key)) {
            (0, _) if place.can_be_cleared(slot) => {
                let target = self.target(place);
                self.write(Instruction::Clear { target, collection: CollectionKind::Dictionary });
            }
            (1..=2, Some(_)) => self.update(&at, Payload::Erased),
            (_, Some(value)) => self.change_value(&at, slot, value, dice),
            (_, None) if is_embedded => {
                if key == format!("of {}", self.author) {
                    self.update(&at, Payload::ObjectValue);
                }
            }
            (_, None) => {
                if let Some(value) = self.scalar(slot, place, dice) {
                    self.update(&at, value);
                }
            }
        }
    }

    /// A value that is no collection; `None` if it would be a link and there is nothing to link to.
    fn scalar(&mut self, slot: Slot, place: &Place, dice: &mut Dice) -> Option<Payload> {
        let is_single = slot.collection == CollectionKind::Single;
        let link_target =
            |state: &State, class| Some(state.schema().class_by_id(class)?.name().to_owned());
        match slot.value_type {
            ValueType::Link(class) => {
                if is_single && dice.is(4) {
                    return Some(Payload::Null);
                }
                let class = link_target(&self.state, class)?;
                self.link(&class, dice)
            }
            _ if slot.nullable && dice.is(4) => Some(Payload::Null),
            ValueType::Mixed => self.mixed(place, slot.collection, dice),
            value_type => {
                let numbers = match slot.collection {
                    CollectionKind::Set => IN_SETS,
                    CollectionKind::Dictionary => ALL,
                    _ => IN_FIELDS,
                };
                Some(plain(value_type, numbers, dice))
            }
        }
    }

    /// A mixed value that is no collection.
    fn mixed(
        &mut self,
        place: &Place,
        collection: CollectionKind,
        dice: &mut Dice,
    ) -> Option<Payload> {
        if place.field == ALWAYS_LIST && place.path.is_empty() {
            return Some(dice.int());
        }
        match dice.roll(6) {
            0 => {
                let class = *dice.pick(&["A", "A", "B", "G", "O", "U"]);
                self.link(class, dice)
            }
            1 => Some(text(dice)),
            2 | 3 => {
                let (types, numbers) = match collection {
                    CollectionKind::Set => (&MIXED[..NO_NUMBERS], IN_SETS),
                    _ => (&MIXED[..], ALL),
                };
                let value_type = *dice.pick(types);
                Some(plain(value_type, numbers, dice))
            }
            _ => Some(dice.int()),
        }
    }

    /// A link to one of the objects of a class.
    fn link(&mut self, class: &str, dice: &mut Dice) -> Option<Payload> {
        let objects = self.objects(self.state.schema().class(class)?);
        if objects.is_empty() {
            return None;
        }
        let (key, _) = dice.pick(&objects);
        let (table, object) = self.name_object(class, key);
        Some(Payload::Link(Link { table, object }))
    }
}
