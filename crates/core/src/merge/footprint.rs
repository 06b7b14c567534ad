//! Which changesets a merge can leave out, without looking at them again.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use bailiwick_protocol::changeset::{Changeset, Instruction, ObjectKey};

use super::index::is_eraser;

/// What a changeset is about: enough to know of most changesets that nothing in them can conflict with it.
///
/// A merge of two changesets whose footprints do not [meet](Self::meets) changes neither of them. So in a merge of many,
/// those of one side that meet nothing of the other can be left out. Takes 8 bytes for each object; a copy shares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Hashes of the objects, and of classes whose declaration it is about, ascending. Equal ones of different objects
    /// cost time and nothing else, so that there is nothing to be gained by choosing names that have them.
    places: Arc<[u64]>,
    /// It erases a class or a column, which is about objects that it does not name.
    reaches_further: bool,
}

impl Footprint {
    /// The footprint of some changesets together.
    pub fn of<'a>(changesets: impl IntoIterator<Item = &'a Changeset>) -> Self {
        let (mut places, mut reaches_further) = (Vec::new(), false);
        for changeset in changesets {
            for instruction in &changeset.instructions {
                places.push(place(changeset, instruction));
                reaches_further |= is_eraser(instruction.kind());
            }
        }
        places.sort_unstable();
        places.dedup();
        Self { places: places.into(), reaches_further }
    }

    /// Whether something in the one can conflict with something in the other. Looks for what the smaller one is about
    /// in the larger one.
    pub fn meets(&self, other: &Self) -> bool {
        let is_empty = self.places.is_empty() || other.places.is_empty();
        if self.reaches_further || other.reaches_further {
            return !is_empty;
        }
        let (few, many) = if self.places.len() < other.places.len() {
            (&self.places, &other.places)
        } else {
            (&other.places, &self.places)
        };
        few.iter().any(|place| many.binary_search(place).is_ok())
    }

    /// How many bytes it takes.
    pub fn len(&self) -> usize {
        size_of_val(&*self.places)
    }

    /// Whether it is that of changesets without instructions.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn places(&self) -> &[u64] {
        &self.places
    }

    pub(super) fn reaches_further(&self) -> bool {
        self.reaches_further
    }
}

fn place(changeset: &Changeset, instruction: &Instruction) -> u64 {
    let mut hasher = DefaultHasher::new();
    changeset.text(instruction.table()).hash(&mut hasher);
    match instruction.object() {
        Some(ObjectKey::String(symbol)) => changeset.text(symbol).hash(&mut hasher),
        Some(key) => key.hash(&mut hasher),
        None => (),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::tests::text;
    use super::*;

    fn meets(ours: &str, theirs: &str) -> bool {
        let [ours, theirs] = [ours, theirs].map(|text| Footprint::of([&text::parse(text)]));
        assert_eq!(ours.meets(&theirs), theirs.meets(&ours));
        ours.meets(&theirs)
    }

    #[test]
    fn what_is_about_the_same_object_or_class_meets() {
        assert!(meets("update A/1/i int:1", "create A 1"));
        assert!(meets("update A/1/i int:1; create B 2", "create C 3; erase B 2"));
        assert!(meets("update A/\"x/i int:1", "erase A \"x"));
        assert!(meets("addtable A _id Int 0 0", "addcol A f Int 0 single"));
    }

    #[test]
    fn what_is_about_other_objects_does_not() {
        assert!(!meets("update A/1/i int:1", "update A/2/i int:1"));
        assert!(!meets("update A/1/i int:1", "update B/1/i int:1"));
        assert!(!meets("update A/\"x/i int:1", "update A/\"y/i int:1"));
        assert!(!meets("create A 1", "addtable A _id Int 0 0"));
        assert!(!meets("", "create A 1"));
    }

    #[test]
    fn it_takes_eight_bytes_for_each_object() {
        let len = |text| Footprint::of([&text::parse(text)]).len();
        assert_eq!(len("create A 1; update A/1/i int:1; create A 2; create B 1"), 24);
        assert_eq!(len(""), 0);
        assert!(Footprint::of([&text::parse("")]).is_empty());
        assert!(!Footprint::of([&text::parse("erasetable A")]).is_empty());
    }

    #[test]
    fn an_erased_class_or_column_meets_everything_but_nothing() {
        assert!(meets("erasetable A", "create B 1"));
        assert!(meets("erasecol A f", "create B 1"));
        assert!(!meets("erasetable A", ""));
    }
}
