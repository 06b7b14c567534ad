//! Where a server is, and the names that stand in its URLs. Spec: App Services API, sections 1 and 2.

use std::fmt;

use hyper::Uri;
use serde_json::{Map, Value};

use super::error::{AnswerFault, ConfigError, RedirectFault};

/// What the paths of the client API begin with.
pub(super) const API: &str = "/api/client/v2.0";

/// A client app id: letters, digits, `-` and `_`, so that it needs no escaping in URLs and names a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AppId(String);

/// An address up to the path, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    text: String,
    is_secure: bool,
}

/// What the location service has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// Where HTTP requests go.
    pub(super) http: Origin,
    /// The URL of the sync WebSocket, without a token.
    pub(super) sync: Uri,
}

impl AppId {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        if is_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ConfigError::AppId(text.to_owned()))
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text can stand in URLs and name a folder.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

impl Origin {
    /// A base URL, which may have a path.
    pub(super) fn base(text: &str) -> Result<Self, ConfigError> {
        Self::parse(text, ["http", "https"]).ok_or_else(|| ConfigError::BaseUrl(text.to_owned()))
    }

    /// Where a redirection leads, of which only the server counts.
    pub(super) fn redirected(from: &Self, target: &str) -> Result<Self, RedirectFault> {
        let fault = || RedirectFault::Target(target.to_owned());
        let url = target.parse::<Uri>().map_err(|_| fault())?;
        let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err(fault());
        };
        let server = format!("{scheme}://{authority}");
        let server = Self::parse(&server, ["http", "https"]).ok_or_else(fault)?;
        if from.is_secure && !server.is_secure {
            return Err(RedirectFault::Insecure(target.to_owned()));
        }
        Ok(server)
    }

    /// The URL of a path, which begins with a slash.
    pub(super) fn url(&self, path: &str) -> Option<Uri> {
        format!("{}{path}", self.text).parse().ok()
    }

    /// Where the sync WebSocket should be if nobody says.
    pub(super) fn guessed_sync(&self, app_id: &AppId) -> Option<Uri> {
        let rest = self.text.strip_prefix("http")?;
        Self { text: format!("ws{rest}"), is_secure: self.is_secure }.url(&sync_path(app_id))
    }

    /// Schemes: without encryption and with.
    fn parse(text: &str, schemes: [&str; 2]) -> Option<Self> {
        let text = text.trim_end_matches('/');
        let url = text.parse::<Uri>().ok()?;
        let [plain, secure] = schemes;
        let scheme = url.scheme_str().filter(|scheme| [plain, secure].contains(scheme))?;
        let authority = url.authority()?;
        let port = authority.as_str().strip_prefix(authority.host())?;
        let names_server = !authority.host().is_empty()
            && (port.is_empty() || authority.port_u16().is_some_and(|port| port > 0));
        let has_query = url.path_and_query().is_some_and(|path| path.query().is_some());
        // `Uri` drops fragments.
        let is_whole = !text.contains('#');
        (names_server && !has_query && is_whole)
            .then(|| Self { text: text.to_owned(), is_secure: scheme == secure })
    }
}

impl Location {
    /// What the server at `asked` answered.
    pub(super) fn read(
        asked: &Origin,
        app_id: &AppId,
        fields: &Map<String, Value>,
    ) -> Result<Self, AnswerFault> {
        let checked = |name, text: &str, schemes| {
            let address = || AnswerFault::Address(name, text.to_owned());
            let origin = Origin::parse(text, schemes).ok_or_else(address)?;
            if asked.is_secure && !origin.is_secure {
                return Err(AnswerFault::Insecure(name));
            }
            Ok(origin)
        };
        let origin = |name, schemes| checked(name, string(fields, name)?, schemes);
        let http = origin("hostname", ["http", "https"])?;
        let web_socket = origin("ws_hostname", ["ws", "wss"])?;
        let sync = match fields.get("sync_route") {
            None | Some(Value::Null) => web_socket.url(&sync_path(app_id)),
            Some(_) => {
                let route = string(fields, "sync_route")?;
                let server = route.split('?').next().unwrap_or(route);
                checked("sync_route", server, ["ws", "wss"])?;
                route.parse().ok()
            }
        };
        let sync = sync.ok_or(AnswerFault::Address("ws_hostname", web_socket.text))?;
        Ok(Self { http, sync })
    }
}

/// A field that is a string.
pub(super) fn string<'a>(
    fields: &'a Map<String, Value>,
    name: &'static str,
) -> Result<&'a str, AnswerFault> {
    let value = fields.get(name).ok_or(AnswerFault::Missing(name))?;
    value.as_str().ok_or(AnswerFault::Type(name, "string"))
}

/// The path of the sync WebSocket.
pub(super) fn sync_path(app_id: &AppId) -> String {
    format!("{API}/app/{}/realm-sync", app_id.as_str())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
