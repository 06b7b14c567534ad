//! Realms with a history, as a server has them in its store, and what an upload makes of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::iter;
use std::ops::Bound;
use std::sync::LazyLock;

use bailiwick_core::apply::Transaction;
use bailiwick_core::history::{
    Base, ClientFile, ConcurrentHistory, Entry, Integration, Rejection, Unseen, Upload, integrate,
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
pub(crate) const AUTHOR: FileIdent = FileIdent(2);
/// The schema and some objects, which devices have in common.
pub(crate) const FIRST_VERSION: ServerVersion = ServerVersion(2);
/// How many transactions the other device made.
const TRANSACTIONS: u8 = 6;

/// What the devices of a realm write: whether clocks are steady, and columns by their places in their class. Few
/// columns are where devices meet; all of them together are where they meet in few.
const HABITS: [(bool, u32); 12] = [
    (true, 0),
    (false, 0),
    (true, 0x0000_000f),
    (true, 0x0000_00f0),
    (true, 0x0000_0f00),
    (true, 0x0000_f000),
    (true, 0x000f_0000),
    (true, 0x00f0_0000),
    (true, 0x0f00_0000),
    (true, 0xf000_0000),
    (false, 0x0003_03c0),
    (false, 0x0cc0_3000),
];

/// Schemas with some objects, then what another device made of them.
pub(crate) static REALMS: LazyLock<Vec<Realm>> = LazyLock::new(|| {
    let seeds = 1..;
    HABITS.iter().zip(seeds).map(|(&habits, seed)| Realm::new(habits, seed)).collect()
});

/// The entries, and the objects as they leave them.
#[derive(Clone)]
pub(crate) struct Realm {
    entries: Vec<Entry>,
    state: State,
    /// After [`FIRST_VERSION`].
    first_state: State,
    habits: Habits,
    /// The forms for the client file that uploads.
    reciprocals: BTreeMap<ServerVersion, Bytes>,
}

/// What a server knows of the device that uploads.
#[derive(Clone)]
pub(crate) struct Uploader {
    pub(crate) file: ClientFile,
    pub(crate) unseen: Unseen,
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
    fn new((are_clocks_steady, columns): (bool, u32), seed: u64) -> Self {
        let choices = noise(seed);
        let mut choices = Input::new(&choices);
        let habits = Habits::new(are_clocks_steady, columns);
        let (_, base) = device::base(habits, &mut choices, 48);
        let mut realm = Self {
            entries: Vec::new(),
            state: State::default(),
            first_state: State::default(),
            habits,
            reciprocals: BTreeMap::new(),
        };
        for changeset in base {
            realm.append(&changeset, OriginTimestamp(50));
        }
        realm.first_state = realm.state.clone();
        let mut author = Device::new(realm.state.clone(), AUTHOR, habits);
        for _ in 0..TRANSACTIONS {
            for _ in 0..12 {
                author.act(&mut choices);
            }
            author.commit(1 + choices.u8() % 3);
            let written = author.written.last().expect("it has committed");
            realm.append(written.changeset(), author.now());
        }
        realm
    }

    pub(crate) fn head(&self) -> ServerVersion {
        ServerVersion(self.entries.len() as u64)
    }

    /// A device that knows only the beginning of the history.
    pub(crate) fn device(&self) -> Device {
        Device::new(self.first_state.clone(), UPLOADER, self.habits)
    }

    /// What others wrote after a version, `count` entries at most; the reciprocal forms, if there are any.
    pub(crate) fn written_by_others(
        &self,
        after: ServerVersion,
        count: usize,
    ) -> impl Iterator<Item = (ServerVersion, OriginTimestamp, Concurrent)> {
        let entries = self.entries.iter().filter(move |entry| {
            entry.version.version > after && entry.origin_file_ident != UPLOADER
        });
        entries.take(count).map(|entry| {
            let version = entry.version.version;
            let form = self.reciprocals.get(&version).unwrap_or(&entry.changeset);
            let (time, author) = (entry.origin_timestamp, entry.origin_file_ident);
            (version, time, Concurrent::new(stored(form), time, author))
        })
    }

    /// Fails unless a device with these objects, which has integrated the history up to `base`, comes to the server's
    /// objects by what it is sent: the reciprocal forms.
    pub(crate) fn assert_converges(&self, mut state: State, base: ServerVersion) {
        for (_, _, entry) in self.written_by_others(base, usize::MAX) {
            let applied = state.apply(entry.changeset()).expect("a form can be applied");
            assert!(applied.rewritten.is_none(), "a device could not apply what is sent");
        }
        assert_eq!(state, self.state, "the device, and the server");
    }

    /// Integrates an upload and checks that every device can follow; then again in two steps, `split` tells where, as a
    /// long queue is, which has to come to the same. Answers with what is there then, unless the upload is refused.
    pub(crate) fn integrate(
        &self,
        accepted: AcceptedUpload,
        uploader: &Uploader,
        split: usize,
    ) -> Result<(Self, Uploader), Rejection> {
        let AcceptedUpload { file_ident, progress, locked, changesets, .. } = accepted;
        let Uploader { file, unseen } = uploader.clone();
        let upload = Upload { file_ident, file, progress, locked, changesets, unseen };
        let mut after = self.clone();
        let mut integration = after.step(upload.clone());
        self.check_replay(&after);
        let (realm, rejection) = (after.clone(), integration.rejections.pop());
        assert!(rejection.is_none() || integration.entries.is_empty());
        let unseen = integration.unseen.pop().map(|(_, unseen)| unseen).unwrap_or_default();

        let in_one_step = after.outcome(integration);
        for memory in [Memory::Kept, Memory::Lost] {
            if let Some(in_two_steps) = self.in_two_steps(upload.clone(), split, memory) {
                assert_eq!(in_two_steps, in_one_step, "with memory {memory:?}");
            }
        }
        match (in_one_step, rejection) {
            (Some((.., file)), None) => Ok((realm, Uploader { file, unseen })),
            (None, Some(rejection)) => Err(rejection),
            (outcome, rejection) => panic!("{outcome:?}, and {rejection:?}"),
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
        let base = Base {
            head: self.head(),
            cumulative_len,
            salt: Salt(1),
            now_ms: 1,
            max_reciprocals_len: usize::MAX,
        };
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

    fn append(&mut self, changeset: &Changeset, origin_timestamp: OriginTimestamp) {
        let applied = self.state.apply(changeset).expect("a device applied it as it wrote it");
        let changeset = applied.rewritten.as_ref().unwrap_or(changeset);
        let version = self.head().next();
        self.entries.push(Entry {
            version: SaltedVersion { version, salt: Salt(1) },
            origin_file_ident: AUTHOR,
            client_version: ClientVersion(version.0),
            origin_timestamp,
            changeset: changeset.encode().into(),
            required_protocol: required_protocol(changeset),
            cumulative_len: 0,
        });
    }
}

/// Bytes without a pattern, the same each time (George Marsaglia: Xorshift RNGs, 2003).
pub(crate) fn noise(seed: u64) -> Vec<u8> {
    let next = |state: &u64| {
        let mut state = *state;
        state ^= state << 13;
        state ^= state >> 7;
        Some(state ^ state << 17)
    };
    let states = iter::successors(Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), next);
    states.take(256).flat_map(u64::to_le_bytes).collect()
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
