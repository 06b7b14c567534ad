//! The form of a changeset that devices can apply, where it differs from the one that came.

use bailiwick_protocol::changeset::{
    Changeset, CollectionKind, Instruction, Link, PathElement, Payload, StringTable, Symbol,
    Target, UpdateKind,
};

use super::error::Fault;
use crate::schema::Schema;
use crate::state::{Set, Value};

/// Gathers what replaces single instructions of a changeset.
pub(super) struct Rewriter<'c> {
    changeset: &'c Changeset,
    /// The strings of the changeset, and those that the replacements need besides.
    strings: Option<StringTable>,
    replacements: Vec<(usize, Vec<Instruction>)>,
    /// How much the replacements may still hold.
    budget: usize,
}

/// What the replacements in one changeset may hold, in bytes of memory. A short instruction can stand for a
/// large collection, and many of them must not exhaust the server.
const BUDGET: usize = 64 * 1024 * 1024;

impl<'c> Rewriter<'c> {
    pub(super) fn new(changeset: &'c Changeset) -> Self {
        Self { changeset, strings: None, replacements: Vec::new(), budget: BUDGET }
    }

    /// Leaves an instruction out.
    pub(super) fn leave_out(&mut self, index: usize) {
        self.replacements.push((index, Vec::new()));
    }

    /// Replaces an instruction that left a set with `remaining` elements.
    pub(super) fn refill_set(
        &mut self,
        index: usize,
        schema: &Schema,
        target: &Target,
        remaining: &Set,
    ) -> Result<(), Fault> {
        let mut out =
            vec![Instruction::Clear { target: target.clone(), collection: CollectionKind::Set }];
        for element in remaining.iter() {
            let value = self.payload(schema, element)?;
            // A link to a class that is gone reads as null, which such a set cannot hold.
            if !matches!(value, Payload::Null) {
                out.push(Instruction::SetInsert { target: target.clone(), value });
            }
        }
        self.replacements.push((index, out));
        Ok(())
    }

    /// Replaces the move of a collection within a list.
    pub(super) fn move_collection(
        &mut self,
        index: usize,
        schema: &Schema,
        (target, to, prior_size): (&Target, u32, u32),
        collection: &Value,
    ) -> Result<(), Fault> {
        let mut moved = target.clone();
        moved.path.pop();
        moved.path.push(PathElement::Index(to));
        let value = self.payload(schema, collection)?;
        let mut out = vec![
            Instruction::ArrayErase { target: target.clone(), prior_size },
            Instruction::ArrayInsert {
                target: moved.clone(),
                value,
                prior_size: prior_size.saturating_sub(1),
            },
        ];
        self.fill(schema, &moved, collection, &mut out)?;
        self.replacements.push((index, out));
        Ok(())
    }

    /// The changeset in its new form, if there is one.
    pub(super) fn finish(self) -> Option<Changeset> {
        if self.replacements.is_empty() {
            return None;
        }
        let mut replacements = self.replacements.into_iter().peekable();
        let mut instructions = Vec::with_capacity(self.changeset.instructions.len());
        for (index, instruction) in self.changeset.instructions.iter().enumerate() {
            match replacements.next_if(|(replaced, _)| *replaced == index) {
                Some((_, replacement)) => instructions.extend(replacement),
                None => instructions.push(instruction.clone()),
            }
        }
        let strings = self.strings.unwrap_or_else(|| self.changeset.strings.clone());
        Some(Changeset { strings, instructions })
    }

    /// Appends what fills the empty collection at `target`.
    fn fill(
        &mut self,
        schema: &Schema,
        target: &Target,
        collection: &Value,
        out: &mut Vec<Instruction>,
    ) -> Result<(), Fault> {
        let below = |element| {
            let mut below = target.clone();
            below.path.push(element);
            below
        };
        match collection {
            Value::List(list) => {
                for (index, element) in (0..).zip(list.iter()) {
                    let target = below(PathElement::Index(index));
                    let value = self.payload(schema, element)?;
                    out.push(Instruction::ArrayInsert {
                        target: target.clone(),
                        value,
                        prior_size: index,
                    });
                    self.fill(schema, &target, element, out)?;
                }
            }
            Value::Dictionary(dictionary) => {
                for (key, element) in dictionary.iter() {
                    let target = below(PathElement::Key(self.symbol(key)));
                    let value = self.payload(schema, element)?;
                    out.push(Instruction::Update {
                        target: target.clone(),
                        value,
                        kind: UpdateKind::Value { is_default: false },
                    });
                    self.fill(schema, &target, element, out)?;
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn payload(&mut self, schema: &Schema, value: &Value) -> Result<Payload, Fault> {
        let len = match value {
            Value::String(text) => text.len(),
            Value::Binary(bytes) => bytes.len(),
            _ => 0,
        };
        let cost = size_of::<Instruction>() + len;
        self.budget = self.budget.checked_sub(cost).ok_or(Fault::Rewrite)?;
        Ok(value.to_payload(|link| {
            let class = schema.class_by_id(link.class)?;
            let table = self.symbol(class.name());
            let object = link.key.to_object_key(|text| self.symbol(text));
            Some(Link { table, object })
        }))
    }

    fn symbol(&mut self, text: &str) -> Symbol {
        self.strings.get_or_insert_with(|| self.changeset.strings.clone()).intern(text)
    }
}
