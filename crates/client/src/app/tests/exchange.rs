//! A server that expects certain requests, in order, and has its answers ready.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use hyper::{Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::app::config::Clock;
use crate::app::{App, AppConfig, Credentials, HttpTransport, TransportError, User};

pub(super) const BASE: &str = "http://localhost:9090";
pub(super) const API: &str = "/api/client/v2.0";
pub(super) const APP: &str = "/api/client/v2.0/app/inventory-abcde";
pub(super) const LOGIN: &str =
    "/api/client/v2.0/app/inventory-abcde/auth/providers/anon-user/login";
pub(super) const PROFILE: &str = "/api/client/v2.0/auth/profile";
pub(super) const SESSION: &str = "/api/client/v2.0/auth/session";
pub(super) const USER_ID: &str = "5f000000000000000000000c";
pub(super) const DEVICE_ID: &str = "5f000000000000000000000d";
/// When a test begins, in seconds since 1970.
pub(super) const START_S: u64 = 1_700_000_000;

/// An app whose server is made of [`Exchange`]s.
pub(super) struct Fixture {
    pub(super) app: App,
    pub(super) server: Arc<Recorded>,
    pub(super) folder: TempDir,
    clock_s: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(super) struct Recorded {
    expected: Mutex<VecDeque<Exchange>>,
    surprises: Mutex<Vec<String>>,
}

/// A request that has to come, and its answer.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    method: &'static str,
    url: String,
    token: Option<String>,
    body: Option<Value>,
    answer: Answer,
    /// Answers when it is let through.
    gate: Option<Arc<Semaphore>>,
}

#[derive(Clone, Debug)]
enum Answer {
    Status(u16, Option<&'static str>, String),
    Redirect(u16, Option<String>),
    Broken,
    Never,
}

pub(super) fn exchange(method: &'static str, path: &str) -> Exchange {
    let url = if path.contains("://") { path.to_owned() } else { format!("{BASE}{path}") };
    let answer = Answer::Status(204, None, String::new());
    Exchange { method, url, token: None, body: None, answer, gate: None }
}

impl Exchange {
    pub(super) fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub(super) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(super) fn answers(self, status: u16, body: &Value) -> Self {
        self.answers_text(status, Some("application/json"), &body.to_string())
    }

    pub(super) fn answers_text(
        self,
        status: u16,
        media_type: Option<&'static str>,
        body: &str,
    ) -> Self {
        Self { answer: Answer::Status(status, media_type, body.to_owned()), ..self }
    }

    pub(super) fn redirects(self, status: u16, target: Option<&str>) -> Self {
        Self { answer: Answer::Redirect(status, target.map(str::to_owned)), ..self }
    }

    pub(super) fn breaks(self) -> Self {
        Self { answer: Answer::Broken, ..self }
    }

    pub(super) fn never_answers(self) -> Self {
        Self { answer: Answer::Never, ..self }
    }

    pub(super) fn gate(self, gate: &Arc<Semaphore>) -> Self {
        Self { gate: Some(Arc::clone(gate)), ..self }
    }

    /// What is wrong with a request.
    fn differs(&self, request: &Request<Bytes>) -> Option<String> {
        let mut headers = HeaderMap::new();
        if !self.url.ends_with("/location") {
            headers.insert(CONTENT_TYPE, "application/json;charset=utf-8".parse().unwrap());
            headers.insert("accept", "application/json".parse().unwrap());
        }
        if let Some(token) = &self.token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let body = match &**request.body() {
            [] => None,
            body => Some(serde_json::from_slice::<Value>(body).unwrap()),
        };
        let is_same = request.method() == self.method
            && *request.uri() == *self.url
            && *request.headers() == headers
            && body == self.body;
        (!is_same).then(|| format!("expected {self:#?}\ngot {request:#?}"))
    }
}

impl Recorded {
    pub(super) fn expect(&self, exchanges: impl IntoIterator<Item = Exchange>) {
        self.expected.lock().unwrap().extend(exchanges);
    }

    /// How many exchanges have not begun.
    pub(super) fn waiting(&self) -> usize {
        self.expected.lock().unwrap().len()
    }

    /// Everything that was expected has come, and nothing else.
    #[track_caller]
    pub(super) fn done(&self) {
        let surprises = self.surprises.lock().unwrap();
        assert!(surprises.is_empty(), "{}", surprises.join("\n"));
        let expected = self.expected.lock().unwrap();
        assert!(expected.is_empty(), "did not come: {expected:#?}");
    }
}

impl HttpTransport for Recorded {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let expected = self.expected.lock().unwrap().pop_front();
        let surprise = match &expected {
            Some(exchange) => exchange.differs(&request),
            None => Some(format!("did not expect {request:#?}")),
        };
        self.surprises.lock().unwrap().extend(surprise);
        Box::pin(async {
            let broken = || TransportError::new("the connection broke");
            let Exchange { answer, gate, .. } = expected.ok_or_else(broken)?;
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            let mut response = Response::new(Bytes::new());
            match answer {
                Answer::Broken => return Err(broken()),
                Answer::Never => std::future::pending().await,
                Answer::Redirect(status, target) => {
                    *response.status_mut() = status.try_into().unwrap();
                    if let Some(target) = target {
                        response.headers_mut().insert(LOCATION, target.parse().unwrap());
                    }
                }
                Answer::Status(status, media_type, body) => {
                    *response.status_mut() = status.try_into().unwrap();
                    if let Some(media_type) = media_type {
                        let media_type = media_type.parse().unwrap();
                        response.headers_mut().insert(CONTENT_TYPE, media_type);
                    }
                    *response.body_mut() = Bytes::from(body);
                }
            }
            Ok(response)
        })
    }
}

impl Fixture {
    /// Knows nobody, and was not asked where the server is.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock_s = Arc::new(AtomicU64::new(START_S));
        let server = Arc::new(Recorded { expected: Mutex::default(), surprises: Mutex::default() });
        let config = config(folder.path(), &server, &clock_s);
        Self { app: App::new(config).unwrap(), server, folder, clock_s }
    }

    /// Has an anonymous user.
    pub(super) async fn with_user() -> (Self, User) {
        let fixture = Self::new();
        fixture.server.expect([
            location(),
            exchange("POST", LOGIN).body(login_body("anon-user")).answers(200, &login("one")),
            exchange("GET", PROFILE).token(&access("one")).answers(200, &profile(&["anon-user"])),
        ]);
        let user = fixture.app.log_in(Credentials::anonymous()).await.unwrap();
        fixture.server.done();
        (fixture, user)
    }

    /// Has a user with an e-mail address.
    pub(super) async fn with_named_user() -> (Self, User) {
        let fixture = Self::new();
        let body = json!({"username": "a@b.c", "password": "pw"});
        let path = LOGIN.replace("anon-user", "local-userpass");
        let identities = profile(&["local-userpass"]);
        fixture.server.expect([
            location(),
            exchange("POST", &path)
                .body(with_fields(login_body("local-userpass"), body))
                .answers(200, &login("one")),
            exchange("GET", PROFILE).token(&access("one")).answers(200, &identities),
        ]);
        let user = fixture.app.log_in(Credentials::email_password("a@b.c", "pw")).await.unwrap();
        fixture.server.done();
        (fixture, user)
    }

    pub(super) fn config(&self) -> AppConfig {
        config(self.folder.path(), &self.server, &self.clock_s)
    }

    /// What another process on the same folder sees.
    pub(super) fn started_again(&self) -> App {
        App::new(self.config()).unwrap()
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock_s.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn config(folder: &Path, server: &Arc<Recorded>, clock_s: &Arc<AtomicU64>) -> AppConfig {
    let now_s = Arc::clone(clock_s);
    let now = move || SystemTime::UNIX_EPOCH + Duration::from_secs(now_s.load(Ordering::Relaxed));
    AppConfig {
        transport: Some(Arc::<Recorded>::clone(server)),
        clock: Clock::new(now),
        ..AppConfig::new(BASE, "inventory-abcde", folder)
    }
}

/// The first request of all.
pub(super) fn location() -> Exchange {
    exchange("GET", &format!("{APP}/location")).answers(200, &location_at("localhost:9090"))
}

pub(super) fn location_at(host: &str) -> Value {
    json!({
        "deployment_model": "GLOBAL",
        "location": "US-VA",
        "hostname": format!("http://{host}"),
        "ws_hostname": format!("ws://{host}"),
    })
}

/// An access token of half an hour.
pub(super) fn access(name: &str) -> String {
    token(name, &json!({"exp": START_S + 1800, "iat": START_S, "user_data": {"name": name}}))
}

pub(super) fn refresh(name: &str) -> String {
    token(name, &json!({"exp": START_S + 1_000_000, "typ": "refresh"}))
}

pub(super) fn token(signature: &str, claims: &Value) -> String {
    format!("e30.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The answer to a login.
pub(super) fn login(name: &str) -> Value {
    json!({
        "access_token": access(name),
        "refresh_token": refresh(name),
        "user_id": USER_ID,
        "device_id": DEVICE_ID,
    })
}

pub(super) fn profile(provider_types: &[&str]) -> Value {
    let identity = |(number, provider_type)| json!({"id": format!("identity-{number}"), "provider_type": provider_type, "provider_id": "p"});
    let identities = provider_types.iter().enumerate().map(identity).collect::<Vec<_>>();
    json!({
        "user_id": USER_ID,
        "domain_id": "5f000000000000000000000a",
        "type": "normal",
        "identities": identities,
        "data": {"email": "a@b.c"},
    })
}

/// The body of a login of an app, without credentials.
pub(super) fn login_body(provider: &str) -> Value {
    json!({
        "provider": provider,
        "options": {"device": {
            "appId": "inventory-abcde",
            "platform": std::env::consts::OS,
            "platformVersion": "unknown",
            "sdk": "Bailiwick",
            "sdkVersion": env!("CARGO_PKG_VERSION"),
            "cpuArch": std::env::consts::ARCH,
            "deviceName": "unknown",
            "deviceVersion": "unknown",
            "frameworkName": "Rust",
            "frameworkVersion": "unknown",
            "coreVersion": env!("CARGO_PKG_VERSION"),
            "bundleId": "",
        }},
    })
}

pub(super) fn with_fields(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("{fields}") };
    object.as_object_mut().unwrap().extend(fields);
    object
}

pub(super) fn refusal(error: &str, error_code: &str) -> Value {
    json!({"error": error, "error_code": error_code, "link": format!("{BASE}/errors/{error_code}")})
}
