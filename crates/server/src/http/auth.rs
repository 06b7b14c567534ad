//! Login, profile and sessions (spec: App Services client API, sections 3 to 5).

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::auth::AuthError;
use crate::auth::ident::Ident;
use crate::auth::provider::Provider;
use crate::http::error::{ApiError, ErrorCode};
use crate::http::router::{ApiState, KnownApp};
use crate::http::token::Bearer;

#[derive(Debug, Serialize)]
pub(super) struct LoginAnswer {
    access_token: String,
    refresh_token: String,
    user_id: String,
    device_id: String,
}

#[derive(Debug, Serialize)]
pub(super) struct RefreshAnswer {
    access_token: String,
}

/// Clients refuse a profile without `identities` or `data`.
#[derive(Debug, Serialize)]
pub(super) struct Profile {
    user_id: String,
    domain_id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    identities: Vec<ProfileIdentity>,
    data: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct ProfileIdentity {
    id: String,
    provider_type: String,
    provider_id: String,
}

/// `POST /api/client/v2.0/app/{app_id}/auth/providers/{provider}/login`.
///
/// The token of an `Authorization` header is not looked at: clients send the one that they have, good or bad.
pub(super) async fn login(
    _: KnownApp,
    State(api): State<ApiState>,
    Path((_, provider)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LoginAnswer>, ApiError> {
    if Provider::from_name(&provider) != Some(Provider::Anonymous) {
        return Err(provider_not_found(&provider));
    }
    if query.is_some_and(|query| query.split('&').any(|pair| pair == "link=true")) {
        return Err(ApiError::bad_request("an anonymous identity cannot be linked to a user"));
    }
    let device = known_device(&json_object(body)?);
    let login = api.authenticator.login_anonymous(device, api.clock.now_ms()).await?;
    Ok(Json(LoginAnswer {
        access_token: login.access_token,
        refresh_token: login.refresh_token,
        user_id: login.user_id,
        device_id: login.device_id,
    }))
}

/// Whatever else a provider might offer: registration, confirmation, reset.
pub(super) async fn provider_action(
    _: KnownApp,
    Path((_, provider, _)): Path<(String, String, String)>,
) -> ApiError {
    provider_not_found(&provider)
}

/// `GET /api/client/v2.0/auth/profile`.
pub(super) async fn profile(
    State(api): State<ApiState>,
    Bearer(token): Bearer,
) -> Result<Json<Profile>, ApiError> {
    let user = api.authenticator.user(&token, api.clock.now_ms()).await?;
    let identities = user.identities.into_iter().map(|identity| ProfileIdentity {
        id: identity.id,
        provider_type: identity.provider_type,
        provider_id: identity.provider_id,
    });
    Ok(Json(Profile {
        user_id: user.id,
        domain_id: api.authenticator.domain_id().to_owned(),
        kind: "normal",
        identities: identities.collect(),
        data: Map::new(),
    }))
}

/// `POST /api/client/v2.0/auth/session`; a body is neither needed nor read.
pub(super) async fn refresh(
    State(api): State<ApiState>,
    Bearer(token): Bearer,
) -> Result<(StatusCode, Json<RefreshAnswer>), ApiError> {
    let access_token = api.authenticator.refresh(&token, api.clock.now_ms()).await?;
    Ok((StatusCode::CREATED, Json(RefreshAnswer { access_token })))
}

/// `DELETE /api/client/v2.0/auth/session`.
pub(super) async fn logout(
    State(api): State<ApiState>,
    Bearer(token): Bearer,
) -> Result<StatusCode, ApiError> {
    match api.authenticator.logout(&token).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        // The web client takes this text for a success: there is nothing left to log out from.
        Err(AuthError::Token(_)) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            ErrorCode::InvalidSession,
            "invalid session: failed to find refresh token",
        )),
        Err(error) => Err(error.into()),
    }
}

/// `DELETE /api/client/v2.0/auth/delete`.
pub(super) async fn delete_user(
    State(api): State<ApiState>,
    Bearer(token): Bearer,
) -> Result<StatusCode, ApiError> {
    api.authenticator.delete_user(&token, api.clock.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn provider_not_found(name: &str) -> ApiError {
    let message = match Provider::from_name(name) {
        Some(_) => {
            format!("the authentication provider '{name}' is not available on this server yet")
        }
        None => format!("there is no authentication provider '{name}'"),
    };
    ApiError::new(StatusCode::NOT_FOUND, ErrorCode::AuthProviderNotFound, message)
}

/// A body that is a JSON object, whatever its content type says; nothing counts as an empty one.
fn json_object(body: Result<Bytes, BytesRejection>) -> Result<Map<String, Value>, ApiError> {
    let body = body.map_err(|rejection| {
        ApiError::new(rejection.status(), ErrorCode::BadRequest, rejection.body_text())
    })?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiError::bad_request("the body is not a JSON object")),
        Err(error) => Err(ApiError::bad_request(format!("the body is not JSON: {error}"))),
    }
}

/// The id that the device got at an earlier login: `options.device.deviceId` as an Extended JSON ObjectId.
fn known_device(body: &Map<String, Value>) -> Option<Ident> {
    let id = body.get("options")?.get("device")?.get("deviceId")?;
    Ident::parse(id.get("$oid").unwrap_or(id).as_str()?)
}
