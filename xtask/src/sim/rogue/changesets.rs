//! Changesets of rogues that can be read: some that a server takes from anybody, and some that it must not take.
//!
//! All make an object of a class that only rogues write to. Its key is negative if something is wrong with the
//! changeset: an object like that is never anywhere.

use bailiwick_core::state::{PrimaryKey, State};
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, ObjectKey, Path,
    PathElement, Payload, Symbol, TableKind, Target, TypeCode, UpdateKind,
};
use bytes::Bytes;

use crate::sim::choices::Choices;

/// What is wrong with a changeset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Nobody has declared the class.
    NoClass,
    /// Nobody has declared the field.
    NoField,
    /// The object was not made.
    NoObject,
    /// The key has another type than those of the class.
    KeyType,
    /// The class is declared once more, with keys of another type.
    OtherKey,
    /// A field is declared once more, with another type.
    OtherColumn,
    /// A value has another type than the field.
    ValueType,
    /// A value is null that can't be.
    Null,
    /// The key of an object is changed.
    KeyWritten,
    /// A list has another length than is said.
    PriorSize,
    /// A position is behind the end of a list.
    Beyond,
    /// The path goes on below a number.
    Through,
    /// A list is taken for a set.
    Collection,
}

impl Flaw {
    pub(super) const ALL: [Self; 13] = [
        Self::NoClass,
        Self::NoField,
        Self::NoObject,
        Self::KeyType,
        Self::OtherKey,
        Self::OtherColumn,
        Self::ValueType,
        Self::Null,
        Self::KeyWritten,
        Self::PriorSize,
        Self::Beyond,
        Self::Through,
        Self::Collection,
    ];
}

const CLASS: &str = "Rogue";
const KEY: &str = "_id";
const COUNT: &str = "count";
const TEXTS: &str = "texts";
/// A field and a class that are removed now and then. What is wrong with a changeset must not be there, since it would
/// be gone with them.
const PASSING: &str = "passing";

/// A changeset that anybody may upload: it makes an object of this key, which no other changeset has.
pub(super) fn sound(key: i64, choices: &mut Choices) -> Changeset {
    let mut draft = Draft::new(key);
    draft.pass();
    draft.update(COUNT, Payload::Int(1));
    draft.update(PASSING, Payload::Int(1));
    for position in 0..choices.below(4) {
        draft.insert(position, position);
    }
    // Others may write to this one as well.
    draft.create(CLASS, ObjectKey::Int(0));
    let target = Target { object: ObjectKey::Int(0), ..draft.target(COUNT) };
    draft.push(Instruction::AddInteger { target, value: 1 });
    draft.changeset
}

/// A changeset that anybody may upload, and that removes a class, or a field of one.
pub(super) fn removal(key: i64, choices: &mut Choices) -> Changeset {
    let mut draft = Draft::new(key);
    draft.pass();
    let (table, passing) = (draft.intern(CLASS), draft.intern(PASSING));
    draft.push(match choices.below(3) {
        0 => Instruction::EraseTable { table: passing },
        1 => Instruction::EraseColumn { table: passing, field: passing },
        _ => Instruction::EraseColumn { table, field: passing },
    });
    draft.changeset
}

/// The bytes of a sound changeset with some of them changed, removed or doubled. Whether they are a changeset is for the
/// server to find out; they make no object of the keys that are never anywhere.
pub(super) fn distorted(key: i64, choices: &mut Choices) -> Bytes {
    let sound = Bytes::from(sound(key, choices).encode());
    let distorted = super::mutated(&sound, choices);
    let makes_unsound = |instruction: &Instruction| match instruction {
        Instruction::CreateObject { object: ObjectKey::Int(key), .. } => *key < 0,
        _ => false,
    };
    match Changeset::decode(&distorted) {
        Ok(changeset) if changeset.instructions.iter().any(makes_unsound) => sound,
        _ => distorted,
    }
}

/// A changeset of the app's first class, if the server finds that it fits: nobody knows what keys are like there.
pub(super) fn guess(key: i64, choices: &mut Choices) -> Changeset {
    let mut draft = Draft::new(key);
    let table = draft.intern("Class0");
    let text = draft.intern("b");
    let object = *choices.pick(&[ObjectKey::Int(0), ObjectKey::String(text), ObjectKey::Null]);
    draft.push(if choices.yes() {
        Instruction::EraseObject { table, object }
    } else {
        Instruction::CreateObject { table, object }
    });
    draft.changeset
}

/// A changeset that is sound but for one thing.
pub(super) fn flawed(key: i64, flaw: Flaw) -> Changeset {
    let mut draft = Draft::new(-key);
    match flaw {
        Flaw::NoClass => draft.create("No class", ObjectKey::Int(1)),
        Flaw::NoField => draft.update("no field", Payload::Int(1)),
        Flaw::NoObject => {
            let target = Target { object: ObjectKey::Int(i64::MIN), ..draft.target(COUNT) };
            draft.push(Instruction::AddInteger { target, value: 1 });
        }
        Flaw::KeyType => {
            let key = draft.intern("a text");
            draft.create(CLASS, ObjectKey::String(key));
        }
        Flaw::OtherKey => draft.declare(CLASS, KeyType::String),
        Flaw::OtherColumn => draft.column(CLASS, COUNT, TypeCode::String, CollectionKind::Single),
        Flaw::ValueType => draft.update(COUNT, Payload::Bool(true)),
        Flaw::Null => draft.update(COUNT, Payload::Null),
        Flaw::KeyWritten => draft.update(KEY, Payload::Int(1)),
        Flaw::PriorSize => draft.insert(0, 5),
        Flaw::Beyond => draft.insert(3, 0),
        Flaw::Through => {
            let path = [PathElement::Index(0)].into_iter().collect();
            let target = Target { path, ..draft.target(COUNT) };
            let value = Payload::Int(1);
            draft.push(Instruction::ArrayInsert { target, value, prior_size: 0 });
        }
        Flaw::Collection => {
            let (target, value) = (draft.target(TEXTS), Payload::String("a".into()));
            draft.push(Instruction::SetInsert { target, value });
        }
    }
    draft.changeset
}

/// The key of an object that no server should have made.
///
/// # Panics
///
/// If there are objects that cannot be read.
pub(crate) fn unsound(state: &State) -> Option<i64> {
    let class = state.schema().class(CLASS)?;
    let objects = state.objects(class.id()).expect("what is stored can be read");
    objects.iter().find_map(|(key, _)| match key {
        PrimaryKey::Int(key) if *key < 0 => Some(*key),
        _ => None,
    })
}

/// A changeset that is being made.
struct Draft {
    changeset: Changeset,
    key: i64,
}

impl Draft {
    /// Declares the class of rogues, and makes an object of it.
    fn new(key: i64) -> Self {
        let mut draft = Self { changeset: Changeset::default(), key };
        draft.declare(CLASS, KeyType::Int);
        draft.column(CLASS, COUNT, TypeCode::Int, CollectionKind::Single);
        draft.column(CLASS, TEXTS, TypeCode::String, CollectionKind::List);
        draft.create(CLASS, ObjectKey::Int(key));
        draft
    }

    /// Makes what may be removed.
    fn pass(&mut self) {
        self.column(CLASS, PASSING, TypeCode::Int, CollectionKind::Single);
        self.declare(PASSING, KeyType::Int);
        self.column(PASSING, PASSING, TypeCode::Int, CollectionKind::Single);
        self.create(PASSING, ObjectKey::Int(self.key));
        let target = Target { table: self.intern(PASSING), ..self.target(PASSING) };
        self.push(Instruction::AddInteger { target, value: 1 });
    }

    fn declare(&mut self, class: &str, key_type: KeyType) {
        let (table, field) = (self.intern(class), self.intern(KEY));
        let kind = TableKind::TopLevel(KeySpec { field, key_type, nullable: false });
        self.push(Instruction::AddTable { table, kind });
    }

    fn column(
        &mut self,
        class: &str,
        field: &str,
        column_type: TypeCode,
        collection: CollectionKind,
    ) {
        let column = AddColumn {
            table: self.intern(class),
            field: self.intern(field),
            column_type,
            nullable: false,
            collection,
            link_target: None,
            key_type: None,
        };
        self.push(Instruction::AddColumn(Box::new(column)));
    }

    fn create(&mut self, class: &str, object: ObjectKey) {
        let table = self.intern(class);
        self.push(Instruction::CreateObject { table, object });
    }

    fn update(&mut self, field: &str, value: Payload) {
        let (target, kind) = (self.target(field), UpdateKind::Value { is_default: false });
        self.push(Instruction::Update { target, value, kind });
    }

    fn insert(&mut self, position: usize, prior_size: usize) {
        let number = |number: usize| u32::try_from(number).expect("it is small");
        let path = [PathElement::Index(number(position))].into_iter().collect();
        let target = Target { path, ..self.target(TEXTS) };
        let (value, prior_size) = (Payload::String("text".into()), number(prior_size));
        self.push(Instruction::ArrayInsert { target, value, prior_size });
    }

    /// A field of the object.
    fn target(&mut self, field: &str) -> Target {
        let (table, field) = (self.intern(CLASS), self.intern(field));
        Target { table, object: ObjectKey::Int(self.key), field, path: Path::new() }
    }

    fn intern(&mut self, text: &str) -> Symbol {
        self.changeset.strings.intern(text)
    }

    fn push(&mut self, instruction: Instruction) {
        self.changeset.instructions.push(instruction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sound_is_taken_and_what_has_a_flaw_is_not() {
        let mut choices = Choices::new(1);
        let mut state = State::default();
        for key in 1..10 {
            let _ = state.apply(&sound(key, &mut choices)).unwrap();
        }
        assert_eq!(unsound(&state), None);
        for flaw in Flaw::ALL {
            let bytes = flawed(100, flaw).encode();
            let taken = Changeset::decode(&bytes).is_ok_and(|it| state.clone().apply(&it).is_ok());
            assert!(!taken, "{flaw:?}");
        }
        for key in 20..40 {
            let _ = state.apply(&removal(key, &mut choices)).unwrap();
            if let Ok(changeset) = Changeset::decode(&distorted(key, &mut choices)) {
                let _ = state.apply(&changeset);
                assert_eq!(unsound(&state), None);
            }
        }
        let _ = state.apply(&sound(-7, &mut choices)).unwrap();
        assert_eq!(unsound(&state), Some(-7));
    }
}
