//! Errors as clients understand them (spec: App Services client API, section 9).
//!
//! A client reads the body only if its type is exactly `application/json`, and turns `error_code` into an
//! error of its own; a code that it does not know becomes a vague one. So only codes that all clients know
//! are sent.

use std::any::Any;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::auth::AuthError;
use crate::auth::token::TokenError;
use crate::http::router::ApiState;

/// What is wrong, in the words of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A provider that is off or does not exist.
    AuthProviderNotFound,
    /// A request that makes no sense: its body, its path, its method, its app.
    BadRequest,
    /// A web page of this origin may not talk to the app.
    DomainNotAllowed,
    /// A fault of the server.
    InternalServerError,
    /// A token that is bad or has ended; the client gets another one or asks its user to log in.
    InvalidSession,
    /// No token where one is needed.
    MissingAuthReq,
    /// A token of another app.
    UserAppDomainMismatch,
    /// A user that an administrator has disabled.
    UserDisabled,
}

/// An answer that tells a client why not.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

/// The body of an error answer.
#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    error_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl ErrorCode {
    const ALL: [Self; 8] = [
        Self::AuthProviderNotFound,
        Self::BadRequest,
        Self::DomainNotAllowed,
        Self::InternalServerError,
        Self::InvalidSession,
        Self::MissingAuthReq,
        Self::UserAppDomainMismatch,
        Self::UserDisabled,
    ];

    /// The code of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The name in an answer's `error_code`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthProviderNotFound => "AuthProviderNotFound",
            Self::BadRequest => "BadRequest",
            Self::DomainNotAllowed => "DomainNotAllowed",
            Self::InternalServerError => "InternalServerError",
            Self::InvalidSession => "InvalidSession",
            Self::MissingAuthReq => "MissingAuthReq",
            Self::UserAppDomainMismatch => "UserAppDomainMismatch",
            Self::UserDisabled => "UserDisabled",
        }
    }

    /// What it means and what to do about it, for the developer of an app; an answer's `link` leads there.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::AuthProviderNotFound => {
                "The app has no such authentication provider, or this server does not offer it yet. \
                 Log in with a provider that the app's configuration enables."
            }
            Self::BadRequest => {
                "The server does not understand the request: its path, its method, its body or its \
                 app id. Compare the app id with `app_id` in the app's realm_config.json."
            }
            Self::DomainNotAllowed => {
                "The app only talks to web pages of certain origins. Add the page's origin to \
                 `allowed_request_origins` in the app's realm_config.json."
            }
            Self::InternalServerError => {
                "The server has a fault, and its log says which. The request may be repeated."
            }
            Self::InvalidSession => {
                "The token is not one of this server, has expired, or its session has ended. A client \
                 gets a new access token by itself; when that fails, the user has to log in again."
            }
            Self::MissingAuthReq => {
                "The request needs a token: `Authorization: Bearer ...`, or `baas_at` in the query of a WebSocket."
            }
            Self::UserAppDomainMismatch => {
                "The token was issued for another app. Log in to this one."
            }
            Self::UserDisabled => "An administrator has disabled the user.",
        }
    }
}

impl ApiError {
    /// An answer of this status and code.
    pub fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// A request that makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message)
    }

    /// A path that leads nowhere.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorCode::BadRequest, message)
    }

    /// A request that needs a token and has none.
    pub fn missing_token() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            ErrorCode::MissingAuthReq,
            "must authenticate first: the request has no bearer token",
        )
    }

    /// A fault of the server, of which the client learns nothing more.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::InternalServerError,
            "internal server error",
        )
    }

    fn respond(self, link: Option<String>) -> Response {
        let body = ErrorBody { error: &self.message, error_code: self.code.name(), link };
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for ApiError {
    /// Without a link; the router adds it, which knows where it leads.
    fn into_response(self) -> Response {
        self.respond(None)
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let unauthorized = |code, message| Self::new(StatusCode::UNAUTHORIZED, code, message);
        match error {
            AuthError::Token(TokenError::OtherApp) => {
                unauthorized(ErrorCode::UserAppDomainMismatch, error.to_string())
            }
            AuthError::Token(_) | AuthError::SessionEnded | AuthError::UserGone => {
                unauthorized(ErrorCode::InvalidSession, format!("invalid session: {error}"))
            }
            AuthError::UserDisabled => unauthorized(ErrorCode::UserDisabled, error.to_string()),
            AuthError::ShuttingDown => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::InternalServerError,
                error.to_string(),
            ),
            AuthError::Storage(_) | AuthError::Random(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a request failed");
                Self::internal()
            }
        }
    }
}

/// Gives each error answer a link to the explanation of its code, at the address that the client knows.
pub(super) async fn add_links(
    State(api): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let base_url = api.addressing.base_url(request.uri(), request.headers());
    let mut response = next.run(request).await;
    let (Ok(base_url), Some(error)) = (base_url, response.extensions_mut().remove::<ApiError>())
    else {
        return response;
    };
    let link = format!("{base_url}/errors/{}", error.code.name());
    let (mut parts, body) = error.respond(Some(link)).into_parts();
    // What the routing has put there stays, such as `Allow`; the length belongs to the old body.
    response.headers_mut().remove(axum::http::header::CONTENT_LENGTH);
    for (name, value) in response.headers() {
        parts.headers.entry(name).or_insert_with(|| value.clone());
    }
    Response::from_parts(parts, body)
}

/// The answer to a request whose handler has panicked.
pub(super) fn on_panic(payload: Box<dyn Any + Send>) -> Response {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("(no text)"), "a request's handler has panicked");
    drop(payload);
    ApiError::internal().into_response()
}
