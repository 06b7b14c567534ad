//! Where to connect to, as a URL says it.

use std::fmt;

use hyper::Uri;

/// The server side of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub is_secure: bool,
}

/// Why a URL does not say where to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Neither `http`, `https`, `ws` nor `wss`.
    #[error("the address {0} does not begin with http://, https://, ws:// or wss://")]
    Scheme(Uri),
    /// It names no server, or a port that there is not.
    #[error("the address {0} names no server")]
    Host(Uri),
    /// A user name and a password, which nobody would get.
    #[error("an address must not have a user name or a password in it")]
    Credentials,
}

/// Host and port, as in URLs.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl TryFrom<&Uri> for Endpoint {
    type Error = EndpointError;

    fn try_from(url: &Uri) -> Result<Self, EndpointError> {
        let is_secure = match url.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(EndpointError::Scheme(url.clone())),
        };
        let named = url.authority().filter(|authority| !authority.host().is_empty());
        let authority = named.ok_or_else(|| EndpointError::Host(url.clone()))?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        // What follows the host is a port, or it is not an authority.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("" | ":") if is_secure => 443,
            Some("" | ":") => 80,
            _ => authority.port_u16().ok_or_else(|| EndpointError::Host(url.clone()))?,
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port, is_secure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, host: &str, port: u16, is_secure: bool) {
        let expected = Endpoint { host: host.to_owned(), port, is_secure };
        assert_eq!(Endpoint::try_from(&url.parse().unwrap()), Ok(expected), "{url}");
    }

    #[test]
    fn the_scheme_says_port_and_security() {
        check("http://example.com", "example.com", 80, false);
        check("ws://example.com/sync", "example.com", 80, false);
        check("https://example.com/a?b=c", "example.com", 443, true);
        check("wss://example.com", "example.com", 443, true);
        check("wss://example.com:9090", "example.com", 9090, true);
        check("http://127.0.0.1:1", "127.0.0.1", 1, false);
        check("http://[::1]:9090/", "::1", 9090, false);
        check("https://[::1]", "::1", 443, true);
    }

    #[test]
    fn an_endpoint_is_written_as_in_urls() {
        for text in ["example.com:80", "127.0.0.1:9090", "[::1]:443"] {
            let endpoint = Endpoint::try_from(&format!("ws://{text}/").parse().unwrap()).unwrap();
            assert_eq!(endpoint.to_string(), text);
        }
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for url in ["/path", "ftp://example.com", "example.com:80", "http://example.com:99999"] {
            let Ok(url) = url.parse::<Uri>() else { continue };
            assert!(Endpoint::try_from(&url).is_err(), "{url}");
        }
        let url = "http://user:secret@example.com".parse().unwrap();
        assert_eq!(Endpoint::try_from(&url), Err(EndpointError::Credentials));
    }
}
