//! Whatever both sides did: what the rules promise is kept, and the server ends where the device does.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_protocol::changeset::{
    Changeset, Instruction, ObjectKey, PathElement, Payload, Target,
};
use bailiwick_protocol::version::ClientVersion;
use proptest::prelude::*;

use super::world::{World, contents};
use crate::local::Snapshot;
use crate::reset;
use crate::value::{Link, Value};
use crate::write::{WriteError, WriteTransaction};

/// What somebody does next: which kind of edit, of which task, with which number.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: u8,
    key: i64,
    n: u32,
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..44_u8, 0..4_i64, any::<u32>()).prop_map(|(kind, key, n)| Step { kind, key, n });
    prop::collection::vec(step, 0..most)
}

/// Does all steps that are possible; those that are refused do nothing.
fn run(tx: &mut WriteTransaction<'_>, steps: &[Step]) -> Result<(), WriteError> {
    for step in steps {
        match edit(tx, *step) {
            Ok(()) | Err(WriteError::Refused(_)) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn edit(tx: &mut WriteTransaction<'_>, Step { kind, key, n }: Step) -> Result<(), WriteError> {
    let small = n as usize % 4;
    let entry = ["a", "b", "c"][n as usize % 3];
    let link = Link::new("Task", i64::from(n % 4));
    let part = Value::Object([("n".to_owned(), Value::from(i64::from(n)))].into());
    let number = Value::from(i64::from(n));
    let nested = match n % 3 {
        0 => Value::List(vec![number.clone(), link.clone().into()]),
        1 => Value::Dictionary([("k".to_owned(), Value::List(vec![number.clone()]))].into()),
        _ => number.clone(),
    };
    if let 0..=3 = kind {
        return tx.create("Task", key).map(drop);
    }
    if kind == 4 {
        return tx.delete("Task", key);
    }
    let mut task = tx.object("Task", key)?;
    match kind {
        5..=7 => drop(task.set("name", format!("name {n}"))?),
        8 => drop(task.set("count", number)?),
        9 => drop(task.set("count", Value::Null)?),
        10..=12 => drop(task.add("count", i64::from(n))?),
        13 => drop(task.set("any", nested)?),
        14 => drop(task.list("any")?.push(nested)?),
        15 => drop(task.dictionary("any")?.insert("k", nested)?),
        16 => drop(task.set("next", link)?),
        17..=20 => drop(task.list("ints")?.push(number)?),
        21 => drop(task.list("ints")?.insert(small, number)?),
        22 => drop(task.list("ints")?.set(small, number)?),
        23 => drop(task.list("ints")?.remove(small)?),
        24 => drop(task.list("ints")?.move_to(small, small / 2)?),
        25 if n % 4 == 0 => drop(task.list("ints")?.clear()?),
        26 | 27 => drop(task.list("anys")?.insert(small, nested)?),
        28 => drop(task.list("anys")?.list(small)?.insert(small / 2, nested)?),
        29 => drop(task.list("anys")?.dictionary(small)?.list("k")?.remove(0)?),
        30 => drop(task.list("anys")?.move_to(small, small / 2)?),
        31 | 32 => drop(task.list("tasks")?.push(link)?),
        33 => drop(task.list("tasks")?.remove(small)?),
        34 => drop(task.set_of("tags")?.insert(entry)?),
        35 => drop(task.set_of("tags")?.remove(entry)?),
        36 => drop(task.set_of("anyset")?.insert(link)?),
        37 => drop(task.dictionary("map")?.insert(entry, format!("{n}"))?),
        38 => drop(task.dictionary("map")?.remove(entry)?),
        39 => drop(task.dictionary("anymap")?.insert(entry, nested)?),
        40 => drop(task.dictionary("partmap")?.insert(entry, part)?),
        41 => drop(task.set("part", part)?.embedded("part")?.set("task", link)?),
        42 => drop(task.list("parts")?.insert(small, part)?),
        43 => drop(task.list("parts")?.embedded(small)?.list("items")?.push(number)?),
        _ => (),
    }
    Ok(())
}

/// What must be there after recovery, as local instructions say: an account of its own, by the rules alone.
#[derive(Debug, Default)]
struct Promises {
    existing: BTreeSet<i64>,
    names: BTreeMap<i64, String>,
    /// What the server has, with what was done here.
    counts: BTreeMap<i64, Option<i64>>,
    tags: BTreeMap<(i64, String), bool>,
    map: BTreeMap<(i64, String), Option<String>>,
    /// Numbers that were put into lists.
    ints: BTreeMap<i64, BTreeSet<i64>>,
}

impl Promises {
    fn of_server(fresh: &Snapshot) -> Self {
        let mut promises = Self::default();
        let mut tx = WriteTransaction::new(fresh);
        for key in 0..4 {
            if let Some(mut task) = tx.find("Task", key).unwrap() {
                promises.existing.insert(key);
                promises.counts.insert(key, task.get("count").unwrap().as_int());
            }
        }
        promises
    }

    fn follow(&mut self, changeset: &Changeset) {
        let text = |symbol| changeset.text(symbol).to_owned();
        for instruction in &changeset.instructions {
            let Some(ObjectKey::Int(key)) = instruction.object() else { continue };
            if text(instruction.table()) != "Task" {
                continue;
            }
            match instruction {
                Instruction::CreateObject { .. } => {
                    if self.existing.insert(key) {
                        self.counts.insert(key, None);
                    }
                    continue;
                }
                Instruction::EraseObject { .. } => {
                    self.existing.remove(&key);
                    self.names.remove(&key);
                    self.counts.remove(&key);
                    self.tags.retain(|(task, _), _| *task != key);
                    self.map.retain(|(task, _), _| *task != key);
                    self.ints.remove(&key);
                    continue;
                }
                _ if !self.existing.contains(&key) => continue,
                _ => (),
            }
            let Some(Target { field, path, .. }) = instruction.target() else { continue };
            match (&*text(*field), path.as_slice(), instruction) {
                ("name", [], Instruction::Update { value: Payload::String(name), .. }) => {
                    self.names.insert(key, name.to_string());
                }
                ("count", [], Instruction::Update { value: Payload::Int(value), .. }) => {
                    self.counts.insert(key, Some(*value));
                }
                ("count", [], Instruction::Update { .. }) => drop(self.counts.insert(key, None)),
                ("count", [], Instruction::AddInteger { value, .. }) => {
                    if let Some(Some(count)) = self.counts.get_mut(&key) {
                        *count = count.wrapping_add(*value);
                    }
                }
                ("tags", [], Instruction::SetInsert { value: Payload::String(tag), .. }) => {
                    self.tags.insert((key, tag.to_string()), true);
                }
                ("tags", [], Instruction::SetErase { value: Payload::String(tag), .. }) => {
                    self.tags.insert((key, tag.to_string()), false);
                }
                ("map", [PathElement::Key(entry)], Instruction::Update { value, .. }) => {
                    let value = match value {
                        Payload::String(value) => Some(value.to_string()),
                        _ => None,
                    };
                    self.map.insert((key, text(*entry)), value);
                }
                ("ints", [_], Instruction::ArrayInsert { value: Payload::Int(value), .. }) => {
                    self.ints.entry(key).or_default().insert(*value);
                }
                _ => (),
            }
        }
    }

    /// `device` is what the device had in the end, `after` what it has after the reset.
    fn check(&self, device: &Snapshot, after: &Snapshot) {
        let (mut device, mut tx) = (WriteTransaction::new(device), WriteTransaction::new(after));
        for key in 0..4 {
            let Some(mut task) = tx.find("Task", key).unwrap() else {
                assert!(!self.existing.contains(&key), "task {key} is gone");
                continue;
            };
            assert!(self.existing.contains(&key), "task {key} is there");
            if let Some(name) = self.names.get(&key) {
                assert_eq!(task.get("name").unwrap(), Value::from(name.as_str()));
            }
            assert_eq!(task.get("count").unwrap().as_int(), self.counts[&key]);
            for ((_, tag), is_in) in self.tags.iter().filter(|((task, _), _)| *task == key) {
                assert_eq!(task.set_of("tags").unwrap().contains(tag.as_str()).unwrap(), *is_in);
            }
            for ((_, entry), value) in self.map.iter().filter(|((task, _), _)| *task == key) {
                let found = task.dictionary("map").unwrap().get(entry).unwrap();
                assert_eq!(found, value.as_deref().map(Value::from));
            }
            let Some(mut device) = device.find("Task", key).unwrap() else { continue };
            let own = device.list("ints").unwrap().values().unwrap();
            let there = task.list("ints").unwrap().values().unwrap();
            for value in self.ints.get(&key).into_iter().flatten() {
                let value = Value::from(*value);
                assert!(!own.contains(&value) || there.contains(&value), "{value:?} is lost");
            }
        }
    }
}

proptest! {
    /// `World::recover` compares the device with a server that takes the upload.
    #[test]
    fn recovery_keeps_what_its_rules_promise(
        base in steps(40),
        local in prop::collection::vec(steps(12), 0..5),
        server in steps(25),
    ) {
        let world = World::new(&|tx| run(tx, &base));
        for steps in &local {
            world.local(&|tx| run(tx, steps)).unwrap();
        }
        world.server(&|tx| run(tx, &server));
        let device = world.main.snapshot().unwrap();
        let mut promises = Promises::of_server(&world.fresh.snapshot().unwrap());
        for entry in device.history(ClientVersion(0)).unwrap() {
            promises.follow(&Changeset::decode(&entry.unwrap().changeset).unwrap());
        }
        let after = world.recover().unwrap();
        promises.check(&device, &after);
    }

    #[test]
    fn to_discard_leaves_what_the_server_has(
        base in steps(40),
        local in steps(25),
        server in steps(25),
    ) {
        let world = World::new(&|tx| run(tx, &base));
        world.local(&|tx| run(tx, &local)).unwrap();
        world.server(&|tx| run(tx, &server));
        let (main, fresh) = (world.main.snapshot().unwrap(), world.fresh.snapshot().unwrap());
        let batch = reset::discard_local(&main, &fresh).unwrap();
        world.main.write().commit(&batch).unwrap();
        let after = world.main.snapshot().unwrap();
        prop_assert_eq!(contents(&after).to_string(), contents(&fresh).to_string());
        prop_assert_eq!(after.history(ClientVersion(0)).unwrap().count(), 0);
        // Nothing is left to be written.
        let again = reset::discard_local(&after, &fresh).unwrap();
        prop_assert!(again.changes.objects.is_empty() && again.changes.schema.is_none());
    }
}

#[test]
fn long_lists_are_recovered_in_no_time() {
    const LEN: u16 = 20_000;
    let world = World::new(&|tx| tx.create("Task", 1).map(drop));
    world
        .local(&|tx| {
            let mut task = tx.object("Task", 1)?;
            let mut list = task.list("ints")?;
            (0..LEN).try_for_each(|n| list.push(i64::from(n)).map(drop))
        })
        .unwrap();
    world
        .local(&|tx| {
            let mut task = tx.object("Task", 1)?;
            let mut list = task.list("ints")?;
            (0..LEN / 2).rev().try_for_each(|n| list.remove(2 * usize::from(n)).map(drop))
        })
        .unwrap();
    world.server(&|tx| tx.object("Task", 1)?.list("ints")?.push(-1).map(drop));
    let after = world.recover().unwrap();
    let ints = WriteTransaction::new(&after).object("Task", 1).unwrap().list("ints").unwrap().len();
    assert_eq!(ints.unwrap(), usize::from(LEN) / 2 + 1);
}
