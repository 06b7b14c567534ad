//! The address at which clients reach the server.

use std::fmt;
use std::str::FromStr;

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Uri};

/// A scheme, a host and perhaps a port; what stands before `/api/client/...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
}

/// How the server learns its own address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// The operator has said it; right behind any proxy.
    Configured(BaseUrl),
    /// From the `Host` header, over plain HTTP: right without a proxy.
    FromHost,
    /// From `X-Forwarded-Host` and `X-Forwarded-Proto`, where they are, else as [`FromHost`](Self::FromHost).
    ///
    /// Only for a server that nobody reaches except through a proxy that sets these headers: whoever
    /// sends them chooses where clients go.
    FromProxy,
}

/// Why an address is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// A text that is no base URL.
    #[error(
        "{0:?} is not a base URL: write http:// or https://, a host and perhaps a port, and nothing after it"
    )]
    Invalid(String),
    /// The request does not name a host.
    #[error("the request has no usable Host header; configure the public URL of the server")]
    NoHost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

impl Addressing {
    /// The address under which the sender of this request reaches the server.
    ///
    /// # Errors
    ///
    /// [`BaseUrlError::NoHost`] if it has to come from the request and is not there.
    pub fn base_url(&self, uri: &Uri, headers: &HeaderMap) -> Result<BaseUrl, BaseUrlError> {
        let (authority, scheme) = match self {
            Self::Configured(base_url) => return Ok(base_url.clone()),
            Self::FromHost => (None, None),
            Self::FromProxy => {
                (forwarded(headers, &X_FORWARDED_HOST), forwarded(headers, &X_FORWARDED_PROTO))
            }
        };
        let authority = match authority {
            Some(text) => parse_authority(text),
            None => host(uri, headers),
        };
        Ok(BaseUrl {
            scheme: scheme.and_then(Scheme::from_forwarded).unwrap_or(Scheme::Http),
            authority: authority.ok_or(BaseUrlError::NoHost)?,
        })
    }
}

impl BaseUrl {
    /// The same address, for a WebSocket: `ws://...` or `wss://...`.
    pub fn web_socket(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "ws",
            Scheme::Https => "wss",
        };
        format!("{scheme}://{}", self.authority)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let (scheme, rest) = if let Some(rest) = strip_prefix_ignoring_case(text, "http://") {
            (Scheme::Http, rest)
        } else if let Some(rest) = strip_prefix_ignoring_case(text, "https://") {
            (Scheme::Https, rest)
        } else {
            return Err(BaseUrlError::Invalid(text.to_owned()));
        };
        let authority = parse_authority(rest.strip_suffix('/').unwrap_or(rest))
            .ok_or_else(|| BaseUrlError::Invalid(text.to_owned()))?;
        Ok(Self { scheme, authority })
    }
}

impl fmt::Display for BaseUrl {
    /// Without a slash at the end, as clients append a path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl Scheme {
    fn from_forwarded(text: &str) -> Option<Self> {
        // Some proxies name the WebSocket's scheme in an upgrade request.
        match text.to_ascii_lowercase().as_str() {
            "http" | "ws" => Some(Self::Http),
            "https" | "wss" => Some(Self::Https),
            _ => None,
        }
    }
}

/// The host that a request names, in its address if that is a whole one, or else in a header.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    match uri.authority() {
        Some(authority) => parse_authority(authority.as_str()),
        None => parse_authority(headers.get(HOST)?.to_str().ok()?),
    }
}

/// The first of a list: what the outermost proxy was asked for.
fn forwarded<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let first = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
    (!first.is_empty()).then_some(first)
}

fn parse_authority(text: &str) -> Option<Authority> {
    let authority = text.parse::<Authority>().ok()?;
    // A user name is nothing that a client may be sent to.
    (!text.contains('@') && !authority.host().is_empty()).then_some(authority)
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_a_scheme_a_host_and_perhaps_a_port() {
        check_parse("http://localhost:9090", Some("http://localhost:9090"));
        check_parse("https://sync.example.org/", Some("https://sync.example.org"));
        check_parse("HTTPS://[::1]:8443", Some("https://[::1]:8443"));
        check_parse("https://example.org/path", None);
        check_parse("https://example.org?x", None);
        check_parse("https://user@example.org", None);
        check_parse("https://", None);
        check_parse("https://:80", None);
        check_parse("ftp://example.org", None);
        check_parse("example.org", None);
        check_parse("http:/é", None);
    }

    #[test]
    fn without_trust_only_the_host_header_counts() {
        let by = Addressing::FromHost;
        check(&by, &[("host", "phone.test:9090")], Some("http://phone.test:9090"));
        check(
            &by,
            &[("host", "a.test"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "b.test")],
            Some("http://a.test"),
        );
        check(&by, &[], None);
        check(&by, &[("host", "a b")], None);
        check(&by, &[("host", "user@a.test")], None);
    }

    #[test]
    fn with_trust_the_outermost_proxy_counts() {
        let by = Addressing::FromProxy;
        check(
            &by,
            &[("host", "a"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "b.test")],
            Some("https://b.test"),
        );
        check(
            &by,
            &[("host", "a"), ("x-forwarded-proto", "WSS , http"), ("x-forwarded-host", "b, c")],
            Some("https://b"),
        );
        check(&by, &[("host", "a"), ("x-forwarded-proto", "https")], Some("https://a"));
        check(&by, &[("host", "a"), ("x-forwarded-proto", "gopher")], Some("http://a"));
        check(&by, &[("host", "a"), ("x-forwarded-host", "")], Some("http://a"));
        check(&by, &[("host", "a"), ("x-forwarded-host", "x/y")], None);
    }

    #[test]
    fn what_is_configured_wins_over_every_header() {
        let by = Addressing::Configured("https://sync.test".parse().unwrap());
        check(&by, &[("host", "a"), ("x-forwarded-host", "b")], Some("https://sync.test"));
        check(&by, &[], Some("https://sync.test"));
    }

    #[test]
    fn http_2_names_the_host_in_the_address() {
        let uri = Uri::from_static("http://two.test:1/api");
        let base_url = Addressing::FromHost.base_url(&uri, &HeaderMap::new()).unwrap();
        assert_eq!(base_url.to_string(), "http://two.test:1");
        assert_eq!(base_url.web_socket(), "ws://two.test:1");
    }

    fn check_parse(text: &str, expected: Option<&str>) {
        let parsed = text.parse::<BaseUrl>().ok().map(|base_url| base_url.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }

    fn check(by: &Addressing, headers: &[(&'static str, &'static str)], expected: Option<&str>) {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let base_url = by.base_url(&Uri::from_static("/api"), &headers).ok();
        assert_eq!(base_url.map(|url| url.to_string()).as_deref(), expected, "{headers:?}");
    }
}
