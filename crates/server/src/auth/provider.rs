//! The ways in which a user can log in (spec: App Services client API, section 3).

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A kind of login that clients know.
///
/// Clients end the process on a name that is not among these eight, so no other is ever sent to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// A user without credentials; each login makes a new one.
    Anonymous,
    /// E-mail and password.
    LocalUserpass,
    /// A key that was made for a user or by an administrator.
    ApiKey,
    /// A token that another service signed.
    CustomToken,
    /// A function of the app decides.
    CustomFunction,
    /// Google's OAuth.
    Google,
    /// Apple's OAuth.
    Apple,
    /// Facebook's OAuth.
    Facebook,
}

impl Provider {
    const ALL: [Self; 8] = [
        Self::Anonymous,
        Self::LocalUserpass,
        Self::ApiKey,
        Self::CustomToken,
        Self::CustomFunction,
        Self::Google,
        Self::Apple,
        Self::Facebook,
    ];

    /// The provider of that name, as it stands in a path.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }

    /// The name in paths, tokens and profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anon-user",
            Self::LocalUserpass => "local-userpass",
            Self::ApiKey => "api-key",
            Self::CustomToken => "custom-token",
            Self::CustomFunction => "custom-function",
            Self::Google => "oauth2-google",
            Self::Apple => "oauth2-apple",
            Self::Facebook => "oauth2-facebook",
        }
    }

    /// How long a refresh token lives.
    ///
    /// An anonymous user has no way to log in again, so the token lasts as long as a device might: the
    /// hosted service gave 50 years.
    pub fn refresh_lifetime_ms(self) -> u64 {
        match self {
            Self::Anonymous => 18_250 * DAY_MS,
            _ => 60 * DAY_MS,
        }
    }
}
