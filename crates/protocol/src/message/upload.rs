//! UPLOAD: changesets of a device. Spec: wire protocol, sections 3.1, 4.1 and 5.3.

use bytes::Bytes;

use crate::ident::SessionIdent;
use crate::message::body::{self, Body};
use crate::message::entry::{Entries, UploadEntry};
use crate::message::error::ParseError;
use crate::message::head::{self, Head};
use crate::version::{ServerVersion, UploadCursor};

pub(super) const NAME: &str = "upload";

/// Changesets of a device, or none and only how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Everything but the changesets.
    pub header: UploadHeader,
    /// The changesets: [`UploadEntry`]s, once inflated.
    pub body: Body,
}

/// What an UPLOAD says before its changesets. What it claims is to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadHeader {
    /// The session.
    pub session: SessionIdent,
    /// How far the device has scanned its own history, and the server version that it had integrated there: at least
    /// the last changeset of the body.
    pub progress: UploadCursor,
    /// The server version up to where the device has integrated now; what comes after it must be kept for the device.
    pub locked_server_version: ServerVersion,
}

impl Upload {
    /// The entries of the body once it is inflated, without a copy.
    pub fn entries(plain: Bytes) -> Entries<UploadEntry> {
        Entries::new(plain)
    }

    pub(super) fn parse(mut head: Head<'_>, body: Bytes) -> Result<Self, ParseError> {
        let session = head.session()?;
        let description = body::Description::parse(&mut head)?;
        let header = UploadHeader {
            session,
            progress: UploadCursor {
                client_version: head.client_version("progress_client_version")?,
                last_integrated_server_version: head.server_version("progress_server_version")?,
            },
            locked_server_version: head.server_version("locked_server_version")?,
        };
        head.end()?;
        Ok(Self { header, body: description.check(NAME, body)? })
    }

    pub(super) fn print_to(&self, out: &mut Vec<u8>) {
        self.header.print_to(out, self.body.fields());
        out.extend_from_slice(self.body.bytes());
    }
}

impl UploadHeader {
    /// The message that holds `entries`, ready to be sent: compressed as [`Body::compress`] does, with no copy of a
    /// changeset but the one in the result.
    pub fn print_with(&self, entries: &[UploadEntry]) -> Vec<u8> {
        body::print_with(entries, |out, body| self.print_to(out, body))
    }

    fn print_to(self, out: &mut Vec<u8>, body: [u64; 3]) {
        let [is_compressed, uncompressed_len, compressed_len] = body;
        let fields = [
            self.session.0,
            is_compressed,
            uncompressed_len,
            compressed_len,
            self.progress.client_version.0,
            self.progress.last_integrated_server_version.0,
            self.locked_server_version.0,
        ];
        head::push(out, NAME, &fields);
    }
}
