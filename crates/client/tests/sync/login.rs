//! Logins without an app, by plain requests.

use std::net::SocketAddr;

use bailiwick_client::transport::{Connector, request};
use bytes::Bytes;
use hyper::Request;

use crate::service::Service;

/// What a login gives.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Service {
    pub(crate) fn app_id(&self) -> String {
        self.app.id.to_string()
    }

    /// A new user.
    pub(crate) async fn log_in(&self) -> Login {
        let path = format!("app/{}/auth/providers/anon-user/login", self.app_id());
        let body = r#"{"provider":"anon-user","options":{"device":{}}}"#;
        let answer = post(self.address, &path, "", body).await.unwrap();
        let field = |name: &str| answer[name].as_str().unwrap().to_owned();
        Login { access_token: field("access_token"), refresh_token: field("refresh_token") }
    }
}

/// A request to the server, and its answer unless that is an error.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    token: &str,
    body: &'static str,
) -> Option<serde_json::Value> {
    let posting = Request::post(format!("http://{address}/api/client/v2.0/{path}"))
        .header("Authorization", format!("Bearer {token}"))
        .header("Content-Type", "application/json")
        .body(Bytes::from_static(body.as_bytes()))
        .unwrap();
    let answer = request(&Connector::default(), posting, 1 << 20).await.unwrap();
    answer.status().is_success().then(|| serde_json::from_slice(answer.body()).unwrap())
}
