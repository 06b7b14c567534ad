//! Tokens: none is taken that was not signed here, for this purpose, this app and this time.

use bailiwick_server::auth::token::{ACCESS_LIFETIME_S, TokenError, TokenKey, TokenKind};
use bailiwick_storage::account::{Identity, LoginSession};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::input::Input;

const SECRET: &[u8] = b"thirty-two bytes that nobody else has";
const DOMAIN: &str = "5f00000000000000000000ff";
const NOW_MS: u64 = 1_700_000_000_000;

/// The first byte chooses what the others are: a token, claims to be signed, or damage to a token of ours.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.u8() % 3 {
        0 => foreign(input.rest()),
        1 => signed(input),
        _ => damaged(input),
    }
}

fn key() -> TokenKey {
    TokenKey::new(SECRET, DOMAIN)
}

fn session() -> LoginSession {
    LoginSession {
        id: "5f0000000000000000000001".to_owned(),
        user_id: "5f0000000000000000000002".to_owned(),
        device_id: "5f0000000000000000000003".to_owned(),
        created_ms: NOW_MS,
        expires_ms: NOW_MS + 60_000,
    }
}

fn ours(kind: TokenKind) -> String {
    let identity = Identity {
        id: "5f0000000000000000000004".to_owned(),
        provider_type: "anon-user".to_owned(),
        provider_id: "5f0000000000000000000005".to_owned(),
    };
    match kind {
        TokenKind::Access => key().sign_access(&session(), NOW_MS),
        TokenKind::Refresh => key().sign_refresh(&session(), &identity),
    }
}

/// Nobody guesses a signature.
fn foreign(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for kind in [TokenKind::Access, TokenKind::Refresh] {
        if text != ours(kind) {
            assert!(key().verify(text, kind, NOW_MS).is_err());
        }
    }
}

/// Whatever claims are signed with our key, a token grants what it says and no more.
fn signed(mut input: Input<'_>) {
    let algorithms = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    let algorithm = algorithms[usize::from(input.u8() % 3)];
    let secret =
        if input.u8().is_multiple_of(4) { b"another secret of some length...." } else { SECRET };
    let Some(claims) = claims(input) else { return };
    let signing = EncodingKey::from_secret(secret);
    let Ok(token) = jsonwebtoken::encode(&Header::new(algorithm), &claims, &signing) else {
        return;
    };
    let is_ours = algorithm == Algorithm::HS256 && secret == SECRET;
    for (kind, name) in [(TokenKind::Access, "access"), (TokenKind::Refresh, "refresh")] {
        let [session, other] = match kind {
            TokenKind::Access => ["iss", "baas_id"],
            TokenKind::Refresh => ["baas_id", "iss"],
        };
        let fits = claims["typ"] == name
            && claims["baas_domain_id"] == DOMAIN
            && [session, "sub", "baas_device_id"].iter().all(|&claim| claims[claim].is_string())
            && (claims[other].is_null() || claims[other].is_string())
            && claims["exp"].is_u64();
        match key().verify_ignoring_expiry(&token, kind) {
            Ok(grant) => {
                assert!(is_ours && fits, "{claims} grants something");
                assert_eq!(claims["sub"], grant.user_id);
                assert_eq!(claims["baas_device_id"], grant.device_id);
                assert_eq!(claims[session], grant.session_id);
                assert_eq!(claims["exp"].as_u64(), Some(grant.expires_s));
                let is_over = grant.expires_s <= NOW_MS / 1000;
                assert_eq!(key().verify(&token, kind, NOW_MS).is_err(), is_over);
            }
            Err(error) => {
                assert!(!is_ours || !fits, "{claims} grants nothing: {error}");
                let is_looked_into = !matches!(error, TokenError::Forged(_));
                assert!(is_ours || !is_looked_into, "what is not ours is not looked into");
                assert!(key().verify(&token, kind, NOW_MS).is_err());
            }
        }
    }
}

/// Any JSON, or claims that we make with some of them changed.
fn claims(mut input: Input<'_>) -> Option<Value> {
    if !input.u8().is_multiple_of(2) {
        return serde_json::from_slice(input.rest()).ok();
    }
    let kind = if input.u8().is_multiple_of(2) { "access" } else { "refresh" };
    let mut claims = json!({
        "typ": kind,
        "sub": "5f0000000000000000000002",
        "exp": NOW_MS / 1000 + u64::from(input.u8()) - 128,
        "baas_device_id": "5f0000000000000000000003",
        "baas_domain_id": DOMAIN,
        "iss": "5f0000000000000000000001",
        "baas_id": "5f0000000000000000000001",
    });
    let names = claims.as_object().expect("it is one").keys().cloned().collect::<Vec<_>>();
    while !input.is_empty() {
        let claim = &mut claims[&names[usize::from(input.u8()) % names.len()]];
        *claim = match input.u8() % 6 {
            0 => Value::Null,
            1 => input.u32().into(),
            2 => (-1).into(),
            3 => 0.5.into(),
            4 => DOMAIN[..usize::from(input.u8()) % DOMAIN.len()].into(),
            _ => String::from_utf8_lossy(input.take()).into(),
        };
    }
    Some(claims)
}

/// A token of ours with some bytes changed is none, whatever is asked for and whenever.
fn damaged(mut input: Input<'_>) {
    let kind = if input.u8().is_multiple_of(2) { TokenKind::Access } else { TokenKind::Refresh };
    let genuine = ours(kind);
    let grant = key().verify(&genuine, kind, NOW_MS).expect("it is genuine");
    assert_eq!(grant.session_id, session().id);
    let past = NOW_MS + ACCESS_LIFETIME_S * 1000;
    assert!(matches!(key().verify(&genuine, kind, past), Err(TokenError::Expired)));
    let mut bytes = genuine.clone().into_bytes();
    while !input.is_empty() {
        let (at, byte) = (usize::from(input.u16()), input.u8());
        match byte {
            0 => bytes.truncate(at),
            0x80..=0xff => bytes.insert(at % (bytes.len() + 1), byte - 0x80),
            _ if bytes.is_empty() => (),
            _ => {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
        }
    }
    let Ok(text) = String::from_utf8(bytes) else { return };
    if text != genuine {
        for kind in [TokenKind::Access, TokenKind::Refresh] {
            assert!(key().verify_ignoring_expiry(&text, kind).is_err(), "{text}");
        }
    }
}
