//! How much of a realm has travelled. Spec: client, section 5.4.

use crate::local::ByteCounters;

/// How much of a realm has travelled, in bytes of changesets, uncompressed, since its file began or was reset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SyncProgress {
    /// What came from the server and is integrated.
    pub downloaded: u64,
    /// That and what is still to come, as far as the server has said.
    pub downloadable: u64,
    /// What the server has acknowledged.
    pub uploaded: u64,
    /// That and what still has to be.
    pub uploadable: u64,
    /// How much of the download that is under way has come, from 0 to 1; 1 if there is none.
    pub download_estimate: f64,
    /// How much of the upload that is under way is acknowledged, from 0 to 1; 1 if there is none.
    pub upload_estimate: f64,
}

/// Makes progress out of counters: remembers where the transfers that are under way began.
#[derive(Debug, Default)]
pub(super) struct Estimator {
    download: Transfer,
    upload: Transfer,
}

#[derive(Debug, Default)]
struct Transfer {
    /// What was done when nothing was left to be done.
    done_at_completion: u64,
}

impl Estimator {
    pub(super) fn update(&mut self, bytes: ByteCounters) -> SyncProgress {
        let downloadable = bytes.downloaded.saturating_add(bytes.remaining);
        SyncProgress {
            downloaded: bytes.downloaded,
            downloadable,
            uploaded: bytes.uploaded,
            uploadable: bytes.uploadable,
            download_estimate: self.download.update(bytes.downloaded, downloadable),
            upload_estimate: self.upload.update(bytes.uploaded, bytes.uploadable),
        }
    }
}

impl Transfer {
    fn update(&mut self, done: u64, total: u64) -> f64 {
        if done >= total {
            self.done_at_completion = done;
            return 1.0;
        }
        // A client reset lets the counters begin anew.
        self.done_at_completion = self.done_at_completion.min(done);
        let part = |bytes: u64| {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let bytes = (bytes - self.done_at_completion) as f64;
            bytes
        };
        part(done) / part(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "the parts are powers of two")]
    fn an_estimate_counts_from_the_last_completion() {
        let mut transfer = Transfer::default();
        for (done, total, expected) in [
            (0, 0, 1.0),
            (0, 100, 0.0),
            (50, 100, 0.5),
            (100, 100, 1.0),
            (100, 200, 0.0),
            (150, 200, 0.5),
            (250, 200, 1.0),
            // Reset.
            (0, 0, 1.0),
            (25, 100, 0.25),
        ] {
            assert_eq!(transfer.update(done, total), expected, "{done} of {total}");
        }
        // Reset while it was under way, with something to do at once.
        let mut transfer = Transfer { done_at_completion: 500 };
        assert_eq!(transfer.update(0, 100), 0.0);
    }
}
