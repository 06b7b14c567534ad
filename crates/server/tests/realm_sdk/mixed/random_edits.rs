//! The edits of `random_edits.mjs`, as a program in Rust makes them, and what that SDK
//! does not have: increments, and dictionaries and sets that are cleared at once.

use bailiwick_client::value::Link;
use bailiwick_client::write::{ListMut, ObjectMut};
use bailiwick_client::{Value, WriteError, WriteTransaction};

use super::device::RustDevice;
use super::edits::{entries, object, x};

const KEYS: [i64; 4] = [1, 2, 3, 4];
// Of different lengths: the SDK takes two removals of different strings for the same if their positions in the changesets are.
const WORDS: [&str; 4] = ["apple", "pear", "fig", "cherry"];

/// A stream of edits, from a seed.
pub(super) struct RandomEdits {
    state: u32,
    mine: String,
}

impl RandomEdits {
    /// Starts a new stream; no other device may have the same seed.
    pub(super) fn new(seed: u32) -> Self {
        Self { state: seed.max(1), mine: format!("of {seed}") }
    }

    /// Carries out this many transactions of one to three edits.
    pub(super) fn edit(&mut self, device: &RustDevice, count: usize) {
        for _ in 0..count {
            device.write(|tx| (0..=self.below(3)).try_for_each(|_| self.edit_once(tx)));
        }
    }

    fn edit_once(&mut self, tx: &mut WriteTransaction<'_>) -> Result<(), WriteError> {
        let key = self.pick(KEYS);
        if tx.find("Thing", key)?.is_none() {
            let (a, number) = (self.word(), self.number(10));
            let mut thing = tx.create("Thing", key)?;
            return thing
                .set("a", a)?
                .dictionary("partMap")?
                .insert(&self.mine, x(number))
                .map(drop);
        }
        let other = self.pick(KEYS);
        let other = tx.find("Thing", other)?.map(|other| Link::new("Thing", other.key()));
        let what = self.below(34);
        if what == 0 {
            return if self.below(4) == 0 { tx.delete("Thing", key) } else { Ok(()) };
        }
        self.edit_thing(&mut tx.object("Thing", key)?, what, other)
    }

    fn edit_thing(
        &mut self,
        thing: &mut ObjectMut<'_, '_>,
        what: usize,
        other: Option<Link>,
    ) -> Result<(), WriteError> {
        match what {
            1 => thing.set("a", self.word()).map(drop),
            2 => thing.set("count", self.number(100)).map(drop),
            3 => {
                let values: [Value; 6] = [
                    Value::Null,
                    true.into(),
                    7.into(),
                    0.25.into(),
                    self.word().into(),
                    other.into(),
                ];
                thing.set("any", self.pick(values)).map(drop)
            }
            4..=6 | 9..=10 => self.edit_list(&mut thing.list("list")?, what),
            7..=8 => {
                let values: [Value; 5] =
                    [Value::Null, 3.into(), 1.5.into(), self.word().into(), other.into()];
                let value = self.pick(values);
                let mut list = thing.list("anyList")?;
                let index = self.below(list.len()? + 1);
                list.insert(index, value).map(drop)
            }
            11 if self.below(8) == 0 => thing.set("list", vec![self.word(), self.word()]).map(drop),
            12 => thing.set_of("set")?.insert(self.pick(WORDS)).map(drop),
            13 => thing.set_of("set")?.remove(self.pick(WORDS)).map(drop),
            14 => {
                let word = self.word();
                thing.dictionary("map")?.insert(self.pick(WORDS), word).map(drop)
            }
            15 => thing.dictionary("map")?.remove(self.pick(WORDS)).map(drop),
            16 => {
                let inner = object([("z", 1.into())]);
                let parts =
                    [x(self.number(10)), object([("y", self.number(10).into()), ("inner", inner)])];
                thing.set("part", self.pick(parts)).map(drop)
            }
            17..=19 => self.edit_part(thing, what),
            20..=22 => self.edit_parts(&mut thing.list("parts")?, what),
            23 => {
                let mut parts = thing.dictionary("partMap")?;
                for key in parts.keys()? {
                    parts.embedded(&key)?.set("y", self.number(10))?;
                }
                Ok(())
            }
            24 => {
                let mut parts = thing.dictionary("partMap")?;
                let mut keys = parts.keys()?;
                keys.push("none".to_owned());
                parts.remove(&keys[self.below(keys.len())]).map(drop)
            }
            25 => thing.set("link", other).map(drop),
            26..=27 => self.edit_links(&mut thing.list("links")?, what, other),
            28 => match other {
                Some(other) => thing.set_of("linkSet")?.insert(other).map(drop),
                None => Ok(()),
            },
            29 => match other {
                Some(other) => {
                    thing.dictionary("linkMap")?.insert(self.pick(WORDS), other).map(drop)
                }
                None => Ok(()),
            },
            30 if !thing.get("count")?.is_null() => thing.add("count", self.number(10)).map(drop),
            31 if self.below(8) == 0 => {
                let (key, entry) = (self.pick(WORDS), self.word().into());
                thing.set("map", entries([(key, entry)])).map(drop)
            }
            32 if self.below(8) == 0 => thing.dictionary("linkMap")?.clear().map(drop),
            33 if self.below(8) == 0 => {
                let set = self.pick(["set", "linkSet"]);
                thing.set_of(set)?.clear().map(drop)
            }
            _ => Ok(()),
        }
    }

    fn edit_list(&mut self, list: &mut ListMut<'_, '_>, what: usize) -> Result<(), WriteError> {
        let len = list.len()?;
        match what {
            4..=5 => list.insert(self.below(len + 1), self.word()).map(drop),
            _ if len == 0 => Ok(()),
            6 => list.remove(self.below(len)).map(drop),
            9 => list.set(self.below(len), self.word()).map(drop),
            _ => list.move_to(self.below(len), self.below(len)).map(drop),
        }
    }

    fn edit_part(&mut self, thing: &mut ObjectMut<'_, '_>, what: usize) -> Result<(), WriteError> {
        let Value::Object(fields) = thing.get("part")? else { return Ok(()) };
        let mut part = thing.embedded("part")?;
        match what {
            17 if self.below(2) == 0 => part.delete(),
            18 => part.set("x", self.number(100)).map(drop),
            19 if !fields["inner"].is_null() => {
                part.embedded("inner")?.list("marks")?.push(self.word()).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn edit_parts(&mut self, parts: &mut ListMut<'_, '_>, what: usize) -> Result<(), WriteError> {
        let len = parts.len()?;
        match what {
            20 => {
                let part = [("x", self.number(10).into()), ("label", self.word().into())];
                parts.push(object(part)).map(drop)
            }
            _ if len == 0 => Ok(()),
            21 => parts.embedded(self.below(len))?.set("y", self.number(10)).map(drop),
            _ => parts.remove(self.below(len)).map(drop),
        }
    }

    fn edit_links(
        &mut self,
        links: &mut ListMut<'_, '_>,
        what: usize,
        other: Option<Link>,
    ) -> Result<(), WriteError> {
        let len = links.len()?;
        match (what, other) {
            (26, Some(other)) => links.insert(self.below(len + 1), other).map(drop),
            (27, _) if len > 0 && self.below(2) == 0 => links.remove(self.below(len)).map(drop),
            (27, _) if len > 0 => links.move_to(self.below(len), self.below(len)).map(drop),
            _ => Ok(()),
        }
    }

    // xorshift32
    fn random(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random()).expect("it has 32 bits") % bound
    }

    fn number(&mut self, bound: u32) -> i64 {
        (self.random() % bound).into()
    }

    fn pick<T, const N: usize>(&mut self, from: [T; N]) -> T {
        let index = self.below(N);
        from.into_iter().nth(index).expect("it is below the length")
    }

    fn word(&mut self) -> String {
        format!("{} {}", self.pick(WORDS), self.number(100))
    }
}
