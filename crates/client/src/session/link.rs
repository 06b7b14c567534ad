//! The connection itself: making it, keeping it, losing it. Spec: client, sections 2 and 6.

use std::mem;
use std::time::Duration;

use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::ClientMessage;
use bailiwick_protocol::protocol_version::ProtocolVersion;

use super::Connection;
use super::heartbeat::Heartbeat;
use super::io::{Output, RealmKey, SessionEvent, SyncError, Time};
use super::realm::{Activity, Realm};
use super::verdict::{self, Remedy, Retry, Verdict};

/// Where a connection stands.
#[derive(Debug)]
pub(super) enum Link {
    /// Nobody needs one.
    Down,
    /// There is none until then.
    Waiting { until: Time },
    /// There is none until somebody asks for it, because of this.
    GivenUp(SyncError),
    /// It is being made.
    Connecting { give_up_at: Time },
    /// There is one.
    Up(Up),
}

/// A connection that was made.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) version: ProtocolVersion,
    pub(super) heartbeat: Heartbeat,
    /// Until when it is kept although nobody needs it.
    linger_until: Option<Time>,
    /// The last session ident of earlier connections.
    pub(super) idents_after: SessionIdent,
}

/// What the end of a refresh of the access token leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    /// A connection at once.
    Connect,
    /// A connection after the delay: the last token did not help.
    Wait,
}

/// A token that was refreshed no longer ago than this is not the reason why a connection fails, so that a server which
/// says so is not asked again at once, whatever was between.
const RECENT_REFRESH: Duration = Duration::from_secs(60);

impl Link {
    /// Somebody asks for a connection that was given up.
    pub(super) fn forgive(&mut self) {
        if let Self::GivenUp(_) = self {
            *self = Self::Down;
        }
    }
}

impl Connection {
    /// Connects, disconnects and sends PINGs as it is time.
    pub(super) fn check_link(&mut self, now: Time, out: &mut Vec<Output>) {
        let is_needed = self.realms.values().any(Realm::needs_connection);
        match &mut self.link {
            Link::Waiting { until } if *until <= now => self.link = Link::Down,
            Link::Connecting { give_up_at } if *give_up_at <= now => {
                out.push(Output::Disconnect);
                self.fail(now, verdict::timeout(self.is_located), out);
            }
            Link::Up(up) if self.is_reading && up.heartbeat.is_dead(now) => {
                let is_urgent = up.heartbeat.is_urgent();
                out.push(Output::Disconnect);
                self.fail(now, verdict::timeout(true), out);
                if is_urgent {
                    self.link = Link::Down;
                }
            }
            Link::Up(up) => {
                if let Some(ping) = up.heartbeat.ping(now, &self.config) {
                    out.push(Output::Send(ClientMessage::Ping(ping).print().into()));
                }
                let linger = self.config.linger;
                if is_needed {
                    up.linger_until = None;
                } else if now >= *up.linger_until.get_or_insert(now + linger) {
                    out.push(Output::Disconnect);
                    self.lose(now, out);
                    self.link = Link::Down;
                }
            }
            Link::Down | Link::Waiting { .. } | Link::GivenUp(_) | Link::Connecting { .. } => (),
        }
        if let Link::Down = self.link
            && self.refresh.is_none()
            && self.realms.values().any(Realm::needs_connection)
        {
            self.link = Link::Connecting { give_up_at: now + self.config.connect_timeout };
            out.push(Output::Connect);
        }
    }

    /// There is a connection.
    pub(super) fn go_up(&mut self, now: Time, version: ProtocolVersion) {
        let limit = self.config.fast_reconnect_limit;
        let is_fast = self.lost_at.is_some_and(|lost_at| now.saturating_sub(lost_at) <= limit);
        if !is_fast {
            for realm in self.realms.values_mut() {
                realm.main.may_upload = false;
            }
        }
        self.is_located = true;
        self.is_writable = true;
        self.is_reading = true;
        self.link = Link::Up(Up {
            version,
            heartbeat: Heartbeat::new(now, &self.config, &mut self.random),
            linger_until: None,
            idents_after: self.last_ident,
        });
    }

    /// The server breaks the protocol.
    pub(super) fn violate(&mut self, now: Time, message: &str, out: &mut Vec<Output>) {
        out.push(Output::Disconnect);
        self.fail(now, verdict::violation(message), out);
    }

    /// The connection is gone, or could not be made.
    pub(super) fn fail(&mut self, now: Time, verdict: Verdict, out: &mut Vec<Output>) {
        let Verdict { failure, retry, remedy, report } = verdict;
        let bound = self.bound_realms();
        self.lose(now, out);
        let is_repeated = self.backoff.repeats(failure);
        self.link = match retry {
            Retry::Never => Link::GivenUp(report.clone().unwrap_or(SyncError::Ended)),
            Retry::After(growth) => {
                let delay = self.backoff.delay(failure, growth, &mut self.random);
                Link::Waiting { until: now + delay }
            }
        };
        if let Some(error) = &report {
            self.report(error, &remedy, out);
        }
        self.remedy(now, remedy, is_repeated, &bound, out);
    }

    /// Does what is to be done before the next connection.
    fn remedy(
        &mut self,
        now: Time,
        remedy: Remedy,
        is_repeated: bool,
        bound: &[RealmKey],
        out: &mut Vec<Output>,
    ) {
        match remedy {
            Remedy::Nothing | Remedy::End => (),
            Remedy::Token => {
                let is_recent = |at| now.saturating_sub(at) < RECENT_REFRESH;
                let is_new = self.refreshed_at.is_some_and(is_recent);
                self.refresh_token(is_repeated || is_new, out);
            }
            Remedy::Location => {
                self.is_located = true;
                out.push(Output::RefreshLocation);
            }
            Remedy::Moved => {
                out.push(Output::RefreshLocation);
                self.refresh_token(true, out);
            }
            Remedy::LogOut => {
                out.push(Output::LogOut);
                // Nobody is left who would need one; whoever is resumed may have logged in again.
                self.link = Link::Down;
            }
            Remedy::Reset(cause) => {
                for &key in bound {
                    self.demand_reset(key, cause.clone(), out);
                }
            }
        }
    }

    /// Tells the applications.
    fn report(&mut self, error: &SyncError, remedy: &Remedy, out: &mut Vec<Output>) {
        if let Remedy::LogOut | Remedy::End = remedy {
            return self.end_all(error, out);
        }
        for realm in self.realms.values_mut() {
            if let Activity::Active = realm.activity {
                realm.tell(SessionEvent::Error(error.clone()), out);
                if error.is_fatal() {
                    realm.fail_waits(error, out);
                }
            }
        }
    }

    /// Forgets all that belongs to the connection.
    fn lose(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Link::Up(_) = self.link {
            self.lost_at = Some(now);
        }
        for (key, role) in mem::take(&mut self.sessions).into_values() {
            self.drop_session(key, role, out);
        }
        self.unbinds.clear();
        self.is_writable = true;
        self.is_reading = true;
    }

    /// Asks for another access token.
    pub(super) fn refresh_token(&mut self, is_repeated: bool, out: &mut Vec<Output>) {
        let then = if is_repeated { Refresh::Wait } else { Refresh::Connect };
        if self.refresh.replace(then).is_none() {
            out.push(Output::RefreshToken);
        }
    }

    pub(super) fn on_token_refreshed(
        &mut self,
        now: Time,
        result: Result<(), SyncError>,
        out: &mut Vec<Output>,
    ) {
        let Some(then) = self.refresh.take() else { return };
        match (result, &mut self.link) {
            (Ok(()), link) => {
                self.refreshed_at = Some(now);
                if let Link::Waiting { until } = link
                    && then == Refresh::Connect
                {
                    *until = now;
                }
            }
            (Err(error), _) => self.log_out(now, &error, out),
        }
    }

    /// Ends the sync of a user who is gone, and the connection that was made with the old token: whoever is resumed may
    /// have logged in again.
    pub(super) fn log_out(&mut self, now: Time, error: &SyncError, out: &mut Vec<Output>) {
        self.end_all(error, out);
        if let Link::Up(_) | Link::Connecting { .. } = self.link {
            out.push(Output::Disconnect);
            self.lose(now, out);
        }
        self.link = Link::Down;
    }

    /// When something is to be done about the connection.
    pub(super) fn link_deadline(&self) -> Option<Time> {
        match &self.link {
            Link::Down | Link::GivenUp(_) => None,
            Link::Waiting { until } => Some(*until),
            Link::Connecting { give_up_at } => Some(*give_up_at),
            Link::Up(up) => {
                let heartbeat = (self.is_reading || !up.heartbeat.is_waiting())
                    .then(|| up.heartbeat.deadline());
                heartbeat.into_iter().chain(up.linger_until).min()
            }
        }
    }
}
