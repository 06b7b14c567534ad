//! What changesets mean: merge, apply and history as pure functions.

pub mod apply;
mod encoding;
pub mod history;
pub mod merge;
pub mod schema;
pub mod state;

pub use encoding::EncodingError;
