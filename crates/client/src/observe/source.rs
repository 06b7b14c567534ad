//! From news of commits to steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use bailiwick_core::EncodingError;
use bailiwick_core::state::{ObjectRow, ObjectStore as _, decode_row};
use bailiwick_protocol::version::ClientVersion;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Step, Touched};
use crate::local::{Committed, LocalError, LocalFile, Snapshot};
use crate::read::{ReadError, View};

/// More rows than this are not kept: two states of the class are compared instead, object by object.
const MAX_ROWS: usize = 10_000;

/// News of a file, which it does not keep open.
#[derive(Debug)]
pub(super) struct Source {
    file: Weak<LocalFile>,
    news: Receiver<Arc<Committed>>,
}

/// What commits have written, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Written {
    rows: BTreeSet<ObjectRow>,
    /// There was more.
    is_incomplete: bool,
}

impl Source {
    /// The news that follow a state of the file, and this state.
    pub(super) fn new(file: &Arc<LocalFile>) -> Result<(Self, View), ReadError> {
        // What is committed in between is told, and found to be there already.
        let news = file.news();
        let view = View::new(file.snapshot()?);
        Ok((Self { file: Arc::downgrade(file), news }, view))
    }

    /// Waits for commits. Gives the state that they have left, and what they have written; `None` once the file is
    /// closed.
    pub(super) async fn next(&mut self) -> Option<Result<(Snapshot, Written), ReadError>> {
        let mut written = Written::default();
        let mut version = ClientVersion(0);
        if !self.take(&mut written, &mut version).await {
            return None;
        }
        let snapshot = match self.file.upgrade()?.snapshot() {
            Ok(snapshot) => snapshot,
            Err(LocalError::Closed) => return None,
            Err(error) => return Some(Err(error.into())),
        };
        // What has made this state has been told, or is just being told. What comes after it is of the next step.
        while version < snapshot.state().version && !written.is_incomplete {
            if !self.take(&mut written, &mut version).await {
                return None;
            }
        }
        Some(Ok((snapshot, written)))
    }
}

impl Source {
    /// Waits for the next news; whether there are any more.
    async fn take(&mut self, written: &mut Written, version: &mut ClientVersion) -> bool {
        match self.news.recv().await {
            Ok(news) => {
                written.add(&news);
                *version = news.version;
            }
            Err(RecvError::Lagged(_)) => written.is_incomplete = true,
            Err(RecvError::Closed) => return false,
        }
        true
    }
}

impl Written {
    fn add(&mut self, news: &Committed) {
        self.is_incomplete |= news.schema_changed || self.rows.len() + news.rows.len() > MAX_ROWS;
        if self.is_incomplete {
            self.rows.clear();
        } else {
            self.rows.extend(news.rows.iter().cloned());
        }
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && !self.is_incomplete
    }

    /// The step from one state to the other.
    pub(super) fn into_step(self, old: View, new: View) -> Result<Step, ReadError> {
        let touched = if self.is_incomplete {
            Touched::Anything
        } else {
            Touched::Objects(touched(&self.rows, old.snapshot(), new.snapshot())?)
        };
        Ok(Step { old, new, touched })
    }
}

fn touched(
    rows: &BTreeSet<ObjectRow>,
    old: &Snapshot,
    new: &Snapshot,
) -> Result<super::Objects, ReadError> {
    let mut touched = BTreeMap::<_, BTreeSet<_>>::new();
    let mut add = |row: &[u8]| {
        let (class, key) =
            decode_row(row).map_err(|_| EncodingError::Invalid("a row does not name an object"))?;
        touched.entry(class).or_default().insert(key);
        Ok::<_, ReadError>(())
    };
    for row in rows {
        add(row)?;
        if old.object(row)?.is_some() != new.object(row)?.is_some() {
            // Links to it come to life, or read as null.
            new.links_to(row)?.iter().try_for_each(|holder| add(holder))?;
        }
    }
    Ok(touched)
}
