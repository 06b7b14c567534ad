//! What is left out of a merge changes nothing.

use bailiwick_core::apply::Changes;
use bailiwick_core::merge::{Concurrent, merge};
use bailiwick_protocol::changeset::{PathElement, Symbol};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::history::unintegrated::Bounds;
use crate::local::HistoryChange;

/// What a transaction does.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Create(i64),
    Erase(i64),
    Resize(i64),
    Grow(i64),
    /// Inserts an element into the list of a kennel, which nobody erases.
    Insert(i64),
    Age(i64),
    DeclareAge,
    EraseAge,
}

#[derive(Clone, Debug)]
enum Step {
    /// The application commits a transaction.
    Write(Vec<Edit>),
    /// A DOWNLOAD brings changesets of others, before each of which the server has integrated so many more of ours.
    Download(Vec<(u8, Vec<Edit>)>),
    /// The application starts again.
    Restart,
}

/// A device, and what has to be known of the other side to make changesets that fit.
struct World {
    device: Device,
    bounds: Bounds,
    version: u64,
    /// What the server has integrated of ours.
    integrated: u64,
    /// Elements that were inserted into the list of a kennel: by us, with the version, and by others.
    ours: Vec<(u64, i64)>,
    theirs: Vec<i64>,
}

const DOGS: i64 = 6;
const KENNELS: i64 = 2;

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0..DOGS).prop_map(Edit::Create),
        2 => (0..DOGS).prop_map(Edit::Erase),
        8 => (0..DOGS).prop_map(Edit::Resize),
        4 => (0..DOGS).prop_map(Edit::Grow),
        8 => (0..KENNELS).prop_map(Edit::Insert),
        4 => (0..DOGS).prop_map(Edit::Age),
        1 => Just(Edit::DeclareAge),
        1 => Just(Edit::EraseAge),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let edits = || vec(edit(), 1..3);
    prop_oneof![
        4 => edits().prop_map(Step::Write),
        3 => vec((0..3_u8, edits()), 0..4).prop_map(Step::Download),
        1 => Just(Step::Restart),
    ]
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let usual = Bounds::default();
    (
        prop_oneof![Just(1), Just(60), Just(usual.received_len)],
        prop_oneof![Just(0), Just(60), Just(usual.local_len)],
        prop_oneof![Just(0), Just(2), Just(5), Just(usual.places)],
    )
        .prop_map(|(received_len, local_len, places)| Bounds {
            received_len,
            local_len,
            places,
        })
}

/// Each of them takes many commits, so there are fewer cases unless one asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 64, ..config },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_integration_is_what_a_merge_with_everything_is(
        bounds in bounds(),
        steps in vec(step(), 1..30),
    ) {
        let mut world = World::new(bounds);
        for step in steps {
            match step {
                Step::Write(edits) => world.write(&edits),
                Step::Download(changesets) => world.download(&changesets)?,
                Step::Restart => world.restart(),
            }
        }
    }
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let mut device = Device::new();
        device.unintegrated = RefCell::new(Unintegrated::within(bounds));
        let mut schema = declare();
        let [dog, kennel, key, dogs, age] =
            ["Dog", "Kennel", "_id", "dogs", "age"].map(|text| schema.strings.intern(text));
        let spec = KeySpec { field: key, key_type: KeyType::Int, nullable: false };
        schema
            .instructions
            .push(Instruction::AddTable { table: kennel, kind: TableKind::TopLevel(spec) });
        schema.instructions.push(add_column(kennel, dogs, CollectionKind::List));
        schema.instructions.push(add_column(dog, age, CollectionKind::Single));
        for (table, count) in [(dog, DOGS), (kennel, KENNELS)] {
            let create = |key| Instruction::CreateObject { table, object: ObjectKey::Int(key) };
            schema.instructions.extend((0..count).map(create));
        }
        assert!(device.download(&header((1, 0), 1, (0, 0)), &[entry(1, 0, &schema)]).unwrap());
        let (ours, theirs) = (Vec::new(), Vec::new());
        Self { device, bounds, version: 1, integrated: 0, ours, theirs }
    }

    fn restart(&mut self) {
        self.device.unintegrated = RefCell::new(Unintegrated::within(self.bounds));
    }

    /// Nothing is committed if the edits are not possible.
    fn write(&mut self, edits: &[Edit]) {
        let snapshot = self.device.snapshot();
        let version = snapshot.state().version.0 + 1;
        let inserted = self.ours.len();
        let changeset = changeset(edits, version, |kennel| {
            self.ours.push((version, kennel));
            self.list_len(kennel, u64::MAX) - 1
        });
        let mut objects = Transaction::new(snapshot.schema(), &snapshot);
        if objects.apply(&changeset).is_ok() {
            let batch =
                local_commit(&snapshot, objects.finish(), changeset, OriginTimestamp(version));
            self.device.commit(&batch);
        } else {
            self.ours.truncate(inserted);
        }
    }

    /// Nothing is integrated if the edits are not possible.
    fn download(&mut self, changesets: &[(u8, Vec<Edit>)]) -> Result<(), TestCaseError> {
        let snapshot = self.device.snapshot();
        let (mut integrated, mut entries) = (self.integrated, Vec::new());
        let inserted = self.theirs.len();
        for (version, (more, edits)) in (self.version + 1..).zip(changesets) {
            integrated = (integrated + u64::from(*more)).min(snapshot.state().version.0);
            let changeset = changeset(edits, version, |kennel| {
                self.theirs.push(kennel);
                self.list_len(kennel, integrated) - 1
            });
            // Earlier or later than what is written here meanwhile.
            let origin_timestamp = OriginTimestamp(version * 2);
            entries
                .push(DownloadEntry { origin_timestamp, ..entry(version, integrated, &changeset) });
        }
        let version = self.version + entries.len() as u64 + 1;
        let header = header((version, integrated), version, (integrated, 0));
        let plain = Body::from_entries(&entries).inflate(usize::MAX).unwrap();
        let mut unintegrated = self.device.unintegrated.borrow_mut();
        let found = integrate(&snapshot, &mut unintegrated, &header, Download::entries(plain)).ok();
        let Some(batch) = found else {
            prop_assert!(merge_all(&snapshot, &entries).is_none(), "it is possible");
            self.theirs.truncate(inserted);
            return Ok(());
        };
        let batch = batch.expect("it is new");
        let Some((changes, mut reciprocals)) = merge_all(&snapshot, &entries) else {
            return Err(TestCaseError::fail("it is not possible"));
        };
        if let HistoryChange::Trim(last) = batch.history {
            reciprocals.retain(|(version, _)| *version > last);
        }
        prop_assert_eq!(&batch.changes.objects, &changes.objects);
        prop_assert_eq!(&batch.changes.schema, &changes.schema);
        prop_assert_eq!(&batch.reciprocals, &reciprocals);
        self.device.commit(&batch);
        (self.version, self.integrated) = (version, integrated);
        Ok(())
    }

    /// How long the list of a kennel is for somebody who has all of others' changesets, and so many of ours.
    fn list_len(&self, kennel: i64, integrated: u64) -> u32 {
        let ours = self.ours.iter().filter(|it| it.1 == kennel && it.0 <= integrated).count();
        let theirs = self.theirs.iter().filter(|it| **it == kennel).count();
        u32::try_from(ours + theirs).unwrap()
    }
}

/// Merges each received changeset with all local ones that the server had not integrated before it; `None` if they
/// contradict each other, or if it cannot be applied.
fn merge_all(
    snapshot: &Snapshot,
    entries: &[DownloadEntry],
) -> Option<(Changes, Vec<(ClientVersion, Bytes)>)> {
    let history = snapshot.history(ClientVersion(0)).unwrap().map(Result::unwrap);
    let local = history.filter(HistoryEntry::is_uploadable).map(|entry| {
        let form = Changeset::decode(&entry.reciprocal.unwrap_or(entry.changeset)).unwrap();
        (entry.version, Concurrent::new(form, entry.origin_timestamp, OWN))
    });
    let (versions, mut local): (Vec<_>, Vec<_>) = local.unzip();
    let mut objects = Transaction::new(snapshot.schema(), snapshot);
    for entry in entries {
        let changeset = Changeset::decode(&entry.changeset).unwrap();
        let mut received = [Concurrent::new(changeset, entry.origin_timestamp, OTHER)];
        let first = versions.partition_point(|it| *it <= entry.last_integrated_client_version);
        merge(&mut local[first..], &mut received).ok()?;
        let _ = objects.apply(received[0].changeset()).ok()?;
    }
    let forms = versions.into_iter().zip(local).filter(|(_, form)| form.is_dirty());
    let forms = forms.map(|(version, form)| (version, form.changeset().encode().into()));
    Some((objects.finish(), forms.collect()))
}

/// A changeset of some edits; `list_len` says how long the list of a kennel is, which is about to be one longer.
fn changeset(edits: &[Edit], value: u64, mut list_len: impl FnMut(i64) -> u32) -> Changeset {
    let mut changeset = Changeset::default();
    let value = i64::try_from(value).unwrap();
    let [dog, kennel, size, dogs, age] =
        ["Dog", "Kennel", "size", "dogs", "age"].map(|text| changeset.strings.intern(text));
    let target =
        |table, key, field, path| Target { table, object: ObjectKey::Int(key), field, path };
    let update = |key, field| Instruction::Update {
        target: target(dog, key, field, Path::new()),
        value: Payload::Int(value),
        kind: UpdateKind::Value { is_default: false },
    };
    let instructions = edits.iter().map(|edit| match *edit {
        Edit::Create(key) => Instruction::CreateObject { table: dog, object: ObjectKey::Int(key) },
        Edit::Erase(key) => Instruction::EraseObject { table: dog, object: ObjectKey::Int(key) },
        Edit::Resize(key) => update(key, size),
        Edit::Age(key) => update(key, age),
        Edit::Grow(key) => {
            Instruction::AddInteger { target: target(dog, key, size, Path::new()), value }
        }
        Edit::Insert(key) => {
            let prior_size = list_len(key);
            let index = u32::try_from(value).unwrap() % (prior_size + 1);
            let path = [PathElement::Index(index)].into_iter().collect();
            let target = target(kennel, key, dogs, path);
            Instruction::ArrayInsert { target, value: Payload::Int(value), prior_size }
        }
        Edit::DeclareAge => add_column(dog, age, CollectionKind::Single),
        Edit::EraseAge => Instruction::EraseColumn { table: dog, field: age },
    });
    changeset.instructions = instructions.collect();
    changeset
}

fn add_column(table: Symbol, field: Symbol, collection: CollectionKind) -> Instruction {
    Instruction::AddColumn(Box::new(AddColumn {
        table,
        field,
        column_type: TypeCode::Int,
        nullable: false,
        collection,
        link_target: None,
        key_type: None,
    }))
}
