//! A realm with a history, as a server has it in its store, and what an upload makes of it.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::LazyLock;

use bailiwick_core::apply::Transaction;
use bailiwick_core::history::{
    Base, ClientFile, ConcurrentHistory, Entry, Unseen, Upload, integrate, required_protocol,
};
use bailiwick_core::merge::Concurrent;
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::{Changeset, DecodeLimits};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion};
use bailiwick_server::session::AcceptedUpload;
use bytes::Bytes;

use crate::device::{self, Device, Habits};
use crate::input::Input;

/// The client file of the device that uploads.
pub(crate) const UPLOADER: FileIdent = FileIdent(3);
/// The client file of the device that wrote the history.
const AUTHOR: FileIdent = FileIdent(2);
/// The schema and some objects, which devices have in common.
pub(crate) const FIRST_VERSION: ServerVersion = ServerVersion(2);
/// How many transactions the other device made.
const TRANSACTIONS: u8 = 6;

/// A schema with some objects, then what another device made of them.
pub(crate) static REALM: LazyLock<Realm> = LazyLock::new(Realm::new);

/// The entries, and the objects as they leave them.
pub(crate) struct Realm {
    entries: Vec<Entry>,
    state: State,
    first_state: State,
}

impl Realm {
    fn new() -> Self {
        // Any bytes would do, as long as they are the same each time.
        let choices: Vec<u8> =
            (0..u16::MAX).flat_map(|i| i.wrapping_mul(40_503).to_le_bytes()).collect();
        let mut choices = Input::new(&choices);
        let habits = Habits::read(&mut choices);
        let (_, base) = device::base(habits, &mut choices, 48);
        let state = State::default();
        let mut realm = Self { entries: Vec::new(), first_state: state.clone(), state };
        for changeset in base {
            realm.append(&Concurrent::new(changeset, OriginTimestamp(50), AUTHOR));
        }
        realm.first_state = realm.state.clone();
        let mut author = Device::new(realm.state.clone(), AUTHOR, habits);
        for _ in 0..TRANSACTIONS {
            for _ in 0..12 {
                author.act(&mut choices);
            }
            author.commit(1);
        }
        for transaction in &author.written {
            realm.append(transaction);
        }
        realm
    }

    pub(crate) fn head(&self) -> ServerVersion {
        ServerVersion(self.entries.len() as u64)
    }

    /// The objects after [`FIRST_VERSION`].
    pub(crate) fn first_state(&self) -> State {
        self.first_state.clone()
    }

    /// Integrates an upload, and checks that every device can follow.
    pub(crate) fn integrate(&self, accepted: AcceptedUpload) {
        let file = ClientFile::new(Salt(1), "user", 1);
        let AcceptedUpload { file_ident, progress, locked, changesets, .. } = accepted;
        let uploads = {
            let unseen = Unseen::default();
            vec![Upload { file_ident, file, progress, locked, changesets, unseen }]
        };
        let base = Base { head: self.head(), cumulative_len: 0, salt: Salt(1), now_ms: 1 };
        let mut objects = Transaction::new(self.state.schema(), &self.state);
        let integration = integrate(&base, self, &mut objects, uploads).expect("it is in memory");
        let mut integrated = self.state.clone();
        integrated.commit(objects.finish());

        let mut replayed = self.state.clone();
        for entry in &integration.entries {
            let changeset = Changeset::decode_within(&entry.changeset, &DecodeLimits::NONE);
            let changeset = changeset.expect("what is stored decodes");
            let applied = replayed.apply(&changeset).expect("what is stored can be applied");
            assert!(applied.rewritten.is_none(), "a device could not apply what is stored");
        }
        assert_eq!(replayed, integrated, "the history, and the objects");
        for (_, _, reciprocal) in &integration.reciprocals {
            let decoded = Changeset::decode_within(reciprocal, &DecodeLimits::NONE);
            assert!(decoded.is_ok(), "what is stored decodes");
        }
        assert!(integration.rejections.is_empty() || integration.entries.is_empty());
    }

    fn append(&mut self, transaction: &Concurrent) {
        let changeset = transaction.changeset();
        let applied = self.state.apply(changeset).expect("a device applied it as it wrote it");
        let changeset = applied.rewritten.as_ref().unwrap_or(changeset);
        let version = self.head().next();
        self.entries.push(Entry {
            version: SaltedVersion { version, salt: Salt(1) },
            origin_file_ident: AUTHOR,
            client_version: ClientVersion(version.0),
            origin_timestamp: OriginTimestamp(100),
            changeset: changeset.encode().into(),
            required_protocol: required_protocol(changeset),
            cumulative_len: 0,
        });
    }
}

impl ConcurrentHistory for Realm {
    type Error = Infallible;

    fn entries(&self, after: ServerVersion) -> Result<Cow<'_, [Entry]>, Infallible> {
        let seen = self.entries.partition_point(|entry| entry.version.version <= after);
        Ok(self.entries[seen..].into())
    }

    fn reciprocals(
        &self,
        _: FileIdent,
        _: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, Infallible> {
        Ok(Vec::new())
    }
}
