//! Logins of devices: they keep their tokens, and the server says what these are good for.

use std::time::Duration;

use bailiwick_client::session::{ConnectError, Input, SyncError};
use bailiwick_protocol::protocol_version::ProtocolVersion;

use super::World;
use super::event::Event;
use super::traffic::any_version;
use crate::sim::agenda::Time;
use crate::sim::choices::Choices;
use crate::sim::fault::Fault;
use crate::sim::network::Peer;
use crate::sim::server::Login;
use crate::sim::tally::Met;
use crate::sim::violation::{Check, Violation};

/// A login, and what the world knows of it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) login: Login,
    pub(super) standing: Standing,
    /// The connections up to this one were made before.
    last_link: u64,
}

/// Whether the server has a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It must.
    There,
    /// It must not.
    Ended,
    /// It has failed when it was asked to end it, or has gone back to an older store.
    Unknown,
}

/// What a token must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Accepted,
    Refused,
    Either,
}

/// How often a login is tried that the server does not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the end of a connection may take once it is decided upon.
const ENDING: Duration = Duration::from_secs(8);

impl Known {
    fn access_due(&self, now: Time) -> Due {
        self.due(now, self.login.access_until.min(self.login.until))
    }

    fn refresh_due(&self, now: Time) -> Due {
        self.due(now, self.login.until)
    }

    fn due(&self, now: Time, until: Time) -> Due {
        match self.standing {
            _ if now >= until => Due::Refused,
            Standing::There => Due::Accepted,
            Standing::Ended => Due::Refused,
            Standing::Unknown => Due::Either,
        }
    }
}

impl World {
    /// The user of a device logs in, if need be and as soon as the server answers.
    pub(super) fn log_in(&mut self, device: usize) -> Result<(), Violation> {
        if !self.may_be_logged_out(device) {
            return Ok(());
        }
        let user = self.sites[device].device.user.clone();
        match self.new_login(&user) {
            Some(login) => {
                self.sites[device].login = Some(login);
                self.input_each(device, Input::Resume)?;
            }
            None => {
                self.agenda.put_in(AGAIN, Event::Mend { device, fault: Fault::LogOut });
            }
        }
        self.pump()
    }

    /// A login of a user; `None` if the server does not answer.
    pub(super) fn new_login(&mut self, user: &str) -> Option<Known> {
        if !self.is_server_up || !self.server.is_listening() {
            return None;
        }
        let login = self.server.log_in(self.agenda.now(), user)?;
        Some(Known { login, standing: Standing::There, last_link: self.last_link })
    }

    /// The login of a device's user is ended by somebody else.
    pub(super) fn log_out(
        &mut self,
        device: usize,
        choices: &mut Choices,
    ) -> Result<bool, Violation> {
        let now = self.now();
        // Preferably of one that is connected.
        let count = self.sites.len();
        let mut others = (device..count).chain(0..device);
        let device = others.find(|other| self.sites[*other].link.is_some()).unwrap_or(device);
        let site = &mut self.sites[device];
        let Some(known) = &mut site.login else { return Ok(false) };
        if known.standing != Standing::There {
            return Ok(false);
        }
        let last_link = known.last_link;
        let is_ended = self.server.log_out(now, &known.login);
        known.standing = if is_ended { Standing::Ended } else { Standing::Unknown };
        // A connection from before this login is of another, which may be there again since a restore.
        let link = site.link.filter(|link| *link > last_link);
        if is_ended && let Some(link) = link {
            let access_until = site.link_access_until.max(now);
            let checked_at = access_until + self.plan.limits.access_check_interval;
            self.agenda.put(checked_at + ENDING, Event::Outlawed(link));
        }
        if choices.one_in(3) {
            self.cut(device, choices);
        }
        self.pump()?;
        Ok(true)
    }

    /// The access token of a device ends before its time.
    pub(super) fn expire(&mut self, device: usize, choices: &mut Choices) -> bool {
        let now = self.now();
        let Some(known) = &mut self.sites[device].login else { return false };
        self.server.expire(now, &mut known.login);
        if choices.yes() {
            self.cut(device, choices);
        }
        true
    }

    /// The login of a connection has ended long ago.
    pub(super) fn outlawed(&self, link: u64) -> Result<(), Violation> {
        if self.links.get(&link).is_none_or(|link| !link.is_server_there) {
            return Ok(());
        }
        let message = format!("connection {link} outlives its login");
        Err(Violation::new(Check::Isolation, message))
    }

    /// Whether the server may say that the device has to log in again.
    pub(super) fn may_be_logged_out(&self, device: usize) -> bool {
        let login = &self.sites[device].login;
        login.as_ref().is_none_or(|known| known.refresh_due(self.now()) != Due::Accepted)
    }

    /// Whether the login that a connection of a device was made with may have ended.
    pub(super) fn may_have_ended(&self, device: usize, link: u64) -> bool {
        let login = &self.sites[device].login;
        self.may_be_logged_out(device) || login.as_ref().is_some_and(|it| link <= it.last_link)
    }

    /// A device asks for a connection, with the access token that it has.
    pub(super) fn connect(
        &mut self,
        device: usize,
    ) -> Result<Result<ProtocolVersion, ConnectError>, Violation> {
        let version = any_version(self.plan.style.lowest, &mut self.choices);
        let Some(known) = self.sites[device].login.clone() else {
            return Ok(Err(ConnectError::Network("nobody has logged in yet".to_owned())));
        };
        let due = known.access_due(self.now());
        let opened = self.open(Peer::Device(device), version, &known.login.access_token);
        let opened = self.check_due(due, opened, "an access token")?;
        if let Ok((number, user)) = &opened {
            if *user != self.sites[device].device.user {
                let message = format!("a token of somebody else is taken for one of {user}");
                return Err(Violation::new(Check::Isolation, message));
            }
            self.sites[device].link = Some(*number);
            self.sites[device].is_proven = false;
            self.sites[device].link_access_until = known.login.access_until;
            if version.number() < 8 {
                self.tally.meet(Met::OldProtocol);
            }
        }
        self.pump()?;
        Ok(opened.map(|_| version).map_err(ConnectError::Status))
    }

    /// A device asks for another access token.
    pub(super) fn token(&mut self, device: usize) -> Result<(), Violation> {
        let now = self.now();
        let site = &mut self.sites[device];
        let is_answered = site.unreachable_until <= now && self.is_server_up;
        let result = match &mut site.login {
            Some(known) if is_answered && self.server.is_listening() => {
                let due = known.refresh_due(now);
                let refreshed = self.server.refresh(now, &mut known.login);
                self.check_due(due, refreshed, "a refresh token")?
            }
            // Without an answer the device goes on with the old token.
            _ => Ok(()),
        };
        let result = match result {
            Err(401) => {
                let is_over = |known: &Known| known.login.until <= now;
                let is_over = self.sites[device].login.as_ref().is_some_and(is_over);
                self.tally.meet(if is_over { Met::LoginExpired } else { Met::LoggedOut });
                Err(SyncError::LoggedOut("the session has ended".to_owned()))
            }
            Ok(()) | Err(_) => Ok(()),
        };
        self.input(device, Input::TokenRefreshed(result))?;
        self.pump()
    }

    /// A rogue connects with a token of its own, or with something else.
    pub(super) fn intrude(
        &mut self,
        rogue: usize,
        version: ProtocolVersion,
        choices: &mut Choices,
    ) -> Result<(), Violation> {
        let user = self.rogues[rogue].user.clone();
        let now = self.now();
        let known = self.rogue_logins[rogue].take();
        let known = known.filter(|known| known.access_due(now) == Due::Accepted);
        let Some(known) = known.or_else(|| self.new_login(&user)) else { return self.pump() };
        if choices.one_in(3) {
            let token = self.server.forged(now, &known.login, choices);
            let opened = self.open(Peer::Rogue(rogue), version, &token);
            if self.check_due(Due::Refused, opened, "a forged token")? == Err(401) {
                self.tally.meet(Met::IntruderRefused);
            }
        }
        let due = known.access_due(now);
        let opened = self.open(Peer::Rogue(rogue), version, &known.login.access_token);
        self.rogue_logins[rogue] = Some(known);
        if let Ok((link, _)) = self.check_due(due, opened, "an access token")? {
            self.rogues[rogue].connected(link, version);
        }
        self.pump()
    }

    /// The server treats a token as it deserves; for other reasons it may fail.
    fn check_due<T>(
        &self,
        due: Due,
        result: Result<T, u16>,
        what: &str,
    ) -> Result<Result<T, u16>, Violation> {
        let now = self.now();
        match (due, &result) {
            (Due::Refused, Ok(_)) => {
                let message = format!("{what} is good for something at {now:?}");
                Err(Violation::new(Check::Isolation, message))
            }
            (Due::Accepted, Err(401)) => {
                let message = format!("{what} is good for nothing at {now:?}");
                Err(Violation::new(Check::Honest, message))
            }
            (_, Err(status)) if *status != 401 && self.server.is_working() => {
                let message = format!("{what} is answered with {status} by a server that works");
                Err(Violation::new(Check::Honest, message))
            }
            (_, Err(401)) => {
                self.tally.meet(Met::TokenRefused);
                Ok(result)
            }
            _ => Ok(result),
        }
    }

    /// The server has gone back to an older store, with or without the logins.
    pub(super) fn forget_logins(&mut self) {
        let rogues = self.rogue_logins.iter_mut().flatten();
        let devices = self.sites.iter_mut().filter_map(|site| site.login.as_mut());
        devices.chain(rogues).for_each(|known| known.standing = Standing::Unknown);
        // A login that was ended may be there again.
        self.agenda.retain(|event| !matches!(event, Event::Outlawed(_)));
    }
}
