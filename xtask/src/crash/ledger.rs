//! What devices have said of their transactions.

use std::collections::{BTreeMap, BTreeSet};

/// All transactions, by partition.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    partitions: BTreeMap<String, Marks>,
    /// What was acknowledged and nobody has looked for.
    fresh: Acknowledged,
}

/// Marks of transactions by partition.
pub(super) type Acknowledged = BTreeMap<String, Vec<i64>>;

/// The transactions of a partition.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Those that are durable on their device.
    pub(super) written: BTreeSet<i64>,
    /// How many of them the server has acknowledged.
    acknowledged: usize,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) written: usize,
    pub(super) acknowledged: usize,
}

impl Ledger {
    /// The application was told that it is written.
    pub(super) fn written(&mut self, partition: &str, mark: i64) {
        self.marks(partition).written.insert(mark);
    }

    /// The server has acknowledged it.
    pub(super) fn acknowledged(&mut self, partition: &str, mark: i64) {
        self.marks(partition).acknowledged += 1;
        self.fresh.entry(partition.to_owned()).or_default().push(mark);
    }

    /// What was acknowledged since somebody asked.
    pub(super) fn take_acknowledged(&mut self) -> Acknowledged {
        std::mem::take(&mut self.fresh)
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = (&String, &Marks)> {
        self.partitions.iter()
    }

    pub(super) fn counts(&self) -> Counts {
        self.partitions.values().fold(Counts::default(), |counts, marks| Counts {
            written: counts.written + marks.written.len(),
            acknowledged: counts.acknowledged + marks.acknowledged,
        })
    }

    fn marks(&mut self, partition: &str) -> &mut Marks {
        self.partitions.entry(partition.to_owned()).or_default()
    }
}
