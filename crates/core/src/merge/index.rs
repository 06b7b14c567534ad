//! The incoming side, arranged so that a local instruction only meets what it can conflict with.
//!
//! Every rule but one demands that two instructions name the same column or object, so incoming ops form
//! chains: those about one object, those about it as a whole (its erasure), and those about one of its fields.
//! Long chains about one list are woven. Declarations of classes and columns are arranged likewise, as fields of a pretended object. Only
//! EraseTable and EraseColumn reach further: incoming ones are met by everything, local ones meet everything.
//! Whatever an op meets, it meets in stream order.
//!
//! Chains are linked through the ops, so that building them costs a hash of the object and one of the field,
//! and no allocation of their own. Names, keys and so hashes are chosen by the sender: all hashes are keyed.
//!
//! Spec: merge, section 8.1.

mod scan;
mod woven;

use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use bailiwick_protocol::changeset::{Kind, StringTable, Symbol};
use hashbrown::HashTable;

use super::Concurrent;
use super::driver::number;
use super::op::{Key, Name, Object, Op, Place, Side};
use super::weave::Weave;

pub(super) use scan::Scan;
pub(super) use woven::Weaving;

/// No op; greater than the number of any.
const NONE: u32 = u32::MAX;

/// The incoming ops of a merge.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The texts of the incoming side, by [`Name`].
    names: StringTable,
    /// In stream order; behind them, the EraseColumns that rules have inserted.
    slots: Vec<Slot>,
    /// How many of them stand for instructions of a changeset.
    originals: u32,
    objects: Vec<ObjectEntry>,
    object_numbers: HashTable<u32>,
    fields: Vec<FieldEntry>,
    field_numbers: HashTable<u32>,
    chains: Vec<Chain>,
    /// EraseTables and EraseColumns, in stream order.
    erasers: Vec<Eraser>,
    hasher: RandomState,
    weaving: Weaving,
    /// The chains that are woven.
    woven: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    op: Op,
    /// What follows in the chain of the field, or of the object as a whole; and in that of the object.
    next: [u32; 2],
}

/// Which of the links of a slot a chain uses.
#[derive(Clone, Copy, Debug)]
enum Link {
    Narrow = 0,
    Object = 1,
}

#[derive(Debug)]
struct ObjectEntry {
    class: Name,
    key: Key,
    /// What is about it as a whole; but not its creation, which only erasures conflict with.
    whole: u32,
    /// All that is about the object.
    all: u32,
}

#[derive(Debug)]
struct FieldEntry {
    object: Object,
    field: Name,
    chain: u32,
}

#[derive(Debug)]
struct Chain {
    first: u32,
    last: u32,
    /// How many ops it began with.
    len: u32,
    /// How many local ops are to be carried along it before it is woven.
    patience: u32,
    /// How often the pairs would have been faster than the weave.
    tangles: u32,
    /// Its ops while they are woven; the chain is as it was then.
    weave: Option<Box<Weave>>,
}

/// A walk along a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    chain: u32,
    link: Link,
    previous: u32,
    at: u32,
}

/// An EraseTable or EraseColumn.
#[derive(Clone, Copy, Debug)]
struct Eraser {
    /// Its own number; that of the EraseTable that it precedes, if it was inserted.
    place: u32,
    slot: u32,
}

impl Incoming {
    /// Arranges the live instructions of one side.
    pub(super) fn new(remote: &[Concurrent], weaving: Weaving) -> Self {
        let count = remote.iter().map(|entry| entry.changeset.instructions.len()).sum();
        let mut incoming = Self {
            names: StringTable::default(),
            slots: Vec::with_capacity(count),
            originals: 0,
            objects: Vec::new(),
            object_numbers: HashTable::new(),
            fields: Vec::new(),
            field_numbers: HashTable::new(),
            chains: Vec::new(),
            erasers: Vec::new(),
            hasher: RandomState::new(),
            weaving,
            woven: Vec::new(),
        };
        let mut names = Vec::new();
        for (i, entry) in remote.iter().enumerate() {
            names.clear();
            names.extend(entry.changeset.strings.iter().map(|text| incoming.intern(text)));
            for (j, instruction) in entry.changeset.instructions.iter().enumerate() {
                let class = names[instruction.table().0 as usize];
                let key = instruction.object().map_or(Key::Schema, |key| Key::new(key, &names));
                let object = incoming.intern_object(class, key);
                let place =
                    Place { side: Side::Remote, changeset: number(i), instruction: number(j) };
                incoming.push(Op::new(instruction, &names, object, place, entry.disc()));
            }
        }
        incoming.originals = number(incoming.slots.len());
        incoming
    }

    /// The name of a text, which may be new.
    pub(super) fn intern(&mut self, text: &str) -> Name {
        Name(self.names.intern(text).0)
    }

    /// The text of a name.
    pub(super) fn text(&self, name: Name) -> &str {
        self.names.get(Symbol(name.0))
    }

    /// The name of a text, if this side contains it.
    pub(super) fn name(&self, text: &str) -> Name {
        self.names.find(text).map_or(Name::UNKNOWN, |symbol| Name(symbol.0))
    }

    /// The number of an object, if this side mentions it.
    pub(super) fn object(&self, class: Name, key: Key) -> Object {
        let hash = self.hasher.hash_one((class, key));
        let is_it = |&i: &u32| {
            let entry = &self.objects[i as usize];
            entry.class == class && entry.key == key
        };
        self.object_numbers.find(hash, is_it).map_or(Object::UNKNOWN, |&i| Object(i))
    }

    /// Whether something reaches further than its object.
    pub(super) fn has_erasers(&self) -> bool {
        !self.erasers.is_empty()
    }

    pub(super) fn op(&self, slot: usize) -> &Op {
        &self.slots[slot].op
    }

    pub(super) fn op_mut(&mut self, slot: usize) -> &mut Op {
        &mut self.slots[slot].op
    }

    /// The ops that stand for instructions, in stream order.
    pub(super) fn originals(&self) -> impl Iterator<Item = &Op> {
        self.slots[..self.originals as usize].iter().map(|slot| &slot.op)
    }

    /// The inserted EraseColumns, in stream order.
    pub(super) fn inserted(&self) -> impl Iterator<Item = &Op> {
        self.erasers
            .iter()
            .filter(|eraser| eraser.slot >= self.originals)
            .map(|eraser| &self.slots[eraser.slot as usize].op)
    }

    /// Inserts an EraseColumn before the EraseTable with the number `table`.
    pub(super) fn insert_before(&mut self, table: usize, op: Op) {
        let place = number(table);
        let slot = number(self.slots.len());
        let behind = self.erasers.partition_point(|eraser| eraser.place <= place);
        self.slots.push(Slot { op, next: [NONE; 2] });
        self.erasers.insert(behind - 1, Eraser { place, slot });
    }

    /// Shows each live op of a chain to `meet`, in stream order, until that breaks or fails; a failure comes with
    /// the number of the op.
    ///
    /// Discarded ops leave the chain, so that nobody meets them again.
    #[inline]
    pub(super) fn meet_chain<E>(
        &mut self,
        chain: Walk,
        mut meet: impl FnMut(&mut Op) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), (usize, E)> {
        let Walk { chain, link, mut previous, mut at } = chain;
        while let Some(slot) = self.slots.get_mut(at as usize) {
            let mut flow = ControlFlow::Continue(());
            if slot.op.is_live {
                flow = meet(&mut slot.op).map_err(|error| (at as usize, error))?;
            }
            let next = slot.next[link as usize];
            if slot.op.is_live {
                previous = at;
            } else {
                self.unlink(Walk { chain, link, previous, at }, next);
            }
            if flow.is_break() {
                break;
            }
            at = next;
        }
        Ok(())
    }

    /// Takes the op that a walk is at out of its chain, in which it comes before `next`.
    fn unlink(&mut self, walk: Walk, next: u32) {
        match self.slots.get_mut(walk.previous as usize) {
            Some(previous) => previous.next[walk.link as usize] = next,
            None => self.chains[walk.chain as usize].first = next,
        }
    }

    fn intern_object(&mut self, class: Name, key: Key) -> Object {
        let Self { objects, object_numbers, chains, hasher, weaving, .. } = self;
        let hash = hasher.hash_one((class, key));
        let is_it = |&i: &u32| {
            let entry: &ObjectEntry = &objects[i as usize];
            entry.class == class && entry.key == key
        };
        if let Some(&i) = object_numbers.find(hash, is_it) {
            return Object(i);
        }
        let i = number(objects.len());
        let whole = number(chains.len());
        chains.extend([Chain::new(weaving.patience), Chain::new(weaving.patience)]);
        objects.push(ObjectEntry { class, key, whole, all: whole + 1 });
        object_numbers.insert_unique(hash, i, |&i| {
            let entry = &objects[i as usize];
            hasher.hash_one((entry.class, entry.key))
        });
        Object(i)
    }

    /// The chain of a field, if this side mentions it.
    fn field_chain(&self, object: Object, field: Name) -> Option<u32> {
        let hash = self.hasher.hash_one((object, field));
        let is_it = |&i: &u32| {
            let entry = &self.fields[i as usize];
            entry.object == object && entry.field == field
        };
        self.field_numbers.find(hash, is_it).map(|&i| self.fields[i as usize].chain)
    }

    fn intern_field_chain(&mut self, object: Object, field: Name) -> u32 {
        if let Some(chain) = self.field_chain(object, field) {
            return chain;
        }
        let Self { fields, field_numbers, chains, hasher, weaving, .. } = self;
        let i = number(fields.len());
        let chain = number(chains.len());
        chains.push(Chain::new(weaving.patience));
        fields.push(FieldEntry { object, field, chain });
        field_numbers.insert_unique(hasher.hash_one((object, field)), i, |&i| {
            let entry = &fields[i as usize];
            hasher.hash_one((entry.object, entry.field))
        });
        chain
    }

    fn push(&mut self, op: Op) {
        let slot = number(self.slots.len());
        if is_eraser(op.kind) {
            self.erasers.push(Eraser { place: slot, slot });
        } else {
            let ObjectEntry { whole, all, .. } = self.objects[op.object.0 as usize];
            if op.field != Name::UNKNOWN {
                let chain = self.intern_field_chain(op.object, op.field);
                self.append(chain, Link::Narrow, slot);
            } else if op.kind != Kind::CreateObject {
                self.append(whole, Link::Narrow, slot);
            }
            self.append(all, Link::Object, slot);
        }
        self.slots.push(Slot { op, next: [NONE; 2] });
    }

    fn append(&mut self, chain: u32, link: Link, slot: u32) {
        let chain = &mut self.chains[chain as usize];
        if chain.first == NONE {
            chain.first = slot;
        } else {
            self.slots[chain.last as usize].next[link as usize] = slot;
        }
        chain.last = slot;
        chain.len += 1;
    }
}

impl Chain {
    fn new(patience: u32) -> Self {
        Self { first: NONE, last: NONE, len: 0, patience, tangles: 0, weave: None }
    }
}

/// Whether a kind reaches further than its object.
pub(super) fn is_eraser(kind: Kind) -> bool {
    matches!(kind, Kind::EraseTable | Kind::EraseColumn)
}
