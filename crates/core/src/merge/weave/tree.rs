//! The elements of a list in their order, in a balanced tree that counts them.
//!
//! A treap: a search tree by place, a heap by random priorities, so that its depth is logarithmic whatever the
//! sender does. Trees are split and joined; a tree is the number of its root, [`NONE`] if it is empty.

use std::ops::{AddAssign, Range};

use crate::merge::driver::number;

/// No node, no op, or no time: greater than all of them.
pub(super) const NONE: u32 = u32::MAX;

/// All trees of a weave.
#[derive(Debug)]
pub(super) struct Forest {
    nodes: Vec<Node>,
    /// The state of the generator of priorities.
    random: u64,
}

/// One element, or a run of elements that nothing has told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    left: u32,
    right: u32,
    priority: u32,
    /// How many elements it stands for.
    pub(super) len: u32,
    /// How long the incoming side has the element: from this time on; 0 if it was there before.
    pub(super) born: u32,
    /// And up to this time; [`NONE`] if it stays.
    pub(super) dies: u32,
    /// The first and last incoming op that is about the element and leaves it there.
    pub(super) ops: [u32; 2],
    /// Incoming ops up to this time have seen a local one change the list in front of the element.
    touched: u32,
    /// The same for all nodes below, which have not been told.
    touched_below: u32,
    sums: Sums,
}

/// What is in a tree, or in a part of it from its front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) nodes: u32,
    /// The elements that the incoming side starts from.
    pub(super) before: u32,
    /// The elements that it leaves.
    pub(super) after: u32,
    /// The elements that it has at all times.
    pub(super) lasting: u32,
    /// The nodes whose elements it erases.
    pub(super) dying: u32,
    /// When the first of its own was born; [`NONE`] if it has none here.
    pub(super) earliest: u32,
    /// When the last element dies; [`NONE`] if one does not.
    last_death: u32,
}

/// A number that grows from node to node.
pub(super) type Measure = fn(&Sums) -> u32;

pub(super) const BEFORE: Measure = |sums| sums.before;
pub(super) const AFTER: Measure = |sums| sums.after;
pub(super) const LASTING: Measure = |sums| sums.lasting;
pub(super) const NODES: Measure = |sums| sums.nodes;

impl Forest {
    /// An empty forest; `seed` must not be known to senders.
    pub(super) fn new(seed: u64) -> Self {
        Self { nodes: Vec::new(), random: seed }
    }

    /// A tree of one node: `len` elements that the incoming side has during `life`.
    pub(super) fn plant(&mut self, len: u32, life: Range<u32>) -> u32 {
        // splitmix64: no pattern of positions can be aimed at the priorities of a secret seed.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [.., a, b, c, d] = (mixed ^ (mixed >> 31)).to_le_bytes();
        let node = number(self.nodes.len());
        self.nodes.push(Node {
            left: NONE,
            right: NONE,
            priority: u32::from_le_bytes([a, b, c, d]),
            len,
            born: life.start,
            dies: life.end,
            ops: [NONE; 2],
            touched: 0,
            touched_below: 0,
            sums: Sums::EMPTY,
        });
        self.sum(node);
        node
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    /// Notes an op about the element of a node; the last that was noted before, to link them.
    pub(super) fn note_op(&mut self, node: u32, op: u32) -> u32 {
        let [first, last] = &mut self.nodes[node as usize].ops;
        if *first == NONE {
            *first = op;
        }
        std::mem::replace(last, op)
    }

    /// Ends the life of the element of a tree of one node.
    pub(super) fn bury(&mut self, node: u32, dies: u32) {
        self.nodes[node as usize].dies = dies;
        self.sum(node);
    }

    /// Tells all nodes of a tree that incoming ops up to `time` have seen a change in front of them.
    pub(super) fn touch(&mut self, tree: u32, time: u32) {
        if let Some(node) = self.nodes.get_mut(tree as usize) {
            node.touched = node.touched.max(time);
            node.touched_below = node.touched_below.max(time);
        }
    }

    pub(super) fn sums(&self, tree: u32) -> Sums {
        self.nodes.get(tree as usize).map_or(Sums::EMPTY, |node| node.sums)
    }

    /// Puts one tree behind another.
    pub(super) fn join(&mut self, front: u32, back: u32) -> u32 {
        if front == NONE {
            return back;
        }
        if back == NONE {
            return front;
        }
        let (root, is_front) = if self.node(front).priority >= self.node(back).priority {
            (front, true)
        } else {
            (back, false)
        };
        self.push_down(root);
        let Node { left, right, .. } = *self.node(root);
        if is_front {
            self.nodes[root as usize].right = self.join(right, back);
        } else {
            self.nodes[root as usize].left = self.join(front, left);
        }
        self.sum(root);
        root
    }

    /// Puts trees behind one another.
    pub(super) fn join_all<const N: usize>(&mut self, trees: [u32; N]) -> u32 {
        trees.into_iter().fold(NONE, |front, back| self.join(front, back))
    }

    /// Splits a tree in front of the element with the number `at`, counted by `measure`; elements that it does not
    /// count go to the back.
    pub(super) fn split(&mut self, tree: u32, measure: Measure, at: u32) -> (u32, u32) {
        let (front, back) =
            self.split_nodes(tree, &|in_front, _| measure(in_front) < at, Sums::EMPTY);
        let excess = measure(&self.sums(front)).saturating_sub(at);
        if excess == 0 {
            return (front, back);
        }
        // A run of elements reaches beyond.
        let all_but_it = self.sums(front).nodes - 1;
        let (front, run) = self.split(front, NODES, all_but_it);
        let rest = self.cut(run, excess);
        let front = self.join(front, run);
        (front, self.join(rest, back))
    }

    /// Splits off the nodes at the front of a tree that `measure` does not count.
    pub(super) fn split_uncounted(&mut self, tree: u32, measure: Measure) -> (u32, u32) {
        self.split_nodes(tree, &|_, up_to_it| measure(up_to_it) == 0, Sums::EMPTY)
    }

    /// Splits a tree behind the last element that was born up to `time`.
    pub(super) fn split_behind_last_born(&mut self, tree: u32, time: u32) -> (u32, u32) {
        let mut count = 0;
        let mut at = tree;
        while self.sums(at).earliest <= time {
            let Node { left, right, born, .. } = *self.node(at);
            if self.sums(right).earliest <= time {
                count += self.sums(left).nodes + 1;
                at = right;
            } else if (1..=time).contains(&born) {
                count += self.sums(left).nodes + 1;
                break;
            } else {
                at = left;
            }
        }
        self.split(tree, NODES, count)
    }

    /// Splits a tree in front of the first element that was born up to `time`.
    pub(super) fn split_before_first_born(&mut self, tree: u32, time: u32) -> (u32, u32) {
        let mut count = 0;
        let mut at = tree;
        while at != NONE {
            let Node { left, right, born, .. } = *self.node(at);
            if self.sums(left).earliest <= time {
                at = left;
                continue;
            }
            count += self.sums(left).nodes;
            if (1..=time).contains(&born) {
                break;
            }
            count += 1;
            at = right;
        }
        self.split(tree, NODES, count)
    }

    /// The node of an element that the incoming side starts from; how far into the node's run it is, and what is
    /// in front of the node.
    pub(super) fn find(&self, tree: u32, element: u32) -> (u32, u32, Sums) {
        let mut in_front = Sums::EMPTY;
        let mut at = tree;
        loop {
            let node = self.node(at);
            let left = self.sums(node.left);
            if in_front.before + left.before > element {
                at = node.left;
                continue;
            }
            in_front += left;
            let own = node.own_sums();
            if in_front.before + own.before > element {
                return (at, element - in_front.before, in_front);
            }
            in_front += own;
            at = node.right;
        }
    }

    /// The last node that lives on after `time`, or that is born only then.
    pub(super) fn last_survivor(&self, tree: u32, time: u32) -> Option<&Node> {
        if self.sums(tree).last_death <= time {
            return None;
        }
        let mut node = self.node(tree);
        loop {
            if self.sums(node.right).last_death > time {
                node = self.node(node.right);
            } else if node.dies > time {
                return Some(node);
            } else {
                node = self.node(node.left);
            }
        }
    }

    /// The last node of a tree, if it has one.
    pub(super) fn last(&self, tree: u32) -> Option<&Node> {
        let mut last = self.nodes.get(tree as usize)?;
        while let Some(next) = self.nodes.get(last.right as usize) {
            last = next;
        }
        Some(last)
    }

    /// The first node of a tree, if it has one.
    pub(super) fn first(&self, tree: u32) -> Option<&Node> {
        let mut first = self.nodes.get(tree as usize)?;
        while let Some(next) = self.nodes.get(first.left as usize) {
            first = next;
        }
        Some(first)
    }

    /// Takes a tree apart: its nodes in their order, each now a tree of its own.
    pub(super) fn fell(&mut self, tree: u32) -> Vec<u32> {
        let mut felled = Vec::with_capacity(self.sums(tree).nodes as usize);
        let mut waiting = Vec::new();
        let mut at = tree;
        loop {
            while at != NONE {
                self.push_down(at);
                waiting.push(at);
                at = self.node(at).left;
            }
            let Some(node) = waiting.pop() else { return felled };
            felled.push(node);
            at = self.node(node).right;
            self.nodes[node as usize].left = NONE;
            self.nodes[node as usize].right = NONE;
            self.sum(node);
        }
    }

    /// Shortens the run of a tree of one node by its last `count` elements, which become a tree of their own.
    fn cut(&mut self, run: u32, count: u32) -> u32 {
        let Node { len, born, dies, touched, .. } = *self.node(run);
        let rest = self.plant(count, born..dies);
        self.nodes[rest as usize].touched = touched;
        self.nodes[run as usize].len = len - count;
        self.sum(run);
        rest
    }

    /// Splits a tree behind the last node that belongs to the front; `stays` is told what is before a node, and
    /// what is up to it, and once it is false it stays so.
    fn split_nodes(
        &mut self,
        tree: u32,
        stays: &impl Fn(&Sums, &Sums) -> bool,
        in_front: Sums,
    ) -> (u32, u32) {
        if tree == NONE {
            return (NONE, NONE);
        }
        self.push_down(tree);
        let Node { left, right, .. } = *self.node(tree);
        let mut before_it = in_front;
        before_it += self.sums(left);
        let mut up_to_it = before_it;
        up_to_it += self.node(tree).own_sums();
        if stays(&before_it, &up_to_it) {
            let (front, back) = self.split_nodes(right, stays, up_to_it);
            self.nodes[tree as usize].right = front;
            self.sum(tree);
            (tree, back)
        } else {
            let (front, back) = self.split_nodes(left, stays, in_front);
            self.nodes[tree as usize].left = back;
            self.sum(tree);
            (front, tree)
        }
    }

    fn sum(&mut self, node: u32) {
        let Node { left, right, .. } = *self.node(node);
        let mut sums = self.sums(left);
        sums += self.node(node).own_sums();
        sums += self.sums(right);
        self.nodes[node as usize].sums = sums;
    }

    fn push_down(&mut self, node: u32) {
        let Node { left, right, touched_below, .. } = *self.node(node);
        if touched_below > 0 {
            self.touch(left, touched_below);
            self.touch(right, touched_below);
            self.nodes[node as usize].touched_below = 0;
        }
    }
}

impl Node {
    /// Whether the incoming side has the element at all times.
    pub(super) fn is_lasting(&self) -> bool {
        self.born == 0 && self.dies == NONE
    }

    /// Whether an incoming op at `time` has seen a local one change the list in front of the element.
    ///
    /// Only for a node of a felled tree.
    pub(super) fn is_touched(&self, time: u32) -> bool {
        time < self.touched
    }

    fn own_sums(&self) -> Sums {
        let Self { len, born, dies, .. } = *self;
        Sums {
            nodes: 1,
            before: if born == 0 { len } else { 0 },
            after: if dies == NONE { len } else { 0 },
            lasting: if self.is_lasting() { len } else { 0 },
            dying: u32::from(dies != NONE),
            earliest: if born == 0 { NONE } else { born },
            last_death: dies,
        }
    }
}

impl Sums {
    pub(super) const EMPTY: Self =
        Self { nodes: 0, before: 0, after: 0, lasting: 0, dying: 0, earliest: NONE, last_death: 0 };

    /// Whether the incoming side inserts or erases something here.
    pub(super) fn is_changed(&self) -> bool {
        self.dying > 0 || self.earliest != NONE
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.before += other.before;
        self.after += other.after;
        self.lasting += other.lasting;
        self.dying += other.dying;
        self.earliest = self.earliest.min(other.earliest);
        self.last_death = self.last_death.max(other.last_death);
    }
}
