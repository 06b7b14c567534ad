//! A JSON file of the configuration directory, taken apart field by field.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::app::fault::{AppError, AppFault};
use crate::app::notice::Notice;

/// A JSON object of a file, less the fields that were taken out of it.
///
/// What remains at the end is what nobody understood. `null` counts as absent.
#[derive(Debug)]
pub(super) struct Document {
    path: PathBuf,
    name: String,
    /// Where in the file this object is: empty, or the path of its field and a dot.
    prefix: String,
    fields: Map<String, Value>,
}

impl Document {
    /// Reads a file of the directory; `None` if it is missing or empty, which counts as missing.
    pub(super) fn read(dir: &Path, name: &str) -> Result<Option<Self>, AppError> {
        let path = dir.join(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AppError::new(path, AppFault::Unreadable(error))),
        };
        // Some editors put a byte order mark there, which is not JSON.
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Ok(None);
        }
        let value = serde_json::from_str(text).map_err(|source| {
            let (line, column) = (source.line(), source.column());
            AppError::new(&path, AppFault::Syntax { line, column, source })
        })?;
        match value {
            Value::Object(fields) => {
                Ok(Some(Self { path, name: name.to_owned(), prefix: String::new(), fields }))
            }
            other => Err(AppError::new(path, AppFault::NotAnObject { found: kind(&other) })),
        }
    }

    /// The file, relative to the directory.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Takes a field, whatever it is.
    pub(super) fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.remove(field).filter(|value| !value.is_null())
    }

    /// Takes a field that is a string.
    pub(super) fn take_string(&mut self, field: &str) -> Result<Option<String>, AppError> {
        self.take(field)
            .map(|value| match value {
                Value::String(text) => Ok(text),
                other => Err(self.wrong_type(field, "a string", &other)),
            })
            .transpose()
    }

    /// Takes a field that is a string and must be there.
    pub(super) fn need_string(
        &mut self,
        field: &str,
        example: &'static str,
    ) -> Result<String, AppError> {
        self.take_string(field)?.ok_or_else(|| {
            self.fault(AppFault::FieldMissing { field: self.path_of(field), example })
        })
    }

    /// Takes a field that is true or false.
    pub(super) fn take_bool(&mut self, field: &str) -> Result<Option<bool>, AppError> {
        self.take(field)
            .map(|value| match value {
                Value::Bool(flag) => Ok(flag),
                other => Err(self.wrong_type(field, "true or false", &other)),
            })
            .transpose()
    }

    /// Takes a field that is an array of strings; absent is empty.
    pub(super) fn take_strings(&mut self, field: &str) -> Result<Vec<String>, AppError> {
        let strings = match self.take(field) {
            None => Some(Vec::new()),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(other) => return Err(self.wrong_type(field, "an array of strings", &other)),
        };
        strings.ok_or_else(|| {
            self.fault(AppFault::FieldType {
                field: self.path_of(field),
                expected: "an array of strings",
                found: "an array with something else in it",
            })
        })
    }

    /// Takes a field that is an object; its faults and leftovers are named as this file's.
    pub(super) fn take_object(&mut self, field: &str) -> Result<Option<Self>, AppError> {
        self.take(field)
            .map(|value| match value {
                Value::Object(fields) => Ok(Self {
                    path: self.path.clone(),
                    name: self.name.clone(),
                    prefix: format!("{}.", self.path_of(field)),
                    fields,
                }),
                other => Err(self.wrong_type(field, "an object", &other)),
            })
            .transpose()
    }

    /// A fault of this file.
    pub(super) fn fault(&self, fault: AppFault) -> AppError {
        AppError::new(&self.path, fault)
    }

    /// Notes the fields that nobody took.
    pub(super) fn note_unread(self, notices: &mut Vec<Notice>) {
        notices.extend(self.fields.keys().map(|field| Notice::UnreadField {
            file: self.name.clone(),
            field: self.path_of(field),
        }));
    }

    fn path_of(&self, field: &str) -> String {
        format!("{}{field}", self.prefix)
    }

    fn wrong_type(&self, field: &str, expected: &'static str, found: &Value) -> AppError {
        let field = self.path_of(field);
        self.fault(AppFault::FieldType { field, expected, found: kind(found) })
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
