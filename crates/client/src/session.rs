//! One connection of a device and the realms that it syncs, as a state machine without I/O.
//!
//! [`Connection::handle`] takes what happened and appends what is to be done. Sockets, files, tokens, clocks and
//! randomness are the driver's. Spec: client, sections 2 to 7.

mod config;
mod io;

pub use config::ConnectionConfig;
pub use io::{
    ConnectError, Disconnect, FileRole, FileStatus, Input, Output, RealmKey, ResetMode,
    SessionEvent, StorageAnswer, StorageRequest, SyncError, Time, UploadBatch, WaitKey,
};

/// The state of one connection: one endpoint, that is one app and one user, with any number of realms.
#[derive(Debug)]
pub struct Connection {
    config: ConnectionConfig,
    seed: u64,
}

impl Connection {
    /// A connection that nobody needs yet. All randomness comes from `seed`.
    pub fn new(config: ConnectionConfig, seed: u64) -> Self {
        Self { config, seed }
    }

    /// Takes one event; appends to `out`, in order, what the driver must do. `now` never goes back.
    pub fn handle(&mut self, _now: Time, _input: Input, _out: &mut Vec<Output>) {
        let _ = (&self.config, self.seed);
    }
}
