//! What goes over the WebSocket: messages, bodies, errors, the handshake.

#[cfg(test)]
mod body;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod grammar;
#[cfg(test)]
mod handshake;
#[cfg(test)]
mod properties;

#[cfg(test)]
use bailiwick_protocol::protocol_version::ProtocolVersion;

#[cfg(test)]
fn version(number: u8) -> ProtocolVersion {
    ProtocolVersion::new(number).expect("a version that is spoken")
}
