//! The API keys of a user. Spec: App Services API, section 7.

use std::fmt;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Map, Value, json};

use super::address::{is_name, string};
use super::service::Call;
use super::{AnswerFault, AppError, User, answer};

/// The API keys of a user, with which programs log in as that user. See [`User::api_keys`].
///
/// # Errors
///
/// All calls: [`AppError::Server`] if the server refuses, `APIKeyNotFound` if there is no such key;
/// [`AppError::SessionEnded`] if it does not know the user any more, who is logged out then.
#[derive(Clone, Copy, Debug)]
pub struct ApiKeys<'a> {
    pub(super) user: &'a User,
}

/// An API key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What it is known by.
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// Whether nobody can log in with it.
    pub is_disabled: bool,
    /// The key itself; only [`ApiKeys::create`] learns it.
    pub key: Option<String>,
}

const PATH: &str = "/auth/api_keys";

impl ApiKeys<'_> {
    /// Makes a key; what it returns is the only time that the key is told.
    ///
    /// # Errors
    ///
    /// `APIKeyAlreadyExists` if there is one of that name; see [`ApiKeys`].
    pub async fn create(&self, name: &str) -> Result<ApiKey, AppError> {
        let mut call = Call::get("create API key", PATH);
        (call.method, call.body) = (Method::POST, Some(json!({ "name": name })));
        let body = self.user.call_with_refresh_token(&call).await?;
        let malformed = |fault| call.malformed(fault);
        let fields = answer::object(&body).map_err(malformed)?;
        let key = string(&fields, "key").map_err(malformed)?.to_owned();
        let created = ApiKey::read(&fields).map_err(malformed)?;
        Ok(ApiKey { key: Some(key), ..created })
    }

    /// All keys.
    ///
    /// # Errors
    ///
    /// See [`ApiKeys`].
    pub async fn list(&self) -> Result<Vec<ApiKey>, AppError> {
        let call = Call::get("list API keys", PATH);
        let body = self.user.call_with_refresh_token(&call).await?;
        let read = |body: &[u8]| match serde_json::from_slice(body) {
            Ok(Value::Array(keys)) => keys
                .iter()
                .map(|key| ApiKey::read(key.as_object().ok_or(AnswerFault::Shape("object"))?))
                .collect(),
            Ok(_) => Err(AnswerFault::Shape("array")),
            Err(_) => Err(AnswerFault::NotJson),
        };
        read(&body).map_err(|fault| call.malformed(fault))
    }

    /// One key.
    ///
    /// # Errors
    ///
    /// See [`ApiKeys`].
    pub async fn get(&self, id: &str) -> Result<ApiKey, AppError> {
        const CALL: &str = "get API key";
        let body = self.act(CALL, Method::GET, id, "").await?;
        let key = answer::object(&body).and_then(|fields| ApiKey::read(&fields));
        key.map_err(|fault| AppError::Malformed { call: CALL, fault })
    }

    /// Lets programs log in with a key again.
    ///
    /// # Errors
    ///
    /// See [`ApiKeys`].
    pub async fn enable(&self, id: &str) -> Result<(), AppError> {
        self.act("enable API key", Method::PUT, id, "/enable").await.map(drop)
    }

    /// Keeps programs from logging in with a key.
    ///
    /// # Errors
    ///
    /// See [`ApiKeys`].
    pub async fn disable(&self, id: &str) -> Result<(), AppError> {
        self.act("disable API key", Method::PUT, id, "/disable").await.map(drop)
    }

    /// Deletes a key.
    ///
    /// # Errors
    ///
    /// See [`ApiKeys`].
    pub async fn delete(&self, id: &str) -> Result<(), AppError> {
        self.act("delete API key", Method::DELETE, id, "").await.map(drop)
    }

    async fn act(
        &self,
        name: &'static str,
        method: Method,
        id: &str,
        action: &str,
    ) -> Result<Bytes, AppError> {
        if !is_name(id) {
            return Err(AppError::ApiKeyId(id.to_owned()));
        }
        let call = Call { name, method, path: format!("{PATH}/{id}{action}").into(), body: None };
        self.user.call_with_refresh_token(&call).await
    }
}

impl ApiKey {
    fn read(fields: &Map<String, Value>) -> Result<Self, AnswerFault> {
        let is_disabled = match fields.get("disabled") {
            None => false,
            Some(value) => value.as_bool().ok_or(AnswerFault::Type("disabled", "boolean"))?,
        };
        let (id, name) = (string(fields, "_id")?.to_owned(), string(fields, "name")?.to_owned());
        Ok(Self { id, name, is_disabled, key: None })
    }
}

impl fmt::Debug for ApiKey {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, is_disabled, .. } = self;
        f.debug_struct("ApiKey")
            .field("id", id)
            .field("name", name)
            .field("is_disabled", is_disabled)
            .finish_non_exhaustive()
    }
}
