//! Who waits for uploads and downloads of a realm.

use super::super::handle::Waiter;
use crate::session::{SyncError, WaitKey};

/// Those who wait for one of the two.
///
/// The machine is asked for one at a time: who comes later waits for the next. So it does not matter how many ask and
/// give up while there is no network.
#[derive(Debug, Default)]
pub(super) struct Waits {
    asked: Option<(WaitKey, Vec<Waiter>)>,
    next: Vec<Waiter>,
}

impl Waits {
    pub(super) fn push(&mut self, waiter: Waiter) {
        self.next.retain(|waiter| !waiter.is_closed());
        self.next.push(waiter);
    }

    /// What to ask the machine now, if anything, under a key that `new_key` makes.
    pub(super) fn ask(&mut self, new_key: impl FnOnce() -> WaitKey) -> Option<WaitKey> {
        if self.asked.is_some() || self.next.is_empty() {
            return None;
        }
        let key = new_key();
        self.asked = Some((key, std::mem::take(&mut self.next)));
        Some(key)
    }

    /// Whether it is these who waited.
    pub(super) fn answer(&mut self, key: WaitKey, result: &Result<(), SyncError>) -> bool {
        let Some((_, waiters)) = self.asked.take_if(|(asked, _)| *asked == key) else {
            return false;
        };
        for waiter in waiters {
            // Some have given up.
            let _ = waiter.send(result.clone());
        }
        true
    }
}
