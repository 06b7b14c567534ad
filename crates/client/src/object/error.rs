//! Why a struct and an object do not fit each other.

use std::fmt;

use crate::value::Value;

/// Why a struct cannot become an object, or an object a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectError {
    /// The field, with those that it is in before it; empty if it is about the struct itself.
    path: String,
    message: String,
}

impl ObjectError {
    pub(super) fn new(message: impl fmt::Display) -> Self {
        Self { path: String::new(), message: message.to_string() }
    }

    pub(super) fn expected(expected: &str, found: &Value) -> Self {
        Self::new(format_args!("expected {expected}, found {}", found.type_name()))
    }

    /// The same, seen from outside of the field.
    pub(super) fn within(mut self, field: impl fmt::Display) -> Self {
        self.path = match self.path.as_str() {
            "" => field.to_string(),
            path => format!("{field}.{path}"),
        };
        self
    }
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "field {path}: {}", self.message),
        }
    }
}

impl std::error::Error for ObjectError {}

impl serde::ser::Error for ObjectError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}

impl serde::de::Error for ObjectError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}
