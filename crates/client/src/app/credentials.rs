//! What a user logs in with, and the forms in which it is sent. Spec: App Services API, section 3.

use std::fmt;

use serde_json::{Map, Value, json};

use super::address::AppId;
use super::error::CredentialsFault;

/// What a user logs in with.
#[derive(Clone)]
pub struct Credentials {
    provider: Provider,
    fields: Value,
}

/// The ways to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    Anonymous,
    EmailPassword,
    ApiKey,
    Jwt,
    Function,
    Google,
    Apple,
    Facebook,
}

/// The provider type of identities of anonymous users.
pub(super) const ANONYMOUS: &str = "anon-user";

impl Credentials {
    /// Nobody in particular. Who is logged in anonymously stays the same user.
    pub fn anonymous() -> Self {
        Self { provider: Provider::Anonymous, fields: json!({}) }
    }

    /// An e-mail address and a password.
    pub fn email_password(email: &str, password: &str) -> Self {
        let fields = json!({ "username": email, "password": password });
        Self { provider: Provider::EmailPassword, fields }
    }

    /// An API key, of a user or of a server.
    pub fn api_key(key: &str) -> Self {
        Self { provider: Provider::ApiKey, fields: json!({ "key": key }) }
    }

    /// A JWT that another issuer, whom the app trusts, has made.
    pub fn jwt(token: &str) -> Self {
        Self { provider: Provider::Jwt, fields: json!({ "token": token }) }
    }

    /// What the app's authentication function takes: a JSON object, Extended JSON for what JSON has not.
    pub fn function(payload: Value) -> Self {
        Self { provider: Provider::Function, fields: payload }
    }

    /// An `OpenID` Connect token of Google.
    pub fn google_id_token(token: &str) -> Self {
        Self { provider: Provider::Google, fields: json!({ "id_token": token }) }
    }

    /// An OAuth 2.0 code of Google.
    pub fn google_auth_code(code: &str) -> Self {
        Self { provider: Provider::Google, fields: json!({ "authCode": code }) }
    }

    /// A token of Apple.
    pub fn apple(id_token: &str) -> Self {
        Self { provider: Provider::Apple, fields: json!({ "id_token": id_token }) }
    }

    /// A token of Facebook.
    pub fn facebook(access_token: &str) -> Self {
        Self { provider: Provider::Facebook, fields: json!({ "accessToken": access_token }) }
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.provider == Provider::Anonymous
    }

    pub(super) fn provider_type(&self) -> &'static str {
        self.provider.name()
    }

    /// The body of a login.
    pub(super) fn body(&self, app_id: &AppId) -> Result<Value, CredentialsFault> {
        let Value::Object(mut fields) = self.fields.clone() else {
            return Err(CredentialsFault::NotAnObject);
        };
        if fields.contains_key("options") {
            return Err(CredentialsFault::ReservedField);
        }
        if self.provider != Provider::Function {
            fields.insert("provider".to_owned(), self.provider.name().into());
        }
        fields.insert("options".to_owned(), json!({ "device": device(app_id) }));
        Ok(Value::Object(fields))
    }
}

impl Provider {
    fn name(self) -> &'static str {
        match self {
            Self::Anonymous => ANONYMOUS,
            Self::EmailPassword => "local-userpass",
            Self::ApiKey => "api-key",
            Self::Jwt => "custom-token",
            Self::Function => "custom-function",
            Self::Google => "oauth2-google",
            Self::Apple => "oauth2-apple",
            Self::Facebook => "oauth2-facebook",
        }
    }
}

/// What servers list of a user's devices; nothing that tells one device from another of its kind.
fn device(app_id: &AppId) -> Map<String, Value> {
    const UNKNOWN: &str = "unknown";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let fields = [
        ("appId", app_id.as_str()),
        ("platform", std::env::consts::OS),
        ("platformVersion", UNKNOWN),
        ("sdk", "Bailiwick"),
        ("sdkVersion", VERSION),
        ("cpuArch", std::env::consts::ARCH),
        ("deviceName", UNKNOWN),
        ("deviceVersion", UNKNOWN),
        ("frameworkName", "Rust"),
        ("frameworkVersion", UNKNOWN),
        ("coreVersion", VERSION),
        ("bundleId", ""),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

impl fmt::Debug for Credentials {
    /// Only which kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("provider", &self.provider).finish_non_exhaustive()
    }
}
