//! The contents of a realm, as a device or the server tells them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// Classes and objects of a realm, each a JSON value in the form that `bailiwick dump` prints.
///
/// Differences that no application can see are evened out: the order of a set's elements, and what an
/// unresolved link points to (a device reads null, and does not show the element of a list or set of links).
pub(crate) struct Dump {
    whose: String,
    lines: BTreeMap<String, Value>,
}

impl Dump {
    pub(crate) fn new(whose: &str, lines: impl IntoIterator<Item = Value>) -> Self {
        let mut link_columns = BTreeMap::new();
        let mut dump = Self { whose: whose.to_owned(), lines: BTreeMap::new() };
        for mut line in lines {
            let table = line["table"].as_str().expect("a line names its class").to_owned();
            if let Some(columns) = line.get("columns") {
                let columns = columns.as_object().expect("columns are named");
                for (name, column) in columns {
                    link_columns.insert((table.clone(), name.clone()), column["type"] == "link");
                }
            } else {
                let fields = line["fields"].as_object_mut().expect("fields are named");
                for (name, value) in fields {
                    let holds_links = link_columns.get(&(table.clone(), name.clone()));
                    normalise(value, holds_links.copied().unwrap_or_default());
                }
            }
            let key = row(&table, line.get("object").unwrap_or(&Value::Null));
            let earlier = dump.lines.insert(key, line);
            assert!(earlier.is_none(), "{whose} has an object twice: {earlier:?}");
        }
        dump
    }

    /// How many objects of a class there are.
    pub(crate) fn count(&self, class: &str) -> usize {
        let is_object = |line: &&Value| line["table"] == class && line.get("object").is_some();
        self.lines.values().filter(is_object).count()
    }

    /// An object by its class and key.
    pub(crate) fn object(&self, class: &str, key: &Value) -> Option<&Value> {
        self.lines.get(&row(class, key))
    }

    /// Asserts that two dumps tell the same; says where they do not.
    pub(crate) fn assert_same(&self, other: &Self) {
        let mut differences = String::new();
        for (key, line) in &self.lines {
            if other.lines.get(key) != Some(line) {
                let _ = writeln!(differences, "{}: {line}", self.whose);
                match other.lines.get(key) {
                    Some(line) => writeln!(differences, "{}: {line}", other.whose),
                    None => writeln!(differences, "{}: nothing", other.whose),
                }
                .expect("a String takes everything");
            }
        }
        for (key, line) in other.lines.iter().filter(|(key, _)| !self.lines.contains_key(*key)) {
            let _ =
                writeln!(differences, "{}: nothing of {key}\n{}: {line}", self.whose, other.whose);
        }
        assert!(differences.is_empty(), "the contents differ:\n{differences}");
    }
}

fn row(class: &str, key: &Value) -> String {
    format!("{class} {key}")
}

fn normalise(value: &mut Value, holds_links: bool) {
    let is_unresolved = |value: &Value| value.get("unresolved").is_some();
    match value["type"].as_str() {
        Some("list" | "set") => {
            let is_set = value["type"] == "set";
            let items = value["items"].as_array_mut().expect("a collection has items");
            if holds_links {
                items.retain(|item| !is_unresolved(item));
            }
            for item in items.iter_mut() {
                normalise(item, false);
            }
            if is_set {
                items.sort_by_cached_key(Value::to_string);
            }
        }
        Some("dictionary") => normalise_all(value, "entries"),
        Some("object") => normalise_all(value, "fields"),
        Some("null") => {
            value.as_object_mut().expect("it has a type").remove("unresolved");
        }
        _ => {}
    }
}

fn normalise_all(value: &mut Value, members: &str) {
    let members = value[members].as_object_mut().expect("members are named");
    for member in members.values_mut() {
        normalise(member, false);
    }
}
