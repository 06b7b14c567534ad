//! What servers answer. Spec: App Services API, sections 3, 5 and 9.

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};
use serde_json::{Map, Value};

use super::accounts::{Identity, Profile};
use super::address::{is_name, string};
use super::error::{AnswerFault, ServerError, TokenFault};
use super::token::{AccessToken, Secret, check_shape};

/// The answer to a login.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) user_id: String,
    pub(super) device_id: String,
    pub(super) access: AccessToken,
    /// Only a link may leave it out.
    pub(super) refresh: Option<Secret>,
}

/// Characters of a body that is not JSON, of which an error shows the beginning.
const SHOWN_LEN: usize = 200;

/// Whether an answer is a refusal.
///
/// A body with an `error_code`, or with an `error` that is text, is one whatever its status. Media types are read
/// as they are meant.
pub(super) fn check(response: &Response<Bytes>) -> Result<(), ServerError> {
    let status = response.status();
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    let is_json = essence.trim().eq_ignore_ascii_case("application/json");
    let body = if is_json { serde_json::from_slice(response.body()).ok() } else { None };
    let text = |name| body.as_ref().and_then(|body: &Value| body.get(name)?.as_str());
    let error_code = text("error_code").filter(|code| !code.is_empty());
    let error = text("error");
    if status.is_success() && error_code.is_none() && error.is_none() {
        return Ok(());
    }
    Err(ServerError {
        status: status.as_u16(),
        error_code: error_code.map(str::to_owned),
        message: error.map_or_else(|| shown(status, response.body()), str::to_owned),
        link: text("link").map(str::to_owned),
    })
}

/// The beginning of a body that nobody expected, or what its status means.
fn shown(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return status.canonical_reason().unwrap_or("no reason is given").to_owned();
    }
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(SHOWN_LEN).collect()
}

/// A body that is a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, AnswerFault> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(AnswerFault::Shape("object")),
        Err(_) => Err(AnswerFault::NotJson),
    }
}

impl Login {
    pub(super) fn read(body: &[u8]) -> Result<Self, AnswerFault> {
        let fields = object(body)?;
        let user_id = string(&fields, "user_id")?;
        if !is_name(user_id) {
            return Err(AnswerFault::UserId);
        }
        let refresh = match fields.get("refresh_token") {
            None | Some(Value::Null) => None,
            Some(_) => Some(refresh_token(&fields)?),
        };
        Ok(Self {
            user_id: user_id.to_owned(),
            device_id: string(&fields, "device_id")?.to_owned(),
            access: access_token(&fields)?,
            refresh,
        })
    }
}

/// The field `access_token`.
pub(super) fn access_token(fields: &Map<String, Value>) -> Result<AccessToken, AnswerFault> {
    const NAME: &str = "access_token";
    let text = string(fields, NAME)?;
    AccessToken::parse(Secret(text.to_owned())).map_err(|fault| AnswerFault::Token(NAME, fault))
}

/// A refresh token, of which only the shape matters: what it claims is between servers.
fn refresh_token(fields: &Map<String, Value>) -> Result<Secret, AnswerFault> {
    const NAME: &str = "refresh_token";
    let fault = |fault: TokenFault| AnswerFault::Token(NAME, fault);
    let text = string(fields, NAME)?;
    check_shape(text).map_err(fault)?;
    Ok(Secret(text.to_owned()))
}

impl Profile {
    pub(super) fn read(body: &[u8]) -> Result<Self, AnswerFault> {
        let mut fields = object(body)?;
        let identities = match fields.get("identities") {
            Some(Value::Array(identities)) => identities,
            Some(_) => return Err(AnswerFault::Type("identities", "array")),
            None => return Err(AnswerFault::Missing("identities")),
        };
        let identities = identities.iter().map(Identity::read).collect::<Result<_, _>>()?;
        match fields.remove("data") {
            Some(Value::Object(data)) => Ok(Self { identities, data }),
            Some(_) => Err(AnswerFault::Type("data", "object")),
            None => Err(AnswerFault::Missing("data")),
        }
    }
}

impl Identity {
    fn read(value: &Value) -> Result<Self, AnswerFault> {
        let fields =
            value.as_object().ok_or(AnswerFault::Type("identities", "array of objects"))?;
        let id = string(fields, "id")?.to_owned();
        Ok(Self { id, provider_type: string(fields, "provider_type")?.to_owned() })
    }
}
