//! IDENT, in both directions: the server allocates a client file ident, the device says which one it has.
//!
//! Spec: wire protocol, sections 3 and 5.2.

use bytes::Bytes;

use crate::ident::{FileIdent, Salt, SessionIdent};
use crate::message::error::ParseError;
use crate::message::head::{self, Head};
use crate::version::{DownloadCursor, SaltedVersion};

pub(super) const NAME: &str = "ident";

/// A device says which client file it is and how far it has come.
///
/// Nothing is known of these numbers but that they are numbers: what they claim is to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIdent {
    /// The session.
    pub session: SessionIdent,
    /// The client file.
    pub file_ident: FileIdent,
    /// The secret that came with the ident; who knows both is that file.
    pub file_ident_salt: Salt,
    /// Up to where the device has integrated the partition's history.
    pub download_cursor: DownloadCursor,
    /// The latest version that the device has heard of, which proves that its history is the server's.
    pub latest_server_version: SaltedVersion,
}

/// The server gives a device its client file ident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerIdent {
    /// The session.
    pub session: SessionIdent,
    /// The new ident; devices take nothing below 1.
    pub file_ident: FileIdent,
    /// The secret that goes with it; devices take nothing below 1.
    pub file_ident_salt: Salt,
}

impl ClientIdent {
    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let ident = Self {
            session: head.session()?,
            file_ident: FileIdent(head.number("file_ident")?),
            file_ident_salt: head.salt("file_ident_salt")?,
            download_cursor: DownloadCursor {
                server_version: head.server_version("download_server_version")?,
                last_integrated_client_version: head.client_version("download_client_version")?,
            },
            latest_server_version: SaltedVersion {
                version: head.server_version("latest_server_version")?,
                salt: head.salt("latest_server_version_salt")?,
            },
        };
        head.end_without_body(body)?;
        Ok(ident)
    }

    pub(super) fn print_to(&self, out: &mut Vec<u8>) {
        let fields = [
            self.session.0,
            self.file_ident.0,
            self.file_ident_salt.0,
            self.download_cursor.server_version.0,
            self.download_cursor.last_integrated_client_version.0,
            self.latest_server_version.version.0,
            self.latest_server_version.salt.0,
        ];
        head::push(out, NAME, &fields);
    }
}

impl ServerIdent {
    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let ident = Self {
            session: head.session()?,
            file_ident: head.allocated_file_ident()?,
            file_ident_salt: head.allocated_salt()?,
        };
        head.end_without_body(body)?;
        Ok(ident)
    }

    pub(super) fn print_to(self, out: &mut Vec<u8>) {
        head::push(out, NAME, &[self.session.0, self.file_ident.0, self.file_ident_salt.0]);
    }
}
