//! The WebSocket close codes that a server may end a connection with.
//!
//! Devices act on them, each in its own way, and some devices on none; what works with all of them is the error
//! [`ConnectionClosed`](crate::error_code::ConnectionCode::ConnectionClosed) as the last message. 1000 is absent:
//! a native device that gets it stays "connected" for as long as TCP does. Spec: wire protocol, section 1.6.

/// How the server ends a connection, once nothing more can be said on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// 1001: the server stops. The application sees an error that is not fatal; the device comes back.
    GoingAway,
    /// 1002: not the WebSocket protocol. As [`GoingAway`](Self::GoingAway).
    ProtocolError,
    /// 1008: whatever has no code of its own. As [`GoingAway`](Self::GoingAway).
    PolicyViolation,
    /// 1009: an upload that will never be accepted. The device gives up its history: **client reset**.
    MessageTooBig,
    /// 1011: the server failed. As [`GoingAway`](Self::GoingAway).
    InternalError,
    /// 4001: the access token has expired. The device gets a new one and comes back.
    RefreshUser,
    /// 4002: the user may not be here any more. The device logs them out.
    LogOutUser,
    /// 4003: the partition is served elsewhere. The device asks for the location again.
    RefreshLocation,
}

impl CloseCode {
    /// All codes.
    pub const ALL: [Self; 8] = [
        Self::GoingAway,
        Self::ProtocolError,
        Self::PolicyViolation,
        Self::MessageTooBig,
        Self::InternalError,
        Self::RefreshUser,
        Self::LogOutUser,
        Self::RefreshLocation,
    ];

    /// The number in the close frame.
    pub const fn number(self) -> u16 {
        match self {
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::PolicyViolation => 1008,
            Self::MessageTooBig => 1009,
            Self::InternalError => 1011,
            Self::RefreshUser => 4001,
            Self::LogOutUser => 4002,
            Self::RefreshLocation => 4003,
        }
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_leaves_a_device_connected() {
        let numbers = CloseCode::ALL.map(CloseCode::number);
        assert_eq!(numbers, [1001, 1002, 1008, 1009, 1011, 4001, 4002, 4003]);
        assert!(!numbers.contains(&1000));
    }
}
