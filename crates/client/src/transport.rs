//! The network: connections to a server, HTTP requests, the sync WebSocket, and the task that drives a
//! [`session::Connection`](crate::session) between a socket, files and a clock.

mod authenticator;
mod connector;
mod endpoint;
mod http;
mod stream;
mod tls;
mod websocket;

pub use authenticator::{AuthFailure, Authenticator, Route};
pub use connector::{Connector, Unreachable};
pub use endpoint::{Endpoint, EndpointError};
pub use http::{HttpError, request};
pub use stream::Stream;
pub use tls::Tls;
