//! What an instruction is about, in one line: for logs and error messages.

use std::fmt::{self, Write as _};

use super::{Changeset, Instruction, ObjectKey, PathElement};

/// Names are cut after so many characters: they come from the outside.
const LONGEST_NAME: usize = 100;
/// Paths are cut after so many elements.
const LONGEST_PATH: usize = 256;

impl Changeset {
    /// The place that an instruction of this changeset is about, as in
    /// `Task[objectId 5f3c1a2b4d5e6f7081920a0b].tags[3]`.
    ///
    /// The text is one line of bounded length, whatever the names.
    pub fn describe(&self, instruction: &Instruction) -> String {
        let name = |symbol| Excerpt(self.text(symbol));
        let mut out = name(instruction.table()).to_string();
        if let Some(object) = instruction.object() {
            out.push_str(&self.describe_key(&object));
        }
        let field = match instruction {
            Instruction::AddColumn(column) => Some(column.field),
            Instruction::EraseColumn { field, .. } => Some(*field),
            _ => instruction.target().map(|target| target.field),
        };
        if let Some(field) = field {
            let _ = write!(out, ".{}", name(field));
        }
        let path = instruction.target().into_iter().flat_map(|target| &target.path);
        for element in path.take(LONGEST_PATH) {
            let _ = match element {
                PathElement::Index(index) => write!(out, "[{index}]"),
                PathElement::Key(key) => write!(out, ".{}", name(*key)),
            };
        }
        if out.chars().any(char::is_control) { out.escape_debug().to_string() } else { out }
    }

    fn describe_key(&self, key: &ObjectKey) -> String {
        match key {
            ObjectKey::Null => "[null]".to_owned(),
            ObjectKey::Int(value) => format!("[{value}]"),
            ObjectKey::String(text) => format!("[{:?}]", Excerpt(self.text(*text)).to_string()),
            ObjectKey::ObjectId(id) => format!("[objectId {}]", Hex(id)),
            ObjectKey::Uuid(id) => format!("[uuid {}]", Hex(id)),
            ObjectKey::GlobalKey { hi, lo } => format!("[globalKey {hi:x}-{lo:x}]"),
        }
    }
}

/// The beginning of a text.
struct Excerpt<'a>(&'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(LONGEST_NAME) {
            Some((end, _)) => write!(f, "{}...", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}

/// Bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changeset::Target;

    fn check(name: &str, key: fn(&mut Changeset) -> ObjectKey, expected: &str) {
        let mut changeset = Changeset::default();
        let object = key(&mut changeset);
        let target = Target {
            table: changeset.strings.intern(name),
            object,
            field: changeset.strings.intern("tags"),
            path: [PathElement::Index(3), PathElement::Key(changeset.strings.intern("key"))]
                .into_iter()
                .collect(),
        };
        let instruction = Instruction::AddInteger { target, value: 1 };
        assert_eq!(changeset.describe(&instruction), expected);
    }

    #[test]
    fn the_place_of_an_instruction_is_one_short_line() {
        check("Task", |_| ObjectKey::Int(-7), "Task[-7].tags[3].key");
        check("Task", |_| ObjectKey::Null, "Task[null].tags[3].key");
        check(
            "Task",
            |c| ObjectKey::String(c.strings.intern("a\"b")),
            r#"Task["a\"b"].tags[3].key"#,
        );
        check(
            "Task",
            |_| ObjectKey::GlobalKey { hi: 2, lo: 255 },
            "Task[globalKey 2-ff].tags[3].key",
        );
        check("two\nlines", |_| ObjectKey::Int(1), r"two\nlines[1].tags[3].key");
        let long = "x".repeat(500);
        check(&long, |_| ObjectKey::Int(1), &format!("{}...[1].tags[3].key", &long[..100]));
    }
}
