//! Where an insertion goes that meets others in its gap.
//!
//! Two insertions at one position stand in the order of their times, as far as they meet at one position: what is
//! already between them, or still is, keeps them apart. So a local insertion goes through the elements that the
//! incoming side inserts into its gap, in stream order: past each that was made earlier, in front of each that was
//! made later, and from then on it is on one side of that element and of all beyond.
//!
//! Clocks mostly go forward. While they do, an insertion passes by all elements until some time and stays in front
//! of all from then on: it goes behind the last element in the gap that was born until then. So two searches in the
//! tree do for each stretch of the incoming side in which its clocks do not go back.
//!
//! An erasure next to the gap makes it wider, and may have come before or after the insertions that are seen there
//! now. Mostly the insertion stays at one place of the tree even so: always if somebody takes back what he has just
//! typed. Else the changes between the two nearest elements that last are replayed one after the other.

use std::ops::Range;

use super::Weave;
use super::tree::{BEFORE, LASTING, NONE, Node};
use crate::merge::driver::number;
use crate::merge::op::Disc;

/// The times at which the incoming ops were made.
#[derive(Debug)]
pub(super) struct Clock {
    discs: Vec<Disc>,
    /// The ops that were made earlier than those before them.
    turns: Vec<u32>,
}

impl Clock {
    pub(super) fn new(discs: impl Iterator<Item = Disc>) -> Self {
        let discs: Vec<_> = discs.collect();
        let is_turn = |pair: &[Disc]| pair[1] < pair[0];
        let turns = (1..).zip(discs.windows(2)).filter(|(_, pair)| is_turn(pair));
        let turns = turns.map(|(op, _)| op).collect();
        Self { discs, turns }
    }

    /// When the op was made whose element is born at `time`.
    fn made(&self, time: u32) -> Disc {
        self.discs[time as usize - 1]
    }

    /// The stretch of steady clocks in which an element is born at `time`: when the last element of it is born that
    /// was made before `disc` or then, if it is not before `time`, and when the very last is.
    fn stretch(&self, time: u32, disc: Disc) -> [u32; 2] {
        let op = time as usize - 1;
        let turn = self.turns.partition_point(|&turn| turn < time);
        let end = self.turns.get(turn).map_or(self.discs.len(), |&turn| turn as usize);
        let earlier = self.discs[op..end].partition_point(|&made| made <= disc);
        [op + earlier, end].map(number)
    }
}

impl Weave {
    /// Splits the tree where an insertion stands that was made at `disc`: behind as many elements of those that
    /// were there before as `index` says.
    pub(super) fn part(&mut self, index: u32, disc: Disc) -> [u32; 2] {
        let forest = &mut self.forest;
        let (front, back) = forest.split(self.root, BEFORE, index);
        let (gap, back) = forest.split_uncounted(back, BEFORE);
        let is_steady = forest.last(front).is_none_or(Node::is_lasting)
            && forest.sums(gap).dying == 0
            && forest.first(back).is_none_or(Node::is_lasting);
        if is_steady {
            let [gap_front, gap_back] = self.part_gap(gap, disc);
            return [self.forest.join(front, gap_front), self.forest.join(gap_back, back)];
        }
        let (front, near_front) = forest.split(front, LASTING, forest.sums(front).lasting);
        let (near_back, back) = forest.split_uncounted(back, LASTING);
        let [near_front, near_back] = self.part_unsteady([near_front, gap, near_back], disc);
        [self.forest.join(front, near_front), self.forest.join(near_back, back)]
    }

    /// Splits a tree of elements that the incoming side has inserted one beside the other, and does not erase.
    fn part_gap(&mut self, mut gap: u32, disc: Disc) -> [u32; 2] {
        let (mut front, mut back) = (NONE, NONE);
        loop {
            let earliest = self.forest.sums(gap).earliest;
            if earliest == NONE {
                return [front, back];
            }
            let [earlier, last] = self.clock.stretch(earliest, disc);
            let (passed, rest) = self.forest.split_behind_last_born(gap, earlier);
            let (between, beyond) = self.forest.split_before_first_born(rest, last);
            front = self.forest.join(front, passed);
            back = self.forest.join(beyond, back);
            gap = between;
        }
    }

    /// Splits what is between two elements that last: what is in front of the gap, what the incoming side has
    /// inserted into it, and what is behind it.
    fn part_unsteady(&mut self, [front, gap, back]: [u32; 3], disc: Disc) -> [u32; 2] {
        let born = [front, gap, back].map(|part| self.forest.sums(part).earliest);
        let earliest = born.into_iter().min().unwrap_or(NONE);
        if earliest == NONE {
            return [front, back];
        }
        let [earlier, last] = self.clock.stretch(earliest, disc);
        let (passed, rest) = self.forest.split_behind_last_born(gap, earlier);
        if last == number(self.strands.len()) && self.is_straight([front, passed, back], earlier) {
            return [self.forest.join(front, passed), self.forest.join(rest, back)];
        }
        self.replay([front, passed, rest, back], disc)
    }

    /// Whether an insertion that passes all elements until `time`, and none from then on, stays at one place of the
    /// tree: between `passed` and what is behind it.
    ///
    /// Until `time` it stands in front of the first element of `back`, if that lives so long. Later it stands behind
    /// the last that lives then, and if that dies, behind the last that still lives; what is born behind that
    /// has to be on the other side.
    fn is_straight(&mut self, [front, passed, back]: [u32; 3], mut time: u32) -> bool {
        if self.forest.first(back).is_some_and(|node| node.dies <= time) {
            return false;
        }
        loop {
            let forest = &self.forest;
            let survivor = forest.last_survivor(passed, time);
            match survivor.or_else(|| forest.last_survivor(front, time)) {
                Some(node) if node.born > time => return false,
                Some(node) if node.dies != NONE => time = node.dies,
                _ => return true,
            }
            self.toil += 1;
        }
    }

    /// Splits what is between two elements that last by what happens there, one after the other; the gap begins
    /// around the two inner parts.
    fn replay(&mut self, parts: [u32; 4], disc: Disc) -> [u32; 2] {
        let [front, passed, rest, _] = parts.map(|part| self.forest.sums(part).nodes as usize);
        let mut nodes = Vec::new();
        for part in parts {
            nodes.append(&mut self.forest.fell(part));
        }
        self.toil += nodes.len();
        let is_front = self.walk(&nodes, front..front + passed + rest, disc);
        let mut sides = [NONE; 2];
        for (node, is_front) in nodes.into_iter().zip(is_front) {
            let side = &mut sides[usize::from(!is_front)];
            *side = self.forest.join(*side, node);
        }
        sides
    }

    /// Which of the nodes the insertion passes, if it begins in the gap between those in front of `gap` and those
    /// behind it.
    fn walk(&self, nodes: &[u32], gap: Range<usize>, disc: Disc) -> Vec<bool> {
        let nodes = nodes.iter().map(|&node| self.forest.node(node));
        let mut is_front: Vec<_> = (0..nodes.len()).map(|i| i < gap.start).collect();
        let mut lives: Vec<_> = nodes.clone().map(|node| node.born == 0).collect();
        let mut events: Vec<_> = nodes
            .enumerate()
            .flat_map(|(i, node)| [(node.born, i, true), (node.dies, i, false)])
            .filter(|&(time, ..)| time != 0 && time != NONE)
            .collect();
        events.sort_unstable();
        // The insertion is behind what lives in front of `near.start`, and in front of what lives from `near.end` on.
        let mut near = gap;
        for (time, i, is_birth) in events {
            lives[i] = is_birth;
            if is_birth {
                let is_passed = self.clock.made(time) <= disc;
                is_front[i] = i < near.start || i < near.end && is_passed;
                if near.contains(&i) {
                    near = if is_passed { i + 1..near.end } else { near.start..i };
                }
            } else if i + 1 == near.start {
                near.start = (0..i).rfind(|&i| lives[i] && is_front[i]).map_or(0, |i| i + 1);
            } else if i == near.end {
                let behind = (i + 1..lives.len()).find(|&i| lives[i] && !is_front[i]);
                near.end = behind.unwrap_or(lives.len());
            }
        }
        is_front
    }
}
