//! The partitions of the simulated app.

use bailiwick_core::partition::{PartitionKey, PartitionType, PartitionValue};

/// One of the partitions that devices have, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Partition(pub(crate) usize);

/// What the app's partitions are named by.
pub(crate) const PARTITION_KEY: PartitionKey =
    PartitionKey { partition_type: PartitionType::String, required: true };

impl Partition {
    /// What a device binds.
    pub(crate) fn path(self) -> String {
        self.value().to_json()
    }

    pub(crate) fn value(self) -> PartitionValue {
        PartitionValue::String(format!("p{}", self.0).into())
    }
}
