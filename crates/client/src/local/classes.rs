//! The schema as it is stored, decoded once for all who read it.

use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::EncodingError;
use bailiwick_core::schema::Schema;

use super::links::LinkColumns;

/// A schema and what follows from it.
#[derive(Debug)]
pub(super) struct Classes {
    pub(super) schema: Schema,
    pub(super) links: LinkColumns,
    stored: Box<[u8]>,
}

/// The schema that was decoded last. It hardly ever changes.
#[derive(Debug, Default)]
pub(super) struct ClassCache {
    latest: Mutex<Option<Arc<Classes>>>,
}

impl ClassCache {
    pub(super) fn decode(&self, stored: &[u8]) -> Result<Arc<Classes>, EncodingError> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(classes) = &*latest
            && *classes.stored == *stored
        {
            return Ok(Arc::clone(classes));
        }
        let schema = Schema::decode(stored)?;
        let links = LinkColumns::of(&schema);
        let classes = Arc::new(Classes { schema, links, stored: stored.into() });
        *latest = Some(Arc::clone(&classes));
        Ok(classes)
    }
}
