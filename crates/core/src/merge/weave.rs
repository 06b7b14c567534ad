//! Two long histories of one list, carried through each other in less than the product of their lengths.
//!
//! The pairwise procedure carries a local op through the incoming ones one after the other. Ops that insert, erase
//! or set elements of one list only tell each other how many elements come and go in front of them. So this keeps
//! the elements instead of the positions: the *weave*, an ordered tree of all elements that the list has at any
//! time while the incoming side changes it, with the local ops carried so far already done.
//!
//! Time is the number of incoming ops that have been done. Each element lives from some time to some time: from 0
//! if it was there before, without end if the incoming side does not erase it. What the local side has inserted
//! was there before, and what it has erased never was. The invariants:
//!
//! 1. Two elements that live at the same time stand in the tree in their order in the list at that time. (Between
//!    two that never meet, the tree may have any order.)
//! 2. Each incoming op that is still live belongs to an element: the one that it inserts, erases, sets, or that it
//!    changes something inside of. Its position is the number of elements that live in front of it at its time,
//!    and its prior size the number of all that do; so neither is kept.
//!
//! A local op comes with a position at time 0, which names an element or a gap between two of them. Its position
//! behind all incoming ops is the number of elements in front of it that live at the end. An element has the same
//! neighbours in both counts, so there is nothing to decide, but for two cases:
//!
//! - Two ops about one element. Two erasures discard each other; an erasure discards what else is about it; the
//!   rest go through the rule for the pair.
//! - An insertion into a gap into which the incoming side inserts, too. See [`gap`].
//!
//! Why this equals the procedure: by induction over pairs, the positions that a rule compares are those of the
//! elements in the list in which the pair meets, which is the one at the time of the incoming op with the local ops
//! before this one done; all rules in [`list`](super::list) renumber accordingly and compare positions only.
//! What the rules refuse (other lengths, positions outside of the list, numbers that are too large) never gets in
//! here: [`Weave::new`] and [`Weave::admits`] leave it to the pairwise procedure, as they do with moves and with
//! all else that is not about elements. [`Weave::unravel`] gives the incoming ops their positions again.
//!
//! Spec: merge, sections 5, 6.4 and 6.5.

mod counter;
mod gap;
mod tree;

use bailiwick_protocol::changeset::Kind;
use smallvec::SmallVec;

use super::driver::number;
use super::error::{MAX_INDEX, MergeFault};
use super::index::Incoming;
use super::op::{Op, Sets, Sides, Step};
use super::pair::{Outcome, merge_pair};
use counter::Counter;
use gap::Clock;
use tree::{AFTER, BEFORE, Forest, Measure, NONE, Node};

/// All that one merge does to one list.
#[derive(Debug)]
pub(super) struct Weave {
    /// The path of the list, and the level of the ops about its elements.
    container: SmallVec<[Step; 2]>,
    level: u32,
    /// The incoming ops, in stream order.
    strands: Vec<Strand>,
    clock: Clock,
    forest: Forest,
    /// The tree of all elements.
    root: u32,
    /// How many elements the incoming side inserts.
    births: u32,
    /// Incoming ops up to this time have met a local insertion or erasure.
    changed_until: u32,
    /// The local ops carried so far.
    carried: usize,
    /// The elements that have been replayed for them.
    toil: usize,
}

/// An incoming op.
#[derive(Clone, Copy, Debug)]
struct Strand {
    slot: u32,
    role: Role,
    /// The node of its element.
    element: u32,
    /// The next that sets or reaches into the same element.
    next: u32,
}

/// What an op does with its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Inserts,
    Erases,
    /// Sets it.
    Sets,
    /// Changes something inside of it.
    Enters,
}

impl Weave {
    /// Weaves incoming ops, which are at `slots`, in stream order, and are all that is live in their field.
    ///
    /// Nothing, if the rules would have more to do than to count elements.
    pub(super) fn new(slots: &[u32], seed: u64, incoming: &mut Incoming) -> Option<Self> {
        let ops = slots.iter().map(|&slot| incoming.op(slot as usize));
        let outermost = ops.clone().min_by_key(|op| op.level)?;
        let mut weave = Self {
            container: outermost.container.clone(),
            level: outermost.level,
            strands: Vec::with_capacity(slots.len()),
            clock: Clock::new(ops.clone().map(|op| op.disc)),
            forest: Forest::new(seed),
            root: NONE,
            births: 0,
            changed_until: 0,
            carried: 0,
            toil: 0,
        };
        weave.root = match outermost.prior_size {
            0 => NONE,
            len => weave.forest.plant(len, 0..NONE),
        };
        for (&slot, op) in slots.iter().zip(ops) {
            let (role, index) = weave.role(op)?;
            if !is_sound(op, role, index, weave.forest.sums(weave.root).after) {
                return None;
            }
            weave.spin(slot, role, index);
        }
        if outermost.prior_size > MAX_INDEX - weave.births {
            return None;
        }
        for strand in &weave.strands {
            let op = incoming.op_mut(strand.slot as usize);
            weave.disguise(op, strand.role, strand.element);
        }
        Some(weave)
    }

    /// Whether a local op is about elements of the list, as the list now is at the beginning.
    pub(super) fn admits(&self, op: &Op) -> bool {
        let size = self.forest.sums(self.root).before;
        self.role(op).is_some_and(|(role, index)| {
            is_sound(op, role, index, size)
                && (role != Role::Inserts || size < MAX_INDEX - self.births)
        })
    }

    /// Whether so much had to be replayed that meeting in pairs would be faster.
    pub(super) fn is_tangled(&self) -> bool {
        // An element costs as much as many pairs; at the beginning there is some credit.
        self.toil * 16 > (self.carried + 64) * self.strands.len()
    }

    /// Carries a local op, which must be admitted, through all incoming ones.
    ///
    /// # Errors
    ///
    /// The first fault inside of an element, with the slot of the incoming op. The weave is unravelled then.
    pub(super) fn carry(
        &mut self,
        op: &mut Op,
        incoming: &mut Incoming,
        sides: &mut Sides<'_>,
    ) -> Result<(), (usize, MergeFault)> {
        self.carried += 1;
        match self.role(op) {
            Some((Role::Inserts, index)) => self.insert(op, index),
            Some((Role::Erases, index)) => self.erase(op, index, incoming),
            Some((role, index)) => return self.reach(op, role, index, incoming, sides),
            None => (),
        }
        Ok(())
    }

    /// Gives the incoming ops their positions and prior sizes back.
    pub(super) fn unravel(&mut self, incoming: &mut Incoming) {
        let nodes = self.forest.fell(std::mem::replace(&mut self.root, NONE));
        let mut ranks = vec![NONE; self.forest.len()];
        for (rank, &node) in nodes.iter().enumerate() {
            ranks[node as usize] = number(rank);
        }
        let mut living = Counter::new(nodes.iter().map(|&node| {
            let node = self.forest.node(node);
            if node.born == 0 { node.len } else { 0 }
        }));
        for (time, strand) in (0..).zip(&self.strands) {
            let op = incoming.op_mut(strand.slot as usize);
            if !op.is_live {
                continue;
            }
            let rank = ranks[strand.element as usize];
            let size = living.all();
            op.is_changed |= match strand.role {
                Role::Enters => self.forest.node(strand.element).is_touched(time),
                _ => time < self.changed_until,
            };
            self.show(op, strand.role, living.before(rank), size);
            match strand.role {
                Role::Inserts => living.add(rank, 1),
                Role::Erases => living.add(rank, -1),
                Role::Sets | Role::Enters => (),
            }
        }
    }

    /// What an op does with which element, if it does no more than that.
    fn role(&self, op: &Op) -> Option<(Role, u32)> {
        if op.level == self.level && op.container == self.container {
            let role = match (op.kind, op.sets) {
                (Kind::ArrayInsert, _) => Role::Inserts,
                (Kind::ArrayErase, _) => Role::Erases,
                (Kind::Update, Sets::Element) => Role::Sets,
                _ => return None,
            };
            return Some((role, op.index().ok()?));
        }
        match op.container.get(self.container.len()) {
            Some(Step::Index(index)) if op.container.starts_with(&self.container) => {
                Some((Role::Enters, *index))
            }
            _ => None,
        }
    }

    /// Adds an incoming op to the end; the list is as it leaves it.
    fn spin(&mut self, slot: u32, role: Role, index: u32) {
        let strand = number(self.strands.len());
        let time = strand + 1;
        let element = if role == Role::Inserts {
            let (front, back) = self.forest.split(self.root, AFTER, index);
            // Behind what has been erased there, as if that still were in the list.
            let (gone, back) = self.forest.split_uncounted(back, AFTER);
            let element = self.forest.plant(1, time..NONE);
            self.births += 1;
            self.root = self.forest.join_all([front, gone, element, back]);
            element
        } else {
            let [front, element, back] = self.isolate(AFTER, index);
            if role == Role::Erases {
                self.forest.bury(element, time);
            } else {
                let previous = self.forest.note_op(element, strand);
                if let Some(previous) = self.strands.get_mut(previous as usize) {
                    previous.next = strand;
                }
            }
            self.root = self.forest.join_all([front, element, back]);
            element
        };
        self.strands.push(Strand { slot, role, element, next: NONE });
    }

    /// Splits the tree around the element with the number `index`, counted by `measure`.
    fn isolate(&mut self, measure: Measure, index: u32) -> [u32; 3] {
        let (front, back) = self.forest.split(self.root, measure, index);
        let (up_to_it, back) = self.forest.split(back, measure, 1);
        let (gap, element) = self.forest.split_uncounted(up_to_it, measure);
        [self.forest.join(front, gap), element, back]
    }

    fn insert(&mut self, op: &mut Op, index: u32) {
        let all = self.forest.sums(self.root);
        let [front, back] = self.part(index, op.disc);
        self.show(op, Role::Inserts, self.forest.sums(front).after, all.after);
        op.is_changed |= all.is_changed();
        let element = self.forest.plant(1, 0..NONE);
        self.forest.touch(back, NONE);
        self.changed_until = NONE;
        self.root = self.forest.join_all([front, element, back]);
    }

    fn erase(&mut self, op: &mut Op, index: u32, incoming: &mut Incoming) {
        let all = self.forest.sums(self.root);
        let [front, element, back] = self.isolate(BEFORE, index);
        let Node { dies, .. } = *self.forest.node(element);
        for (_, strand) in self.about(element) {
            let other = incoming.op_mut(strand.slot as usize);
            if other.is_live {
                other.discard();
            }
        }
        if dies == NONE {
            self.show(op, Role::Erases, self.forest.sums(front).after, all.after);
            op.is_changed |= all.is_changed();
        } else {
            let other = self.strands[dies as usize - 1].slot;
            incoming.op_mut(other as usize).discard();
            op.discard();
        }
        // It meets nothing behind the erasure that discards it.
        self.forest.touch(back, dies);
        self.changed_until = self.changed_until.max(dies);
        self.root = self.forest.join(front, back);
    }

    /// Carries an op that sets an element or reaches into it.
    fn reach(
        &mut self,
        op: &mut Op,
        role: Role,
        index: u32,
        incoming: &mut Incoming,
        sides: &mut Sides<'_>,
    ) -> Result<(), (usize, MergeFault)> {
        let (element, offset, in_front) = self.forest.find(self.root, index);
        let prior_size = op.prior_size;
        self.disguise(op, role, element);
        if let Err((strand, fault)) = self.meet(op, element, incoming, sides) {
            self.show(op, role, index, prior_size);
            self.unravel(incoming);
            self.catch_up(op, strand, incoming, sides);
            return Err((self.strands[strand].slot as usize, fault));
        }
        if !op.is_live {
            return Ok(());
        }
        if self.forest.node(element).dies != NONE {
            op.discard();
            return Ok(());
        }
        let all = self.forest.sums(self.root);
        self.show(op, role, in_front.after + offset, all.after);
        op.is_changed |= match role {
            Role::Enters => in_front.is_changed(),
            _ => all.is_changed(),
        };
        Ok(())
    }

    /// Carries an op through those that set the same element or reach into it; a failure comes with the strand.
    fn meet(
        &self,
        op: &mut Op,
        element: u32,
        incoming: &mut Incoming,
        sides: &mut Sides<'_>,
    ) -> Result<(), (usize, MergeFault)> {
        for (i, strand) in self.about(element) {
            let other = incoming.op_mut(strand.slot as usize);
            if other.is_live {
                let outcome = merge_pair(op, other, sides).map_err(|fault| (i, fault))?;
                debug_assert_eq!(outcome, Outcome::Done, "there are no erasers");
            }
            if !op.is_live {
                break;
            }
        }
        Ok(())
    }

    /// Renumbers a local op as the incoming ones before a strand do, so that its path can be told.
    fn catch_up(&self, op: &mut Op, strand: usize, incoming: &mut Incoming, sides: &mut Sides<'_>) {
        for strand in &self.strands[..strand] {
            let other = incoming.op_mut(strand.slot as usize);
            if other.is_live && matches!(strand.role, Role::Inserts | Role::Erases) {
                let outcome = merge_pair(op, other, sides);
                debug_assert_eq!(outcome, Ok(Outcome::Done), "the path leads through the list");
            }
        }
    }

    /// The incoming ops that set an element or reach into it.
    fn about(&self, element: u32) -> impl Iterator<Item = (usize, Strand)> {
        let [first, _] = self.forest.node(element).ops;
        let numbered = |i: u32| Some((i as usize, *self.strands.get(i as usize)?));
        std::iter::successors(numbered(first), move |(_, strand)| numbered(strand.next))
    }

    /// Gives an op the number of its element as its position, so that the rules for pairs about one element see
    /// that it is one.
    fn disguise(&self, op: &mut Op, role: Role, element: u32) {
        if matches!(role, Role::Sets | Role::Enters) {
            self.show(op, role, element, 0);
        }
    }

    /// Gives an op its position and prior size.
    fn show(&self, op: &mut Op, role: Role, index: u32, prior_size: u32) {
        if role == Role::Enters {
            op.container[self.container.len()] = Step::Index(index);
        } else {
            op.last = Some(Step::Index(index));
            op.prior_size = prior_size;
        }
    }
}

/// Whether an op is one that can be made on a list of `size` elements.
fn is_sound(op: &Op, role: Role, index: u32, size: u32) -> bool {
    match role {
        Role::Inserts => index <= size && op.prior_size == size,
        Role::Erases | Role::Sets => index < size && op.prior_size == size,
        Role::Enters => index < size,
    }
}
