//! The application's part in a client reset.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use crate::local::Snapshot;
use crate::read::View;

/// What an application wants to do around a client reset of one of its realms.
///
/// Both functions run on the thread that makes the reset, which waits for them.
pub trait ResetObserver: Send + Sync {
    /// The realm is about to get the server's state. A panic here is the end of the reset: nothing has happened.
    fn before(&self, before: &View);

    /// The realm has got the server's state, and with `recovered` the changes that the server had not acknowledged
    /// on top of it. `before` is the very last state before that. A panic here is reported and changes nothing.
    fn after(&self, before: &View, after: &View, recovered: bool);
}

/// Whom to tell, if anybody.
#[derive(Default)]
pub(crate) struct Observation(OnceLock<Arc<dyn ResetObserver>>);

impl Observation {
    /// Sets whom to tell; whoever comes first stays.
    pub(crate) fn set(&self, observer: Arc<dyn ResetObserver>) {
        let _ = self.0.set(observer);
    }

    /// Tells of the beginning; whether the observer got through it.
    pub(crate) fn before(&self, before: &Snapshot) -> bool {
        self.tell(|observer| observer.before(&View::new(before.clone())))
    }

    /// Tells of the end.
    pub(crate) fn after(&self, before: &Snapshot, after: &Snapshot, recovered: bool) {
        self.tell(|observer| {
            observer.after(&View::new(before.clone()), &View::new(after.clone()), recovered);
        });
    }

    fn tell(&self, what: impl FnOnce(&dyn ResetObserver)) -> bool {
        let Some(observer) = self.0.get() else { return true };
        // The snapshots are only read, and whatever the observer has of its own is its own to repair.
        let done = catch_unwind(AssertUnwindSafe(|| what(&**observer)));
        if done.is_err() {
            tracing::error!("the application's observer of client resets has panicked");
        }
        done.is_ok()
    }
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observation").field(&self.0.get().is_some()).finish()
    }
}
