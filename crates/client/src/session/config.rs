//! The numbers by which a connection goes. Spec: client, section 2.

use std::time::Duration;

/// Timers and bounds of a connection. The default is what official clients use.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// How long an attempt to connect may take, from TCP to the upgrade.
    pub connect_timeout: Duration,
    /// How long a connection is kept once no session needs it.
    pub linger: Duration,
    /// The longest time between PINGs.
    pub ping_period: Duration,
    /// How long an answer to a PING may take.
    pub pong_timeout: Duration,
    /// Up to how long after a loss a new connection counts as the old one, so that uploads go on at once.
    pub fast_reconnect_limit: Duration,
    /// From how many bytes of DOWNLOADs that wait to be integrated no more is read.
    pub max_queued_len: usize,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(120),
            linger: Duration::from_secs(30),
            ping_period: Duration::from_secs(60),
            pong_timeout: Duration::from_secs(120),
            fast_reconnect_limit: Duration::from_secs(60),
            // Some ordinary DOWNLOADs, so that the network works while the disk does.
            max_queued_len: 4 << 20,
        }
    }
}
