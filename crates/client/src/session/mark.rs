//! MARK: who waits until all that the server has now is integrated. Spec: client, section 5.1.

use bailiwick_protocol::message::RequestIdent;
use bailiwick_protocol::version::ServerVersion;

use super::io::WaitKey;

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// The application.
    Caller(WaitKey),
    /// Uploads, which are held back after a connection was lost for long.
    Uploads,
    /// A client reset, for its fresh copy.
    FreshCopy,
    /// A client reset, for the end of it.
    EndOfReset,
}

/// The MARKs of one file, and who waits for them. The numbers go on from session to session.
#[derive(Debug, Default)]
pub(super) struct Marks {
    requested: u64,
    /// In this session.
    sent: u64,
    answered: u64,
    waits: Vec<(Waiter, Step)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Until this MARK or a later one is answered.
    Marked(u64),
    /// Until this version is integrated.
    Integrating(ServerVersion),
}

impl Marks {
    /// Somebody waits from now on.
    pub(super) fn request(&mut self, waiter: Waiter) {
        self.requested += 1;
        self.waits.push((waiter, Step::Marked(self.requested)));
    }

    /// Somebody waits from now on, unless they do already.
    pub(super) fn request_once(&mut self, waiter: Waiter) {
        if !self.waits.iter().any(|&(other, _)| other == waiter) {
            self.request(waiter);
        }
    }

    /// A session begins: what was not answered, or not integrated after the answer, is asked again.
    pub(super) fn begin_session(&mut self) {
        let is_lost = |&(_, step): &(Waiter, Step)| matches!(step, Step::Integrating(_));
        if self.waits.iter().any(is_lost) {
            self.requested += 1;
        }
        for (_, step) in &mut self.waits {
            if let Step::Integrating(_) = step {
                *step = Step::Marked(self.requested);
            }
        }
        self.sent = self.answered;
    }

    /// The MARK to send, which stands for all before it.
    pub(super) fn next(&mut self) -> Option<RequestIdent> {
        if self.requested == self.sent {
            return None;
        }
        self.sent = self.requested;
        Some(RequestIdent(self.sent))
    }

    /// Takes an answer, before which all up to `received` has come; false if it was not asked for.
    pub(super) fn answer(&mut self, ident: RequestIdent, received: ServerVersion) -> bool {
        if ident.0 <= self.answered || ident.0 > self.sent {
            return false;
        }
        self.answered = ident.0;
        for (_, step) in &mut self.waits {
            if matches!(step, Step::Marked(mark) if *mark <= ident.0) {
                *step = Step::Integrating(received);
            }
        }
        true
    }

    /// Those whose wait is over, now that all up to `integrated` is integrated.
    pub(super) fn integrated(&mut self, integrated: ServerVersion) -> Vec<Waiter> {
        let is_over = |(_, step): &mut (Waiter, Step)| matches!(step, Step::Integrating(v) if *v <= integrated);
        self.waits.extract_if(.., is_over).map(|(waiter, _)| waiter).collect()
    }

    /// Nobody waits any more; those of the application who did.
    pub(super) fn drain_callers(&mut self) -> Vec<WaitKey> {
        let mut callers = Vec::new();
        self.waits.retain(|&(waiter, _)| match waiter {
            Waiter::Caller(key) => {
                callers.push(key);
                false
            }
            _ => true,
        });
        callers
    }

    /// This one waits no more.
    pub(super) fn forget(&mut self, waiter: Waiter) {
        self.waits.retain(|&(other, _)| other != waiter);
    }
}
