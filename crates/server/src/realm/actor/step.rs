//! Steps: what gathers is integrated and made durable, one step at a time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bailiwick_core::history::{Integration, Rejection, Unseen};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_storage::store::CommitRefused;

use super::asking::Allocation;
use super::{Actor, File, Output, Purpose};
use crate::realm::command::{Callers, SessionEnd};
use crate::realm::committer::CommitError;
use crate::realm::integration::{Committed, Computed, PendingUpload, Piece, Step};
use crate::realm::read::{Records, Request};
use crate::realm::{Chain, RealmError};

/// The step that runs.
#[derive(Debug)]
pub(super) struct Working<C: Callers> {
    /// Who waits for its client files.
    pub(super) allocating: Vec<C::Allocate>,
    /// The memory that its uploads take, in bytes.
    pub(super) cost: usize,
    pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
    Computing,
    /// What was computed is being made durable.
    Committing(Step, Committed),
    /// Nothing is to be made durable but a refusal is to be told: is it from the realm as it is?
    Checking(Step, Committed),
    /// Somebody else has committed: everything in memory is being read again.
    Reloading,
}

/// Reading fewer entries again takes less than remembering them.
const MIN_UNSEEN_COUNT: u64 = 128;

/// How many bytes of what others wrote one realm keeps for client files with long queues.
const MAX_UNSEEN_LEN: usize = 16 << 20;

impl<C: Callers> Actor<C> {
    /// Starts the next integration, unless one runs or there is nothing to do.
    ///
    /// How far a device has got is no reason for a commit of its own, which what others upload would have to wait for:
    /// each device that was sent it says so, and nobody is told that it is stored. It goes with the next commit, or
    /// when the device has gone.
    pub(super) fn start_step(&mut self, out: &mut Vec<Output<C>>) {
        let rests_wait = self.is_pausing && self.draining.is_empty();
        let is_due = self.is_due || !self.draining.is_empty() || (self.has_rest && !rests_wait);
        let has_uploads = is_due && !self.uploads.is_empty();
        if self.working.is_some() || (self.allocations.is_empty() && !has_uploads) {
            return;
        }
        let Some(loaded) = self.loaded.clone() else { return };
        let (allocations, allocating) = std::mem::take(&mut self.allocations)
            .into_iter()
            .map(|Allocation { user_id, answer }| (user_id, answer))
            .unzip();
        let uploads = self.take_pieces(rests_wait);
        let max_reciprocals_len = self.config.max_reciprocals_len;
        let mut step = Step { loaded, allocations, max_reciprocals_len, ..Step::default() };
        let mut read_after = step.loaded.record.head.version;
        for (ident, pending) in &uploads {
            let unseen = self.unseen.remove(ident).unwrap_or_default();
            if let Some(base) = pending.base() {
                read_after = read_after.min(unseen.reads_after(base));
            }
            step.unseen.get_mut().insert(*ident, unseen);
            if let Some(file) = self.files.get(ident) {
                step.files.insert(*ident, file.record.clone());
            }
        }
        step.concurrent = self.recent.excerpt(read_after);
        step.uploads = uploads;
        let cost = step.uploads.values().map(|upload| upload.cost).sum();
        self.working = Some(Working { allocating, cost, phase: Phase::Computing });
        out.push(Output::Compute(step));
    }

    /// Takes of what client files have queued what the next step is to integrate. Those with long queues do not make the
    /// others wait for all of it.
    fn take_pieces(&mut self, rests_wait: bool) -> BTreeMap<FileIdent, PendingUpload> {
        self.step_count += 1;
        let (in_turn, piece) = match self.alone.take() {
            Some((alone, piece)) => (vec![alone], piece),
            None if self.files.len() > 1 => (self.in_turn(rests_wait), Piece::SHARED),
            None => (self.in_turn(rests_wait), Piece::ALONE),
        };
        let mut pieces = BTreeMap::new();
        let (mut count, mut len) = (0, 0);
        for ident in in_turn {
            if count >= Piece::STEP.max_count || len >= Piece::STEP.max_len {
                break;
            }
            let Entry::Occupied(mut queue) = self.uploads.entry(ident) else { continue };
            let taken = queue.get_mut().take(piece);
            if queue.get().is_rest {
                queue.get_mut().since = self.step_count;
            } else {
                queue.remove();
            }
            (count, len) = (count + taken.changesets.len(), len + taken.len());
            self.backlog_len -= taken.cost;
            pieces.insert(ident, taken);
        }
        self.has_rest = self.uploads.values().any(|queue| queue.is_rest);
        self.is_due = self.uploads.values().any(|queue| !queue.is_rest);
        pieces
    }

    /// Who has something queued, beginning with those that have waited for the longest time.
    fn in_turn(&self, rests_wait: bool) -> Vec<FileIdent> {
        let queues = self.uploads.iter().filter(|(_, queue)| !(rests_wait && queue.is_rest));
        let mut in_turn: Vec<_> = queues.map(|(ident, queue)| (queue.since, *ident)).collect();
        in_turn.sort_unstable();
        in_turn.into_iter().map(|(_, ident)| ident).collect()
    }

    pub(super) fn on_computed(&mut self, computed: Computed, out: &mut Vec<Output<C>>) {
        let Some(mut working) = self.working.take() else { return };
        let Computed { step, postponed, result } = computed;
        if let Ok((_, Committed { integration, .. })) = &result {
            self.alone = next_alone(integration, &postponed);
        }
        self.queue_again(postponed);
        match result {
            Ok((Some(commit), committed)) => {
                working.phase = Phase::Committing(step, committed);
                self.working = Some(working);
                out.push(Output::Commit(commit));
            }
            Ok((None, committed)) if committed.integration.rejections.is_empty() => {
                self.on_durable(working.allocating, step, committed, out);
            }
            // A refusal is for good: it must not come from reading a realm that somebody else was changing.
            // A commit is told so by the store.
            Ok((None, committed)) => {
                working.phase = Phase::Checking(step, committed);
                self.working = Some(working);
                let request = Request { realm: true, ..Request::default() };
                out.push(Output::Read(Purpose::Step, request));
            }
            Err(error) => self.fail(working.allocating, error, out),
        }
    }

    pub(super) fn on_commit(&mut self, result: Result<(), CommitError>, out: &mut Vec<Output<C>>) {
        let Some(Working { allocating, phase: Phase::Committing(step, committed), .. }) =
            self.working.take()
        else {
            return;
        };
        let error = match result {
            Ok(()) => return self.on_durable(allocating, step, committed, out),
            Err(CommitError::Refused(CommitRefused::Outdated { actual, .. })) => {
                return self.retry(allocating, step, actual, out);
            }
            Err(CommitError::Refused(refused)) => {
                RealmError::Damaged(Chain(&refused).to_string().into())
            }
            Err(CommitError::Storage(error)) => RealmError::Storage(error),
            Err(CommitError::ShuttingDown) => RealmError::ShuttingDown,
        };
        self.fail(allocating, error, out);
    }

    pub(super) fn on_step_read(
        &mut self,
        result: Result<Records, RealmError>,
        out: &mut Vec<Output<C>>,
    ) {
        let Some(Working { allocating, phase, .. }) = self.working.take() else { return };
        match (phase, result) {
            (Phase::Checking(step, committed), Ok(records)) => {
                let actual = records.loaded.map_or(0, |loaded| loaded.record.revision);
                if actual == step.loaded.record.revision {
                    self.on_durable(allocating, step, committed, out);
                } else {
                    self.retry(allocating, step, actual, out);
                }
            }
            (Phase::Reloading, Ok(records)) => {
                if let Some(loaded) = records.loaded {
                    out.push(Output::Head(loaded.record.head.version));
                    self.take_over(loaded);
                }
                for (ident, record) in records.files {
                    if let (Some(file), Some(record)) = (self.files.get_mut(&ident), record) {
                        file.record = record;
                    }
                }
            }
            (_, Err(error)) => self.fail(allocating, error, out),
            (Phase::Computing | Phase::Committing(..), Ok(_)) => (),
        }
    }

    fn on_durable(
        &mut self,
        allocating: Vec<C::Allocate>,
        step: Step,
        committed: Committed,
        out: &mut Vec<Output<C>>,
    ) {
        let Committed { loaded, integration, allocated } = committed;
        let head = loaded.record.head.version;
        self.loaded = Some(loaded);
        self.recent.extend(&integration.entries, integration.footprints);
        self.keep(integration.unseen);
        for (ident, record) in integration.client_files {
            if let Some(file) = self.files.get_mut(&ident) {
                file.record = record;
            }
        }
        for rejection in integration.rejections {
            self.reject(rejection, out);
        }
        for ident in step.uploads.into_keys() {
            if let Some(file) = self.files.get_mut(&ident)
                && !self.uploads.contains_key(&ident)
            {
                file.queued = None;
            }
            self.forget_if_unused(ident);
        }
        let answers = allocating.into_iter().zip(allocated);
        out.extend(answers.map(|(answer, file)| Output::Allocated(answer, Ok(file))));
        if !integration.entries.is_empty() {
            out.push(Output::Head(head));
        }
        if self.has_rest && !self.is_pausing && self.files.len() > 1 {
            self.is_pausing = true;
            out.push(Output::Pause);
        }
    }

    /// Keeps what saves the next steps of client files with long queues from reading the history again.
    fn keep(&mut self, unseen: Vec<(FileIdent, Unseen)>) {
        let files = &self.files;
        self.unseen.extend(unseen.into_iter().filter(|(ident, unseen)| {
            unseen.entry_count() >= MIN_UNSEEN_COUNT && files.contains_key(ident)
        }));
        if self.unseen_len() > MAX_UNSEEN_LEN {
            self.unseen.values_mut().for_each(Unseen::forget_forms);
        }
        while self.unseen_len() > MAX_UNSEEN_LEN {
            self.unseen.pop_last();
        }
    }

    fn unseen_len(&self) -> usize {
        self.unseen.values().map(Unseen::byte_len).sum()
    }

    /// Ends the session whose upload was refused, and drops what it has queued since.
    fn reject(&mut self, rejection: Rejection, out: &mut Vec<Output<C>>) {
        let ident = rejection.file_ident;
        let user_id = self.files.get(&ident).map(|file| file.record.user_id.as_str());
        tracing::error!(
            realm = ?self.key,
            file_ident = ident.0,
            user_id,
            client_version = rejection.client_version.map(|version| version.0),
            error = %Chain(&rejection.error),
            "refused an upload; nothing of it is stored",
        );
        if let Some(pending) = self.uploads.remove(&ident) {
            self.backlog_len -= pending.cost;
        }
        if let Some(File { holder: Some(holder), .. }) = self.files.get_mut(&ident) {
            holder.is_over = true;
            out.push(Output::End(ident, SessionEnd::Rejected(Arc::new(rejection))));
        }
    }

    /// Puts uploads that were not integrated in front of what their client files have queued since.
    fn queue_again(&mut self, uploads: BTreeMap<FileIdent, PendingUpload>) {
        self.is_due |= !uploads.is_empty();
        for (ident, mut pending) in uploads {
            self.backlog_len += pending.cost;
            if let Some(newer) = self.uploads.remove(&ident) {
                pending.append(newer);
            }
            self.uploads.insert(ident, pending);
        }
    }

    /// Puts a step back in front of what has gathered since, to be computed from the realm as it is now.
    fn retry(
        &mut self,
        allocating: Vec<C::Allocate>,
        step: Step,
        actual: u64,
        out: &mut Vec<Output<C>>,
    ) {
        let expected = step.loaded.record.revision;
        tracing::warn!(realm = ?self.key, expected, actual, "somebody else has committed; trying again");
        self.forget_realm();
        self.queue_again(step.uploads);
        let allocations = step.allocations.into_iter().zip(allocating);
        let allocations = allocations.map(|(user_id, answer)| Allocation { user_id, answer });
        self.allocations.splice(0..0, allocations);
        self.working = Some(Working { allocating: Vec::new(), cost: 0, phase: Phase::Reloading });
        let mut files: Vec<_> = self.files.keys().copied().collect();
        files.sort_unstable();
        let request = Request { realm: true, files, salts: Vec::new() };
        out.push(Output::Read(Purpose::Step, request));
    }

    /// Gives up everything that is not durable. The devices come back, and the realm is read again.
    fn fail(&mut self, allocating: Vec<C::Allocate>, error: RealmError, out: &mut Vec<Output<C>>) {
        tracing::error!(realm = ?self.key, error = %Chain(&error), "the realm has failed; its devices have to come back");
        let queued = self.allocations.drain(..).map(|allocation| allocation.answer);
        let answers = allocating.into_iter().chain(queued);
        out.extend(answers.map(|answer| Output::Allocated(answer, Err(error.clone()))));
        self.uploads.clear();
        (self.is_due, self.has_rest, self.backlog_len) = (false, false, 0);
        self.alone = None;
        self.files.clear();
        self.forget_realm();
        out.push(Output::Failed(error));
    }
}

/// What the next step has to integrate without others, after one in which there was no room for the reciprocal forms: half
/// of what there was no room for alone, or else all of what has waited for the longest time.
fn next_alone(
    integration: &Integration,
    postponed: &BTreeMap<FileIdent, PendingUpload>,
) -> Option<(FileIdent, Piece)> {
    let uploads = integration.postponed.iter();
    let mut uploads = uploads.filter_map(|ident| Some((*ident, postponed.get(ident)?)));
    let (ident, max_count) = if integration.client_files.is_empty() {
        uploads.next().map(|(ident, upload)| (ident, upload.changesets.len() / 2))
    } else {
        let longest = uploads.min_by_key(|(_, upload)| upload.since);
        longest.map(|(ident, upload)| (ident, upload.changesets.len()))
    }?;
    Some((ident, Piece { max_count: max_count.max(1), max_len: usize::MAX }))
}
