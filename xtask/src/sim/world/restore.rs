//! A server that is restored from a backup, and what may be lost by that.

use std::time::Duration;

use bailiwick_client::session::ResetMode;

use super::{Backup, Wait, World};
use crate::sim::fault::Fault;
use crate::sim::network::Direction;
use crate::sim::tally::Met;
use crate::sim::violation::{Check, Violation};

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
        for index in 0..self.marks.len() {
            self.loosen(index, &ledgers);
        }
        self.watch.restore(*ledgers);
        self.waits.values_mut().for_each(|wait| *wait = Wait::Anything);
        Ok(true)
    }

    /// What a device was told that the server has may be lost, if the copy does not have it.
    fn loosen(&mut self, index: usize, ledgers: &crate::sim::watch::Ledgers) {
        let mark = &mut self.marks[index];
        let (device, realm, version) = mark.place;
        mark.place.2 = None;
        let site = &self.sites[device];
        let device = &site.device;
        let Some(version) = version else {
            mark.is_acknowledged = false; // It was reset before, and has another version now.
            return;
        };
        let folder = &device.folders[realm];
        let file = device.snapshot(realm).and_then(|it| it.state().client_file);
        let ledger = ledgers.get(&mark.partition.value());
        let is_kept = ledger.zip(file).is_some_and(|(ledger, (file, _))| ledger.has(file, version));
        let may_be_told = folder.progress.upload.client_version >= version
            || device.has_request(realm)
            || site.is_asleep
            || !device.is_running();
        if may_be_told && !is_kept {
            mark.is_acknowledged = false;
        }
    }

    /// A realm of a device is about to be reset, and the process may end before it is told so: what was written has
    /// other versions then, and may be dropped.
    pub(super) fn reset(&mut self, device: usize, index: usize) {
        let drops = self.plan.reset_mode == ResetMode::DiscardLocal;
        for mark in &mut self.marks {
            if (mark.place.0, mark.place.1) == (device, index) {
                mark.place.2 = None;
                mark.is_acknowledged &= !drops;
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
