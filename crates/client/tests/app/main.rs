//! The app and its realms against the server itself, in this process, over sockets.

mod realms;
mod server;
mod users;
