//! Calls of the server: where they go, what they look like, and how long they may take.
//! Spec: App Services API, sections 1, 2 and 9.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, Request, Response, StatusCode, Uri};
use serde_json::Value;

use super::address::{API, AppId, Location, Origin};
use super::answer;
use super::error::{AnswerFault, AppError, RedirectFault, ServerError};
use super::transport::{HttpTransport, MAX_ANSWER_LEN, TimedOut, TooLong, TransportError};

/// The server's HTTP side.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) base: Origin,
    pub(super) app_id: AppId,
    pub(super) transport: Arc<dyn HttpTransport>,
    pub(super) timeout: Duration,
    /// What the location service said last.
    known: Mutex<Option<Arc<Location>>>,
    /// Whoever asks it.
    asking: tokio::sync::Mutex<()>,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// For errors.
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// Below [`API`].
    pub(super) path: Cow<'a, str>,
    pub(super) body: Option<Value>,
}

/// Redirections of one call.
const MAX_REDIRECTS: usize = 20;

impl Service {
    pub(super) fn new(
        base: Origin,
        app_id: AppId,
        transport: Arc<dyn HttpTransport>,
        timeout: Duration,
    ) -> Self {
        let (known, asking) = (Mutex::new(None), tokio::sync::Mutex::new(()));
        Self { base, app_id, transport, timeout, known, asking }
    }

    /// The path of something below the app.
    pub(super) fn app_path(&self, rest: &str) -> String {
        format!("/app/{}/{rest}", self.app_id.as_str())
    }

    /// What the location service said last.
    pub(super) fn known_location(&self) -> Option<Arc<Location>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where the server is; asks if nobody did.
    pub(super) async fn location(&self) -> Result<Arc<Location>, AppError> {
        if let Some(known) = self.known_location() {
            return Ok(known);
        }
        let _asking = self.asking.lock().await;
        match self.known_location() {
            Some(known) => Ok(known),
            None => self.ask_location(self.base.clone(), &mut 0).await,
        }
    }

    /// Asks where the server is; what was known stays if it does not answer.
    pub(super) async fn refresh_location(&self) -> Result<Arc<Location>, AppError> {
        let _asking = self.asking.lock().await;
        self.ask_location(self.base.clone(), &mut 0).await
    }

    /// Makes a call; gives the body of a success.
    pub(super) async fn call(
        &self,
        call: &Call<'_>,
        token: Option<&str>,
    ) -> Result<Bytes, AppError> {
        let mut redirects = 0;
        let mut location = self.location().await?;
        loop {
            let url = location.http.url(&format!("{API}{}", call.path));
            let url = url.expect("the paths of calls are made of names");
            let request = call.request(url, token);
            let response = self.exchange(request).await?;
            let Some(server) = redirection(&location.http, &response)? else {
                answer::check(&response).map_err(AppError::Server)?;
                return Ok(response.into_body());
            };
            redirects += 1;
            location = self.ask_location(server, &mut redirects).await?;
        }
    }

    /// Asks the location service at `base`, and wherever that leads.
    async fn ask_location(
        &self,
        mut base: Origin,
        redirects: &mut usize,
    ) -> Result<Arc<Location>, AppError> {
        const CALL: &str = "get location";
        let path = format!("{API}{}", self.app_path("location"));
        let response = loop {
            if *redirects > MAX_REDIRECTS {
                return Err(RedirectFault::TooMany(MAX_REDIRECTS).into());
            }
            let url = base.url(&path).expect("an app id needs no escaping");
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = url;
            let response = self.exchange(request).await?;
            match redirection(&base, &response)? {
                None => break response,
                Some(server) => base = server,
            }
            *redirects += 1;
        };
        answer::check(&response).map_err(AppError::Server)?;
        let malformed = |fault| AppError::Malformed { call: CALL, fault };
        let fields = answer::object(response.body()).map_err(malformed)?;
        let location = Location::read(&base, &self.app_id, &fields).map_err(malformed)?;
        let location = Arc::new(location);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&location));
        Ok(location)
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let answer = tokio::time::timeout(self.timeout, self.transport.send(request)).await;
        let response = answer.unwrap_or_else(|_| Err(TransportError::new(TimedOut)))?;
        if response.body().len() > MAX_ANSWER_LEN {
            return Err(TransportError::new(TooLong));
        }
        Ok(response)
    }
}

impl<'a> Call<'a> {
    pub(super) fn get(name: &'static str, path: &'a str) -> Self {
        Self { name, method: Method::GET, path: path.into(), body: None }
    }

    /// The answer to this call is not what it should be.
    pub(super) fn malformed(&self, fault: AnswerFault) -> AppError {
        AppError::Malformed { call: self.name, fault }
    }

    fn request(&self, url: Uri, token: Option<&str>) -> Request<Bytes> {
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url;
        let headers = request.headers_mut();
        let json = HeaderValue::from_static("application/json;charset=utf-8");
        headers.insert(CONTENT_TYPE, json);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.expect("the characters of tokens are checked");
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        request
    }
}

/// Where else to ask, if the answer says so.
fn redirection(from: &Origin, response: &Response<Bytes>) -> Result<Option<Origin>, RedirectFault> {
    let moved = [StatusCode::MOVED_PERMANENTLY, StatusCode::PERMANENT_REDIRECT];
    if !moved.contains(&response.status()) {
        return Ok(None);
    }
    let target = response.headers().get(LOCATION).ok_or(RedirectFault::Missing)?;
    let target = String::from_utf8_lossy(target.as_bytes());
    Origin::redirected(from, &target).map(Some)
}

/// Whether the server does not take the token.
pub(super) fn refused(error: &AppError, statuses: &[u16]) -> Option<ServerError> {
    match error {
        AppError::Server(error) if statuses.contains(&error.status) => Some(error.clone()),
        _ => None,
    }
}
