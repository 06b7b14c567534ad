//! The paths of the client API, and what every request to one of them goes through.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{any, delete, get, post};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::App;
use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::http::base_url::Addressing;
use crate::http::cors::{self, AllowedOrigins};
use crate::http::error::{self, ApiError, ErrorCode};
use crate::http::{auth, location};

/// Bytes of the largest body that is read. No request that is understood today comes near it.
pub const MAX_BODY_LEN: usize = 64 * 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct Api {
    /// The app that is served.
    pub app: Arc<App>,
    /// Who the clients are.
    pub authenticator: Arc<Authenticator>,
    /// At which address clients reach the server.
    pub addressing: Addressing,
    /// Which web pages may talk to the app.
    pub origins: AllowedOrigins,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// [`Api`], shared.
pub type ApiState = Arc<Api>;

/// The whole HTTP side of the service.
///
/// `more` holds the routes that are not written here, the sync WebSocket above all; they go through the
/// same layers: doubled slashes are forgiven, pages of foreign origins are turned away, panics become
/// answers, and an [`ApiError`] gets its link.
pub fn router(api: &ApiState, more: Router) -> Router {
    let routes = Router::new()
        .route("/", get(liveness))
        .route("/health", get(liveness))
        .route("/errors/{error_code}", get(explanation))
        .route("/api/client/v2.0/app/{app_id}/location", get(location::location))
        .route("/api/client/v2.0/app/{app_id}/auth/providers/{provider}/login", post(auth::login))
        .route(
            "/api/client/v2.0/app/{app_id}/auth/providers/{provider}/{*action}",
            any(auth::provider_action),
        )
        .route("/api/client/v2.0/auth/profile", get(auth::profile))
        .route("/api/client/v2.0/auth/session", post(auth::refresh).delete(auth::logout))
        .route("/api/client/v2.0/auth/delete", delete(auth::delete_user))
        .with_state(Arc::clone(api))
        .merge(more)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method);
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(Arc::clone(api), error::add_links))
        .layer(from_fn_with_state(Arc::clone(api), cors::layer))
        .layer(CatchPanicLayer::custom(error::on_panic))
        .layer(DefaultBodyLimit::max(MAX_BODY_LEN));
    let routes = routes.layer(layers);
    // A router chooses the route before its layers run, so the path is put right in front of it.
    Router::new()
        .fallback_service(ServiceBuilder::new().map_request(single_slashes).service(routes))
}

/// A path parameter `app_id` that names the app that is served.
#[derive(Clone, Copy, Debug)]
pub struct KnownApp;

impl FromRequestParts<ApiState> for KnownApp {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, api).await;
        let params = params.map_err(|error| ApiError::bad_request(error.to_string()))?;
        let app_id = params.iter().find(|(name, _)| *name == "app_id").map(|(_, value)| value);
        match app_id {
            Some(app_id) if app_id == api.app.id.as_str() => Ok(Self),
            app_id => Err(ApiError::not_found(format!(
                "cannot find app using Client App ID '{}'",
                app_id.unwrap_or_default()
            ))),
        }
    }
}

async fn liveness() -> &'static str {
    "Bailiwick is running.\n"
}

/// Where the link of an error leads.
async fn explanation(name: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let code = name.ok().and_then(|Path(name)| ErrorCode::from_name(&name));
    let code = code.ok_or_else(|| ApiError::not_found("there is no such error code"))?;
    Ok(format!("{}\n\n{}\n", code.name(), code.explanation()))
}

async fn no_such_path(method: Method, uri: Uri) -> ApiError {
    ApiError::not_found(format!("this server does not serve {method} {}", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::BadRequest,
        format!("this server does not serve {method} {}", uri.path()),
    )
}

/// Takes the doubled slashes out of a path: some clients put a base URL with a slash at its end before it.
fn single_slashes(mut request: Request) -> Request {
    let Some(target) = request.uri().path_and_query() else { return request };
    if !target.path().contains("//") {
        return request;
    }
    let mut path = String::with_capacity(target.as_str().len());
    for char in target.path().chars() {
        if char != '/' || !path.ends_with('/') {
            path.push(char);
        }
    }
    if let Some(query) = target.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = path.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}
