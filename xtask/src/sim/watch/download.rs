//! What a DOWNLOAD must hold: the next part of the history for whoever it goes to.

use bailiwick_core::apply::FORGIVING_PROTOCOL;
use bailiwick_protocol::message::Download;
use bailiwick_protocol::message::limits::DEFAULT_MAX_PLAIN_LEN;

use super::{Listener, Session, Watch, older, uninvited};
use crate::sim::violation::{Check, Violation};

impl Watch {
    /// A device is let in, and is sent what comes next: all of it, as it is, and nothing of its own.
    pub(super) fn download(
        &mut self,
        link: u64,
        download: &Download,
        listener: Listener,
    ) -> Result<(), Violation> {
        let header = &download.header;
        let Some(watched) = self.links.get_mut(&link) else { return Ok(()) };
        let session = watched.sessions.get_mut(&header.session);
        let Some(Session { partition, bound: Some((file, cursor)), .. }) = session else {
            return Err(uninvited("DOWNLOAD", link, header.session));
        };
        let ledger = self.ledgers.get_mut(partition).expect("the client file is of it");
        let plain = download.body.inflate(DEFAULT_MAX_PLAIN_LEN).map_err(|error| {
            Violation::new(Check::Honest, format!("a DOWNLOAD cannot be read: {error}"))
        })?;
        let mut expected = ledger.check_download(*file, *cursor, header.download_cursor)?;
        for entry in Download::entries(plain) {
            let entry = entry.map_err(|error| {
                Violation::new(Check::Honest, format!("a DOWNLOAD cannot be read: {error}"))
            })?;
            let version = entry.server_version;
            if entry.origin_file_ident == *file {
                let message = format!("client file {file} is sent its own {version}");
                return Err(Violation::new(Check::OwnChanges, message));
            }
            let Some(known) = expected.next() else {
                let message = format!("client file {file} is sent {version}, which is not next");
                return Err(Violation::new(Check::Isolation, message));
            };
            if known.version.version != version {
                let message = format!("instead of {} comes {version}", known.version.version);
                return Err(Violation::new(Check::Cursors, message));
            }
            let is_same = if watched.version.number() < FORGIVING_PROTOCOL {
                older::is_same(&known.changeset, &entry.changeset)
            } else {
                known.changeset == entry.changeset
            };
            if !is_same
                || known.changeset.len() as u64 != entry.original_changeset_len
                || known.origin_timestamp != entry.origin_timestamp
            {
                let message = format!("client file {file} is sent another {version} than is there");
                return Err(Violation::new(Check::Isolation, message));
            }
        }
        if let Some(missing) = expected.next() {
            let message = format!("client file {file} is not sent {}", missing.version.version);
            return Err(Violation::new(Check::Cursors, message));
        }
        drop(expected);
        *cursor = header.download_cursor;
        match listener {
            Listener::There => ledger.acknowledged(*file, header.upload_cursor),
            // It had to wait until the connection took it, and the next one may be further.
            Listener::Gone => Ok(()),
        }
    }
}
