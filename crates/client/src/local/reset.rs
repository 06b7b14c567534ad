//! The record of a client reset that is under way. Spec: client, section 7.6.

use bailiwick_core::EncodingError;
use bailiwick_protocol::action::Action;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{OriginTimestamp, ServerVersion};

use super::record::{finish, number, put_text, small, text};

/// A client reset that has begun and whose end is not recorded: a second one before that is a loop.
///
/// A fresh copy has one, too, which says for what it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingReset {
    /// The version of this library that wrote the record; one of another version is to be ignored.
    pub library_version: String,
    /// When it began.
    pub time: OriginTimestamp,
    /// What becomes of local changes.
    pub mode: EffectiveMode,
    /// What the server demanded.
    pub action: Action,
    /// The error that demanded it.
    pub code: ErrorCode,
    /// What the error said.
    pub message: String,
    /// How far it has come.
    pub stage: ResetStage,
    /// How many times it was begun, this time included.
    pub attempts: u32,
    /// The client file that is given up. No other file has it, so it names the file to which a fresh copy belongs.
    pub client_file: Option<(FileIdent, Salt)>,
    /// What the file had integrated of the server's history when it began.
    pub integrated: ServerVersion,
}

/// What becomes of local changes in a client reset, once it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EffectiveMode {
    /// They are dropped.
    DiscardLocal,
    /// They are made again on top of the server's state.
    Recover,
}

/// How far a client reset has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResetStage {
    /// The file holds what it held before.
    Started,
    /// The file holds the server's state; what was recovered may not be uploaded yet.
    Applied,
    /// It cannot be made; the file holds what it held before.
    Failed,
    /// The application wants the file to be set aside when the realm is opened the next time.
    GivenUp,
}

impl PendingReset {
    /// The version of this library, as records have it.
    pub const LIBRARY_VERSION: &str = env!("CARGO_PKG_VERSION");

    pub(super) fn encode(&self) -> Vec<u8> {
        let mode = match self.mode {
            EffectiveMode::DiscardLocal => 0,
            EffectiveMode::Recover => 1,
        };
        let stage = match self.stage {
            ResetStage::Started => 0,
            ResetStage::Applied => 1,
            ResetStage::Failed => 2,
            ResetStage::GivenUp => 3,
        };
        let (ident, salt) = self.client_file.unwrap_or_default();
        let numbers = [
            self.time.0,
            mode,
            stage,
            self.code.number().into(),
            self.attempts.into(),
            ident.0,
            salt.0,
            self.integrated.0,
        ];
        let mut out = numbers.map(u64::to_be_bytes).concat();
        put_text(&mut out, &action_name(self.action));
        put_text(&mut out, &self.library_version);
        put_text(&mut out, &self.message);
        out
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Result<Self, EncodingError> {
        let input = &mut bytes;
        let time = OriginTimestamp(number(input)?);
        let mode = match number(input)? {
            0 => EffectiveMode::DiscardLocal,
            1 => EffectiveMode::Recover,
            _ => return Err(EncodingError::Invalid("the mode of a client reset is unknown")),
        };
        let stage = match number(input)? {
            0 => ResetStage::Started,
            1 => ResetStage::Applied,
            2 => ResetStage::Failed,
            3 => ResetStage::GivenUp,
            _ => return Err(EncodingError::Invalid("the stage of a client reset is unknown")),
        };
        let (code, attempts) = (ErrorCode::from_number(small(input)?), small(input)?);
        let (ident, salt) = (FileIdent(number(input)?), Salt(number(input)?));
        let reset = Self {
            time,
            mode,
            stage,
            code,
            attempts,
            client_file: (ident != FileIdent::SELF).then_some((ident, salt)),
            integrated: ServerVersion(number(input)?),
            action: action(&text(input)?)?,
            library_version: text(input)?,
            message: text(input)?,
        };
        finish(input)?;
        Ok(reset)
    }
}

/// The name that the action has on the wire.
fn action_name(action: Action) -> String {
    serde_json::to_string(&action).expect("an action is written as its name")
}

fn action(name: &str) -> Result<Action, EncodingError> {
    serde_json::from_str(name)
        .map_err(|_| EncodingError::Invalid("the action of a client reset is unknown"))
}
