//! Access tokens, of which a client reads what concerns itself. Spec: App Services API, section 4.
//!
//! The signature is the server's business: it is not verified, and nothing here is to be trusted.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::TokenFault;

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(pub(super) String);

/// An access token and what it claims.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Secret", into = "Secret")]
pub(super) struct AccessToken {
    text: Secret,
    /// Seconds since 1970; 0 if it does not say.
    expires_s: i64,
    user_data: Map<String, Value>,
}

impl AccessToken {
    /// Reads the claims.
    ///
    /// # Errors
    ///
    /// See [`TokenFault`].
    pub(super) fn parse(text: Secret) -> Result<Self, TokenFault> {
        check_shape(&text.0)?;
        let payload = text.0.split('.').nth(1).ok_or(TokenFault::Parts)?;
        let payload = decode(payload)?;
        let Ok(Value::Object(mut claims)) = serde_json::from_slice(&payload) else {
            return Err(TokenFault::Claims);
        };
        let expires_s = match claims.get("exp") {
            None => 0,
            Some(claim) => claim.as_i64().ok_or(TokenFault::Claim("exp"))?,
        };
        let user_data = match claims.remove("user_data") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(data)) => data,
            Some(_) => return Err(TokenFault::Claim("user_data")),
        };
        Ok(Self { text, expires_s, user_data })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text.0
    }

    /// The document that the server keeps for the user.
    pub(super) fn user_data(&self) -> &Map<String, Value> {
        &self.user_data
    }

    /// How long it is still valid, by this device's clock.
    pub(super) fn seconds_left(&self, now_s: i64) -> i64 {
        self.expires_s.saturating_sub(now_s)
    }
}

/// Whether a text can be a token: three parts of the characters that travel in URLs and headers, the last not empty.
pub(super) fn check_shape(text: &str) -> Result<(), TokenFault> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+/=.".contains(&byte);
    if !text.bytes().all(allowed) {
        return Err(TokenFault::Encoding);
    }
    let mut parts = text.split('.');
    let last = parts.nth(2).ok_or(TokenFault::Parts)?;
    if last.is_empty() || parts.next().is_some() { Err(TokenFault::Parts) } else { Ok(()) }
}

/// Servers use both alphabets, with padding and without.
fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);
    let part = part.replace('+', "-").replace('/', "_");
    URL_SAFE.decode(part).map_err(|_| TokenFault::Encoding)
}

impl TryFrom<Secret> for AccessToken {
    type Error = TokenFault;

    fn try_from(text: Secret) -> Result<Self, TokenFault> {
        Self::parse(text)
    }
}

impl From<AccessToken> for Secret {
    fn from(token: AccessToken) -> Self {
        token.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(claims: &str) -> String {
        format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims))
    }

    fn check(text: &str, expected: &Result<(i64, Value), TokenFault>) {
        let read = AccessToken::parse(Secret(text.to_owned()));
        let read = read.map(|token| (token.expires_s, Value::Object(token.user_data)));
        assert_eq!(&read, expected, "{text}");
    }

    #[test]
    fn expiry_and_custom_data_are_read() {
        check(&token(r#"{"exp":1700001800,"iat":1700000000}"#), &Ok((1_700_001_800, json!({}))));
        check(&token(r#"{"exp":-1}"#), &Ok((-1, json!({}))));
        let data = r#"{"exp":1,"user_data":{"n":{"$numberInt":"5"}}}"#;
        check(&token(data), &Ok((1, json!({"n": {"$numberInt": "5"}}))));
        check(&token(r#"{"exp":1,"user_data":null}"#), &Ok((1, json!({}))));
    }

    #[test]
    fn without_expiry_a_token_has_expired() {
        check(&token("{}"), &Ok((0, json!({}))));
    }

    #[test]
    fn both_alphabets_are_read_with_padding_and_without() {
        let claims = r#"{"exp":7,"x":"???>>>~~~ü."}"#;
        let standard = STANDARD.encode(claims);
        assert!(standard.contains(['+', '/']) && standard.ends_with('='), "{standard}");
        for part in [&*standard, standard.trim_end_matches('='), &URL_SAFE_NO_PAD.encode(claims)] {
            check(&format!("h.{part}.s"), &Ok((7, json!({}))));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = token(r#"{"exp":1}"#);
        for text in ["", "a", "a.b", "..", "a.b.", &format!("{good}.x")] {
            check(text, &Err(TokenFault::Parts));
        }
        for text in ["h.!.s", "h.e30.s s", "h.e30.s\n", "h.e30.s&x=1", "h.ü.s", "h.a.s"] {
            check(text, &Err(TokenFault::Encoding));
        }
        for claims in ["", "[]", "null", "{", "{}{}", &"[".repeat(100_000)] {
            check(&token(claims), &Err(TokenFault::Claims));
        }
        for exp in ["10.5", "1e10", "\"10\"", "null", "18446744073709551615"] {
            let claims = format!(r#"{{"exp":{exp}}}"#);
            check(&token(&claims), &Err(TokenFault::Claim("exp")));
        }
        check(&token(r#"{"user_data":[]}"#), &Err(TokenFault::Claim("user_data")));
    }

    #[test]
    fn no_expiry_overflows() {
        for exp in [i64::MIN, i64::MAX] {
            let token = AccessToken::parse(Secret(token(&format!(r#"{{"exp":{exp}}}"#)))).unwrap();
            for now_s in [i64::MIN, 0, i64::MAX] {
                token.seconds_left(now_s);
            }
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let text = token(r#"{"exp":1}"#);
        let token = AccessToken::parse(Secret(text.clone())).unwrap();
        assert!(!format!("{token:?}").contains(&text));
    }

    proptest! {
        #[test]
        fn any_text_is_a_token_or_an_error(text in ".{0,80}", claims: Vec<u8>) {
            let _ = AccessToken::parse(Secret(text));
            let _ = AccessToken::parse(Secret(format!("h.{}.s", STANDARD.encode(claims))));
        }
    }
}
