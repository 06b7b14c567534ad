//! One connection of a device and the realms that it syncs, as a state machine without I/O.
//!
//! [`Connection::handle`] takes what happened and appends what is to be done. Sockets, files, tokens, clocks and
//! randomness are the driver's. Spec: client, sections 2 to 7.

mod io;

pub use io::{
    ConnectError, Disconnect, FileRole, Input, Output, RealmKey, ResetMode, SessionEvent,
    StorageAnswer, StorageRequest, SyncError, Time, UploadBatch, WaitKey,
};
