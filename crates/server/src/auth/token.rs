//! Access and refresh tokens: JSON Web Tokens, signed with HMAC-SHA-256 (spec: App Services client API, section 4).
//!
//! A token is checked here as far as its own text goes: signature, kind, app, expiry. Whether its session
//! and user still exist is for [`Authenticator`](super::Authenticator) to say.

use std::fmt;

use bailiwick_storage::account::{Identity, LoginSession};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// Seconds that an access token is valid; clients count on half an hour.
pub const ACCESS_LIFETIME_S: u64 = 1800;

/// Signs and checks the tokens of one app.
pub struct TokenKey {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    domain_id: String,
}

/// What a token is for; one kind is never taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Goes with each request and with the WebSocket; lives for [`ACCESS_LIFETIME_S`].
    Access,
    /// Gets new access tokens; lives as long as the session.
    Refresh,
}

/// What a genuine token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGrant {
    /// The login session; 24 hexadecimal digits.
    pub session_id: String,
    /// The user; 24 hexadecimal digits.
    pub user_id: String,
    /// The device; 24 hexadecimal digits.
    pub device_id: String,
    /// When the token ends, in seconds since 1970-01-01T00:00:00Z.
    pub expires_s: u64,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a token, or not signed by this server with the algorithm that it uses.
    #[error("the token was not issued by this server")]
    Forged(#[source] jsonwebtoken::errors::Error),
    /// Signed by this server, but without the claims that it writes.
    #[error("the token names no session")]
    Incomplete,
    /// An access token where the refresh token belongs, or the reverse.
    #[error("the {found} token was sent where the {expected} token belongs")]
    WrongKind {
        /// What was asked for.
        expected: TokenKind,
        /// What came.
        found: TokenKind,
    },
    /// Issued for another app.
    #[error("the token belongs to another app")]
    OtherApp,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

impl TokenKey {
    /// Fewer bytes than the digest has would weaken the signature.
    pub const MIN_SECRET_LEN: usize = 32;

    /// The key of the app that has this object id.
    pub fn new(secret: &[u8], domain_id: impl Into<String>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // The library would ask the system's clock; expiry is checked against `now` instead.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            domain_id: domain_id.into(),
        }
    }

    /// The app's object id, 24 hexadecimal digits; clients pass it on and nothing more.
    pub fn domain_id(&self) -> &str {
        &self.domain_id
    }

    /// A new access token for a session.
    pub fn sign_access(&self, session: &LoginSession, now_ms: u64) -> String {
        let issued_s = now_ms / 1000;
        self.sign(&AccessClaims {
            baas_device_id: &session.device_id,
            baas_domain_id: &self.domain_id,
            exp: issued_s.saturating_add(ACCESS_LIFETIME_S),
            iat: issued_s,
            iss: &session.id,
            stitch_device_id: &session.device_id,
            stitch_domain_id: &self.domain_id,
            sub: &session.user_id,
            typ: TokenKind::Access,
        })
    }

    /// The refresh token of a session that was opened with `identity`.
    pub fn sign_refresh(&self, session: &LoginSession, identity: &Identity) -> String {
        let identity = IdentityClaim {
            id: &identity.id,
            provider_type: &identity.provider_type,
            provider_id: &identity.provider_id,
        };
        self.sign(&RefreshClaims {
            baas_data: (),
            baas_device_id: &session.device_id,
            baas_domain_id: &self.domain_id,
            baas_id: &session.id,
            baas_identity: identity,
            exp: session.expires_ms / 1000,
            iat: session.created_ms / 1000,
            stitch_data: (),
            stitch_device_id: &session.device_id,
            stitch_domain_id: &self.domain_id,
            stitch_id: &session.id,
            stitch_identity: identity,
            sub: &session.user_id,
            typ: TokenKind::Refresh,
        })
    }

    /// What a token of this kind grants at this time.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it; see [`TokenError`].
    pub fn verify(
        &self,
        token: &str,
        kind: TokenKind,
        now_ms: u64,
    ) -> Result<TokenGrant, TokenError> {
        let grant = self.verify_ignoring_expiry(token, kind)?;
        if grant.expires_s <= now_ms / 1000 { Err(TokenError::Expired) } else { Ok(grant) }
    }

    /// As [`verify`](Self::verify), for whoever only wants to give up what the token grants.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify), but never [`TokenError::Expired`].
    pub fn verify_ignoring_expiry(
        &self,
        token: &str,
        kind: TokenKind,
    ) -> Result<TokenGrant, TokenError> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(TokenError::Forged)?
            .claims;
        if claims.typ != kind {
            return Err(TokenError::WrongKind { expected: kind, found: claims.typ });
        }
        if claims.baas_domain_id != self.domain_id {
            return Err(TokenError::OtherApp);
        }
        let session_id = match kind {
            TokenKind::Access => claims.iss,
            TokenKind::Refresh => claims.baas_id,
        };
        Ok(TokenGrant {
            session_id: session_id.ok_or(TokenError::Incomplete)?,
            user_id: claims.sub,
            device_id: claims.baas_device_id,
            expires_s: claims.exp,
        })
    }

    fn sign(&self, claims: &impl Serialize) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .expect("claims of strings and integers are JSON, and HMAC takes any secret")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys are secret.
        f.debug_struct("TokenKey").field("domain_id", &self.domain_id).finish_non_exhaustive()
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        })
    }
}

/// The claims that decide; the others are for clients.
#[derive(Deserialize)]
struct Claims {
    typ: TokenKind,
    sub: String,
    exp: u64,
    baas_device_id: String,
    baas_domain_id: String,
    iss: Option<String>,
    baas_id: Option<String>,
}

/// `exp` and `iat` are JSON integers: a client reads garbage from anything else.
#[derive(Serialize)]
struct AccessClaims<'a> {
    baas_device_id: &'a str,
    baas_domain_id: &'a str,
    exp: u64,
    iat: u64,
    iss: &'a str,
    #[serde(rename = "stitch_devId")]
    stitch_device_id: &'a str,
    #[serde(rename = "stitch_domainId")]
    stitch_domain_id: &'a str,
    sub: &'a str,
    typ: TokenKind,
}

#[derive(Serialize)]
struct RefreshClaims<'a> {
    baas_data: (),
    baas_device_id: &'a str,
    baas_domain_id: &'a str,
    baas_id: &'a str,
    baas_identity: IdentityClaim<'a>,
    exp: u64,
    iat: u64,
    stitch_data: (),
    #[serde(rename = "stitch_devId")]
    stitch_device_id: &'a str,
    #[serde(rename = "stitch_domainId")]
    stitch_domain_id: &'a str,
    stitch_id: &'a str,
    #[serde(rename = "stitch_ident")]
    stitch_identity: IdentityClaim<'a>,
    sub: &'a str,
    typ: TokenKind,
}

#[derive(Clone, Copy, Serialize)]
struct IdentityClaim<'a> {
    id: &'a str,
    provider_type: &'a str,
    provider_id: &'a str,
}
