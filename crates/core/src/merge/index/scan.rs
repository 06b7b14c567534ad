//! Which incoming ops a local one meets, in stream order.

use bailiwick_protocol::changeset::Kind;

use super::{Incoming, Link, NONE, Walk, is_eraser};
use crate::merge::driver::number;
use crate::merge::op::Op;

/// A walk over the live ops that one local op can conflict with, in stream order.
#[derive(Debug)]
pub(in crate::merge) struct Scan {
    /// The next of the erasers.
    eraser: usize,
    rest: Rest,
}

/// What to meet besides the erasers.
#[derive(Debug)]
enum Rest {
    /// All ops from this number on.
    All(u32),
    /// One chain.
    One(Walk),
    /// Two chains at once, by the numbers of their ops.
    Two(Walk, Walk),
}

impl Scan {
    /// Begins with the first op that `op` can conflict with.
    pub(in crate::merge) fn new(op: &Op, incoming: &Incoming) -> Self {
        if is_eraser(op.kind) {
            return Self { eraser: 0, rest: Rest::All(0) };
        }
        let Some(entry) = incoming.objects.get(op.object.0 as usize) else {
            return Self { eraser: 0, rest: Rest::One(Walk::EMPTY) };
        };
        let walk = |chain| Walk::new(chain, Link::Narrow, incoming);
        let rest = match op.kind {
            Kind::EraseObject => Rest::One(Walk::new(entry.all, Link::Object, incoming)),
            // Nothing inside of an object conflicts with its creation, nor a column with its class.
            Kind::CreateObject | Kind::AddTable => Rest::One(walk(entry.whole)),
            _ => {
                let whole = walk(entry.whole);
                match incoming.field_chain(op.object, op.field).map(walk) {
                    None => Rest::One(whole),
                    Some(field) if whole.at == NONE => Rest::One(field),
                    Some(field) => Rest::Two(whole, field),
                }
            }
        };
        Self { eraser: 0, rest }
    }

    /// The one chain that there is to meet, if it is nothing else.
    pub(in crate::merge) fn as_chain(&self, incoming: &Incoming) -> Option<Walk> {
        match self.rest {
            Rest::One(walk) if incoming.erasers.is_empty() => Some(walk),
            _ => None,
        }
    }

    /// Meets everything behind an op of the stream.
    pub(in crate::merge) fn all_behind(slot: usize, incoming: &Incoming) -> Self {
        let slot = number(slot);
        let eraser = incoming.erasers.partition_point(|eraser| eraser.place <= slot);
        Self { eraser, rest: Rest::All(slot + 1) }
    }

    /// The next live op.
    #[inline]
    pub(in crate::merge) fn next(&mut self, incoming: &mut Incoming) -> Option<usize> {
        let other = match &mut self.rest {
            Rest::One(walk) => walk.peek(incoming),
            Rest::Two(a, b) => a.peek(incoming).min(b.peek(incoming)),
            Rest::All(next) => {
                let is_met = |&i: &u32| {
                    let op = &incoming.slots[i as usize].op;
                    op.is_live && !is_eraser(op.kind)
                };
                *next = (*next..incoming.originals).find(is_met).unwrap_or(NONE);
                *next
            }
        };
        if self.eraser < incoming.erasers.len()
            && let Some(eraser) = self.next_eraser(other, incoming)
        {
            return Some(eraser);
        }
        if other == NONE {
            return None;
        }
        match &mut self.rest {
            Rest::One(walk) => walk.advance(incoming),
            Rest::Two(a, _) if a.at == other => a.advance(incoming),
            Rest::Two(_, b) => b.advance(incoming),
            Rest::All(next) => *next += 1,
        }
        Some(other as usize)
    }

    /// The next live eraser, if it stands before an op of the stream, which is none.
    fn next_eraser(&mut self, before: u32, incoming: &Incoming) -> Option<usize> {
        while let Some(eraser) = incoming.erasers.get(self.eraser)
            && eraser.place < before
        {
            self.eraser += 1;
            if incoming.slots[eraser.slot as usize].op.is_live {
                return Some(eraser.slot as usize);
            }
        }
        None
    }
}

impl Walk {
    const EMPTY: Self = Self { chain: NONE, link: Link::Narrow, previous: NONE, at: NONE };

    fn new(chain: u32, link: Link, incoming: &Incoming) -> Self {
        Self { chain, link, previous: NONE, at: incoming.chains[chain as usize].first }
    }

    /// The next live op, or `NONE`. Discarded ones leave the chain.
    fn peek(&mut self, incoming: &mut Incoming) -> u32 {
        while let Some(slot) = incoming.slots.get(self.at as usize)
            && !slot.op.is_live
        {
            let next = slot.next[self.link as usize];
            incoming.unlink(*self, next);
            self.at = next;
        }
        self.at
    }

    fn advance(&mut self, incoming: &Incoming) {
        self.previous = self.at;
        self.at = incoming.slots[self.at as usize].next[self.link as usize];
    }
}
