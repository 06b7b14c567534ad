//! Many footprints, to find those that meet another one without looking at each.

use std::collections::BTreeSet;

use super::footprint::Footprint;

/// The footprints of numbered changesets.
///
/// Takes about 24 bytes for each object that a changeset is about, and looks for what meets a footprint in proportion
/// to that footprint and to what is found, or to the places that are here if those are fewer.
#[derive(Clone, Debug, Default)]
pub struct Footprints {
    /// A place, and a changeset that is about it.
    places: BTreeSet<(u64, u64)>,
    /// Changesets that are about objects which they do not name.
    reaching: BTreeSet<u64>,
}

impl Footprints {
    /// Adds the footprint of a changeset; to that of the same number, if there is one.
    pub fn insert(&mut self, number: u64, footprint: &Footprint) {
        self.places.extend(footprint.places().iter().map(|&place| (place, number)));
        if footprint.reaches_further() && !footprint.is_empty() {
            self.reaching.insert(number);
        }
    }

    /// Forgets changesets.
    pub fn retain(&mut self, is_kept: impl Fn(u64) -> bool) {
        self.places.retain(|&(_, number)| is_kept(number));
        self.reaching.retain(|&number| is_kept(number));
    }

    /// The changesets after a number whose footprints [meet](Footprint::meets) this one, ascending.
    pub fn meeting(&self, footprint: &Footprint, after: u64) -> BTreeSet<u64> {
        if footprint.is_empty() || after == u64::MAX {
            return BTreeSet::new();
        }
        let mut meeting: BTreeSet<u64> = self.reaching.range(after + 1..).copied().collect();
        if footprint.reaches_further() {
            let numbers = self.places.iter().map(|&(_, number)| number);
            meeting.extend(numbers.filter(|&number| number > after));
        } else if self.places.len() < footprint.places().len() {
            let met = self.places.iter().filter(|(place, number)| {
                *number > after && footprint.places().binary_search(place).is_ok()
            });
            meeting.extend(met.map(|&(_, number)| number));
        } else {
            for &place in footprint.places() {
                let met = self.places.range((place, after + 1)..=(place, u64::MAX));
                meeting.extend(met.map(|&(_, number)| number));
            }
        }
        meeting
    }

    /// How many places the changesets are about: one that several are about counts for each of them.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no changeset is about anything.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::tests::text;
    use super::*;

    /// Changesets about a few objects, and now and then about a class.
    fn footprints(count: usize) -> impl Strategy<Value = Vec<Footprint>> {
        let instruction = prop_oneof![
            20 => (0..40_i64).prop_map(|key| format!("create A {key}")),
            4 => Just("addcol A f Int 0 single".to_owned()),
            1 => Just("erasecol A f".to_owned()),
        ];
        let changeset = vec(instruction, 0..4).prop_map(|them| them.join("; "));
        vec(changeset.prop_map(|text| Footprint::of([&text::parse(&text)])), 0..count)
    }

    #[test]
    fn its_length_is_what_the_changesets_are_about() {
        let mut index = Footprints::default();
        assert!(index.is_empty());
        for (number, text) in [(1, "create A 1; create A 2"), (2, "create A 1"), (3, "")] {
            index.insert(number, &Footprint::of([&text::parse(text)]));
        }
        assert_eq!(index.len(), 3);
        assert!(!index.is_empty());
    }

    proptest! {
        #[test]
        fn those_are_found_that_meet(all in footprints(30), sought in footprints(4), cut in 0_u64..40) {
            let mut index = Footprints::default();
            for (number, footprint) in (1..).zip(&all) {
                index.insert(number, footprint);
            }
            for sought in &sought {
                let meeting = |least: u64, most: u64| -> BTreeSet<u64> {
                    let all = (1..).zip(&all).filter(|(_, footprint)| footprint.meets(sought));
                    all.map(|(number, _)| number).filter(|it| (least..=most).contains(it)).collect()
                };
                prop_assert_eq!(index.meeting(sought, 0), meeting(1, u64::MAX));
                prop_assert_eq!(index.meeting(sought, cut), meeting(cut + 1, u64::MAX));
                let mut few = index.clone();
                few.retain(|number| number <= cut);
                prop_assert_eq!(few.meeting(sought, 0), meeting(1, cut));
            }
        }
    }
}
