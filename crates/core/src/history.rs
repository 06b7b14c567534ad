//! What a server keeps for one realm, and the pure functions over it: what an IDENT may claim, what an
//! UPLOAD may hold and what it becomes, what a DOWNLOAD carries.
//!
//! Time, randomness and the answers of the storage come in as values. Spec: server history.

mod download;
mod ident;
mod integrate;
mod record;
mod requirement;
mod rereading;
mod unseen;
mod upload;

pub use download::{Download, DownloadItem, Scan};
pub use ident::{Claim, ClientType, IdentError, check_ident};
pub use integrate::{
    Base, ConcurrentHistory, Integration, IntegrationError, RejectedUpload, Rejection, Upload,
    UploadedChangeset, integrate,
};
pub use record::{ClientFile, Entry};
pub use requirement::required_protocol;
pub use unseen::Unseen;
pub use upload::{UploadCheck, UploadError, UploadProgress};
