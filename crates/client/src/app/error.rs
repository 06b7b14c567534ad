//! What can go wrong between an application and the server's HTTP side.

use std::fmt;

use super::transport::TransportError;
use super::user::UserState;
use super::users_file::UsersFileError;

/// Why something that was asked of an [`App`](super::App) or a [`User`](super::User) was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// The configuration makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no answer: no network, no server, or not in time. The same may succeed later.
    #[error("the server does not answer")]
    Network(#[from] TransportError),
    /// The server refuses.
    #[error("the server refuses: {0}")]
    Server(ServerError),
    /// A login with credentials that are not right. The server does not say what of them.
    #[error("these credentials are not accepted: {0}")]
    InvalidCredentials(ServerError),
    /// The server gives no new access token, so that the user is logged out now.
    #[error("the session has ended, log in again: {0}")]
    SessionEnded(ServerError),
    /// The server's answer is not what it should be.
    #[error("the answer to `{call}` cannot be used: {fault}")]
    Malformed {
        /// What was asked.
        call: &'static str,
        /// What is wrong.
        fault: AnswerFault,
    },
    /// The server sends its clients elsewhere, and there is nothing to be had there.
    #[error(transparent)]
    Redirect(#[from] RedirectFault),
    /// The user has to be logged in for that.
    #[error("the user is {0}, log in first")]
    NotLoggedIn(UserState),
    /// Credentials that cannot be sent.
    #[error(transparent)]
    Credentials(#[from] CredentialsFault),
    /// A name that no API key has.
    #[error("{0:?} is no id of an API key")]
    ApiKeyId(String),
    /// The users of this device cannot be read or kept.
    #[error(transparent)]
    Users(#[from] UsersFileError),
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An address that HTTP cannot be spoken with.
    #[error(
        "{0:?} is no base URL: it has to look like https://sync.example.com or http://localhost:9090"
    )]
    BaseUrl(String),
    /// A name that cannot stand in URLs.
    #[error(
        "{0:?} is no app id: it has 1 to 128 letters, digits, '-' and '_', such as inventory-abcde; \
         the app's realm_config.json names it"
    )]
    AppId(String),
}

/// A refusal, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// The HTTP status.
    pub status: u16,
    /// For programs: `InvalidSession`, `AccountNameInUse` and so on.
    pub error_code: Option<String>,
    /// For people.
    pub message: String,
    /// Where more is to be learnt.
    pub link: Option<String>,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerFault {
    /// It is not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// It is JSON of another shape.
    #[error("it is no JSON {0}")]
    Shape(&'static str),
    /// A field is not there.
    #[error("the field `{0}` is missing")]
    Missing(&'static str),
    /// A field holds something else than it should.
    #[error("the field `{0}` is no {1}")]
    Type(&'static str, &'static str),
    /// A token that is none.
    #[error("the field `{0}` is no token: {1}")]
    Token(&'static str, TokenFault),
    /// A user id that cannot name a folder.
    #[error("the field `user_id` is no user id")]
    UserId,
    /// A login with the wish to extend a user has led to another user.
    #[error("it is about another user")]
    OtherUser,
    /// An address that cannot be connected to.
    #[error("the field `{0}` is no address: {1:?}")]
    Address(&'static str, String),
    /// From a secure address to one that is not, which would give away tokens.
    #[error(
        "the field `{0}` leads from https to an address without encryption; \
         configure the public address of the server"
    )]
    Insecure(&'static str),
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It has not three parts, or the last one is empty.
    #[error("it has not three parts")]
    Parts,
    /// It has characters that tokens have not, or is not encoded as they are.
    #[error("it is not encoded as tokens are")]
    Encoding,
    /// What it claims is not a JSON object.
    #[error("its claims are no JSON object")]
    Claims,
    /// A claim is not what it should be.
    #[error("its claim `{0}` has the wrong type")]
    Claim(&'static str),
}

/// What is wrong with a redirection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectFault {
    /// One led to the next.
    #[error("the server redirects more than {0} times")]
    TooMany(usize),
    /// It does not say where to.
    #[error("the server redirects to nowhere")]
    Missing,
    /// It leads to something else than an address.
    #[error("the server redirects to {0:?}, which is no http or https address")]
    Target(String),
    /// It leads from a secure address to one that is not, which would give away tokens.
    #[error("the server redirects from https to {0:?}, which is not encrypted")]
    Insecure(String),
}

/// Why credentials cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsFault {
    /// A user is anonymous from the beginning or never.
    #[error("anonymous credentials cannot be linked to a user")]
    LinkAnonymous,
    /// The payload of function credentials has a name of ours.
    #[error("the payload of function credentials has a field `options`, which would be lost")]
    ReservedField,
    /// The payload of function credentials is something else than an object.
    #[error("the payload of function credentials is no JSON object")]
    NotAnObject,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, error_code, message, link } = self;
        write!(f, "{message} (HTTP {status}")?;
        if let Some(code) = error_code {
            write!(f, ", {code}")?;
        }
        if let Some(link) = link {
            write!(f, ", see {link}")?;
        }
        f.write_str(")")
    }
}
