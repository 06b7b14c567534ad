//! How the positions in a list on the device became positions in the fresh copy.
//!
//! Spec: client, section 7.5.

use super::runs::{Known, Run, Runs};

/// More elements than any list has.
const ENDLESS: usize = usize::MAX >> 8;

/// One list, as the device had it and as the fresh copy has it.
#[derive(Debug)]
pub(super) struct Tracker {
    /// The device's. What it held before the replay is unknown, down to its length.
    local: Runs,
    /// The fresh copy's.
    fresh: Runs,
    next: Known,
}

/// What the replay knows of an element of the device's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// The replay has inserted it.
    Known {
        /// Its number.
        known: Known,
        /// Its position in the fresh copy.
        index: u32,
    },
    /// The replay has left it out, since what it links to is gone.
    Missing,
    /// Nothing, so neither its position.
    Unknown,
}

impl Element {
    /// The position in the fresh copy.
    pub(super) fn fresh(self) -> Option<u32> {
        match self {
            Self::Known { index, .. } => Some(index),
            Self::Missing | Self::Unknown => None,
        }
    }
}

impl Tracker {
    /// A list of which the replay knows nothing, but its length in the fresh copy.
    pub(super) fn new(len: usize) -> Self {
        Self { local: Runs::unknown(ENDLESS), fresh: Runs::unknown(len), next: 0 }
    }

    /// The list is empty, on both sides.
    pub(super) fn clear(&mut self) {
        *self = Self { local: Runs::unknown(0), fresh: Runs::unknown(0), next: 0 };
    }

    /// The length of the list in the fresh copy.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.fresh.len()).unwrap_or(u32::MAX)
    }

    /// What is known of the element at this position on the device.
    pub(super) fn get(&self, index: u32) -> Element {
        match self.local.get(index as usize) {
            Some(Run::Known(known)) => self.known(known),
            Some(Run::Missing) => Element::Missing,
            Some(Run::Unknown(_)) | None => Element::Unknown,
        }
    }

    /// The number of the element at this position in the fresh copy, if the replay has inserted it.
    pub(super) fn known_at(&self, index: u32) -> Option<Known> {
        match self.fresh.get(index as usize) {
            Some(Run::Known(known)) => Some(known),
            _ => None,
        }
    }

    /// An element was inserted on the device: its position in the fresh copy, where it is inserted as well.
    pub(super) fn insert(&mut self, index: u32) -> u32 {
        let local = index as usize;
        let fresh = (local - self.local.missing_before(local)).min(self.fresh.len());
        let known = Run::Known(self.next);
        self.next += 1;
        self.local.insert(local, known);
        self.fresh.insert(fresh, known);
        u32::try_from(fresh).unwrap_or(u32::MAX)
    }

    /// An element was inserted on the device that the fresh copy does not get.
    pub(super) fn insert_missing(&mut self, index: u32) {
        self.local.insert(index as usize, Run::Missing);
    }

    /// An element was removed on the device. If it is known it leaves the fresh copy, too.
    pub(super) fn erase(&mut self, index: u32) -> Element {
        let element = self.get(index);
        match element {
            Element::Known { index: fresh, .. } => {
                self.local.remove(index as usize);
                self.fresh.remove(fresh as usize);
            }
            Element::Missing => {
                self.local.remove(index as usize);
            }
            Element::Unknown => (),
        }
        element
    }

    /// An element was moved on the device: between which positions it moves in the fresh copy, if both are known.
    pub(super) fn move_element(&mut self, from: u32, to: u32) -> Move {
        match (self.get(from), self.get(to)) {
            (Element::Known { index: fresh_from, .. }, Element::Known { index: fresh_to, .. }) => {
                shift(&mut self.local, from, to);
                shift(&mut self.fresh, fresh_from, fresh_to);
                Move::Known { from: fresh_from, to: fresh_to }
            }
            (Element::Missing, Element::Known { .. } | Element::Missing) => {
                shift(&mut self.local, from, to);
                Move::Missing
            }
            _ => Move::Unknown,
        }
    }

    /// An element has left the fresh copy that the device still has, or had never.
    pub(super) fn lose(&mut self, index: u32) {
        if let Some(Run::Known(known)) = self.fresh.remove(index as usize)
            && let Some(local) = self.local.position(known)
        {
            self.local.remove(local);
            self.local.insert(local, Run::Missing);
        }
    }

    fn known(&self, known: Known) -> Element {
        match self.fresh.position(known).and_then(|index| u32::try_from(index).ok()) {
            Some(index) => Element::Known { known, index },
            None => Element::Unknown,
        }
    }
}

/// What becomes of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The same, between these positions.
    Known {
        /// From where.
        from: u32,
        /// To where.
        to: u32,
    },
    /// Nothing: the fresh copy does not have the element.
    Missing,
    /// The positions are not known.
    Unknown,
}

fn shift(runs: &mut Runs, from: u32, to: u32) {
    if let Some(run) = runs.remove(from as usize) {
        runs.insert(to as usize, run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(element: Element) -> u32 {
        match element {
            Element::Known { index, .. } => index,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_was_inserted_is_known() {
        let mut tracker = Tracker::new(2);
        assert_eq!(tracker.insert(5), 2);
        assert_eq!(tracker.insert(0), 0);
        assert_eq!(tracker.len(), 4);
        assert_eq!(known(tracker.get(0)), 0);
        assert_eq!(known(tracker.get(6)), 3);
        assert_eq!(tracker.get(5), Element::Unknown);
        assert_eq!(tracker.erase(1), Element::Unknown);
        assert_eq!(known(tracker.erase(6)), 3);
        assert_eq!(tracker.len(), 3);
    }

    #[test]
    fn after_a_clear_everything_is_known() {
        let mut tracker = Tracker::new(7);
        tracker.clear();
        assert_eq!([tracker.insert(0), tracker.insert(1), tracker.insert(0)], [0, 1, 0]);
        assert_eq!(tracker.move_element(0, 2), Move::Known { from: 0, to: 2 });
        assert_eq!([0, 1, 2].map(|index| known(tracker.get(index))), [0, 1, 2]);
        assert_eq!(tracker.get(3), Element::Unknown);
    }

    #[test]
    fn what_was_left_out_shifts_what_follows() {
        let mut tracker = Tracker::new(0);
        tracker.clear();
        assert_eq!(tracker.insert(0), 0);
        tracker.insert_missing(1);
        assert_eq!(tracker.insert(2), 1);
        assert_eq!(tracker.insert(2), 1);
        assert_eq!(known(tracker.get(3)), 2);
        assert_eq!(tracker.move_element(1, 3), Move::Missing);
        assert_eq!(tracker.get(3), Element::Missing);
        assert_eq!(known(tracker.get(1)), 1);
        assert_eq!(tracker.move_element(0, 3), Move::Unknown);
        assert_eq!(tracker.erase(3), Element::Missing);
        assert_eq!(tracker.len(), 3);
    }

    #[test]
    fn an_element_that_left_the_fresh_copy_is_missing() {
        let mut tracker = Tracker::new(2);
        assert_eq!(tracker.insert(1), 1);
        tracker.lose(0);
        assert_eq!(known(tracker.get(1)), 0);
        tracker.lose(0);
        assert_eq!(tracker.get(1), Element::Missing);
        assert_eq!(tracker.len(), 1);
    }
}
