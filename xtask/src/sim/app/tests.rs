//! What applications write is everything, and nothing that devices do not agree on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bailiwick_client::local::LocalFile;
use bailiwick_client::realm::Realm;
use bailiwick_core::merge::{Concurrent, merge};
use bailiwick_protocol::changeset::{Changeset, Instruction, Kind, PathElement, Payload};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp};

use super::*;

/// A partition with one device, and as many transactions of it as it likes.
struct Partition {
    app: App,
    memory: Memory,
    choices: Choices,
    realm: Realm,
    transactions: i64,
    written: Written,
}

impl Partition {
    fn new(seed: u64) -> Self {
        let mut choices = Choices::new(seed);
        let clocks = if choices.yes() { Clocks::Steady } else { Clocks::Jumping };
        let lowest = u8::try_from(2 + choices.below(13)).unwrap();
        let memory = if choices.yes() { Memory::Everything } else { Memory::UpToBackup };
        let app = App::new(&mut choices, Style { lowest, clocks, memory });
        let file = Arc::new(LocalFile::in_memory());
        let version = choices.below(VERSIONS);
        let clock = Arc::new(|| OriginTimestamp(1));
        let realm = Realm::with_clock(file, app.schema(version), clock).unwrap();
        let mut partition =
            Self { app, memory, choices, realm, transactions: 0, written: Written::default() };
        for _ in 0..partition.choices.below(16) {
            partition.write(version);
        }
        partition
    }

    fn write(&mut self, version: usize) {
        let author = self.author(version);
        let Self { app, choices, realm, .. } = self;
        let written = realm.write(|tx| app.write(tx, author, choices)).unwrap();
        self.written.edits += written.edits;
        self.written.refused += written.refused;
    }

    fn author(&mut self, version: usize) -> Author {
        self.transactions += 1;
        let device = u32::try_from(self.choices.below(3)).unwrap();
        Author { device, mark: self.transactions, version }
    }

    /// What a device does that declares another version first, after which nothing is different.
    fn alternative(&mut self, device: u32) -> Changeset {
        let version = self.choices.below(VERSIONS);
        let author = Author { device, ..self.author(version) };
        let snapshot = self.realm.snapshot().unwrap();
        let mut tx = WriteTransaction::new(&snapshot);
        tx.declare(&self.app.schema(version)).unwrap();
        let _ = self.app.write(&mut tx, author, &mut self.choices).unwrap();
        tx.finish().changeset
    }

    /// The instructions that were written.
    fn history(&self) -> Vec<Changeset> {
        let snapshot = self.realm.snapshot().unwrap();
        let entries = snapshot.history(ClientVersion(0)).unwrap();
        entries.map(|entry| Changeset::decode(&entry.unwrap().changeset).unwrap()).collect()
    }
}

#[test]
fn every_instruction_of_sdks_is_written_and_most_edits_are_possible() {
    let mut kinds = BTreeMap::<Kind, usize>::new();
    let mut written = Written::default();
    for seed in 0..100 {
        let partition = Partition::new(seed);
        for changeset in partition.history() {
            for instruction in &changeset.instructions {
                *kinds.entry(instruction.kind()).or_default() += 1;
            }
        }
        written.edits += partition.written.edits;
        written.refused += partition.written.refused;
    }
    let all: BTreeSet<Kind> = kinds.keys().copied().collect();
    let never = [Kind::EraseTable, Kind::EraseColumn];
    assert_eq!(all.len() + never.len(), 14, "{kinds:?}");
    assert!(kinds.values().all(|count| *count > 20), "{kinds:?}");
    assert!(written.refused > 100 && written.refused * 4 < written.edits, "{written:?}");
}

#[test]
fn the_same_seed_writes_the_same() {
    for seed in 0..20 {
        assert_eq!(Partition::new(seed).history(), Partition::new(seed).history(), "{seed}");
    }
}

/// In there a device deleted an object to which such an entry of another one had a link, while it could.
const DELETION: u64 = 6482;

/// How often devices edit inside of entries that another one makes.
fn edits_of_others(memory: Memory) -> usize {
    let seeds = (0..400).chain([DELETION]);
    let partitions = seeds.map(Partition::new).filter(|it| it.memory == memory);
    let histories = partitions.flat_map(|partition| partition.history());
    histories.map(|changeset| edits_of_others_in(&changeset)).sum()
}

fn edits_of_others_in(changeset: &Changeset) -> usize {
    let author = changeset.instructions.iter().find_map(|instruction| match instruction {
        Instruction::Update { target, value: Payload::Int(device), .. }
            if changeset.text(target.table) == "Mark" =>
        {
            Some(format!("of {device}"))
        }
        _ => None,
    });
    let is_of_another = |element: &PathElement| match element {
        PathElement::Key(key) => {
            let key = changeset.text(*key);
            key.starts_with("of ") && Some(key) != author.as_deref()
        }
        PathElement::Index(_) => false,
    };
    let targets = changeset.instructions.iter().filter_map(Instruction::target);
    let above = targets.filter_map(|target| target.path.split_last());
    above.filter(|(_, above)| above.iter().any(is_of_another)).count()
}

#[test]
fn nobody_edits_inside_of_what_a_client_reset_may_make_again() {
    assert_eq!(edits_of_others(Memory::UpToBackup), 0);
    assert!(edits_of_others(Memory::Everything) > 10);
}

#[test]
fn marks_tell_each_transaction_and_how_often_it_was_taken() {
    let mut partition = Partition::new(1);
    let before = contents(&partition.realm.snapshot().unwrap());
    let expected: Vec<_> = (1..=partition.transactions).collect();
    assert_eq!(marks(&before).into_keys().collect::<Vec<_>>(), expected);
    assert!(marks(&before).values().all(|mark| mark.times == 1));

    let author = partition.author(0);
    let snapshot = partition.realm.snapshot().unwrap();
    let mut tx = WriteTransaction::new(&snapshot);
    mark::write(&mut tx, author).unwrap();
    let changeset = tx.finish().changeset;
    let mut after = before;
    for times in 1..3 {
        let _ = after.apply(&changeset).unwrap();
        assert_eq!(marks(&after)[&author.mark], mark::Mark { device: author.device, times });
    }
}

#[test]
fn whatever_two_devices_write_at_the_same_time_converges() {
    for seed in 0..400 {
        let mut partition = Partition::new(seed);
        let base = contents(&partition.realm.snapshot().unwrap());
        let (ours, theirs) = (partition.alternative(1), partition.alternative(2));
        let mut changeset = |changeset: &Changeset, device| {
            let time = OriginTimestamp(1 + u64::from(partition.choices.yes()));
            [Concurrent::new(changeset.clone(), time, FileIdent(device))]
        };
        let (mut ours_after, mut theirs_after) = (changeset(&ours, 2), changeset(&theirs, 3));
        merge(&mut ours_after, &mut theirs_after).unwrap_or_else(|error| panic!("{seed}: {error}"));
        let apply = |first: &Changeset, second: &[Concurrent; 1]| {
            let mut state = base.clone();
            for changeset in [first, second[0].changeset()] {
                if let Err(error) = state.apply(changeset) {
                    panic!("seed {seed}: {error}")
                }
            }
            state.to_string()
        };
        let (left, right) = (apply(&ours, &theirs_after), apply(&theirs, &ours_after));
        let differs = left.lines().zip(right.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(left.len(), right.len(), "seed {seed}");
    }
}
