//! The elements of a list, as far as one knows them, in an order that can be changed anywhere at little cost.

/// One element of which the replay knows, by number.
pub(super) type Known = u32;

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// So many elements of which nothing is known.
    Unknown(usize),
    /// One element of which the replay knows.
    Known(Known),
    /// One element that only the device had.
    Missing,
}

/// A list as runs, in chunks: every operation takes time in proportion to the number of chunks and the length of one.
#[derive(Debug)]
pub(super) struct Runs {
    chunks: Vec<Chunk>,
    /// The chunk of each known element, by the chunk's name.
    homes: Vec<u32>,
    /// The name that the next chunk gets.
    next_name: u32,
}

#[derive(Debug, Default)]
struct Chunk {
    name: u32,
    runs: Vec<Run>,
    /// The number of elements.
    len: usize,
    /// How many of them are missing.
    missing: usize,
}

/// Where an element is: in which chunk, in which of its runs, and how far within that.
#[derive(Clone, Copy)]
struct Position {
    chunk: usize,
    run: usize,
    within: usize,
}

/// The most runs in a chunk.
const CHUNK_LEN: usize = 512;

impl Run {
    fn len(self) -> usize {
        match self {
            Self::Unknown(len) => len,
            Self::Known(_) | Self::Missing => 1,
        }
    }
}

impl Runs {
    /// A list of which nothing is known.
    pub(super) fn unknown(len: usize) -> Self {
        let mut runs = Self { chunks: vec![Chunk::default()], homes: Vec::new(), next_name: 1 };
        if len > 0 {
            runs.put(Position { chunk: 0, run: 0, within: 0 }, Run::Unknown(len));
        }
        runs
    }

    /// Inserts an element before the one at `index`, or at the end.
    pub(super) fn insert(&mut self, index: usize, run: Run) {
        let Position { chunk, run: at, within } = self.locate(index);
        if within > 0
            && let Some(Run::Unknown(len)) = self.chunks[chunk].runs.get(at).copied()
        {
            self.chunks[chunk].runs[at] = Run::Unknown(within);
            self.chunks[chunk].runs.insert(at + 1, Run::Unknown(len - within));
            self.put(Position { chunk, run: at + 1, within: 0 }, run);
        } else {
            self.put(Position { chunk, run: at, within: 0 }, run);
        }
    }

    /// Removes the element at `index`, if there is one.
    pub(super) fn remove(&mut self, index: usize) -> Option<Run> {
        let Position { chunk: at, run: in_chunk, .. } = self.locate(index);
        let chunk = &mut self.chunks[at];
        let run = chunk.runs.get_mut(in_chunk)?;
        chunk.len -= 1;
        let removed = match run {
            Run::Unknown(len) if *len > 1 => {
                *len -= 1;
                return Some(Run::Unknown(1));
            }
            _ => chunk.runs.remove(in_chunk),
        };
        chunk.missing -= usize::from(removed == Run::Missing);
        if chunk.runs.is_empty() && self.chunks.len() > 1 {
            self.chunks.remove(at);
        }
        Some(removed)
    }

    /// What is at `index`.
    pub(super) fn get(&self, index: usize) -> Option<Run> {
        let Position { chunk, run, .. } = self.locate(index);
        self.chunks[chunk].runs.get(run).copied()
    }

    /// The position of a known element.
    pub(super) fn position(&self, known: Known) -> Option<usize> {
        let home = *self.homes.get(known as usize)?;
        let at = self.chunks.iter().position(|chunk| chunk.name == home)?;
        let runs = &self.chunks[at].runs;
        let run = runs.iter().position(|run| *run == Run::Known(known))?;
        let before: usize = self.chunks[..at].iter().map(|chunk| chunk.len).sum();
        Some(before + runs[..run].iter().map(|run| run.len()).sum::<usize>())
    }

    /// How many elements before `index` are missing.
    pub(super) fn missing_before(&self, index: usize) -> usize {
        let Position { chunk, run, .. } = self.locate(index);
        let before: usize = self.chunks[..chunk].iter().map(|chunk| chunk.missing).sum();
        let runs = &self.chunks[chunk].runs[..run];
        before + runs.iter().filter(|run| **run == Run::Missing).count()
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len).sum()
    }

    /// The place of the element at `index`, or that after the last one.
    fn locate(&self, index: usize) -> Position {
        let mut rest = index;
        let last = self.chunks.len() - 1;
        for (at, chunk) in self.chunks.iter().enumerate() {
            if rest < chunk.len || at == last {
                let mut run = 0;
                while let Some(len) = chunk.runs.get(run).map(|run| run.len())
                    && rest >= len
                {
                    rest -= len;
                    run += 1;
                }
                let within = if run < chunk.runs.len() { rest } else { 0 };
                return Position { chunk: at, run, within };
            }
            rest -= chunk.len;
        }
        unreachable!("there is a last chunk")
    }

    /// Puts a run in front of another.
    fn put(&mut self, at: Position, run: Run) {
        let chunk = &mut self.chunks[at.chunk];
        chunk.runs.insert(at.run, run);
        chunk.len += run.len();
        chunk.missing += usize::from(run == Run::Missing);
        if let Run::Known(known) = run {
            let known = known as usize;
            if self.homes.len() <= known {
                self.homes.resize(known + 1, 0);
            }
            self.homes[known] = chunk.name;
        }
        if chunk.runs.len() > CHUNK_LEN {
            self.halve(at.chunk);
        }
    }

    fn halve(&mut self, at: usize) {
        let runs = self.chunks[at].runs.split_off(CHUNK_LEN / 2);
        let name = self.next_name;
        self.next_name += 1;
        for run in &runs {
            if let Run::Known(known) = run {
                self.homes[*known as usize] = name;
            }
        }
        let len = runs.iter().map(|run| run.len()).sum();
        let missing = runs.iter().filter(|run| **run == Run::Missing).count();
        self.chunks[at].len -= len;
        self.chunks[at].missing -= missing;
        self.chunks.insert(at + 1, Chunk { name, runs, len, missing });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_lies_between_unknown_elements_is_found() {
        let mut runs = Runs::unknown(10);
        runs.insert(4, Run::Known(0));
        runs.insert(5, Run::Missing);
        assert_eq!(runs.get(3), Some(Run::Unknown(4)));
        assert_eq!(runs.get(4), Some(Run::Known(0)));
        assert_eq!(runs.get(6), Some(Run::Unknown(6)));
        assert_eq!(runs.get(12), None);
        assert_eq!([4, 5, 6, 12].map(|index| runs.missing_before(index)), [0, 0, 1, 1]);
        assert_eq!(runs.remove(0), Some(Run::Unknown(1)));
        assert_eq!(runs.position(0), Some(3));
        assert_eq!(runs.remove(11), None);
    }

    proptest! {
        /// Whatever is done to them, they are as a `Vec` of elements.
        #[test]
        fn they_are_a_vec(
            len in 0..20_usize,
            steps in prop::collection::vec((0..4_u8, any::<prop::sample::Index>()), 0..2000),
        ) {
            let mut runs = Runs::unknown(len);
            let mut model = vec![Run::Unknown(1); len];
            for (number, (step, index)) in (0..).zip(steps) {
                let run = match step {
                    0 | 2 => Run::Known(number),
                    1 => Run::Missing,
                    _ => {
                        let index = index.index(model.len() + 1);
                        let expected = (index < model.len()).then(|| model.remove(index));
                        prop_assert_eq!(runs.remove(index), expected);
                        continue;
                    }
                };
                let index = index.index(model.len() + 1);
                model.insert(index, run);
                runs.insert(index, run);
            }
            prop_assert_eq!(runs.len(), model.len());
            let mut missing = 0;
            for (index, run) in model.iter().enumerate() {
                prop_assert_eq!(runs.missing_before(index), missing);
                missing += usize::from(*run == Run::Missing);
                match (run, runs.get(index)) {
                    (Run::Unknown(_), Some(Run::Unknown(_))) => (),
                    (run, found) => prop_assert_eq!(Some(*run), found),
                }
                if let Run::Known(known) = run {
                    prop_assert_eq!(runs.position(*known), Some(index));
                }
            }
        }
    }
}
