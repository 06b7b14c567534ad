//! What connections ask of realms, and the answers.

use std::collections::VecDeque;

use bailiwick_server::http::websocket::endpoint::Request;
use bailiwick_server::realm::{Command, ConnectionId, Queued};
use bailiwick_server::session::{GoAway, Input as SessionInput};

use super::Process;
use crate::sim::agenda::Time;
use crate::sim::server::connection::Bound;
use crate::sim::server::realm::Realm;
use crate::sim::server::work::{Answer, Asker, Askers, RealmNumber, Work};
use crate::sim::tally::Met;

impl Process {
    /// Does what an endpoint wants, until a realm takes no more commands.
    pub(super) fn ask(&mut self, now: Time, number: u64, requests: Vec<Request>) {
        let Some(served) = self.connections.get_mut(&number) else { return };
        served.stalled.extend(requests);
        let mut requests = std::mem::take(&mut served.stalled);
        while let Some(request) = requests.pop_front() {
            if self.must_wait(number, &request) {
                requests.push_front(request);
                break;
            }
            let more = self.request(now, number, request);
            requests.extend(more);
        }
        if let Some(served) = self.connections.get_mut(&number) {
            served.stalled = requests;
        }
    }

    /// Connections that wait go on.
    pub(super) fn resume(&mut self, now: Time) {
        let stalled = self.connections.iter().filter(|(_, served)| !served.stalled.is_empty());
        for number in stalled.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.ask(now, number, Vec::new());
            self.settle(now, number);
        }
    }

    fn must_wait(&self, number: u64, request: &Request) -> bool {
        let key = match request {
            Request::Open(..) | Request::CheckAccess => return false,
            Request::Allocate(key)
            | Request::Identify(key, _)
            | Request::Upload(key, _)
            | Request::Scan(key, ..)
            | Request::Release(key) => key,
        };
        let bound =
            self.connections.get(&number).and_then(|served| served.sessions.get(&key.ident));
        let realm = bound.and_then(|bound| self.realms.get(&bound.realm));
        realm.is_some_and(Realm::is_full)
    }

    /// Asks for something; what the endpoint wants because of what can be answered at once.
    fn request(&mut self, now: Time, number: u64, request: Request) -> VecDeque<Request> {
        let Some(served) = self.connections.get_mut(&number) else { return VecDeque::new() };
        let user_id = || served.access.user_id.clone();
        let connection = ConnectionId(number);
        let asker = |session| Asker { connection: number, session };
        match request {
            Request::Open(key, partition) => {
                let realm = self.open(now, partition);
                let bound = Bound { key, realm, file_ident: None, signals: None };
                if let Some(served) = self.connections.get_mut(&number) {
                    served.sessions.insert(key.ident, bound);
                }
            }
            Request::Allocate(key) => {
                let command = Command::Allocate { user_id: user_id(), answer: asker(key) };
                self.command(now, asker(key), command);
            }
            Request::Identify(key, ident) => {
                let command = Command::Identify {
                    connection,
                    file_ident: ident.file_ident,
                    salt: ident.file_ident_salt,
                    user_id: user_id(),
                    download: ident.download_cursor,
                    latest: ident.latest_server_version,
                    answer: asker(key),
                };
                self.command(now, asker(key), command);
            }
            Request::Upload(key, upload) => {
                let realm = served.bound(key).and_then(|it| self.realms.get_mut(&it.realm));
                if let Some(realm) = realm {
                    realm.largest_upload = realm.largest_upload.max(upload.cost);
                }
                self.command(now, asker(key), Command::Upload(Queued { connection, upload }));
            }
            Request::Scan(key, file_ident, cursor) => {
                let command = Command::Scan { file_ident, cursor, answer: asker(key) };
                self.command(now, asker(key), command);
            }
            Request::Release(key) => {
                if served.bound(key).is_some()
                    && let Some(bound) = served.sessions.remove(&key.ident)
                {
                    self.release(now, number, &bound);
                }
            }
            Request::CheckAccess => {
                let access = served.access.clone();
                if !self.is_alive(now, &access) {
                    self.config.tally.meet(Met::AccessEnded);
                    return self.go(number, GoAway::AccessEnded);
                }
            }
        }
        VecDeque::new()
    }

    /// A session lets go of what it holds.
    pub(super) fn release(&mut self, now: Time, number: u64, bound: &Bound) {
        if let Some(file_ident) = bound.file_ident {
            let connection = ConnectionId(number);
            self.send(now, bound.realm, Command::Release { connection, file_ident });
        }
    }

    fn go(&mut self, number: u64, reason: GoAway) -> VecDeque<Request> {
        let mut requests = Vec::new();
        if let Some(served) = self.connections.get_mut(&number) {
            served.endpoint.handle(SessionInput::GoAway(reason), &mut requests);
        }
        requests.into()
    }

    fn command(&mut self, now: Time, asker: Asker, command: Command<Askers>) {
        let served = self.connections.get_mut(&asker.connection);
        if let Some(bound) = served.and_then(|served| served.bound(asker.session)) {
            let realm = bound.realm;
            self.send(now, realm, command);
        }
    }

    pub(super) fn send(&mut self, now: Time, number: RealmNumber, command: Command<Askers>) {
        if let Some(realm) = self.realms.get_mut(&number) {
            realm.commands.push_back(command);
            self.rouse(now, number);
        }
    }

    /// A session hears the answer to its question.
    pub(super) fn on_answer(&mut self, now: Time, asker: Asker, answer: Answer) {
        let Asker { connection, session } = asker;
        let input = match answer {
            Answer::Allocated(result) => SessionInput::Allocated(session, result),
            Answer::Scanned(result) => SessionInput::Scanned(session, *result),
            Answer::Identified(result) => match *result {
                Ok((file_ident, identified)) => {
                    let head = identified.signals.borrow().head;
                    let (threshold, locked) = (identified.threshold, identified.locked);
                    let served = self.connections.get_mut(&connection);
                    if let Some(bound) = served.and_then(|served| served.bound(session)) {
                        bound.file_ident = Some(file_ident);
                        bound.signals = Some(identified.signals);
                        // What was said before anybody listened.
                        self.plan(now, Work::News(asker));
                    }
                    SessionInput::Identified(session, Ok((threshold, locked, head)))
                }
                Err(refused) => SessionInput::Identified(session, Err(refused)),
            },
        };
        self.input(now, connection, input);
    }

    pub(super) fn answer(&mut self, now: Time, asker: Asker, answer: Answer) {
        self.plan(now, Work::Answer(asker, answer));
    }
}
