//! What an UPLOAD may say, given what the session has said and seen before.
//!
//! Spec: server history, section 4; wire protocol, section 5.3.

use bailiwick_protocol::version::{ServerVersion, UploadCursor};

/// The upload side of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadProgress {
    /// What was integrated or queued when the session started; fixed from then on.
    threshold: UploadCursor,
    /// The progress of the session's last UPLOAD.
    progress: UploadCursor,
    /// The device's last promise of what it will never ask for again.
    locked: ServerVersion,
}

/// What to do with an UPLOAD that may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadCheck {
    /// How many changesets, from the first, were integrated in an earlier session: they are left out.
    pub ignored: usize,
    /// What to queue with the others; `None` if there is nothing that a server does not know.
    pub queue: Option<UploadCursor>,
}

/// Why an UPLOAD is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// Client versions do not ascend, or exceed the progress.
    #[error("the client versions of the upload do not ascend up to its progress")]
    ClientVersion,
    /// Server versions go back, go beyond what was sent, or contradict the client versions.
    #[error(
        "the server versions of the upload contradict what was sent to the device or said by it"
    )]
    ServerVersion,
}

impl UploadProgress {
    /// Starts a session for a client file.
    ///
    /// `threshold` is the file's upload cursor, including what is accepted and not yet integrated.
    pub fn new(threshold: UploadCursor, locked: ServerVersion) -> Self {
        Self { threshold, progress: UploadCursor::default(), locked }
    }

    /// Takes note of an UPLOAD.
    ///
    /// `downloaded` is the server version up to which the session has sent DOWNLOADs; `changesets` are
    /// the cursors of the changesets, in order. Linear in their number. After an error the session is over.
    ///
    /// # Errors
    ///
    /// The first check that fails.
    pub fn check(
        &mut self,
        progress: UploadCursor,
        locked: ServerVersion,
        downloaded: ServerVersion,
        changesets: impl IntoIterator<Item = UploadCursor>,
    ) -> Result<UploadCheck, UploadError> {
        if progress.client_version < self.progress.client_version {
            return Err(UploadError::ClientVersion);
        }
        let fits = progress.last_integrated_server_version <= downloaded
            && progress.is_consistent()
            && progress.is_mutually_consistent(self.threshold)
            && progress.is_mutually_consistent(self.progress)
            && locked >= self.locked
            && locked <= downloaded;
        if !fits {
            return Err(UploadError::ServerVersion);
        }
        let mut previous = self.progress;
        let mut ignored = 0;
        for cursor in changesets {
            if cursor.client_version <= previous.client_version {
                return Err(UploadError::ClientVersion);
            }
            let fits = cursor.is_consistent()
                && cursor.is_mutually_consistent(previous)
                && cursor.is_mutually_consistent(self.threshold);
            if !fits {
                return Err(UploadError::ServerVersion);
            }
            if cursor.client_version <= self.threshold.client_version {
                ignored += 1;
            }
            previous = cursor;
        }
        if previous.client_version > progress.client_version {
            return Err(UploadError::ClientVersion);
        }
        if !previous.is_mutually_consistent(progress) {
            return Err(UploadError::ServerVersion);
        }
        Ok(self.accept(progress, locked, ignored))
    }

    fn accept(
        &mut self,
        progress: UploadCursor,
        locked: ServerVersion,
        ignored: usize,
    ) -> UploadCheck {
        let is_new = progress.client_version > self.threshold.client_version;
        let queue = if is_new {
            Some(progress)
        } else {
            // Only the promise grew: the cursor stays where the server has it.
            (locked > self.locked).then_some(self.threshold)
        };
        self.progress = progress;
        self.locked = locked;
        UploadCheck { ignored, queue }
    }
}

#[cfg(test)]
mod tests {
    use bailiwick_protocol::version::ClientVersion;

    use super::*;

    fn cursor((client, server): (u64, u64)) -> UploadCursor {
        UploadCursor {
            client_version: ClientVersion(client),
            last_integrated_server_version: ServerVersion(server),
        }
    }

    /// The answer to one UPLOAD in a session whose file is integrated up to (5, 3), which has been sent
    /// the history up to version 10, and whose last UPLOAD said (6, 4) with 2 locked.
    fn check(
        progress: (u64, u64),
        locked: u64,
        changesets: &[(u64, u64)],
    ) -> Result<UploadCheck, UploadError> {
        let mut session = UploadProgress::new(cursor((5, 3)), ServerVersion(2));
        session.check(cursor((6, 4)), ServerVersion(2), ServerVersion(10), []).unwrap();
        let changesets = changesets.iter().copied().map(cursor);
        session.check(cursor(progress), ServerVersion(locked), ServerVersion(10), changesets)
    }

    #[test]
    fn an_upload_goes_on_where_the_last_one_ended() {
        let queue = Some(cursor((9, 7)));
        assert_eq!(check((9, 7), 3, &[(7, 4), (8, 7)]), Ok(UploadCheck { ignored: 0, queue }));
        assert_eq!(check((9, 7), 2, &[]), Ok(UploadCheck { ignored: 0, queue }));
    }

    #[test]
    fn each_contradiction_is_refused() {
        let client = Err(UploadError::ClientVersion);
        let server = Err(UploadError::ServerVersion);
        assert_eq!(check((4, 3), 2, &[]), client, "progress goes back");
        assert_eq!(check((7, 11), 2, &[]), server, "progress beyond what was sent");
        assert_eq!(check((7, 3), 2, &[]), server, "progress goes back on the server's side");
        assert_eq!(check((6, 5), 2, &[]), server, "equal client version, other server version");
        assert_eq!(check((7, 4), 1, &[]), server, "locked version goes back");
        assert_eq!(check((7, 4), 11, &[]), server, "locked version beyond what was sent");
        assert_eq!(check((9, 7), 2, &[(6, 4)]), client, "a changeset twice");
        assert_eq!(check((9, 7), 2, &[(8, 5), (7, 5)]), client, "changesets descend");
        assert_eq!(check((9, 7), 2, &[(7, 5), (8, 4)]), server, "bases descend");
        assert_eq!(check((9, 7), 2, &[(10, 7)]), client, "a changeset beyond the progress");
        assert_eq!(check((9, 7), 2, &[(8, 8)]), server, "a base beyond the progress");
    }

    #[test]
    fn what_an_earlier_session_integrated_is_ignored() {
        let mut session = UploadProgress::new(cursor((5, 3)), ServerVersion(0));
        let changesets = [(4, 2), (5, 3), (6, 3)].map(cursor);
        let answer = session.check(cursor((6, 3)), ServerVersion(0), ServerVersion(3), changesets);
        assert_eq!(answer, Ok(UploadCheck { ignored: 2, queue: Some(cursor((6, 3))) }));
    }

    #[test]
    fn a_repeated_upload_has_nothing_to_queue_unless_the_promise_grew() {
        let mut session = UploadProgress::new(cursor((5, 3)), ServerVersion(0));
        let mut repeat = |locked| {
            session.check(cursor((5, 3)), ServerVersion(locked), ServerVersion(3), [cursor((5, 3))])
        };
        assert_eq!(repeat(0), Ok(UploadCheck { ignored: 1, queue: None }));
        let mut session = UploadProgress::new(cursor((5, 3)), ServerVersion(0));
        let answer = session.check(cursor((5, 3)), ServerVersion(2), ServerVersion(3), []);
        assert_eq!(answer, Ok(UploadCheck { ignored: 0, queue: Some(cursor((5, 3))) }));
    }
}
