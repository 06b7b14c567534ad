//! A list that can be changed anywhere at little cost, and copied at less.
//!
//! Elements stand in shared chunks: a change copies at most the chunk it touches, so that a copy can be
//! kept for undoing without copying a long list.

use std::sync::Arc;

/// Long enough to keep the number of chunks small, short enough that copying one is nothing.
const CHUNK_LEN: usize = 512;

/// A list in chunks. No chunk is empty.
#[derive(Clone, Debug)]
pub struct Sequence<T> {
    chunks: Vec<Arc<Vec<T>>>,
}

impl<T: Clone> Sequence<T> {
    /// Inserts so that the element ends at `index`.
    ///
    /// # Panics
    ///
    /// If `index` is greater than the length.
    pub fn insert(&mut self, index: usize, element: T) {
        let (mut at, mut within) = self.locate(index);
        if at == self.chunks.len() {
            assert!(within == 0, "the position is in the sequence or after its end");
            match self.chunks.last() {
                Some(last) if last.len() < CHUNK_LEN => (at, within) = (at - 1, last.len()),
                _ => self.chunks.push(Arc::default()),
            }
        } else if self.chunks[at].len() >= CHUNK_LEN {
            let tail = Arc::make_mut(&mut self.chunks[at]).split_off(CHUNK_LEN / 2);
            self.chunks.insert(at + 1, Arc::new(tail));
            if within > CHUNK_LEN / 2 {
                (at, within) = (at + 1, within - CHUNK_LEN / 2);
            }
        }
        Arc::make_mut(&mut self.chunks[at]).insert(within, element);
    }

    /// Removes the element at `index`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn remove(&mut self, index: usize) -> T {
        let (at, within) = self.locate(index);
        let chunk = Arc::make_mut(&mut self.chunks[at]);
        let element = chunk.remove(within);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
        element
    }

    /// The element at `index`, to change it.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        let (at, within) = self.locate(index);
        Arc::make_mut(self.chunks.get_mut(at)?).get_mut(within)
    }

    /// All elements in order, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flat_map(|chunk| Arc::make_mut(chunk).iter_mut())
    }
}

impl<T> Sequence<T> {
    /// The number of elements. Takes time in proportion to the number of chunks.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len()).sum()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<&T> {
        let (at, within) = self.locate(index);
        self.chunks.get(at)?.get(within)
    }

    /// All elements, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The position of the first element that is not `before`, in a sequence where those that are come first.
    pub fn partition_point(&self, mut before: impl FnMut(&T) -> bool) -> usize {
        let full = self.chunks.partition_point(|chunk| chunk.last().is_some_and(&mut before));
        let start: usize = self.chunks[..full].iter().map(|chunk| chunk.len()).sum();
        start + self.chunks.get(full).map_or(0, |chunk| chunk.partition_point(before))
    }

    /// The chunk that holds `index`, and the position in it; for the end, the chunk that does not exist.
    fn locate(&self, index: usize) -> (usize, usize) {
        let mut within = index;
        for (at, chunk) in self.chunks.iter().enumerate() {
            if within < chunk.len() {
                return (at, within);
            }
            within -= chunk.len();
        }
        (self.chunks.len(), within)
    }
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T: PartialEq> PartialEq for Sequence<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<T> FromIterator<T> for Sequence<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        let mut elements = elements.into_iter();
        let mut chunks = Vec::new();
        loop {
            let chunk: Vec<T> = elements.by_ref().take(CHUNK_LEN).collect();
            if chunk.is_empty() {
                return Self { chunks };
            }
            chunks.push(Arc::new(chunk));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_grows_at_both_ends_and_in_the_middle() {
        for position in [|_| 0, |len| len, |len| len / 2] {
            let (mut sequence, mut model) = (Sequence::default(), Vec::new());
            for i in 0..3 * CHUNK_LEN {
                sequence.insert(position(i), i);
                model.insert(position(i), i);
            }
            assert!(sequence.iter().eq(&model));
        }
    }

    proptest! {
        /// Whatever is done to it, it is as a `Vec`, and an earlier copy does not change.
        #[test]
        fn it_is_a_vec(
            len in 0..2 * CHUNK_LEN,
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..200),
        ) {
            let mut model: Vec<usize> = (0..len).collect();
            let mut sequence: Sequence<usize> = model.iter().copied().collect();
            let before = sequence.clone();
            for (i, (insert, index)) in steps.into_iter().enumerate() {
                if insert {
                    let index = index.index(model.len() + 1);
                    model.insert(index, i);
                    sequence.insert(index, i);
                } else if !model.is_empty() {
                    let index = index.index(model.len());
                    prop_assert_eq!(model.remove(index), sequence.remove(index));
                }
                prop_assert_eq!(model.len(), sequence.len());
            }
            prop_assert!(sequence.iter().eq(&model));
            prop_assert_eq!(sequence.get(model.len()), None);
            prop_assert!(before.iter().copied().eq(0..len));
        }

        #[test]
        fn the_partition_point_is_that_of_a_vec(len in 0..3 * CHUNK_LEN, bound in 0..4 * CHUNK_LEN) {
            let sequence: Sequence<usize> = (0..len).collect();
            prop_assert_eq!(sequence.partition_point(|&e| e < bound), bound.min(len));
        }
    }
}
