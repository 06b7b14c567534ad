//! Which chains are woven, and when.
//!
//! Weaving a chain costs about as much as carrying a hundred ops along it, so it begins when about that many have
//! been, and again after each weave that ended early. Whatever else has to meet the ops of a chain ends its weave.

use std::hash::BuildHasher;

use super::{Incoming, Link, Walk};
use crate::merge::error::MergeFault;
use crate::merge::op::{Object, Op, Sides};
use crate::merge::weave::Weave;

/// When long chains of list ops are woven.
#[derive(Clone, Copy, Debug)]
pub(in crate::merge) struct Weaving {
    /// How many ops a chain has to have.
    pub(in crate::merge) min_len: u32,
    /// How many local ops have to be carried along a chain before.
    pub(in crate::merge) patience: u32,
}

/// The level of ops about a field itself, which is no element of a list.
const FIELD_LEVEL: u32 = 3;

impl Weaving {
    /// When it is worth its cost.
    pub(in crate::merge) const USUAL: Self = Self { min_len: 64, patience: 64 };
    /// Whenever it is possible.
    #[cfg(any(test, feature = "oracle"))]
    pub(in crate::merge) const ALWAYS: Self = Self { min_len: 1, patience: 0 };
}

impl Incoming {
    /// Carries a local op through a chain at once, if the chain is woven or now can be, and the op is admitted.
    ///
    /// Nothing, if it has to meet the ops one after the other.
    pub(in crate::merge) fn carry_woven(
        &mut self,
        op: &mut Op,
        walk: Walk,
        sides: &mut Sides<'_>,
    ) -> Option<Result<(), (usize, MergeFault)>> {
        if let Link::Object = walk.link {
            self.unravel(Some(op.object));
            return None;
        }
        let chain = self.chains.get_mut(walk.chain as usize)?;
        let mut weave = match chain.weave.take() {
            Some(weave) => weave,
            None if op.level <= FIELD_LEVEL || chain.len < self.weaving.min_len => return None,
            None if chain.patience > 0 => {
                chain.patience -= 1;
                return None;
            }
            None => self.weave(walk)?,
        };
        let chain = &mut self.chains[walk.chain as usize];
        if weave.is_tangled() {
            chain.tangles += 1;
        }
        if weave.is_tangled() || !weave.admits(op) {
            chain.patience = self.weaving.patience << chain.tangles.min(16);
            self.woven.retain(|&chain| chain != walk.chain);
            weave.unravel(self);
            return None;
        }
        let outcome = weave.carry(op, self, sides);
        self.chains[walk.chain as usize].weave = Some(weave);
        Some(outcome)
    }

    /// Ends the weaves of an object, or all.
    pub(in crate::merge) fn unravel(&mut self, object: Option<Object>) {
        let (ended, woven) = std::mem::take(&mut self.woven).into_iter().partition(|&chain| {
            let first = self.chains[chain as usize].first;
            object.is_none_or(|object| self.op(first as usize).object == object)
        });
        self.woven = woven;
        let ended: Vec<u32> = ended;
        for chain in ended {
            if let Some(mut weave) = self.chains[chain as usize].weave.take() {
                weave.unravel(self);
            }
        }
    }

    /// Weaves the chain that a walk begins, if its ops allow it.
    fn weave(&mut self, walk: Walk) -> Option<Box<Weave>> {
        self.chains[walk.chain as usize].patience = self.weaving.patience;
        let mut slots = Vec::new();
        let mut at = walk.at;
        while let Some(slot) = self.slots.get(at as usize) {
            if slot.op.is_live {
                slots.push(at);
            }
            at = slot.next[walk.link as usize];
        }
        let seed = self.hasher.hash_one(walk.chain);
        let weave = Weave::new(&slots, seed, self)?;
        self.woven.push(walk.chain);
        Some(Box::new(weave))
    }
}
