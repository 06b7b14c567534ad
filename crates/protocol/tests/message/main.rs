//! What goes over the WebSocket: messages, bodies, errors, the handshake.

#![cfg(test)]

mod body;
mod errors;
mod grammar;
mod handshake;
mod properties;

use bailiwick_protocol::protocol_version::ProtocolVersion;

fn version(number: u8) -> ProtocolVersion {
    ProtocolVersion::new(number).expect("a version that is spoken")
}
