//! Messages and connections: from a machine into the network, and out of it into the other machine.

use std::time::Duration;

use bailiwick_client::session::{ConnectError, Disconnect, Input};
use bailiwick_core::history::Entry;
use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::changeset::{Changeset, Instruction};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use super::World;
use super::event::Event;
use crate::sim::agenda::Time;
use crate::sim::choices::Choices;
use crate::sim::network::{Direction, Link, Peer};
use crate::sim::partition::Partition;
use crate::sim::server::{Output, Server};
use crate::sim::tally::Met;
use crate::sim::trace::Kind;
use crate::sim::violation::{Check, Violation};
use crate::sim::watch::{Circumstances, FileLog, Honesty, Listener};

impl World {
    /// An attempt to connect ends.
    pub(super) fn connected(&mut self, device: usize, attempt: u64) -> Result<(), Violation> {
        let now = self.now();
        let site = &self.sites[device];
        if site.attempt != attempt {
            return Ok(());
        }
        let is_listening = self.is_server_up && self.server.is_listening();
        let result = if site.unreachable_until > now || !is_listening {
            Err(ConnectError::Network("nobody answers".to_owned()))
        } else {
            self.connect(device)?
        };
        self.note(Kind::Connect, device, &[result.as_ref().map_or(0, |version| version.number())]);
        self.input(device, Input::Connected(result))
    }

    /// Makes a connection, if the server lets the token in: its number, and whose token it is. What the server says to
    /// it is yet to be taken.
    pub(super) fn open(
        &mut self,
        peer: Peer,
        version: ProtocolVersion,
        access_token: &str,
    ) -> Result<(u64, String), u16> {
        let number = self.last_link + 1;
        let user = self.server.connect(self.agenda.now(), number, version, access_token)?;
        self.last_link = number;
        self.links.insert(number, Link::new(peer, self.plan.weather));
        let honesty = match peer {
            Peer::Device(_) => Honesty::Honest,
            Peer::Rogue(_) => Honesty::Rogue,
        };
        self.watch.connect(number, version, &user, honesty, self.agenda.now());
        Ok((number, user))
    }

    /// Sends a message.
    pub(super) fn send(&mut self, number: u64, direction: Direction, message: Bytes) {
        let now = self.now();
        let Some(link) = self.links.get_mut(&number) else { return };
        let pipe = link.pipe(direction);
        if let Some(at) = pipe.send(now, message, &mut self.choices) {
            self.agenda.put(at, Event::Arrive(number, direction));
        }
        if !std::mem::replace(&mut pipe.is_writing, true) {
            self.agenda.put(pipe.free_at(), Event::Written(number, direction));
        }
    }

    pub(super) fn written(&mut self, number: u64, direction: Direction) -> Result<(), Violation> {
        let now = self.now();
        let Some(link) = self.links.get_mut(&number) else { return Ok(()) };
        let pipe = link.pipe(direction);
        if pipe.free_at() > now {
            self.agenda.put(pipe.free_at(), Event::Written(number, direction));
            return Ok(());
        }
        pipe.is_writing = false;
        match direction {
            Direction::ToServer if link.is_device_there => match link.peer {
                Peer::Device(device) => self.input(device, Input::Writable),
                Peer::Rogue(_) => Ok(()),
            },
            Direction::ToDevice if link.is_server_there => {
                self.server.written(now, number);
                self.pump()
            }
            _ => Ok(()),
        }
    }

    pub(super) fn arrive(&mut self, number: u64, direction: Direction) -> Result<(), Violation> {
        let now = self.now();
        let Some(link) = self.links.get_mut(&number) else { return Ok(()) };
        if !link.is_there(direction) || !link.pipe(direction).has_arrived(now) {
            return Ok(());
        }
        match (direction, link.peer) {
            (Direction::ToServer, _) if !self.server.wants_messages(number) => {
                if self.held.insert(number) {
                    self.tally.meet(Met::ServerPausedReading);
                }
                return Ok(());
            }
            (Direction::ToDevice, Peer::Device(device)) => {
                let site = &mut self.sites[device];
                if !site.device.is_reading() {
                    return Ok(()); // It says when it reads again.
                }
                if site.is_asleep {
                    site.deferred.push(Event::Arrive(number, direction));
                    return Ok(());
                }
            }
            _ => (),
        }
        let Some(message) = link.pipe(direction).receive(now) else { return Ok(()) };
        if link.pipe(direction).has_arrived(now) {
            self.agenda.put(now, Event::Arrive(number, direction));
        }
        let peer = link.peer;
        match direction {
            Direction::ToServer => self.reach_server(number, peer, &message),
            Direction::ToDevice => self.reach_device(peer, message),
        }
    }

    fn reach_server(&mut self, number: u64, peer: Peer, message: &Bytes) -> Result<(), Violation> {
        self.trace.note(self.agenda.now(), Kind::ToServer, number, message);
        if let Peer::Device(_) = peer {
            self.overheard.truncate(OVERHEARD_COUNT - 1);
            self.overheard.push_front(message.clone());
        }
        self.watch.see_received(number, message, self.agenda.now())?;
        self.server.receive(self.agenda.now(), number, message);
        self.tamper_connection(number);
        self.pump()
    }

    fn reach_device(&mut self, peer: Peer, message: Bytes) -> Result<(), Violation> {
        match peer {
            Peer::Device(device) => {
                self.note(Kind::ToDevice, device, &message);
                self.sites[device].is_proven |= message.starts_with(b"pong ");
                self.watch.see_told(&message)?;
                self.input(device, Input::Received(message))
            }
            Peer::Rogue(rogue) => {
                self.rogues[rogue].receive(&message);
                Ok(())
            }
        }
    }

    /// An end learns that the connection is gone.
    pub(super) fn notice(&mut self, number: u64, direction: Direction) -> Result<(), Violation> {
        let Some(link) = self.links.get(&number) else { return Ok(()) };
        if !link.is_there(direction) {
            return Ok(());
        }
        match (direction, link.peer) {
            (Direction::ToServer, _) => {
                self.end_at_server(number);
                self.server.disconnect(self.agenda.now(), number);
                self.pump()
            }
            (Direction::ToDevice, Peer::Rogue(rogue)) => {
                self.rogues[rogue].link = None;
                self.end_at_device(number);
                Ok(())
            }
            (Direction::ToDevice, Peer::Device(device)) if self.sites[device].is_asleep => {
                self.sites[device].deferred.push(Event::Notice(number, direction));
                Ok(())
            }
            (Direction::ToDevice, Peer::Device(device)) => {
                self.end_at_device(number);
                self.note(Kind::Lost, device, &[]);
                self.input(device, Input::Disconnected(Disconnect::Network("lost".to_owned())))
            }
        }
    }

    /// The device has no use for its connection any more, and the server notices unless the connection is broken.
    pub(super) fn hang_up(&mut self, device: usize) {
        let now = self.now();
        self.sites[device].attempt += 1;
        let Some(number) = self.sites[device].link else { return };
        let Some(link) = self.links.get(&number) else { return };
        if link.is_whole() {
            let at = link.to_server.ends_at().max(now) + self.plan.weather.latency;
            self.agenda.put(at, Event::Notice(number, Direction::ToServer));
        }
        self.end_at_device(number);
    }

    fn end_at_device(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        link.is_device_there = false;
        let is_over = !link.is_server_there;
        if let Peer::Device(device) = link.peer {
            self.sites[device].link.take_if(|link| *link == number);
        }
        if is_over {
            self.links.remove(&number);
        }
    }

    /// The server has let go of a connection.
    pub(super) fn end_at_server(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        link.is_server_there = false;
        let is_over = !link.is_device_there;
        self.held.remove(&number);
        self.watch.disconnect(number);
        if is_over {
            self.links.remove(&number);
        }
    }

    /// What may make the server let go of a connection now.
    fn circumstances(&self, number: u64) -> Circumstances {
        let link = self.links.get(&number);
        let device = link.and_then(|link| match link.peer {
            Peer::Device(device) => Some(device),
            Peer::Rogue(_) => None,
        });
        Circumstances {
            now: self.now(),
            idle_timeout: self.server.idle_timeout(),
            is_ending: !self.server.is_working(),
            listener: match link {
                Some(link) if link.is_device_there => Listener::There,
                _ => Listener::Gone,
            },
            is_scarce: self.plan.limits.max_backlog_len < 1 << 20,
            may_be_logged_out: device.is_none_or(|device| self.may_have_ended(device, number)),
        }
    }

    /// Takes what has come out of the server.
    pub(super) fn pump(&mut self) -> Result<(), Violation> {
        while let Some(output) = self.server.output() {
            match output {
                Output::Send(number, message) => {
                    let (number, message) = self.tampered(number, message);
                    self.watch.see_sent(number, &message, &self.circumstances(number))?;
                    self.send(number, Direction::ToDevice, message);
                }
                Output::Close(number) => {
                    self.end_at_server(number);
                    if let Some(link) = self.links.get(&number)
                        && link.is_whole()
                    {
                        let at = link.to_device.ends_at().max(self.now());
                        let at = at + self.plan.weather.latency;
                        self.agenda.put(at, Event::Notice(number, Direction::ToDevice));
                    }
                }
                Output::Committed(partition, mut entries) => {
                    self.tamper_entries(&mut entries);
                    for entry in &entries {
                        self.note(Kind::Committed, 0, &entry.changeset);
                        self.rogue_entry(&partition, entry);
                    }
                    self.watch.ledger(&partition).commit(&entries)?;
                }
                Output::Died => {
                    return self.crash_server(Duration::from_millis(500));
                }
                Output::Stopped => {
                    return self.end_server(Duration::from_millis(500), Server::close);
                }
            }
        }
        if let Some(overrun) = self.server.overrun() {
            return Err(Violation::new(Check::Bounds, overrun));
        }
        let server = &self.server;
        let ready = self.held.iter().copied().filter(|number| server.wants_messages(*number));
        for number in ready.collect::<Vec<_>>() {
            self.held.remove(&number);
            self.agenda.put(self.agenda.now(), Event::Arrive(number, Direction::ToServer));
        }
        if let Some(at) = self.server.wake_at()
            && self.server_wake.is_none_or(|planned| at < planned)
        {
            self.server_wake = Some(at);
            self.agenda.put(at, Event::ServerWake);
        }
        Ok(())
    }

    /// Counts what a rogue has brought into a history that others read.
    fn rogue_entry(&mut self, partition: &PartitionValue, entry: &Entry) {
        let file = self.watch.ledger(partition).file(entry.origin_file_ident);
        let is_shared = (0..self.plan.partitions).any(|it| Partition(it).value() == *partition);
        let is_rogue = |file: &FileLog| self.rogues.iter().any(|rogue| rogue.user == file.user);
        if is_shared && file.is_some_and(is_rogue) {
            self.tally.meet(Met::RogueCommitted);
            let removes = |instruction: &Instruction| {
                matches!(
                    instruction,
                    Instruction::EraseTable { .. } | Instruction::EraseColumn { .. }
                )
            };
            let changeset = Changeset::decode(&entry.changeset);
            if changeset.is_ok_and(|it| it.instructions.iter().any(removes)) {
                self.tally.meet(Met::ClassRemoved);
            }
        }
    }

    pub(super) fn wake_server(&mut self) -> Result<(), Violation> {
        let now = self.now();
        self.server_wake.take_if(|at| *at <= now);
        if !self.is_server_up {
            return Ok(());
        }
        self.server.wake(now);
        self.pump()
    }

    /// The server's process ends somewhere, and another one begins a while later.
    pub(super) fn crash_server(&mut self, pause: Duration) -> Result<(), Violation> {
        self.end_server(pause, Server::restart)
    }

    fn end_server(
        &mut self,
        pause: Duration,
        end: fn(&mut Server, Time) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        let now = self.now();
        if !std::mem::replace(&mut self.is_server_up, false) {
            return Ok(());
        }
        self.is_disturbed = true;
        self.note(Kind::Died, usize::MAX, &[]);
        end(&mut self.server, now)?;
        self.agenda.put_in(pause + self.server.starting(), Event::ServerStart);
        for number in self.links.keys().copied().collect::<Vec<_>>() {
            self.end_at_server(number);
            let Some(link) = self.links.get_mut(&number) else { continue };
            link.cut(now, &mut self.choices);
            let at = link.to_device.ends_at() + self.plan.weather.latency;
            self.agenda.put(at, Event::Notice(number, Direction::ToDevice));
        }
        Ok(())
    }

    /// The server begins with what was durable.
    pub(super) fn start_server(&mut self) -> Result<(), Violation> {
        if std::mem::replace(&mut self.is_server_up, true) {
            return Ok(());
        }
        for partition in self.watch.ledgers().keys().cloned().collect::<Vec<_>>() {
            let entries = self.server.entries(&partition, ServerVersion::default());
            let entries = self.tampered_history(entries);
            self.watch.ledger(&partition).check_durable(&entries)?;
        }
        self.tamper_server();
        self.pump()
    }
}

/// How many messages of honest devices rogues know.
const OVERHEARD_COUNT: usize = 4;

/// Some protocol version, `lowest` at least.
pub(super) fn any_version(lowest: u8, choices: &mut Choices) -> ProtocolVersion {
    let range = usize::from(ProtocolVersion::MAX.number() - lowest) + 1;
    let version = lowest + u8::try_from(choices.below(range)).expect("it is at most 14");
    ProtocolVersion::new(version).expect("it is a version")
}
