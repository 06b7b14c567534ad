//! DOWNLOAD: the partition's history for a device, and the acknowledgement of its uploads.
//!
//! Spec: wire protocol, sections 3.2, 4.2, 5.4 and 5.6.

use bytes::Bytes;

use crate::ident::SessionIdent;
use crate::message::body::{self, Body};
use crate::message::entry::{DownloadEntry, Entries};
use crate::message::error::ParseError;
use crate::message::head::{self, Head};
use crate::version::{DownloadCursor, SaltedVersion, UploadCursor};

pub(super) const NAME: &str = "download";

/// Changesets for a device, or none and only how far the server has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Everything but the changesets.
    pub header: DownloadHeader,
    /// The changesets: [`DownloadEntry`]s, once inflated.
    pub body: Body,
}

/// What a DOWNLOAD says before its changesets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadHeader {
    /// The session.
    pub session: SessionIdent,
    /// Where the device stands in the partition's history once it has integrated the message.
    pub download_cursor: DownloadCursor,
    /// The head of the partition's history.
    pub latest_server_version: SaltedVersion,
    /// What the server has integrated of the device's history: the only acknowledgement that there is.
    pub upload_cursor: UploadCursor,
    /// The size of the changesets that are left after this message, for a progress bar; 0 if unknown.
    pub downloadable_bytes: u64,
}

impl Download {
    /// The entries of the body once it is inflated, without a copy.
    pub fn entries(plain: Bytes) -> Entries<DownloadEntry> {
        Entries::new(plain)
    }

    pub(super) fn parse(mut head: Head<'_>, body: Bytes) -> Result<Self, ParseError> {
        let header = DownloadHeader {
            session: head.session()?,
            download_cursor: DownloadCursor {
                server_version: head.server_version("download_server_version")?,
                last_integrated_client_version: head.client_version("download_client_version")?,
            },
            latest_server_version: SaltedVersion {
                version: head.server_version("latest_server_version")?,
                salt: head.salt("latest_server_version_salt")?,
            },
            upload_cursor: UploadCursor {
                client_version: head.client_version("upload_client_version")?,
                last_integrated_server_version: head.server_version("upload_server_version")?,
            },
            downloadable_bytes: head.number("downloadable_bytes")?,
        };
        let description = body::Description::parse(&mut head)?;
        head.end()?;
        Ok(Self { header, body: description.check(NAME, body)? })
    }

    pub(super) fn print_to(&self, out: &mut Vec<u8>) {
        self.header.print_to(out, self.body.fields());
        out.extend_from_slice(self.body.bytes());
    }
}

/// How the cursors of one DOWNLOAD contradict each other; devices take it as a violation of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// The device would stand where there is no history yet.
    #[error("the download cursor is beyond the latest server version")]
    BeyondHead,
    /// A client version would come back before it is acknowledged.
    #[error("the download cursor has a client version beyond the upload cursor")]
    Unacknowledged,
    /// The device uploaded on top of a server version that it has not integrated.
    #[error("the upload cursor has a server version beyond the download cursor")]
    NotIntegrated,
}

impl DownloadHeader {
    /// Checks what a device checks before it looks at its own cursors. What it compares with those, that no cursor
    /// moves back, is not checked here.
    ///
    /// # Errors
    ///
    /// The first contradiction.
    pub fn check(&self) -> Result<(), CursorError> {
        let (download, upload) = (self.download_cursor, self.upload_cursor);
        if download.server_version > self.latest_server_version.version {
            Err(CursorError::BeyondHead)
        } else if download.last_integrated_client_version > upload.client_version {
            Err(CursorError::Unacknowledged)
        } else if upload.last_integrated_server_version > download.server_version {
            Err(CursorError::NotIntegrated)
        } else {
            Ok(())
        }
    }

    /// The message that holds `entries`, ready to be sent: compressed as [`Body::compress`] does, with no copy of a
    /// changeset but the one in the result.
    pub fn print_with(&self, entries: &[DownloadEntry]) -> Vec<u8> {
        body::print_with(entries, |out, body| self.print_to(out, body))
    }

    fn print_to(self, out: &mut Vec<u8>, body: [u64; 3]) {
        let [is_compressed, uncompressed_len, compressed_len] = body;
        let fields = [
            self.session.0,
            self.download_cursor.server_version.0,
            self.download_cursor.last_integrated_client_version.0,
            self.latest_server_version.version.0,
            self.latest_server_version.salt.0,
            self.upload_cursor.client_version.0,
            self.upload_cursor.last_integrated_server_version.0,
            self.downloadable_bytes,
            is_compressed,
            uncompressed_len,
            compressed_len,
        ];
        head::push(out, NAME, &fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::Salt;
    use crate::version::{ClientVersion, ServerVersion};

    #[test]
    fn a_device_integrates_no_more_than_there_is_and_is_acknowledged() {
        let check = |[download, client, latest, upload_client, upload_server]: [u64; 5],
                     expected| {
            let header = DownloadHeader {
                session: SessionIdent(1),
                download_cursor: DownloadCursor {
                    server_version: ServerVersion(download),
                    last_integrated_client_version: ClientVersion(client),
                },
                latest_server_version: SaltedVersion {
                    version: ServerVersion(latest),
                    salt: Salt(7),
                },
                upload_cursor: UploadCursor {
                    client_version: ClientVersion(upload_client),
                    last_integrated_server_version: ServerVersion(upload_server),
                },
                downloadable_bytes: 0,
            };
            assert_eq!(header.check(), expected);
        };
        check([0, 0, 0, 0, 0], Ok(()));
        check([3, 4, 9, 6, 3], Ok(()));
        check([5, 0, 4, 0, 0], Err(CursorError::BeyondHead));
        check([3, 7, 3, 6, 0], Err(CursorError::Unacknowledged));
        check([3, 4, 9, 6, 4], Err(CursorError::NotIntegrated));
    }
}
