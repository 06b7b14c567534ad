//! Where a request carries its token.

use axum::extract::{FromRequestParts, Query};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use serde::Deserialize;

use crate::http::error::ApiError;

/// The token of the `Authorization: Bearer` header, not yet checked.
#[derive(Clone, Debug)]
pub struct Bearer(pub String);

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let token = bearer(&parts.headers).ok_or_else(ApiError::missing_token)?;
        Ok(Self(token.to_owned()))
    }
}

/// The access token of a WebSocket's request, not yet checked: `baas_at` of the query, which browsers can
/// set, else the header, which older clients use.
///
/// # Errors
///
/// [`ApiError::missing_token`] if it has neither.
pub fn web_socket_token(uri: &Uri, headers: &HeaderMap) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct TokenQuery {
        baas_at: String,
    }

    match Query::<TokenQuery>::try_from_uri(uri) {
        Ok(Query(TokenQuery { baas_at })) if !baas_at.is_empty() => Ok(baas_at),
        _ => bearer(headers).map(str::to_owned).ok_or_else(ApiError::missing_token),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_comes_before_the_header() {
        check("/realm-sync?baas_at=a.b.c", Some("Bearer d.e.f"), Some("a.b.c"));
        check("/realm-sync?x=1&baas_at=a.b.c", None, Some("a.b.c"));
        check("/realm-sync", Some("bearer  d.e.f "), Some("d.e.f"));
        check("/realm-sync?baas_at=", Some("Bearer d.e.f"), Some("d.e.f"));
    }

    #[test]
    fn anything_else_is_no_token() {
        check("/realm-sync", None, None);
        check("/realm-sync", Some("Bearer "), None);
        check("/realm-sync", Some("Basic abc"), None);
        check("/realm-sync", Some("Bearer"), None);
        check("/realm-sync?baas_at=a&baas_at=b", None, None);
    }

    fn check(uri: &str, authorization: Option<&str>, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        let token = web_socket_token(&uri.parse().unwrap(), &headers).ok();
        assert_eq!(token.as_deref(), expected, "{uri} {authorization:?}");
    }
}
