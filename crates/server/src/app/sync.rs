//! `sync/config.json`: what tells partitions apart, and who may open them (spec: administration API, section 5.1).

use std::path::Path;

use bailiwick_core::partition::{PartitionKey, PartitionType};
use serde_json::{Map, Value};

use crate::app::document::Document;
use crate::app::fault::{AppError, AppFault};
use crate::app::notice::Notice;
use crate::app::schema;

/// The configuration of partition-based sync.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncConfig {
    /// The field whose value says which partition a document belongs to.
    pub partition_field: String,
    /// The type of that field, and whether every document has it.
    pub partition_key: PartitionKey,
    /// Who may open a partition; not enforced yet.
    pub permissions: Permissions,
}

/// Expressions over a user and a partition; an absent one is the empty expression, which is always true.
#[derive(Clone, Debug, PartialEq)]
pub struct Permissions {
    /// Who may read.
    pub read: Value,
    /// Who may write, and so may read.
    pub write: Value,
}

impl SyncConfig {
    pub(super) fn parse(
        dir: &Path,
        mut file: Document,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, AppError> {
        let kind = file.take_string("type")?;
        match kind.as_deref() {
            Some("partition") | None => (),
            Some("flexible") => return Err(file.fault(AppFault::FlexibleSync)),
            Some(other) => {
                let found = other.to_owned();
                return Err(file.fault(AppFault::UnknownSyncType { found }));
            }
        }
        let Some(mut partition) = file.take_object("partition")? else {
            return Err(file.fault(AppFault::SyncOff));
        };
        if let Some(state) = file.take_string("state")?.filter(|state| state != "enabled") {
            return Err(file.fault(AppFault::SyncDisabled { state }));
        }
        let partition_field = partition_field(&mut partition)?;
        let partition_type = partition_type(&mut partition)?;
        let required = partition.take_bool("required")?;
        let permissions = permissions(&mut partition)?;
        let service = file.take_string("service_name")?;
        // When sync was paused last is history, not a setting.
        file.take("last_disabled");
        partition.note_unread(notices);
        file.note_unread(notices);
        notices.push(Notice::PermissionsNotEnforced);
        let required_in_schemas =
            schema::partition_required(dir, service.as_deref(), &partition_field, partition_type)?;
        let required = required.unwrap_or(required_in_schemas);
        let partition_key = PartitionKey { partition_type, required };
        Ok(Self { partition_field, partition_key, permissions })
    }
}

fn partition_field(partition: &mut Document) -> Result<String, AppError> {
    let key = partition.need_string("key", r#""key": "_partition""#)?;
    if key.is_empty() || key.starts_with('$') || key == "_id" {
        return Err(partition.fault(AppFault::PartitionKey { found: key }));
    }
    Ok(key)
}

fn partition_type(partition: &mut Document) -> Result<PartitionType, AppError> {
    let name = partition.need_string("type", r#""type": "string""#)?;
    PartitionType::from_name(&name)
        .ok_or_else(|| partition.fault(AppFault::PartitionType { found: name }))
}

fn permissions(partition: &mut Document) -> Result<Permissions, AppError> {
    let mut expressions = partition.take_object("permissions")?;
    let mut take = |field| {
        let expression = expressions.as_mut().and_then(|expressions| expressions.take(field));
        expression.unwrap_or_else(|| Value::Object(Map::new()))
    };
    Ok(Permissions { read: take("read"), write: take("write") })
}
