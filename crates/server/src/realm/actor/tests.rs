//! The actor by itself: every answer comes when the test gives it.

use bailiwick_core::history::UploadedChangeset;
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, SaltedVersion};
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::store::{StorageError, Store as _};

use super::*;
use crate::realm::integration::{Given, Piece, compute};
use crate::realm::tests::device::{erasure, item, schema};
use crate::session::AcceptedUpload;

/// Answers go to numbers.
#[derive(Debug)]
struct Numbers;

impl Callers for Numbers {
    type Allocate = u64;
    type Identify = u64;
    type Scan = u64;
    type Drain = u64;
}

/// An actor whose reads are answered at once, and whose steps and commits are not.
struct Rig {
    actor: Actor<Numbers>,
    store: MemoryStore,
    key: RealmKey,
    step: Option<Step>,
    commit: Option<Commit>,
    pauses: usize,
    /// What callers were told.
    told: Vec<String>,
}

impl Rig {
    fn new() -> Self {
        let key = RealmKey::new(*b"realm");
        Self {
            actor: Actor::new(key.clone(), RealmsConfig::default()),
            store: MemoryStore::new(),
            key,
            step: None,
            commit: None,
            pauses: 0,
            told: Vec::new(),
        }
    }

    /// With so many devices, connected by their number, the first of which has declared the class.
    fn with_devices(count: u64) -> Self {
        let mut rig = Self::new();
        for number in 1..=count {
            rig.command(Command::Allocate { user_id: "user".to_owned(), answer: number });
            rig.settle();
        }
        for number in 1..=count {
            rig.command(rig.identify(number));
        }
        rig.upload(1, 1, &[schema()]);
        rig.settle();
        rig.told.clear();
        rig
    }

    fn identify(&self, number: u64) -> Command<Numbers> {
        let file_ident = FileIdent(FileIdent::FIRST_CLIENT.0 + number - 1);
        Command::Identify {
            connection: ConnectionId(number),
            file_ident,
            salt: self.store.client_file(&self.key, file_ident).unwrap().unwrap().salt,
            user_id: "user".to_owned(),
            download: DownloadCursor::default(),
            latest: SaltedVersion::default(),
            answer: number,
        }
    }

    fn command(&mut self, command: Command<Numbers>) {
        assert!(self.actor.wants_commands());
        self.handle(Input::Command(command));
    }

    /// Changesets of a device from a version on, none of which has seen anything.
    fn upload(&mut self, number: u64, version: u64, changesets: &[bytes::Bytes]) {
        let cursor = |version| UploadCursor {
            client_version: ClientVersion(version),
            last_integrated_server_version: ServerVersion(0),
        };
        let uploaded = (version..).zip(changesets).map(|(version, bytes)| UploadedChangeset {
            cursor: cursor(version),
            origin_timestamp: OriginTimestamp(version),
            origin_file_ident: FileIdent::SELF,
            bytes: bytes.clone(),
        });
        let upload = AcceptedUpload {
            file_ident: FileIdent(FileIdent::FIRST_CLIENT.0 + number - 1),
            progress: cursor(version + changesets.len() as u64 - 1),
            locked: ServerVersion(0),
            cost: 1,
            changesets: uploaded.collect(),
        };
        self.command(Command::Upload(Queued { connection: ConnectionId(number), upload }));
    }

    fn handle(&mut self, input: Input<Numbers>) {
        let mut outputs = Vec::new();
        self.actor.handle(input, &mut outputs);
        for output in outputs {
            match output {
                Output::Read(purpose, request) => {
                    let read = request.read(&self.store, &self.key);
                    self.handle(Input::Read(purpose, read));
                }
                Output::Compute(step) => {
                    assert!(self.step.replace(step).is_none() && self.commit.is_none());
                }
                Output::Commit(commit) => {
                    assert!(self.commit.replace(commit).is_none() && self.step.is_none());
                }
                Output::Pause => self.pauses += 1,
                Output::Allocated(to, result) => self.tell(to, "file", result.is_ok()),
                Output::Identified(to, result) => self.tell(to, "bound", result.is_ok()),
                Output::Drained(to) => self.tell(to, "drained", true),
                Output::Head(head) => self.told.push(format!("head {head}")),
                Output::Failed(_) => self.told.push("failed".to_owned()),
                Output::End(ident, _) => self.told.push(format!("end of {ident}")),
                Output::Scanned(..) | Output::Scan(..) | Output::Unbound(_) => (),
            }
        }
    }

    fn tell(&mut self, to: u64, what: &str, is_ok: bool) {
        self.told.push(format!("{to}: {}{what}", if is_ok { "" } else { "no " }));
    }

    /// Computes the step that is to be computed; how many changesets each device has in it.
    fn compute(&mut self) -> Vec<(u64, usize)> {
        let step = self.step.take().expect("there is a step");
        let first = FileIdent::FIRST_CLIENT.0;
        let uploads = step.uploads.iter();
        let counts = uploads.map(|(ident, queued)| (ident.0 - first + 1, queued.changesets.len()));
        let counts = counts.collect();
        let given = Given {
            version_salt: Salt(1),
            now_ms: 1,
            file_salts: (0..step.allocation_count())
                .map(|number| Salt(number as u64 + 1))
                .collect(),
        };
        let computed = compute(&self.store, &self.key, step, &given);
        self.handle(Input::Computed(Box::new(computed)));
        counts
    }

    fn commit(&mut self) {
        let commit = self.commit.take().expect("there is something to commit");
        let result = self.store.commit(&[(self.key.clone(), commit)]).unwrap().remove(0);
        self.handle(Input::Committed(result.map_err(CommitError::Refused)));
    }

    /// Computes and commits until there is nothing to do.
    fn settle(&mut self) {
        while self.step.is_some() || self.commit.is_some() {
            if self.step.is_some() {
                self.compute();
            } else {
                self.commit();
            }
        }
    }
}

#[test]
fn nobody_is_told_of_anything_before_it_is_durable() {
    let mut rig = Rig::new();
    rig.command(Command::Allocate { user_id: "user".to_owned(), answer: 7 });
    rig.compute();
    assert!(rig.told.is_empty());
    rig.commit();
    assert_eq!(rig.told, ["7: file"]);

    let mut rig = Rig::with_devices(2);
    rig.upload(2, 1, &[schema(), item(1)]);
    rig.compute();
    assert!(rig.told.is_empty());
    rig.commit();
    assert_eq!(rig.told, ["head 3"]);
}

#[test]
fn what_comes_while_a_step_runs_is_the_next_step() {
    let mut rig = Rig::with_devices(3);
    rig.upload(1, 2, &[item(1)]);
    rig.upload(2, 1, &[schema(), item(2)]);
    rig.upload(3, 1, &[schema()]);
    rig.upload(2, 3, &[item(3)]);
    assert_eq!(rig.compute(), [(1, 1)]);
    assert!(rig.step.is_none());
    rig.commit();
    assert_eq!(rig.compute(), [(2, 3), (3, 1)]);
}

#[test]
fn a_commit_that_fails_ends_all_sessions_and_acknowledges_nothing() {
    let mut rig = Rig::with_devices(2);
    rig.upload(1, 2, &[item(1)]);
    rig.upload(2, 1, &[schema()]);
    rig.compute();
    rig.commit = None;
    let error = StorageError::backend("the disk is gone");
    rig.handle(Input::Committed(Err(CommitError::Storage(error.into()))));
    assert_eq!(rig.told, ["failed"]);
    assert!(rig.actor.is_idle(), "what was queued is given up as well");
    rig.command(rig.identify(1));
    assert_eq!(rig.told, ["failed", "1: bound"]);
}

#[test]
fn the_rest_of_a_long_queue_waits_while_others_are_integrated() {
    let piece = Piece::SHARED.max_count;
    let mut rig = Rig::with_devices(2);
    rig.upload(1, 2, &(0..3 * piece as u64).map(item).collect::<Vec<_>>());
    assert_eq!(rig.compute(), [(1, piece)]);
    rig.commit();
    assert_eq!((rig.pauses, rig.step.is_some()), (1, false), "the rest waits");
    // More of the same queue changes nothing, but what another device brings is integrated at once, and alone.
    rig.upload(1, 2 + 3 * piece as u64, &[item(0)]);
    assert!(rig.step.is_none());
    rig.upload(2, 1, &[schema()]);
    assert_eq!(rig.compute(), [(2, 1)]);
    rig.commit();
    assert_eq!((rig.pauses, rig.step.is_some()), (1, false), "it still waits");
    rig.handle(Input::Resumed);
    assert_eq!(rig.compute(), [(1, piece)]);
    rig.commit();
    rig.handle(Input::Resumed);
    assert_eq!(rig.compute(), [(1, piece)]);
    rig.commit();
    rig.handle(Input::Resumed);
    assert_eq!(rig.compute(), [(1, 1)]);
    rig.commit();
    assert_eq!((rig.pauses, rig.step.is_some()), (3, false), "there is nothing left to wait for");
}

/// All that is in a step meets each other.
#[test]
fn a_step_leaves_devices_out_when_it_has_enough_and_begins_with_them_next() {
    let mut rig = Rig::with_devices(40);
    let piece = Piece::SHARED.max_count;
    let enough = u64::try_from(Piece::STEP.max_count / piece).unwrap();
    assert_eq!(enough, 32);
    rig.upload(1, 2, &[item(0)]);
    let items: Vec<_> = (0..=piece as u64).map(item).collect();
    for number in 2..=40 {
        rig.upload(number, 1, &[vec![schema()], items.clone()].concat());
    }
    rig.compute();
    rig.commit();
    let taken = |devices: std::ops::RangeInclusive<u64>| devices.map(|number| (number, piece));
    assert!(rig.compute().into_iter().eq(taken(2..=1 + enough)));
    rig.commit();
    assert_eq!(rig.pauses, 1);
    assert!(rig.compute().into_iter().eq(taken(2 + enough..=40)), "the rests wait");
    rig.commit();
    rig.handle(Input::Resumed);
    assert!(rig.compute().into_iter().eq((2..=40).map(|number| (number, 2))));
    rig.commit();
    assert!(rig.step.is_none());
}

/// What others wrote about an object that a device erases is kept in the form for it, until it has seen that.
#[test]
fn an_upload_for_which_there_is_no_room_beside_others_is_the_next_step() {
    const FORM_LEN: usize = 40; // There is nothing in any of them.
    let mut rig = Rig::with_devices(4);
    rig.upload(1, 2, &[item(1)]);
    rig.settle();
    rig.upload(1, 3, &[item(2)]);
    for number in 2..=3 {
        rig.upload(number, 1, &[schema(), item(1), erasure(1)]);
    }
    rig.actor.config.max_reciprocals_len = 4 * FORM_LEN;
    rig.compute();
    rig.commit();
    for (number, form_count) in [(2, 2), (3, 4), (2, 1)] {
        rig.compute();
        let forms = &rig.commit.as_ref().unwrap().reciprocals;
        let idents: Vec<_> = forms.iter().map(|(ident, ..)| ident.0).collect();
        assert_eq!(idents, vec![FileIdent::FIRST_CLIENT.0 + number - 1; form_count]);
        if form_count == 2 {
            rig.upload(2, 4, &[item(2), erasure(2)]); // Does not get ahead.
        }
        rig.commit();
    }
    assert!(rig.step.is_none());
    rig.told.clear();
    rig.actor.config.max_reciprocals_len = FORM_LEN;
    rig.upload(4, 1, &[schema(), item(1), erasure(1)]);
    rig.settle();
    for _ in 0..2 {
        rig.handle(Input::Resumed);
        rig.settle();
    }
    assert_eq!(rig.told, ["head 12", "head 13", "end of 5"], "one by one, until one is too much");
}

#[test]
fn one_who_drains_or_is_alone_waits_for_no_pause() {
    let piece = Piece::SHARED.max_count;
    let long: Vec<_> = (0..2 * piece as u64).map(item).collect();
    let mut rig = Rig::with_devices(2);
    rig.upload(1, 2, &long);
    rig.compute();
    rig.commit();
    assert!(rig.step.is_none());
    rig.command(Command::Drain { answer: 9 });
    assert_eq!(rig.compute(), [(1, piece)]);
    rig.commit();
    assert_eq!(rig.told.last().unwrap(), "9: drained");

    let mut rig = Rig::with_devices(1);
    rig.upload(1, 2, &long);
    assert_eq!(rig.compute(), [(1, 2 * piece)]);
    rig.commit();
    assert_eq!(rig.pauses, 0);
}

#[test]
fn a_connection_that_lost_its_client_file_uploads_nothing_more() {
    let mut rig = Rig::with_devices(1);
    let Command::Identify { file_ident, salt, user_id, download, latest, .. } = rig.identify(1)
    else {
        unreachable!("that is what it is")
    };
    let connection = ConnectionId(2);
    rig.command(Command::Identify {
        connection,
        file_ident,
        salt,
        user_id,
        download,
        latest,
        answer: 2,
    });
    assert_eq!(rig.told, [format!("end of {file_ident}"), "2: bound".to_owned()]);
    rig.upload(1, 2, &[item(1)]);
    assert!(rig.step.is_none());
}
