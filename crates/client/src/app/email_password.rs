//! What users with an e-mail address and a password do before they log in. Spec: App Services API, section 6.

use hyper::Method;
use serde_json::{Value, json};

use super::service::Call;
use super::{App, AppError};

/// What users with an e-mail address and a password do before they log in. See [`App::email_password`].
///
/// # Errors
///
/// All calls: [`AppError::Server`] if the server refuses, [`AppError::Network`] if it does not answer.
#[derive(Clone, Copy, Debug)]
pub struct EmailPassword<'a> {
    pub(super) app: &'a App,
}

impl EmailPassword<'_> {
    /// Makes an account. Whether it has to be confirmed is up to the app.
    ///
    /// # Errors
    ///
    /// `AccountNameInUse` if the address has one; see [`EmailPassword`].
    pub async fn register(&self, email: &str, password: &str) -> Result<(), AppError> {
        self.post("register", json!({ "email": email, "password": password })).await
    }

    /// Confirms an account, with what the mailed link says.
    ///
    /// # Errors
    ///
    /// See [`EmailPassword`].
    pub async fn confirm(&self, token: &str, token_id: &str) -> Result<(), AppError> {
        self.post("confirm", json!({ "token": token, "tokenId": token_id })).await
    }

    /// Sends the mail with the link again.
    ///
    /// # Errors
    ///
    /// `UserNotFound`, `UserAlreadyConfirmed`; see [`EmailPassword`].
    pub async fn resend_confirmation(&self, email: &str) -> Result<(), AppError> {
        self.post("confirm/send", json!({ "email": email })).await
    }

    /// Runs the app's confirmation function again.
    ///
    /// # Errors
    ///
    /// `UserNotFound`, `UserAlreadyConfirmed`; see [`EmailPassword`].
    pub async fn retry_confirmation(&self, email: &str) -> Result<(), AppError> {
        self.post("confirm/call", json!({ "email": email })).await
    }

    /// Sends a mail with a link to reset the password.
    ///
    /// # Errors
    ///
    /// `UserNotFound`; see [`EmailPassword`].
    pub async fn send_reset(&self, email: &str) -> Result<(), AppError> {
        self.post("reset/send", json!({ "email": email })).await
    }

    /// Sets another password, with what the mailed link says.
    ///
    /// # Errors
    ///
    /// See [`EmailPassword`].
    pub async fn reset(&self, password: &str, token: &str, token_id: &str) -> Result<(), AppError> {
        let body = json!({ "password": password, "token": token, "tokenId": token_id });
        self.post("reset", body).await
    }

    /// Runs the app's reset function, with arguments in Extended JSON.
    ///
    /// # Errors
    ///
    /// `UserNotFound`; see [`EmailPassword`].
    pub async fn call_reset(
        &self,
        email: &str,
        password: &str,
        arguments: &[Value],
    ) -> Result<(), AppError> {
        let body = json!({ "email": email, "password": password, "arguments": arguments });
        self.post("reset/call", body).await
    }

    async fn post(&self, name: &'static str, body: Value) -> Result<(), AppError> {
        let service = &self.app.inner.service;
        let path = service.app_path(&format!("auth/providers/local-userpass/{name}"));
        let call = Call { name, method: Method::POST, path: path.into(), body: Some(body) };
        service.call(&call, None).await.map(drop)
    }
}
