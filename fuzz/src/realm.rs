//! A realm with a history, as a server has it in its store, and what an upload makes of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::LazyLock;

use bailiwick_core::apply::Transaction;
use bailiwick_core::history::{
    Base, ClientFile, ConcurrentHistory, Entry, Integration, Unseen, Upload, integrate,
    required_protocol,
};
use bailiwick_core::merge::Concurrent;
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::json::ChangesetJson;
use bailiwick_protocol::changeset::{Changeset, DecodeLimits};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion};
use bailiwick_server::session::AcceptedUpload;
use bytes::Bytes;

use crate::changeset::by_name;
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
#[derive(Clone)]
pub(crate) struct Realm {
    entries: Vec<Entry>,
    state: State,
    first_state: State,
    /// The forms for the client file that uploads.
    reciprocals: BTreeMap<ServerVersion, Bytes>,
}

/// What an upload leaves in a realm, if it is not refused.
type Outcome = Option<(Vec<Entry>, State, Vec<(ServerVersion, ChangesetJson)>, ClientFile)>;

/// Whether the second step has what the first one leaves for it.
#[derive(Clone, Copy, Debug)]
enum Memory {
    Kept,
    Lost,
}

impl Realm {
    fn new() -> Self {
        // Any bytes would do, as long as they are the same each time.
        let choices: Vec<u8> =
            (0..u16::MAX).flat_map(|i| i.wrapping_mul(40_503).to_le_bytes()).collect();
        let mut choices = Input::new(&choices);
        let habits = Habits::read(&mut choices);
        let (_, base) = device::base(habits, &mut choices, 48);
        let mut realm = Self {
            entries: Vec::new(),
            state: State::default(),
            first_state: State::default(),
            reciprocals: BTreeMap::new(),
        };
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

    /// Integrates an upload and checks that every device can follow; then again in two steps, `split` tells where, as a
    /// long queue is, which has to come to the same.
    pub(crate) fn integrate(&self, accepted: AcceptedUpload, split: usize) {
        let AcceptedUpload { file_ident, progress, locked, changesets, .. } = accepted;
        let (file, unseen) = (ClientFile::new(Salt(1), "user", 1), Unseen::default());
        let upload = Upload { file_ident, file, progress, locked, changesets, unseen };
        let mut after = self.clone();
        let integration = after.step(upload.clone());
        self.check_replay(&after);
        assert!(integration.rejections.is_empty() || integration.entries.is_empty());

        let in_one_step = after.outcome(integration);
        for memory in [Memory::Kept, Memory::Lost] {
            if let Some(in_two_steps) = self.in_two_steps(upload.clone(), split, memory) {
                assert_eq!(in_two_steps, in_one_step, "with memory {memory:?}");
            }
        }
    }

    /// What comes of an upload in two steps; nothing, if there is nothing to split.
    fn in_two_steps(&self, mut upload: Upload, split: usize, memory: Memory) -> Option<Outcome> {
        let at = 1 + split.checked_rem(upload.changesets.len().checked_sub(1)?)?;
        let mut realm = self.clone();
        let later = upload.changesets.split_off(at);
        let last = upload.changesets.last().expect("it was split behind the first");
        let first = Upload { progress: last.cursor, ..upload.clone() };
        let mut integration = realm.step(first);
        let Some((_, file)) = integration.client_files.pop() else { return Some(None) };
        let unseen = match memory {
            Memory::Kept => integration.unseen.pop().map(|(_, unseen)| unseen),
            Memory::Lost => None,
        };
        let unseen = unseen.unwrap_or_default();
        let integration = realm.step(Upload { changesets: later, file, unseen, ..upload });
        Some(realm.outcome(integration))
    }

    /// Integrates an upload and commits what comes of it.
    fn step(&mut self, upload: Upload) -> Integration {
        let cumulative_len = self.entries.last().map_or(0, |last| last.cumulative_len);
        let base = Base { head: self.head(), cumulative_len, salt: Salt(1), now_ms: 1 };
        let mut objects = Transaction::new(self.state.schema(), &self.state);
        let integration =
            integrate(&base, self, &mut objects, vec![upload]).expect("it is in memory");
        let changes = objects.finish();
        self.state.commit(changes);
        self.entries.extend(integration.entries.iter().cloned());
        for (_, until) in &integration.forget_reciprocals {
            self.reciprocals.retain(|version, _| version > until);
        }
        let reciprocals = integration.reciprocals.iter();
        self.reciprocals.extend(reciprocals.map(|(_, version, form)| (*version, form.clone())));
        integration
    }

    /// What there is after the last step of an upload; nothing, if it was refused.
    fn outcome(self, integration: Integration) -> Outcome {
        let [(_, file)] = <[_; 1]>::try_from(integration.client_files).ok()?;
        let forms = self.reciprocals.into_iter();
        let forms = forms.map(|(version, form)| (version, by_name(&stored(&form)))).collect();
        Some((self.entries, self.state, forms, file))
    }

    /// Whether a device that was in step comes to the same objects by the new entries.
    fn check_replay(&self, after: &Self) {
        let mut replayed = self.state.clone();
        for entry in &after.entries[self.entries.len()..] {
            let applied =
                replayed.apply(&stored(&entry.changeset)).expect("what is stored can be applied");
            assert!(applied.rewritten.is_none(), "a device could not apply what is stored");
        }
        assert_eq!(replayed, after.state, "the history, and the objects");
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

fn stored(bytes: &[u8]) -> Changeset {
    Changeset::decode_within(bytes, &DecodeLimits::NONE).expect("what is stored decodes")
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
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, Infallible> {
        let forms = self.reciprocals.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(forms.map(|(version, form)| (*version, form.clone())).collect())
    }
}
