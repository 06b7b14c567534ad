//! What becomes of a file when the server does not know it any more.
//!
//! The server's state is downloaded into a fresh copy, beside the main file. Then the main file is made equal to it,
//! local changes that the server has not acknowledged are made again on top of it or dropped, and the client
//! file of the copy becomes that of the main file: all in one [`Batch`](crate::local::Batch).
//!
//! | step | what is durable then | a crash after it |
//! |---|---|---|
//! | [`guard`] | a record with stage `Started` | the reset is begun again, three times at most |
//! | [`recover()`] or [`discard_local`] | the new state, and the record with stage `Applied` | the fresh copy is removed at the next start |
//! | the fresh copy is removed | | |
//! | [`end`] | there is no record | |
//!
//! All are functions of [`Snapshot`](crate::local::Snapshot)s. Spec: client, section 7.

mod discard;
mod error;
mod guard;
mod manual;
mod observer;
mod recover;
mod same;
mod takeover;
#[cfg(test)]
mod tests;
mod translate;

pub use discard::discard_local;
pub use error::{ResetFailure, ResetRefused};
pub use guard::{ResetDemand, end, fail, guard, is_fresh_copy_of, mark_fresh_copy};
pub use manual::{give_up, recovery_path};
pub(crate) use observer::Observation;
pub use observer::ResetObserver;
pub use recover::recover;
