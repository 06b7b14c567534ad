//! What the schemas below `data_sources/` say about the partition key.

use std::fs;
use std::io;
use std::path::Path;

use bailiwick_core::partition::PartitionType;
use serde_json::Value;

use crate::app::document::Document;
use crate::app::fault::{AppError, AppFault};

/// Whether the schemas of the synced service require the partition key: all that have it do, and one at least.
///
/// Without a service name, the schemas of all data sources count.
///
/// # Errors
///
/// A schema that is not JSON, or that gives the key another type.
pub(super) fn partition_required(
    dir: &Path,
    service: Option<&str>,
    key: &str,
    key_type: PartitionType,
) -> Result<bool, AppError> {
    let services = match service {
        Some(service) => vec![service.to_owned()],
        None => subdirectories(dir, "data_sources")?,
    };
    let (mut requiring, mut others) = (0, 0);
    for service in services {
        let service = format!("data_sources/{service}");
        for database in subdirectories(dir, &service)? {
            let database = format!("{service}/{database}");
            for collection in subdirectories(dir, &database)? {
                let file = format!("{database}/{collection}/schema.json");
                match Document::read(dir, &file)?.map(|schema| requires(schema, key, key_type)) {
                    Some(Ok(Some(true))) => requiring += 1,
                    Some(Ok(Some(false))) => others += 1,
                    Some(Ok(None)) | None => (),
                    Some(Err(error)) => return Err(error),
                }
            }
        }
    }
    Ok(requiring > 0 && others == 0)
}

/// Whether a schema requires the key; `None` if it does not have it.
fn requires(
    mut schema: Document,
    key: &str,
    key_type: PartitionType,
) -> Result<Option<bool>, AppError> {
    let required = schema.take_strings("required")?;
    let Some(mut properties) = schema.take_object("properties")? else { return Ok(None) };
    let Some(mut property) = properties.take_object(key)? else { return Ok(None) };
    // A list of types is left to whoever reads whole schemas.
    if let Some(Value::String(found)) = property.take("bsonType")
        && PartitionType::from_name(&found) != Some(key_type)
    {
        let (key, expected) = (key.to_owned(), key_type.name());
        return Err(property.fault(AppFault::SchemaContradicts { key, found, expected }));
    }
    Ok(Some(required.iter().any(|name| name == key)))
}

/// The names of the directories in there, sorted; none if there is no such directory.
fn subdirectories(dir: &Path, name: &str) -> Result<Vec<String>, AppError> {
    let path = dir.join(name);
    let unreadable = |error| AppError::new(&path, AppFault::Unreadable(error));
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if entry.file_type().map_err(unreadable)?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
