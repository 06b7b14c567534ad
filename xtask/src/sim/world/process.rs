//! The processes of devices: what they ask of the world, and what their apps do.

use std::time::Duration;

use bailiwick_client::session::{FileRole, Input, StorageAnswer, SyncError, WaitKey};
use bailiwick_client::write::WriteTransaction;
use bailiwick_storage::disk::Keeps;

use super::event::Event;
use super::{Fate, Place, Transaction, Wait, World};
use crate::sim::agenda::Time;
use crate::sim::app::{Author, VERSIONS};
use crate::sim::device::{Effect, Folder, Stop, Stored, Written, realm_key};
use crate::sim::fault::Fault;
use crate::sim::network::Direction;
use crate::sim::tally::Met;
use crate::sim::trace::Kind;
use crate::sim::violation::{Check, Violation};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// When the world begins, in milliseconds since 2015.
const EPOCH_MS: u64 = 300_000_000_000;

impl World {
    /// Hands something to a device's machine.
    pub(super) fn input(&mut self, device: usize, input: Input) -> Result<(), Violation> {
        let mut effects = Vec::new();
        self.sites[device].device.input(self.agenda.now(), input, &mut effects)?;
        self.perform(device, effects)
    }

    pub(super) fn start(&mut self, device: usize) -> Result<(), Violation> {
        let now = self.now();
        let site = &mut self.sites[device];
        if site.device.is_running() {
            return Ok(());
        }
        if site.off_until > now {
            self.agenda.put(site.off_until, Event::Start { device });
            return Ok(());
        }
        site.set_clock(now);
        if site.device.is_full() {
            self.tally.meet(Met::DeviceStartWithoutRoom);
        }
        let (mut effects, seed, apps) = (Vec::new(), self.choices.number(), &self.apps);
        let schema = |folder: &Folder| apps[folder.partition.0].schema(folder.schema_version);
        let started = site.device.start(now, seed, schema, &mut effects);
        if let Err(stop) = started {
            return self.stop(device, stop);
        }
        if now.saturating_sub(site.off_since) >= WEEK * 2 {
            self.tally.meet(Met::WeeksAway);
        }
        self.tamper_disks(device);
        self.plan_app(device);
        self.perform(device, effects)?;
        // An app that has never been started asks its user first.
        if self.sites[device].login.is_none() { self.log_in(device) } else { Ok(()) }
    }

    /// The process of a device ends by itself, and another one begins.
    pub(super) fn stop(&mut self, device: usize, stop: Stop) -> Result<(), Violation> {
        let delay = Duration::from_millis(1 + self.choices.number() % 3000);
        let keeps = match stop {
            Stop::Violation(violation) => return Err(violation),
            Stop::Full => {
                self.tally.meet(Met::DeviceWithoutRoom);
                Keeps::Everything
            }
            Stop::Power => match self.choices.below(4) {
                0 => Keeps::Nothing,
                1 => Keeps::Everything,
                _ => Keeps::Some(self.choices.number()),
            },
        };
        self.end(device, keeps);
        self.agenda.put_in(delay, Event::Start { device });
        Ok(())
    }

    /// The process of a device ends.
    pub(super) fn end(&mut self, device: usize, keeps: Keeps) {
        self.note(Kind::Died, device, &[]);
        self.waits.retain(|(waiting, _), _| *waiting != device);
        self.hang_up(device);
        let site = &mut self.sites[device];
        site.device.end(keeps);
        site.off_since = self.agenda.now();
        site.flushed_at = site.off_since;
        site.is_asleep = false;
        site.deferred.clear();
    }

    fn perform(&mut self, device: usize, effects: Vec<Effect>) -> Result<(), Violation> {
        let run = self.sites[device].device.run();
        let latency = self.plan.weather.latency;
        for effect in effects {
            match effect {
                Effect::Connect => {
                    self.sites[device].attempt += 1;
                    let attempt = self.sites[device].attempt;
                    self.agenda.put_in(latency * 3, Event::Connected { device, run, attempt });
                }
                Effect::Disconnect => self.hang_up(device),
                Effect::Send(message) => {
                    if let Some(link) = self.sites[device].link {
                        self.send(link, Direction::ToServer, message);
                    }
                }
                Effect::ResumeReading => {
                    if let Some(link) = self.sites[device].link {
                        let event = Event::Arrive(link, Direction::ToDevice);
                        self.agenda.put(self.agenda.now(), event);
                    }
                }
                Effect::Store(index, role) => {
                    let delay = Duration::from_micros(20 + self.choices.number() % 500);
                    let at = self.now().max(self.sites[device].flushed_at) + delay;
                    self.agenda.put(at, Event::Store { device, run, index, role });
                }
                Effect::RefreshToken => {
                    self.agenda.put_in(latency * 3, Event::Token { device, run });
                }
                Effect::WakeAt(Some(at)) => self.agenda.put(at, Event::Wake { device, run, at }),
                // There is one server; it is where it was.
                Effect::WakeAt(None) | Effect::RefreshLocation => (),
                Effect::ResetDone(index, recovered) => self.reset_done(device, index, recovered)?,
                Effect::LoggedOut if self.may_be_logged_out(device) => {
                    let delay = Duration::from_millis(1 + self.choices.number() % 10_000);
                    self.agenda.put_in(delay, Event::Mend { device, fault: Fault::LogOut });
                }
                Effect::LoggedOut => {
                    let message = format!("device {device} is logged out for no reason");
                    return Err(Violation::new(Check::Honest, message));
                }
                Effect::WaitDone(key, result) => self.wait_done(device, key, result)?,
            }
        }
        Ok(())
    }

    pub(super) fn wake(&mut self, device: usize, at: Time) -> Result<(), Violation> {
        if self.sites[device].device.wake_at() != Some(at) || self.is_timer_lost(device) {
            return Ok(());
        }
        self.note(Kind::Wake, device, &[]);
        let link = self.sites[device].link.and_then(|link| self.links.get(&link));
        let is_broken = link.is_some_and(|link| !link.is_whole());
        self.input(device, Input::Timeout)?;
        if is_broken && self.sites[device].link.is_none() {
            let met = if self.is_calm { Met::SilenceNoticed } else { Met::PongMissed };
            self.tally.meet(met);
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        device: usize,
        index: usize,
        role: FileRole,
    ) -> Result<(), Violation> {
        if self.sites[device].device.is_resetting(index, role) {
            self.reset(device, index);
        }
        self.tamper_cursors(device, index);
        match self.sites[device].device.store(index, role) {
            Ok(None) => Ok(()),
            Ok(Some(Stored { answer, sync_count })) => {
                let latency = self.sites[device].sync_latency;
                if latency.is_zero() || sync_count == 0 {
                    return self.stored(device, index, role, answer);
                }
                let run = self.sites[device].device.run();
                let delay = latency * u32::try_from(sync_count).unwrap_or(u32::MAX);
                let answer = Box::new(answer);
                self.agenda.put_in(delay, Event::Stored { device, run, index, role, answer });
                Ok(())
            }
            Err(stop) => self.stop(device, stop),
        }
    }

    pub(super) fn stored(
        &mut self,
        device: usize,
        index: usize,
        role: FileRole,
        answer: StorageAnswer,
    ) -> Result<(), Violation> {
        self.note(Kind::Store, device, &[]);
        let mut effects = Vec::new();
        let site = &mut self.sites[device];
        site.device.stored(self.agenda.now(), index, role, answer, &mut effects)?;
        self.perform(device, effects)
    }

    /// Plans what the app of a device does next. Nothing is planned while the device is off, so that time can pass.
    pub(super) fn plan_app(&mut self, device: usize) {
        if !self.is_calm {
            // Apps are busy, and then nobody touches them for long.
            let most = self.plan.pause * if self.app_choices.one_in(8) { 60 } else { 2 };
            let delay = self.app_choices.time_below(most);
            let run = self.sites[device].device.run();
            self.agenda.put_in(delay, Event::App { device, run });
        }
    }

    /// The app of a device does something.
    pub(super) fn app(&mut self, device: usize) -> Result<(), Violation> {
        if self.is_calm {
            return Ok(()); // It is planned again when that is over.
        }
        let flushed_at = self.sites[device].flushed_at;
        if flushed_at > self.now() {
            // It waits for its disk.
            let run = self.sites[device].device.run();
            self.agenda.put(flushed_at, Event::App { device, run });
            return Ok(());
        }
        self.plan_app(device);
        let site = &self.sites[device];
        let index = self.app_choices.below(site.device.folders.len());
        match self.app_choices.below(40) {
            0 if !self.plan.has(Fault::Restore) => self.upgrade(device, index),
            1..=4 => self.wait(device, index),
            _ => self.write(device, index),
        }
    }

    /// A later version of the app is installed.
    fn upgrade(&mut self, device: usize, index: usize) -> Result<(), Violation> {
        let folder = &mut self.sites[device].device.folders[index];
        if folder.schema_version + 1 == VERSIONS {
            return Ok(());
        }
        folder.schema_version += 1;
        self.end(device, Keeps::Everything);
        self.start(device)
    }

    fn write(&mut self, device: usize, index: usize) -> Result<(), Violation> {
        let now = self.now();
        let site = &mut self.sites[device];
        site.set_clock(now);
        let folder = &site.device.folders[index];
        let (partition, version) = (folder.partition, folder.schema_version);
        let mark = i64::try_from(self.transactions.len()).expect("they are few");
        let device_number = u32::try_from(device).expect("they are few");
        let author = Author { device: device_number, mark, version };
        let (mut effects, mut choices) = (Vec::new(), self.app_choices.fork());
        let app = &self.apps[partition.0];
        let edit = |tx: &mut WriteTransaction<'_>| app.write(tx, author, &mut choices);
        let written = site.device.write(now, index, edit, &mut effects);
        let version = written.as_ref().ok().and_then(|done| done.as_ref().map(|it| it.version));
        let place = Place { device, realm: index };
        let fate = if version.is_some() { Fate::Done } else { Fate::MayBeLost };
        self.transactions.push(Transaction { partition, mark, place, version, fate });
        match written {
            Ok(Some(Written { made: written, sync_count, .. })) => {
                self.edits += written.edits as u64;
                let site = &mut self.sites[device];
                let duration = site.sync_latency * u32::try_from(sync_count).unwrap_or(u32::MAX);
                site.flushed_at = site.flushed_at.max(now) + duration;
                if !duration.is_zero() {
                    self.tally.meet(Met::SlowWrite);
                }
                self.note(Kind::Write, device, &[]);
                self.perform(device, effects)
            }
            Ok(None) => Ok(()),
            Err(stop) => self.stop(device, stop),
        }
    }

    /// The app waits for uploads, or for what the server has.
    fn wait(&mut self, device: usize, index: usize) -> Result<(), Violation> {
        let partition = self.sites[device].device.folders[index].partition;
        let (wait, input): (_, fn(_, _) -> _) = if self.app_choices.yes() {
            (Wait::Upload { index, until: self.transactions.len() }, Input::WaitForUpload)
        } else {
            let head = self.watch.ledger(&partition.value()).head();
            (Wait::Download { index, head }, Input::WaitForDownload)
        };
        let site = &mut self.sites[device];
        site.next_wait += 1;
        let key = WaitKey(site.next_wait);
        self.waits.insert((device, key), wait);
        self.input(device, input(realm_key(index), key))
    }

    fn wait_done(
        &mut self,
        device: usize,
        key: WaitKey,
        result: Result<(), SyncError>,
    ) -> Result<(), Violation> {
        if self.is_kept_waiting(device, key) {
            return Ok(());
        }
        let Some(wait) = self.waits.remove(&(device, key)) else {
            let message = format!("{key:?} is answered twice");
            return Err(Violation::new(Check::Honest, message));
        };
        match (wait, result) {
            (_, Err(SyncError::LoggedOut(_))) if self.may_be_logged_out(device) => Ok(()),
            (_, Err(error)) => {
                let message = format!("{wait:?} of device {device} ends with {error}");
                Err(Violation::new(Check::Honest, message))
            }
            (Wait::Anything, Ok(())) => Ok(()),
            (Wait::Upload { index, until }, Ok(())) => self.check_uploaded(device, index, until),
            (Wait::Download { index, head }, Ok(())) => {
                let status = self.sites[device].device.status(index);
                let found = status.map(|status| status.state.progress.download.server_version);
                if found.is_some_and(|found| found >= head) {
                    return Ok(());
                }
                let message = format!("device {device} has waited for {head}, and has {found:?}");
                Err(Violation::new(Check::Acknowledged, message))
            }
        }
    }
}

impl World {
    /// What the app of a device wrote in one of its realms before a transaction is in the history.
    fn check_uploaded(
        &mut self,
        device: usize,
        index: usize,
        until: usize,
    ) -> Result<(), Violation> {
        let site = &self.sites[device].device;
        let partition = site.folders[index].partition.value();
        let file = site.status(index).and_then(|status| status.state.client_file);
        let Some((file, _)) = file else { return Ok(()) };
        let ledger = self.watch.ledger(&partition);
        let place = Place { device, realm: index };
        for transaction in &self.transactions[..until] {
            if transaction.place == place
                && transaction.fate == Fate::Done
                && let Some(version) = transaction.version
                && !ledger.has(file, version)
            {
                let message = format!("device {device} has waited for {version}, which is not up");
                return Err(Violation::new(Check::Acknowledged, message));
            }
        }
        Ok(())
    }
}

impl super::Site {
    fn set_clock(&self, now: Time) {
        let now_ms = EPOCH_MS + u64::try_from(now.as_millis()).expect("worlds do not last so long");
        self.device.set_clock(now_ms.saturating_add_signed(self.skew_ms));
    }
}
