//! A reset that drops local changes.

use bailiwick_core::apply::Changes;

use super::ResetFailure;
use super::takeover::Target;
use crate::local::{Batch, Snapshot};

/// The batch that makes the main file what the fresh copy is, without what the server has not acknowledged.
///
/// Only objects that differ are written. Reads both files once; takes memory for the differences.
///
/// # Errors
///
/// See [`ResetFailure`].
pub fn discard_local(main: &Snapshot, fresh: &Snapshot) -> Result<Batch, ResetFailure> {
    Target { fresh, recovered: Changes::default(), history: Vec::new() }.replace(main)
}
