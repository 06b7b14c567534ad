//! The table of interned strings of one changeset.
//!
//! All texts stand one after the other in one buffer, so that a small changeset costs two allocations
//! whatever the number of its strings. Spec: changeset format, section 4.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// The index of an interned string in its changeset's [`StringTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub u32);

/// The distinct strings of one changeset, in the order of their declaration.
#[derive(Clone, Default)]
pub struct StringTable {
    texts: String,
    /// Where each string ends in `texts`.
    ends: Vec<u32>,
    /// Finds a symbol by its text; only filled once a linear search would be slow.
    index: Option<Box<Index>>,
}

/// Strings are chosen by the sender, so their hash is keyed.
#[derive(Clone)]
struct Index {
    symbols: HashTable<u32>,
    hasher: RandomState,
}

/// Up to this many strings, comparing lengths and bytes one by one is faster than hashing.
const LINEAR_SEARCH: usize = 16;

impl StringTable {
    /// The symbol of `text`, which is added if it is new.
    ///
    /// # Panics
    ///
    /// If the texts exceed 4 GiB; the limits on a changeset's size rule that out.
    pub fn intern(&mut self, text: &str) -> Symbol {
        match self.find(text) {
            Some(symbol) => symbol,
            None => self.push(text),
        }
    }

    /// Adds `text` unless it is there already, as a declaration on the wire must not repeat a string.
    pub(crate) fn declare(&mut self, text: &str) -> Option<Symbol> {
        if self.find(text).is_some() { None } else { Some(self.push(text)) }
    }

    /// The symbol of `text`, if it is there.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        if let Some(index) = &self.index {
            let hash = index.hasher.hash_one(text);
            return index.symbols.find(hash, |&i| self.get(Symbol(i)) == text).map(|&i| Symbol(i));
        }
        (0..self.len_u32()).map(Symbol).find(|&symbol| self.get(symbol) == text)
    }

    /// The text of a symbol.
    ///
    /// # Panics
    ///
    /// If the symbol is not of this table.
    pub fn get(&self, symbol: Symbol) -> &str {
        let i = symbol.0 as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.texts[start..self.ends[i] as usize]
    }

    /// The number of strings.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The length of all texts together, in bytes.
    pub fn text_len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All strings, in the order of their symbols.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.ends.len()).map(|i| {
            let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
            &self.texts[start..self.ends[i] as usize]
        })
    }

    fn len_u32(&self) -> u32 {
        u32::try_from(self.ends.len())
            .expect("a declaration takes bytes, and texts stay below 4 GiB")
    }

    fn push(&mut self, text: &str) -> Symbol {
        let symbol = Symbol(self.len_u32());
        self.texts.push_str(text);
        self.ends.push(u32::try_from(self.texts.len()).expect("texts stay below 4 GiB"));
        if let Some(mut index) = self.index.take() {
            self.insert_into(&mut index, symbol);
            self.index = Some(index);
        } else if self.ends.len() > LINEAR_SEARCH {
            let mut index =
                Box::new(Index { symbols: HashTable::new(), hasher: RandomState::new() });
            for i in 0..=symbol.0 {
                self.insert_into(&mut index, Symbol(i));
            }
            self.index = Some(index);
        }
        symbol
    }

    fn insert_into(&self, index: &mut Index, symbol: Symbol) {
        let Index { symbols, hasher } = index;
        let hash = |i: u32| hasher.hash_one(self.get(Symbol(i)));
        symbols.insert_unique(hash(symbol.0), symbol.0, |&i| hash(i));
    }
}

impl PartialEq for StringTable {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts && self.ends == other.ends
    }
}

impl Eq for StringTable {}

impl std::fmt::Debug for StringTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> FromIterator<&'a str> for StringTable {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut table = Self::default();
        for text in texts {
            table.intern(text);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_survive_the_change_from_linear_search_to_index() {
        let texts: Vec<String> = (0..100).map(|i| format!("name{i}")).collect();
        let mut table = StringTable::default();
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(table.intern(text).0 as usize, i);
        }
        for (i, text) in texts.iter().enumerate() {
            assert_eq!(table.find(text).map(|s| s.0 as usize), Some(i));
            assert_eq!(table.declare(text), None);
        }
        assert_eq!(table.find("other"), None);
        assert!(table.iter().eq(texts.iter().map(String::as_str)));
    }

    #[test]
    fn the_empty_string_is_a_string() {
        let mut table = StringTable::default();
        assert_eq!(table.intern(""), Symbol(0));
        assert_eq!(table.intern("a"), Symbol(1));
        assert_eq!(table.intern(""), Symbol(0));
        assert_eq!(table.get(Symbol(0)), "");
    }
}
