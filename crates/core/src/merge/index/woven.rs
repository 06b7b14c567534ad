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

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use bailiwick_protocol::ident::FileIdent;
    use bailiwick_protocol::version::OriginTimestamp;

    use super::super::Scan;
    use super::*;
    use crate::merge::Concurrent;
    use crate::merge::op::{Key, Place, Side};
    use crate::merge::pair::merge_pair;
    use crate::merge::tests::text::parse;

    /// An incoming changeset, made at a time before all local ones.
    fn incoming(time: u64, text: &str) -> Concurrent {
        Concurrent::new(parse(text), OriginTimestamp(time), FileIdent(3))
    }

    /// An insertion at the front of an empty list, or of one that has become longer.
    fn insertion(len: usize) -> String {
        format!("insert A/1/li/0 int:1 {len}")
    }

    /// Carries local instructions through a list's incoming ones, and says of each whether it was woven.
    fn carried(
        weaving: Weaving,
        mut remote: Vec<Concurrent>,
        local: impl Iterator<Item = String>,
    ) -> Vec<bool> {
        let mut incoming = Incoming::new(&remote, weaving);
        let mut sides = Sides { local: &mut [], remote: &mut remote };
        let carry = |text: String| {
            let changeset = parse(&text);
            let names: Vec<_> = changeset.strings.iter().map(|text| incoming.name(text)).collect();
            let instruction = &changeset.instructions[0];
            let class = names[instruction.table().0 as usize];
            let object = incoming.object(class, Key::Int(1));
            let place = Place { side: Side::Local, changeset: 0, instruction: 0 };
            let disc = Concurrent::new(parse(""), OriginTimestamp(1000), FileIdent(2)).disc();
            let mut op = Op::new(instruction, &names, object, place, disc);
            let chain = Scan::new(&op, &incoming).as_chain(&incoming).expect("it meets one list");
            let woven = incoming.carry_woven(&mut op, chain, &mut sides);
            let is_woven = woven.is_some();
            woven
                .unwrap_or_else(|| {
                    incoming.meet_chain(chain, |other| {
                        merge_pair(&mut op, other, &mut sides).map(|_| ControlFlow::Continue(()))
                    })
                })
                .expect("both begin with the same list");
            is_woven
        };
        local.map(carry).collect()
    }

    #[test]
    fn a_chain_is_woven_if_it_is_long_and_after_as_many_ops_as_patience_says() {
        let weaving = Weaving { min_len: 3, patience: 2 };
        let remote = |len| (0..len).map(|i| incoming(1, &insertion(i))).collect();
        let local = || (0..5).map(insertion);
        assert_eq!(carried(weaving, remote(2), local()), [false; 5]);
        assert_eq!(carried(weaving, remote(3), local()), [false, false, true, true, true]);
        let weaving = Weaving { patience: 0, ..weaving };
        assert_eq!(carried(weaving, remote(3), local()), [true; 5]);
    }

    #[test]
    fn what_is_about_elements_is_woven_and_all_else_meets_in_pairs() {
        let weaving = Weaving { min_len: 1, patience: 0 };
        for (ours, theirs, is_woven) in [
            ("insert A/1/li/3 int:1 3", "insert A/1/li/0 int:1 3", true),
            ("insert A/1/li/3 int:1 3", "aerase A/1/li/2 3", true),
            ("aerase A/1/li/1 3", "update A/1/li/1 int:1 3", true),
            ("update A/1/li/2/@v int:1", "insert A/1/li/0 int:1 3", true),
            ("update A/1/li/2 obj 3", "aerase A/1/li/0 3; update A/1/li/1/@v int:1", true),
            ("move A/1/li/0 1 3", "insert A/1/li/0 int:1 3", false),
            ("insert A/1/li/0 int:1 3", "move A/1/li/0 1 3", false),
            ("clear A/1/li list", "insert A/1/li/0 int:1 3", false),
            ("insert A/1/m/@a/0 int:1 0", "insert A/1/m/@b/0 int:1 0", false),
            ("update A/1/f int:1", "update A/1/f int:2", false),
        ] {
            let woven = carried(weaving, vec![incoming(1, theirs)], [ours.to_owned()].into_iter());
            assert_eq!(woven, [is_woven], "{ours}, {theirs}");
        }
    }

    /// What somebody wrote with a clock that goes back, and took back, has to be replayed for each insertion there.
    #[test]
    fn a_weave_that_costs_more_than_pairs_ends_and_the_next_begins_later_each_time() {
        const LEN: usize = 200;
        let written = (0..LEN).map(|i| incoming(900 - i as u64 % 2, &insertion(i)));
        let taken_back = (0..LEN).map(|i| incoming(901, &format!("aerase A/1/li/0 {}", LEN - i)));
        let woven = carried(
            Weaving { min_len: 1, patience: 4 },
            written.chain(taken_back).collect(),
            (0..200).map(insertion),
        );
        let stretches = woven.chunk_by(|a, b| a == b).map(<[bool]>::len).take(8);
        // In pairs, woven, in pairs and so on; the op that finds out is one more that meets the others in pairs.
        assert_eq!(stretches.collect::<Vec<_>>(), [4, 10, 8 + 1, 10, 16 + 1, 10, 32 + 1, 10]);
        assert!(!woven[0]);
    }
}
