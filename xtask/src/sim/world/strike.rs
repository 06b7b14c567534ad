//! Faults: whom they strike, and how they end.

use std::time::Duration;

use bailiwick_client::session::Input;
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_storage::disk::Keeps;
use bytes::Bytes;

use super::event::{Event, Visit};
use super::traffic::any_version;
use super::{DAY, Site, World};
use crate::sim::choices::Choices;
use crate::sim::device::realm_key;
use crate::sim::fault::Fault;
use crate::sim::network::Direction;
use crate::sim::partition::Partition;
use crate::sim::rogue::{Gossip, Manner};
use crate::sim::trace::Kind;
use crate::sim::violation::Violation;

/// The longest pause of a rogue, but for what the network takes.
const DELAY: Duration = Duration::from_millis(30);

impl World {
    /// Plans when a fault strikes next: not before there is anybody whom it could strike.
    pub(super) fn plan_strike(&mut self, index: usize) {
        let (_, interval, choices) = &mut self.strikes[index];
        let delay = choices.time_below(*interval * 2);
        let is_running = |site: &Site| site.device.is_running();
        let begin = match self.sites.iter().map(|site| site.off_until).min() {
            Some(first) if !self.sites.iter().any(is_running) => first.max(self.now()),
            _ => self.now(),
        };
        self.agenda.put(begin + delay, Event::Strike(index));
    }

    /// Something goes wrong.
    pub(super) fn strike(&mut self, index: usize) -> Result<(), Violation> {
        self.plan_strike(index);
        let (fault, _, choices) = &mut self.strikes[index];
        let (fault, mut choices) = (*fault, choices.fork());
        let device = choices.below(self.sites.len());
        if self.has_hit(fault, device, &mut choices)? {
            self.note(Kind::Fault, device, &[fault as u8]);
        }
        Ok(())
    }

    /// Lets a fault strike; whether there was something that it could strike.
    fn has_hit(
        &mut self,
        fault: Fault,
        device: usize,
        choices: &mut Choices,
    ) -> Result<bool, Violation> {
        let now = self.now();
        let site = &mut self.sites[device];
        let is_running = site.device.is_running();
        let while_ms = Duration::from_millis(1 + choices.number() % 20_000);
        match fault {
            Fault::Cut => return Ok(self.cut(device, choices)),
            Fault::HalfOpen => return Ok(self.half_open(device, choices)),
            Fault::Stall => {
                let direction =
                    if choices.yes() { Direction::ToServer } else { Direction::ToDevice };
                let link = site.link.and_then(|link| self.links.get_mut(&link));
                let Some(link) = link else { return Ok(false) };
                link.pipe(direction).stall(now + while_ms);
            }
            Fault::Unreachable => {
                site.unreachable_until = now + while_ms * 5;
                self.cut(device, choices);
            }
            Fault::DeviceCrash => site.device.set_power(Some(1 + choices.below(40))),
            Fault::ServerCrash | Fault::Stop | Fault::LogOut if !self.is_server_up => {
                return Ok(false);
            }
            Fault::ServerCrash if choices.yes() => {
                self.server.set_power(Some(1 + choices.below(60)));
            }
            Fault::ServerCrash => {
                self.crash_server(Duration::from_millis(1 + choices.number() % 5000))?;
            }
            Fault::SlowDisk if choices.one_in(3) => {
                self.server.set_sync_latency(Duration::from_millis(1 + choices.number() % 300));
            }
            Fault::SlowDisk => {
                site.sync_latency = Duration::from_millis(1 + choices.number() % 500);
                self.agenda.put_in(while_ms, Event::Mend { device, fault });
            }
            Fault::FullDisk if choices.one_in(3) => {
                self.server.set_room(Some(choices.below(8) * 4096));
                self.agenda.put_in(while_ms, Event::MakeRoom);
            }
            Fault::FullDisk | Fault::Pause | Fault::Sleep if !is_running => return Ok(false),
            Fault::FullDisk => {
                site.device.set_room(Some(choices.below(8) * 4096));
                self.agenda.put_in(while_ms, Event::Mend { device, fault });
            }
            Fault::ClockSkew => {
                let far = i64::try_from(choices.number() % 200_000_000).expect("it is small");
                site.skew_ms = far - 100_000_000;
            }
            Fault::TokenExpiry => return Ok(self.expire(device, choices)),
            Fault::Pause => {
                self.input_each(device, Input::Pause)?;
                self.agenda.put_in(while_ms, Event::Mend { device, fault });
            }
            Fault::Sleep => {
                let time = if choices.one_in(4) { while_ms * 30 } else { while_ms };
                site.is_asleep = true;
                self.agenda.put_in(time, Event::Mend { device, fault });
            }
            Fault::Away => self.leave(device, choices),
            Fault::Rogue => return self.invite(choices),
            Fault::Restore => return self.restore(),
            Fault::LogOut => return self.log_out(device, choices),
            Fault::Stop => {
                self.server.stop(now);
                self.pump()?;
            }
        }
        Ok(true)
    }

    /// A rogue begins a visit.
    fn invite(&mut self, choices: &mut Choices) -> Result<bool, Violation> {
        if !self.is_server_up || !self.server.is_listening() {
            return Ok(false);
        }
        let (rogue, manner) = *choices.pick(&[
            (0, Manner::Wild),
            (1, Manner::Wild),
            (1, Manner::Quiet),
            (1, Manner::Quiet),
        ]);
        let left = match manner {
            Manner::Wild => choices.below(4),
            Manner::Quiet => 4 + choices.below(12),
        };
        self.visit(Visit { rogue, manner, left, choices: choices.fork() })?;
        Ok(true)
    }

    /// Something that went wrong is over.
    pub(super) fn mend(&mut self, device: usize, fault: Fault) -> Result<(), Violation> {
        let site = &mut self.sites[device];
        match fault {
            Fault::SlowDisk => site.sync_latency = Duration::ZERO,
            Fault::FullDisk => {
                site.device.set_room(None);
            }
            Fault::Pause => self.input_each(device, Input::Resume)?,
            Fault::Sleep => self.wake_up(device),
            Fault::LogOut => self.log_in(device)?,
            _ => (),
        }
        Ok(())
    }

    /// A connection breaks; the ends notice after what still arrives.
    pub(super) fn cut(&mut self, device: usize, choices: &mut Choices) -> bool {
        let now = self.now();
        let Some(number) = self.sites[device].link else { return false };
        let Some(link) = self.links.get_mut(&number) else { return false };
        link.cut(now, choices);
        for direction in [Direction::ToServer, Direction::ToDevice] {
            let delay = Duration::from_millis(choices.number() % 100);
            let at = link.pipe(direction).ends_at() + delay;
            self.agenda.put(at, Event::Notice(number, direction));
        }
        true
    }

    /// A connection breaks, and one end at most notices.
    fn half_open(&mut self, device: usize, choices: &mut Choices) -> bool {
        let now = self.now();
        let Some(number) = self.sites[device].link else { return false };
        let Some(link) = self.links.get_mut(&number) else { return false };
        link.cut(now, choices);
        let notices = *choices.pick(&[None, Some(Direction::ToServer), Some(Direction::ToDevice)]);
        if let Some(direction) = notices {
            let at = link.pipe(direction).ends_at();
            self.agenda.put(at, Event::Notice(number, direction));
        }
        true
    }

    /// A device is off for a while.
    fn leave(&mut self, device: usize, choices: &mut Choices) {
        let now = self.now();
        let long = *choices.pick(&[Duration::ZERO, DAY, DAY * 30]);
        let until = now + long + self.plan.pause * 20;
        for other in 0..self.sites.len() {
            // The others are off, too, if it is long: nothing happens while they all wait.
            let off_until = if other == device { until } else { now + long };
            if off_until > now && self.sites[other].off_until < off_until {
                if self.sites[other].device.is_running() {
                    self.end(other, Keeps::Everything);
                }
                self.sites[other].off_until = off_until;
                self.agenda.put(off_until, Event::Start { device: other });
            }
        }
    }

    /// A rogue connects if need be, and sends something.
    pub(super) fn visit(&mut self, mut visit: Visit) -> Result<(), Violation> {
        if self.is_calm || !self.is_server_up || !self.server.is_listening() {
            return Ok(());
        }
        let (number, manner, choices) = (visit.rogue, visit.manner, &mut visit.choices);
        if self.rogues[number].link.is_none() {
            let version = any_version(ProtocolVersion::MIN.number(), choices);
            self.intrude(number, version, choices)?;
        }
        let Some(link) = self.rogues[number].link else { return Ok(()) };
        // One has a partition for itself, in which it may repeat what others write elsewhere.
        let is_apart = number == 0;
        let (path, unknown) = if is_apart {
            ("\"apart\"".to_owned(), "bind")
        } else {
            (Partition(choices.below(self.plan.partitions)).path(), "upload")
        };
        let is_known = |message: &&Bytes| !message.starts_with(unknown.as_bytes());
        let overheard: Vec<Bytes> = self.overheard.iter().filter(is_known).cloned().collect();
        let other = self.watch.any_file(choices);
        let (memory, spares) = (self.plan.style.memory, self.spares());
        let gossip = Gossip { overheard: &overheard, path, other, memory, spares };
        for message in self.rogues[number].messages(manner, &gossip, choices) {
            self.send(link, Direction::ToServer, message);
        }
        if let Some(left) = visit.left.checked_sub(1) {
            // Enough to hear the answer, most of the time.
            let delay = self.plan.weather.latency * 3 + visit.choices.time_below(DELAY);
            self.agenda.put_in(delay, Event::Visit(Visit { left, ..visit }));
        }
        Ok(())
    }

    /// The process of a device goes on where it was.
    pub(super) fn wake_up(&mut self, device: usize) {
        let site = &mut self.sites[device];
        site.is_asleep = false;
        for event in std::mem::take(&mut site.deferred) {
            self.agenda.put(self.agenda.now(), event);
        }
    }

    pub(super) fn input_each(
        &mut self,
        device: usize,
        input: fn(bailiwick_client::session::RealmKey) -> Input,
    ) -> Result<(), Violation> {
        let count = self.sites[device].device.folders.len();
        (0..count).try_for_each(|index| self.input(device, input(realm_key(index))))
    }
}
