//! A promise that was broken.

use std::fmt;

/// What went wrong, and which check found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which check.
    pub check: Check,
    /// What it found.
    pub message: String,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// An acknowledged upload is in the history exactly once.
    ExactlyOnce,
    /// Cursors never go back, and leave nothing out.
    Cursors,
    /// A device never receives its own changes.
    OwnChanges,
    /// What a connection is sent comes from a partition that it was let in to.
    Isolation,
    /// Queues stay inside their bounds.
    Bounds,
    /// What was durable is there after a crash, and stays as it was.
    Durable,
    /// An honest device is told nothing but what has its reason.
    Honest,
    /// Everybody is in step 10 seconds after the last fault was healed.
    InStep,
    /// All devices and the server have the same objects.
    Converged,
    /// A changeset with which something is wrong is refused as a whole.
    Refused,
    /// The history gives the objects and classes, to the byte.
    Projection,
    /// What an application was told is written is there, once.
    Acknowledged,
    /// Nothing panics.
    Panics,
}

impl Violation {
    pub(crate) fn new(check: Check, message: impl Into<String>) -> Self {
        Self { check, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.check, self.message)
    }
}

impl std::error::Error for Violation {}
