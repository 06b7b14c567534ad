//! Where a client finds the app (spec: App Services client API, section 2).
//!
//! It is the first thing that a client asks, and everything after goes where the answer says. So the answer
//! has to name an address that the client can reach, whatever stands between.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use serde::Serialize;

use crate::http::error::ApiError;
use crate::http::router::{ApiState, KnownApp};

/// All four are sent always: older clients stop at a missing one, with an error that leads astray.
#[derive(Debug, Serialize)]
pub(super) struct LocationAnswer {
    deployment_model: String,
    location: String,
    hostname: String,
    ws_hostname: String,
}

/// `GET /api/client/v2.0/app/{app_id}/location`.
pub(super) async fn location(
    _: KnownApp,
    State(api): State<ApiState>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<LocationAnswer>, ApiError> {
    let base_url = api
        .addressing
        .base_url(&uri, &headers)
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok(Json(LocationAnswer {
        deployment_model: api.app.deployment_model.clone(),
        location: api.app.location.clone(),
        hostname: base_url.to_string(),
        ws_hostname: base_url.web_socket(),
    }))
}
