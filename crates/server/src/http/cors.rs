//! Which web pages may talk to the app (spec: App Services client API, section 12).
//!
//! A browser hides an answer from a page unless the answer names the page's origin, errors included; so the
//! headers are on every one. Programs that are not browsers send no origin, and none of this holds for them.

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::base_url::{BaseUrl, BaseUrlError};
use crate::http::error::{ApiError, ErrorCode};
use crate::http::router::ApiState;

/// The origins whose pages may talk to the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// All of them: a page can do nothing without a token, and it sends the token itself.
    #[default]
    Any,
    /// These, spelled as browsers do.
    Only(Vec<HeaderValue>),
}

impl AllowedOrigins {
    /// The origins of a configuration; none listed means all allowed.
    ///
    /// # Errors
    ///
    /// The first that is not a scheme, a host and perhaps a port.
    pub fn from_list(origins: &[String]) -> Result<Self, BaseUrlError> {
        if origins.is_empty() {
            return Ok(Self::Any);
        }
        let spelled = |text: &String| {
            let origin = text.parse::<BaseUrl>()?.to_string().to_ascii_lowercase();
            HeaderValue::from_str(&origin).map_err(|_| BaseUrlError::Invalid(text.clone()))
        };
        origins.iter().map(spelled).collect::<Result<_, _>>().map(Self::Only)
    }

    /// Whether a request with these headers may be answered.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        match (self, headers.get(ORIGIN)) {
            (Self::Any, _) | (_, None) => true,
            (Self::Only(origins), Some(origin)) => origins.contains(origin),
        }
    }

    /// Tells the browser what its page may do.
    fn describe(&self, request_origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let origin = match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Only(origins) => {
                headers.append(VARY, HeaderValue::from_static("origin"));
                request_origin.filter(|origin| origins.contains(origin)).cloned()
            }
        };
        let Some(origin) = origin else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

/// Answers OPTIONS, turns strangers away, and puts the headers on whatever else is answered.
pub(super) async fn layer(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else if api.origins.admit(request.headers()) {
        next.run(request).await
    } else {
        ApiError::new(
            StatusCode::FORBIDDEN,
            ErrorCode::DomainNotAllowed,
            "pages of this origin may not talk to the app",
        )
        .into_response()
    };
    api.origins.describe(origin.as_ref(), response.headers_mut());
    response
}
