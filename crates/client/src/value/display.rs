//! Values for people.

use std::fmt;

use super::{Link, Value};

/// As a Rust program would write it, roughly; for messages, not to be read back.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(value) => value.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Binary(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Timestamp(timestamp) => timestamp.fmt(f),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Decimal(value) => value.fmt(f),
            Self::ObjectId(id) => id.fmt(f),
            Self::Uuid(id) => id.fmt(f),
            Self::Link(link) => link.fmt(f),
            Self::List(elements) => write_sequence(f, ["[", "]"], elements, fmt::Display::fmt),
            Self::Set(elements) => write_sequence(f, ["{", "}"], elements, fmt::Display::fmt),
            Self::Dictionary(entries) => {
                write_sequence(f, ["{", "}"], entries, |(key, value), f| {
                    write!(f, "{key:?}: {value}")
                })
            }
            Self::Object(fields) => write_sequence(f, ["{", "}"], fields, |(name, value), f| {
                write!(f, "{name}: {value}")
            }),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.class, self.key)
    }
}

fn write_sequence<T>(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [&str; 2],
    items: impl IntoIterator<Item = T>,
    write: impl Fn(T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    f.write_str(open)?;
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        write(item, f)?;
    }
    f.write_str(close)
}
