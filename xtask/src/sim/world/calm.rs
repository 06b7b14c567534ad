//! Everything is healed; then all have to come in step, and to have the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bailiwick_client::history::pending;
use bailiwick_client::session::Input;
use bailiwick_core::partition::PartitionValue;
use bailiwick_core::state::State;

use super::event::Event;
use super::{Fate, Transaction, World};
use crate::sim::agenda::Time;
use crate::sim::app::{Mark, contents, marks};
use crate::sim::network::{Direction, Peer};
use crate::sim::partition::Partition;
use crate::sim::plan::Healing;
use crate::sim::rogue::unsound;
use crate::sim::trace::Kind;
use crate::sim::violation::{Check, Violation};
use crate::stored_realm::first_difference;

/// How long it may take until everybody is in step once everybody knows that nothing is broken any more.
const IN_STEP: Duration = Duration::from_secs(10);

impl World {
    /// Heals everything, lets all come in step, compares, and lets things go on.
    pub(super) fn calm_down(&mut self) -> Result<(), Violation> {
        self.is_calm = true;
        // All of them are planned anew when that is over.
        self.agenda.retain(|event| !matches!(event, Event::App { .. } | Event::Strike(_)));
        let mut until = self.heal()?;
        let mut is_ending = !self.server.is_working();
        while !self.is_in_step() || !self.is_server_up || !self.server.is_working() {
            if self.is_disturbed && self.is_server_up {
                // The process that was about to end has ended: that was the last fault.
                if !std::mem::take(&mut is_ending) {
                    let message = "the server's process ends though nothing is broken any more";
                    return Err(Violation::new(Check::InStep, message));
                }
                until = self.heal()?;
            }
            if self.agenda.next_at().is_none_or(|at| at > until) {
                return Err(self.out_of_step());
            }
            self.step()?;
        }
        self.compare()?;
        self.back_up();
        self.is_calm = false;
        for device in 0..self.sites.len() {
            self.plan_app(device);
        }
        for index in 0..self.strikes.len() {
            self.plan_strike(index);
        }
        Ok(())
    }

    /// Nothing is broken any more. Returns when all have to be in step.
    fn heal(&mut self) -> Result<Time, Violation> {
        let now = self.now();
        self.note(Kind::Healed, 0, &[]);
        // Disks that were slow have yet to flush what was written meanwhile.
        let disks = self.sites.iter().map(|site| site.flushed_at).chain([self.server.flushed_at()]);
        let healed_at = disks.fold(now, Time::max);
        self.start_server()?;
        self.is_disturbed = false;
        self.server.set_power(None);
        self.server.set_sync_latency(Duration::ZERO);
        self.server.set_room(None);
        // What is broken is noticed now, if only by the server, and nothing is held up any more.
        let mut unaware = BTreeSet::new();
        for number in self.links.keys().copied().collect::<Vec<_>>() {
            let link = self.links.get_mut(&number).expect("nobody has removed it");
            // A network that is back may have forgotten connections that lay idle.
            let is_forgotten = self.plan.healing == Healing::Silent && self.choices.one_in(4);
            if link.is_calm(now) && !is_forgotten {
                continue;
            }
            link.cut(now, &mut self.choices);
            let peer = link.peer;
            self.notice(number, Direction::ToServer)?;
            if let Peer::Device(device) = peer {
                self.wake_up(device);
                let site = &self.sites[device];
                let is_in_use = site.link == Some(number) && site.is_proven;
                if self.plan.healing == Healing::Silent && is_in_use {
                    unaware.insert(device);
                    continue;
                }
            }
            self.notice(number, Direction::ToDevice)?;
        }
        for device in 0..self.sites.len() {
            let site = &mut self.sites[device];
            site.unreachable_until = Time::ZERO;
            site.off_until = Time::ZERO;
            site.sync_latency = Duration::ZERO;
            site.flushed_at = Time::ZERO;
            site.device.set_power(None);
            site.device.set_room(None);
            self.wake_up(device);
            if self.is_forgotten(device) {
                continue;
            }
            self.start(device)?;
            self.log_in(device)?;
            self.input_each(device, Input::Resume)?;
            if !unaware.contains(&device) {
                // As operating systems tell when there is a network again.
                self.input(device, Input::Reconnect)?;
            }
        }
        let silence = if unaware.is_empty() { Duration::ZERO } else { self.silence() };
        Ok(healed_at + silence + IN_STEP)
    }

    /// After how long a device finds out that nothing comes back on its connection: it sends a PING after the one time
    /// at the latest, and gives up after the other.
    fn silence(&self) -> Duration {
        self.plan.limits.ping_period + self.plan.limits.pong_timeout
    }

    fn is_in_step(&mut self) -> bool {
        let heads: Vec<_> = (0..self.plan.partitions)
            .map(|partition| self.watch.ledger(&Partition(partition).value()).salted_head())
            .collect();
        // Apps wait for nothing new meanwhile.
        self.waits.is_empty()
            && self.sites.iter().all(|site| {
                site.device.folders.iter().enumerate().all(|(index, folder)| {
                    let Some(status) = site.device.status(index) else { return false };
                    let progress = status.state.progress;
                    let head = heads[folder.partition.0];
                    (progress.download.server_version, progress.latest) == (head.version, head)
                        && progress.upload.client_version >= status.last_uploadable
                        && !status.reset_pending
                        && site.device.is_uploaded(index)
                })
            })
    }

    fn out_of_step(&mut self) -> Violation {
        let heads: Vec<_> = (0..self.plan.partitions)
            .map(|partition| self.watch.ledger(&Partition(partition).value()).head())
            .collect();
        let mut behind = Vec::new();
        for (number, site) in self.sites.iter().enumerate() {
            for (index, folder) in site.device.folders.iter().enumerate() {
                let head = heads[folder.partition.0];
                let status = site.device.status(index);
                let state = status.map(|status| (status.state.progress, status.last_uploadable));
                let name = folder.partition.0;
                behind.push(format!("device {number}, partition {name} of {head}: {state:?}"));
            }
        }
        for ((device, _), wait) in &self.waits {
            behind.push(format!("device {device} has not been answered: {wait:?}"));
        }
        let behind = behind.join("\n  ");
        let message = format!("not all are in step in time after the last fault:\n  {behind}");
        Violation::new(Check::InStep, message)
    }

    /// All have the same, and what was promised, in each partition that anybody has.
    fn compare(&mut self) -> Result<(), Violation> {
        let partitions: Vec<_> = self.watch.ledgers().keys().cloned().collect();
        for partition in partitions {
            let stored = self.tampered_realm(self.server.stored(&partition));
            self.watch.ledger(&partition).check_stored(&stored)?;
            if let Some(key) = unsound(&stored.objects) {
                let message = format!("a rogue has made an object with the key {key}");
                return Err(Violation::new(Check::Refused, message));
            }
            self.compare_devices(&partition, &stored.objects)?;
        }
        Ok(())
    }

    /// All devices of a partition have what the server has.
    fn compare_devices(
        &self,
        partition: &PartitionValue,
        objects: &State,
    ) -> Result<(), Violation> {
        let text = objects.to_string();
        for (number, site) in self.sites.iter().enumerate() {
            for (index, folder) in site.device.folders.iter().enumerate() {
                if folder.partition.value() != *partition {
                    continue;
                }
                let snapshot = site.device.snapshot(index).expect("it is running");
                let found = self.tampered_contents(contents(&snapshot).to_string());
                if let Some(differs) = first_difference(&text, &found) {
                    let message = format!(
                        "device {number} differs from the server in {partition:?}: {differs}"
                    );
                    return Err(Violation::new(Check::Converged, message));
                }
                if let Ok(Some(version)) = pending(&snapshot) {
                    let message = format!("device {number} has not uploaded {version}");
                    return Err(Violation::new(Check::InStep, message));
                }
            }
        }
        let found = self.tampered_marks(marks(objects));
        let is_here = |it: &&Transaction| it.partition.value() == *partition;
        self.transactions.iter().filter(is_here).try_for_each(|it| self.check_fate(it, &found))
    }

    /// A transaction is there once, and not lost if the app was told that it is done.
    fn check_fate(
        &self,
        transaction: &Transaction,
        found: &BTreeMap<i64, Mark>,
    ) -> Result<(), Violation> {
        let times = found.get(&transaction.mark).map_or(0, |found| found.times);
        if times == 1 || times == 0 && transaction.fate == Fate::MayBeLost {
            return Ok(());
        }
        let mode = self.plan.reset_mode;
        let message = format!("{transaction:?} is there {times} times; resets are to {mode:?}");
        Err(Violation::new(Check::Acknowledged, message))
    }
}
