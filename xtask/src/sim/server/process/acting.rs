//! What actors say, done.

use bailiwick_server::realm::{
    Bound, Command, Identified, Input, Output as Said, SessionEnd, Signal,
};
use tokio::sync::watch;

use super::Process;
use crate::sim::agenda::Time;
use crate::sim::server::connection::Served;
use crate::sim::server::realm::{Holder, Realm};
use crate::sim::server::work::{Answer, Asker, Askers, RealmNumber, Work};
use crate::sim::tally::Met;

impl Process {
    /// An actor that has commands takes them soon.
    pub(super) fn rouse(&mut self, now: Time, number: RealmNumber) {
        if let Some(realm) = self.realms.get_mut(&number)
            && !realm.commands.is_empty()
            && realm.actor.wants_commands()
            && !std::mem::replace(&mut realm.is_awake, true)
        {
            self.plan(now, Work::Run(number));
        }
    }

    /// An actor takes the commands that have come.
    pub(super) fn take_commands(&mut self, now: Time, number: RealmNumber) {
        if let Some(realm) = self.realms.get_mut(&number) {
            realm.is_awake = false;
        }
        while let Some(command) = self.realms.get_mut(&number).and_then(Realm::next_command) {
            self.act(now, number, Input::Command(command));
        }
        self.resume(now);
    }

    /// An actor hears of something.
    pub(super) fn tell(&mut self, now: Time, number: RealmNumber, input: Input<Askers>) {
        self.act(now, number, input);
        self.rouse(now, number);
    }

    /// An actor looks whether anybody needs it.
    pub(super) fn retire(&mut self, now: Time, number: RealmNumber) {
        let Some(realm) = self.realms.get_mut(&number) else { return };
        for release in realm.all_lost() {
            self.act(now, number, Input::Command(release));
        }
        let Some(realm) = self.realms.get(&number) else { return };
        let is_open = |served: &Served| served.sessions.values().any(|bound| bound.realm == number);
        let is_used = self.connections.values().any(is_open);
        if realm.actor.is_idle() && realm.commands.is_empty() && !is_used {
            self.numbers.remove(&realm.key);
            self.realms.remove(&number);
        } else {
            self.agenda.put(now + self.config.realms.retire_after, Work::Retire(number));
        }
    }

    fn act(&mut self, now: Time, number: RealmNumber, input: Input<Askers>) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let Some(realm) = self.realms.get_mut(&number) else { return };
            let mut said = Vec::new();
            realm.actor.handle(input, &mut said);
            for output in said {
                next = self.carry_out(now, number, output).or(next);
            }
        }
    }

    /// Does what an actor says; what it has to hear at once.
    fn carry_out(
        &mut self,
        now: Time,
        number: RealmNumber,
        output: Said<Askers>,
    ) -> Option<Input<Askers>> {
        let realm = self.realms.get_mut(&number)?;
        match output {
            Said::Allocated(asker, result) => {
                self.plan(now, Work::Answer(asker, Answer::Allocated(result)));
            }
            Said::Identified(asker, Ok(bound)) => {
                let Bound { connection, file_ident, threshold, locked, head } = bound;
                if !self.connections.contains_key(&asker.connection) {
                    // It has gone while it was being bound.
                    return Some(Input::Command(Command::Release { connection, file_ident }));
                }
                let (signal, signals) = watch::channel(Signal { head, end: None });
                realm.holders.insert(file_ident, Holder { asker, signal });
                let identified = Identified { threshold, locked, signals };
                let answer = Answer::Identified(Box::new(Ok((file_ident, identified))));
                self.plan(now, Work::Answer(asker, answer));
            }
            Said::Identified(asker, Err(refused)) => {
                let answer = Answer::Identified(Box::new(Err(refused)));
                self.plan(now, Work::Answer(asker, answer));
            }
            Said::Scanned(asker, result) => {
                self.answer(now, asker, Answer::Scanned(Box::new(result)));
            }
            Said::Scan(asker, scan) => self.plan(now, Work::Scan(number, asker, Box::new(scan))),
            Said::Drained(()) => self.drained(now),
            Said::Head(head) => self.tell_all(now, number, |signal| signal.head = head),
            Said::End(ident, end) => {
                if let SessionEnd::Overloaded = end {
                    self.config.tally.meet(Met::Overloaded);
                }
                if let Some(holder) = realm.holders.get(&ident) {
                    holder.signal.send_modify(|signal| signal.end = Some(end));
                    let asker = holder.asker;
                    self.plan(now, Work::News(asker));
                }
            }
            Said::Unbound(ident) => drop(realm.holders.remove(&ident)),
            Said::Failed(error) => {
                let end = SessionEnd::Failed(error);
                self.tell_all(now, number, |signal| signal.end = Some(end.clone()));
                if let Some(realm) = self.realms.get_mut(&number) {
                    realm.holders.clear();
                }
            }
            Said::Read(purpose, request) => self.plan(now, Work::Read(number, purpose, request)),
            Said::Compute(step) => self.plan(now, Work::Compute(number, Box::new(step))),
            Said::Pause => self.plan(now, Work::Resume(number)),
            Said::Commit(commit) => {
                self.jobs.push_back((number, commit));
                self.start_batch(now);
            }
        }
        None
    }

    fn tell_all(&mut self, now: Time, number: RealmNumber, news: impl Fn(&mut Signal)) {
        let Some(realm) = self.realms.get(&number) else { return };
        let askers: Vec<Asker> = realm.holders.values().map(|holder| holder.asker).collect();
        for holder in realm.holders.values() {
            holder.signal.send_modify(&news);
        }
        for asker in askers {
            self.plan(now, Work::News(asker));
        }
    }
}
