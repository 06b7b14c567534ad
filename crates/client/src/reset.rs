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
//!
//! An application chooses a [`ResetMode`](crate::session::ResetMode), and may look at the realm before and after:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use bailiwick_client::{Query, Realm, ResetMode, ResetObserver, Schema, User, View, object};
//!
//! object! {
//!     struct Item { #[primary_key] _id: i64, name: String }
//! }
//!
//! struct Report;
//!
//! impl ResetObserver for Report {
//!     fn before(&self, _: &View) {}
//!
//!     fn after(&self, before: &View, after: &View, recovered: bool) {
//!         let count = |view: &View| view.count(&Query::<Item>::new()).unwrap_or_default();
//!         println!("{} items are {} now, recovered: {recovered}", count(before), count(after));
//!     }
//! }
//!
//! # async fn example(user: &User) -> Result<(), Box<dyn std::error::Error>> {
//! let realm = user.realm("Store 42", Schema::new().with::<Item>()).reset_mode(ResetMode::Recover);
//! let realm: Realm = realm.observe_resets(Arc::new(Report)).open().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A reset that is not made, or not to be made in mode manual, is [`SyncError::ClientReset`]. Then the realm can still
//! be read, to save what is worth it; [`Realm::give_up`] lets it begin anew when it is opened the next time.
//!
//! [`SyncError::ClientReset`]: crate::session::SyncError::ClientReset
//! [`Realm::give_up`]: crate::realm::Realm::give_up

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
pub(crate) use guard::is_given_up;
pub use guard::{ResetDemand, end, fail, guard, is_fresh_copy_of, mark_fresh_copy};
pub use manual::{give_up, recovery_path};
pub(crate) use observer::Observation;
pub use observer::ResetObserver;
pub use recover::recover;
