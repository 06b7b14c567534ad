//! A server that is restored from a backup, and what may be lost by that.

use std::time::Duration;

use bailiwick_client::session::ResetMode;

use super::{Backup, Fate, Place, Wait, World};
use crate::sim::fault::Fault;
use crate::sim::network::Direction;
use crate::sim::tally::Met;
use crate::sim::violation::{Check, Violation};
use crate::sim::watch::Ledgers;

impl World {
    /// Copies the server's store, if it may be restored later.
    pub(super) fn back_up(&mut self) {
        if self.plan.has(Fault::Restore)
            && let Backup::None = self.backup
        {
            self.server.back_up();
            self.backup = Backup::Made(Box::new(self.watch.ledgers().clone()));
        }
    }

    /// The server goes back to the copy, if there is one.
    pub(super) fn restore(&mut self) -> Result<bool, Violation> {
        if !matches!(self.backup, Backup::Made(_)) || !self.is_server_up {
            return Ok(false);
        }
        let Backup::Made(ledgers) = std::mem::replace(&mut self.backup, Backup::Restored) else {
            return Ok(false);
        };
        // What has not arrived yet never does.
        for number in self.links.keys().copied().collect::<Vec<_>>() {
            if let Some(link) = self.links.get_mut(&number) {
                link.cut(self.agenda.now(), &mut self.choices);
            }
            self.notice(number, Direction::ToServer)?;
            self.notice(number, Direction::ToDevice)?;
        }
        self.crash_server(Duration::from_millis(100))?;
        self.server.restore(self.agenda.now())?;
        self.forget_logins();
        self.loosen(&ledgers);
        self.watch.restore(*ledgers);
        self.waits.values_mut().for_each(|wait| *wait = Wait::Anything);
        Ok(true)
    }

    /// What a device was told that the server has may be lost, if the copy does not have it.
    fn loosen(&mut self, ledgers: &Ledgers) {
        for (device, site) in self.sites.iter().enumerate() {
            for (realm, folder) in site.device.folders.iter().enumerate() {
                let state = site.device.state(realm);
                let ledger = ledgers.get(&folder.partition.value());
                // What the device is about to take from a DOWNLOAD that has come says how far the server was, too.
                let may_be_told = site.device.has_request(realm) || !site.deferred.is_empty();
                let place = Place { device, realm };
                for transaction in self.transactions.iter_mut().filter(|it| it.place == place) {
                    let Some(version) = transaction.version else { continue };
                    let is_kept = ledger
                        .zip(state.client_file)
                        .is_some_and(|(ledger, (file, _))| ledger.has(file, version));
                    let is_told = state.progress.upload.client_version >= version;
                    if is_kept {
                        transaction.fate = Fate::Kept;
                    } else if is_told || may_be_told {
                        transaction.fate = Fate::MayBeLost;
                    }
                }
            }
        }
    }

    /// A realm of a device is about to be reset, and the process may end before it is told so: what the server does not
    /// have is dropped if resets are to do that.
    pub(super) fn reset(&mut self, device: usize, realm: usize) {
        if self.plan.reset_mode != ResetMode::DiscardLocal {
            return;
        }
        let place = Place { device, realm };
        for transaction in self.transactions.iter_mut().filter(|it| it.place == place) {
            if transaction.fate == Fate::Done {
                transaction.fate = Fate::MayBeLost;
            }
        }
    }

    /// A realm of a device was reset.
    pub(super) fn reset_done(
        &mut self,
        device: usize,
        index: usize,
        recovered: bool,
    ) -> Result<(), Violation> {
        let drops = self.plan.reset_mode == ResetMode::DiscardLocal;
        if recovered == drops {
            let message = format!("a reset of device {device} ends with recovered: {recovered}");
            return Err(Violation::new(Check::Acknowledged, message));
        }
        self.tally.meet(if recovered { Met::ResetRecovered } else { Met::ResetDiscarded });
        for ((waiting, _), wait) in &mut self.waits {
            if let Wait::Upload { index: of, .. } | Wait::Download { index: of, .. } = wait
                && (*waiting, *of) == (device, index)
            {
                *wait = Wait::Anything;
            }
        }
        Ok(())
    }
}
