//! The JSON of a `JSON_ERROR`. Spec: wire protocol, section 7.1.

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::protocol_version::ProtocolVersion;
use crate::version::{ClientVersion, ServerVersion};

/// What a `JSON_ERROR` says. Devices take a missing field as a violation of the protocol, so none can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// What happened, for people; it reaches the application.
    pub message: String,
    /// Where the operator finds more; users see it. Mostly empty.
    pub log_url: String,
    /// What the device does.
    pub action: Action,
    /// Whether the device comes back by itself.
    pub try_again: bool,
    /// Whether the device throws its file away. Devices from 7 on go by the action.
    pub should_client_reset: bool,
    /// Whether nothing may be recovered in a client reset. Devices from 7 on go by the action.
    pub is_recovery_mode_disabled: bool,
    /// When the device comes back.
    pub backoff: Option<Backoff>,
    /// The writes that are being undone.
    pub rejection: Option<Rejection>,
}

/// When a device comes back: after `interval_s`, then that times `multiplier` again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay, in seconds.
    pub interval_s: u32,
    /// The longest delay, in seconds.
    pub max_delay_s: u32,
    /// The factor from one delay to the next.
    pub multiplier: u32,
}

/// Writes that the user was not allowed, and which entry of the history undoes them on the device.
///
/// It has to be sent before the DOWNLOAD with that entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The writes, one for each object.
    pub updates: Vec<RejectedUpdate>,
    /// The version of the changeset that held them.
    pub client_version: ClientVersion,
    /// The entry that undoes them.
    pub compensating_write_server_version: ServerVersion,
}

/// A write to one object that was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedUpdate {
    /// The name of the class, without a prefix.
    pub table: String,
    /// The primary key as in a changeset, type and value, in base64.
    #[serde(rename = "pk")]
    pub primary_key: String,
    /// Why, for people.
    pub reason: String,
}

impl ErrorBody {
    /// The body with this action, and the flags that go with it.
    pub fn new(action: Action, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            log_url: String::new(),
            action,
            try_again: action.tries_again(),
            should_client_reset: action.is_client_reset(),
            is_recovery_mode_disabled: action == Action::ClientResetNoRecovery,
            backoff: None,
            rejection: None,
        }
    }

    /// The same, and when to come back.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff: Some(backoff), ..self }
    }

    /// The same with an action that devices of `version` know.
    pub(super) fn for_version(self, version: ProtocolVersion) -> Self {
        let action = self.action.for_version(version);
        if action == self.action {
            return self;
        }
        let Self { message, log_url, backoff, rejection, .. } = self;
        Self { log_url, backoff, rejection, ..Self::new(action, message) }
    }
}

/// The fields as they stand in the JSON, in the order in which they are printed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<S, U> {
    try_again: bool,
    message: S,
    should_client_reset: bool,
    is_recovery_mode_disabled: bool,
    #[serde(rename = "logURL")]
    log_url: S,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_interval_sec: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_max_delay_sec: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_multiplier: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_updates: Option<U>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compensating_write_server_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_client_version: Option<u64>,
}

pub(super) fn print(body: &ErrorBody) -> Vec<u8> {
    let backoff = body.backoff.as_ref();
    let rejection = body.rejection.as_ref();
    let fields = Fields {
        try_again: body.try_again,
        message: body.message.as_str(),
        should_client_reset: body.should_client_reset,
        is_recovery_mode_disabled: body.is_recovery_mode_disabled,
        log_url: body.log_url.as_str(),
        action: Some(body.action),
        backoff_interval_sec: backoff.map(|backoff| backoff.interval_s),
        backoff_max_delay_sec: backoff.map(|backoff| backoff.max_delay_s),
        backoff_multiplier: backoff.map(|backoff| backoff.multiplier),
        rejected_updates: rejection.map(|rejection| rejection.updates.as_slice()),
        compensating_write_server_version: rejection
            .map(|rejection| rejection.compensating_write_server_version.0),
        rejected_client_version: rejection.map(|rejection| rejection.client_version.0),
    };
    serde_json::to_vec(&fields).expect("texts, numbers and flags are always JSON")
}

/// Reads a body. Below 7 the action may be missing, and is then what the flags amount to.
pub(super) fn parse(version: ProtocolVersion, json: &[u8]) -> Result<ErrorBody, serde_json::Error> {
    let fields: Fields<String, Vec<RejectedUpdate>> = serde_json::from_slice(json)?;
    let action = match fields.action {
        Some(action) => action,
        None if version.has_actions() => return Err(missing("action")),
        None if fields.should_client_reset && fields.is_recovery_mode_disabled => {
            Action::ClientResetNoRecovery
        }
        None if fields.should_client_reset => Action::ClientReset,
        None if fields.try_again => Action::Transient,
        None => Action::ApplicationBug,
    };
    let backoff = match fields.backoff_interval_sec {
        None => None,
        Some(interval_s) => Some(Backoff {
            interval_s,
            max_delay_s: required(fields.backoff_max_delay_sec, "backoffMaxDelaySec")?,
            multiplier: required(fields.backoff_multiplier, "backoffMultiplier")?,
        }),
    };
    let rejection = match fields.rejected_updates {
        None => None,
        Some(updates) => Some(Rejection {
            updates,
            client_version: required(fields.rejected_client_version, "rejectedClientVersion")
                .map(ClientVersion)?,
            compensating_write_server_version: required(
                fields.compensating_write_server_version,
                "compensatingWriteServerVersion",
            )
            .map(ServerVersion)?,
        }),
    };
    Ok(ErrorBody {
        message: fields.message,
        log_url: fields.log_url,
        action,
        try_again: fields.try_again,
        should_client_reset: fields.should_client_reset,
        is_recovery_mode_disabled: fields.is_recovery_mode_disabled,
        backoff,
        rejection,
    })
}

fn required<T>(field: Option<T>, name: &'static str) -> Result<T, serde_json::Error> {
    field.ok_or_else(|| missing(name))
}

fn missing(name: &'static str) -> serde_json::Error {
    serde::de::Error::missing_field(name)
}
