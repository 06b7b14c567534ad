//! A server to talk to: the example app, accounts in memory, and a clock that the test sets.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bailiwick_server::app::App;
use bailiwick_server::auth::Authenticator;
use bailiwick_server::clock::Clock;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::http::cors::AllowedOrigins;
use bailiwick_server::http::router::{Api, router};
use bailiwick_storage::account::Accounts;
use bailiwick_storage::memory::MemoryStore;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// The path of the example app.
pub(crate) const APP: &str = "/api/client/v2.0/app/inventory-abcde";
/// Where anonymous users log in.
pub(crate) const LOGIN: &str =
    "/api/client/v2.0/app/inventory-abcde/auth/providers/anon-user/login";
/// The profile.
pub(crate) const PROFILE: &str = "/api/client/v2.0/auth/profile";
/// Refresh and logout.
pub(crate) const SESSION: &str = "/api/client/v2.0/auth/session";
/// Deletes the user.
pub(crate) const DELETE: &str = "/api/client/v2.0/auth/delete";
/// When a test begins.
pub(crate) const START_S: u64 = 1_700_000_000;

pub(crate) struct Service {
    pub(crate) api: Arc<Api>,
    pub(crate) accounts: Arc<MemoryStore>,
    clock: Arc<TestClock>,
    router: Router,
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
struct TestClock(AtomicU64);

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

pub(crate) struct Session {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) user_id: String,
    pub(crate) device_id: String,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self::with(Addressing::FromHost, AllowedOrigins::Any, Router::new())
    }

    pub(crate) fn with(addressing: Addressing, origins: AllowedOrigins, more: Router) -> Self {
        let accounts = Arc::new(MemoryStore::default());
        let app = example_app();
        let clock = Arc::new(TestClock(AtomicU64::new(START_S * 1000)));
        let api = Arc::new(Api {
            authenticator: authenticator(Arc::clone(&accounts) as Arc<dyn Accounts>, &app),
            app: Arc::new(app),
            addressing,
            origins,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        });
        Self { router: router(&api, more), api, accounts, clock }
    }

    /// A new process on the same accounts.
    pub(crate) fn started_again(&self) -> Self {
        self.serving(example_app(), Arc::clone(&self.accounts) as Arc<dyn Accounts>)
    }

    /// A server of the same accounts, for another app.
    pub(crate) fn of_other_app(&self) -> Self {
        let app = App { id: "other-vwxyz".parse().unwrap(), ..example_app() };
        self.serving(app, Arc::clone(&self.accounts) as Arc<dyn Accounts>)
    }

    /// A server of other accounts, for the same app.
    pub(crate) fn on_accounts(&self, accounts: Arc<dyn Accounts>) -> Self {
        self.serving(example_app(), accounts)
    }

    fn serving(&self, app: App, accounts: Arc<dyn Accounts>) -> Self {
        let api = Arc::new(Api {
            authenticator: authenticator(accounts, &app),
            app: Arc::new(app),
            addressing: self.api.addressing.clone(),
            origins: self.api.origins.clone(),
            clock: Arc::clone(&self.api.clock),
        });
        let router = router(&api, Router::new());
        Self { router, api, accounts: Arc::clone(&self.accounts), clock: Arc::clone(&self.clock) }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// A request as realm-core sends it: with its content type even where there is no content.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "sync.test:9090")
            .header(header::CONTENT_TYPE, "application/json;charset=utf-8")
            .header(header::ACCEPT, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.call(Method::GET, path, token, "").await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        token: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        self.call(Method::POST, path, token, body).await
    }

    pub(crate) async fn delete(&self, path: &str, token: Option<&str>) -> Answer {
        self.call(Method::DELETE, path, token, "").await
    }

    pub(crate) async fn log_in(&self) -> Session {
        self.post(LOGIN, None, r#"{"provider":"anon-user","options":{"device":{}}}"#)
            .await
            .into_session()
    }
}

impl Answer {
    /// The body of a success, which has to be JSON to every client.
    #[track_caller]
    pub(crate) fn json(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The message of a failure, whose shape has to be what clients expect.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, error_code: &str) -> String {
        let body = self.json(StatusCode::from_u16(status).unwrap());
        assert_eq!(body["error_code"], error_code, "{}", self.body);
        let link = format!("http://sync.test:9090/errors/{error_code}");
        assert_eq!(body["link"], Value::from(link));
        let message = body["error"].as_str().unwrap();
        assert!(!message.is_empty());
        message.to_owned()
    }

    #[track_caller]
    pub(crate) fn check_empty(&self) {
        assert_eq!(self.status, StatusCode::NO_CONTENT, "{}", self.body);
        assert_eq!(self.headers.get(header::CONTENT_TYPE), None);
        assert_eq!(self.body, "");
    }

    #[track_caller]
    pub(crate) fn into_session(self) -> Session {
        let body = self.json(StatusCode::OK);
        let field = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
        Session {
            access_token: field("access_token"),
            refresh_token: field("refresh_token"),
            user_id: field("user_id"),
            device_id: field("device_id"),
        }
    }
}

impl Clock for TestClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn example_app() -> App {
    App::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory")).unwrap()
}

fn authenticator(accounts: Arc<dyn Accounts>, app: &App) -> Arc<Authenticator> {
    Arc::new(Authenticator::open(accounts, &app.id).unwrap())
}
