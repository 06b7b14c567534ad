//! Commands that may have to wait for a read: a new client file, and who may have which.

use bailiwick_core::history::{Claim, ClientType, check_ident};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{DownloadCursor, SaltedVersion, ServerVersion};

use super::{Actor, File, Holder, Output, Purpose};
use crate::realm::RealmError;
use crate::realm::command::{Bound, Callers, ConnectionId, IdentifyRefused, SessionEnd};
use crate::realm::integration::Loaded;
use crate::realm::read::{Records, Request};

/// A command that waits for a read, and what was read for it.
#[derive(Debug)]
pub(super) struct Asking<C: Callers> {
    pub(super) asked: Asked<C>,
    pub(super) found: Records,
    /// The realm was lost since it was asked for: what is read says nothing about the one that comes.
    pub(super) is_outdated: bool,
}

#[derive(Debug)]
pub(super) enum Asked<C: Callers> {
    Allocate(Allocation<C>),
    Identify(Identify<C>),
}

#[derive(Debug)]
pub(super) struct Allocation<C: Callers> {
    pub(super) user_id: String,
    pub(super) answer: C::Allocate,
}

#[derive(Debug)]
pub(super) struct Identify<C: Callers> {
    pub(super) connection: ConnectionId,
    pub(super) file_ident: FileIdent,
    pub(super) salt: Salt,
    pub(super) user_id: String,
    pub(super) download: DownloadCursor,
    pub(super) latest: SaltedVersion,
    pub(super) answer: C::Identify,
}

impl<C: Callers> Actor<C> {
    pub(super) fn ask(&mut self, asked: Asked<C>, out: &mut Vec<Output<C>>) {
        self.answer(Asking { asked, found: Records::default(), is_outdated: false }, out);
    }

    /// Answers a command, or reads what is missing for the answer.
    fn answer(&mut self, asking: Asking<C>, out: &mut Vec<Output<C>>) {
        let missing = self.missing(&asking);
        if missing != Request::default() {
            self.asking = Some(asking);
            return out.push(Output::Read(Purpose::Command, missing));
        }
        match asking.asked {
            Asked::Allocate(allocation) => self.allocations.push(allocation),
            Asked::Identify(identify) => {
                let result = self.identify(&identify, &asking.found, out);
                out.push(Output::Identified(identify.answer, result));
            }
        }
    }

    /// What has to be read before a command can be answered.
    fn missing(&self, Asking { asked, found, .. }: &Asking<C>) -> Request {
        let mut missing = Request { realm: self.loaded.is_none(), ..Request::default() };
        if let Asked::Identify(identify) = asked {
            let ident = identify.file_ident;
            if !self.files.contains_key(&ident) && !found.files.contains_key(&ident) {
                missing.files.push(ident);
            }
            let version = identify.latest.version;
            if self.has_stored_salt(version) && !found.salts.contains_key(&version) {
                missing.salts.push(version);
            }
        }
        missing
    }

    /// Whether the salt of a version can only be known by reading.
    fn has_stored_salt(&self, version: ServerVersion) -> bool {
        let is_old = |loaded: &Loaded| version < loaded.record.head.version;
        version > ServerVersion::default() && self.loaded.as_ref().is_none_or(is_old)
    }

    pub(super) fn on_read(
        &mut self,
        result: Result<Records, RealmError>,
        out: &mut Vec<Output<C>>,
    ) {
        let Some(mut asking) = self.asking.take() else { return };
        match result {
            Ok(_) if asking.is_outdated => self.ask(asking.asked, out),
            Ok(mut found) => {
                if let Some(loaded) = found.loaded.take() {
                    self.take_over(loaded);
                }
                asking.found.files.append(&mut found.files);
                asking.found.salts.append(&mut found.salts);
                self.answer(asking, out);
            }
            Err(error) => out.push(match asking.asked {
                Asked::Allocate(allocation) => Output::Allocated(allocation.answer, Err(error)),
                Asked::Identify(identify) => Output::Identified(identify.answer, Err(error.into())),
            }),
        }
    }

    fn identify(
        &mut self,
        identify: &Identify<C>,
        found: &Records,
        out: &mut Vec<Output<C>>,
    ) -> Result<Bound, IdentifyRefused> {
        let Identify { connection, file_ident, .. } = *identify;
        let claim = Claim {
            file_ident,
            salt: identify.salt,
            user_id: &identify.user_id,
            download: identify.download,
            latest: identify.latest,
            client_type: ClientType::Regular,
        };
        let head = self.loaded.as_ref().expect("it was read before").record.head;
        let latest_salt = salt_of(identify.latest.version, head, found);
        let stored = found.files.get(&file_ident).and_then(Option::as_ref);
        let record = self.files.get(&file_ident).map_or(stored, |file| Some(&file.record));
        check_ident(&claim, record, head.version, latest_salt)?;
        let record = record.expect("the check refuses an ident without a record").clone();

        let file =
            self.files.entry(file_ident).or_insert(File { record, queued: None, holder: None });
        if let Some(holder) = &file.holder {
            if holder.connection == connection {
                return Err(IdentifyRefused::BoundInOtherSession);
            }
            out.push(Output::End(file_ident, SessionEnd::TakenOver));
        }
        file.holder = Some(Holder { connection, is_over: false });
        let stored = (file.record.upload_cursor, file.record.locked_server_version);
        let (threshold, locked) = file.queued.unwrap_or(stored);
        Ok(Bound { connection, file_ident, threshold, locked, head: head.version })
    }
}

/// The salt of a version, if there is such a version.
fn salt_of(version: ServerVersion, head: SaltedVersion, found: &Records) -> Option<Salt> {
    if version == ServerVersion::default() {
        Some(Salt::default())
    } else if version == head.version {
        Some(head.salt)
    } else {
        found.salts.get(&version).copied().flatten()
    }
}
