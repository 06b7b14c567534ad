//! Reading again what others wrote, where it was not kept.

use std::borrow::Cow;

use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use super::Entry;
use super::integrate::{ConcurrentHistory, IntegrationError};

/// Reads entries in the form that is reciprocal to a client file; ascending, so that each page is read once.
pub(super) struct Rereading<'a, H> {
    history: &'a H,
    ident: FileIdent,
    page: Cow<'a, [Entry]>,
    /// From the first version on that was asked for, the next one last.
    reciprocals: Option<Vec<(ServerVersion, Bytes)>>,
}

impl<'a, H: ConcurrentHistory> Rereading<'a, H> {
    pub(super) fn new(history: &'a H, ident: FileIdent) -> Self {
        Self { history, ident, page: Cow::Borrowed(&[]), reciprocals: None }
    }

    /// The form of a version, which is none of the client file's own.
    pub(super) fn form(
        &mut self,
        version: ServerVersion,
    ) -> Result<Bytes, IntegrationError<H::Error>> {
        let before = ServerVersion(version.0.saturating_sub(1));
        let reciprocals = match &mut self.reciprocals {
            Some(reciprocals) => reciprocals,
            unread => {
                let read = self.history.reciprocals(self.ident, before);
                let mut reciprocals = read.map_err(IntegrationError::Storage)?;
                reciprocals.reverse();
                unread.insert(reciprocals)
            }
        };
        while reciprocals.pop_if(|(of, _)| *of < version).is_some() {}
        if let Some((_, form)) = reciprocals.pop_if(|(of, _)| *of == version) {
            return Ok(form);
        }
        if self.page.last().is_none_or(|last| last.version.version < version) {
            self.page = self.history.entries(before).map_err(IntegrationError::Storage)?;
        }
        let at = self.page.binary_search_by_key(&version, |entry| entry.version.version);
        let at = at.map_err(|_| IntegrationError::MissingEntries(before))?;
        Ok(self.page[at].changeset.clone())
    }
}
