//! What changesets mean: merge, apply and history as pure functions.

pub mod history;
pub mod merge;
