//! The app that is served, as its configuration directory describes it.
//!
//! The directory has the layout in which the hosted service exported apps (spec: administration API,
//! part 2). Read so far: `realm_config.json` (or `root_config.json`), `sync/config.json`, and the schemas
//! below `data_sources/` as far as they say whether the partition key is required. All the rest is left
//! alone; [`App::notices`] lists it, so that nobody believes in a setting that has no effect.

mod document;
pub mod fault;
mod id;
pub mod notice;
mod root;
mod schema;
pub mod sync;

use std::fs;
use std::path::Path;

use crate::app::document::Document;
use crate::app::fault::{AppError, AppFault};
pub use crate::app::id::AppId;
use crate::app::notice::Notice;
use crate::app::root::Root;
use crate::app::sync::SyncConfig;

/// An app's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// The name in URLs, which clients are configured with; `inventory-abcde`, for example.
    pub id: AppId,
    /// The name for people.
    pub name: String,
    /// Where the hosted service ran the app; clients want to be told some place.
    pub location: String,
    /// `GLOBAL` or `LOCAL`; clients want to be told one of them.
    pub deployment_model: String,
    /// The web origins that may talk to the app; empty for all.
    pub allowed_request_origins: Vec<String>,
    /// What is synced, and how it is split.
    pub sync: SyncConfig,
    /// What the directory holds that has no effect, in order of its path.
    pub notices: Vec<Notice>,
}

impl App {
    /// Reads an app's configuration directory.
    ///
    /// Blocks on the file system; meant for start-up.
    ///
    /// # Errors
    ///
    /// The first thing that keeps the app from being served: its file, its place in there, and what can
    /// be done about it.
    pub fn read(dir: &Path) -> Result<Self, AppError> {
        if !dir.is_dir() {
            return Err(AppError::new(dir, AppFault::NotADirectory));
        }
        let mut notices = Vec::new();
        let mut root_file = Document::read(dir, "realm_config.json")?;
        if root_file.is_none() {
            root_file = Document::read(dir, "root_config.json")?;
        }
        let root_file = root_file
            .ok_or_else(|| AppError::new(dir.join("realm_config.json"), AppFault::NoRootFile))?;
        let root_name = root_file.name().to_owned();
        let root = Root::parse(root_file, &mut notices)?;
        let sync_file = Document::read(dir, "sync/config.json")?
            .ok_or_else(|| AppError::new(dir.join("sync/config.json"), AppFault::NoSyncFile))?;
        let sync = SyncConfig::parse(dir, sync_file, &mut notices)?;
        notices.extend(unread_paths(dir, &root_name)?);
        notices.sort_by_cached_key(ToString::to_string);
        Ok(Self {
            id: root.id,
            name: root.name,
            location: root.location,
            deployment_model: root.deployment_model,
            allowed_request_origins: root.allowed_request_origins,
            sync,
            notices,
        })
    }
}

/// What lies in the directory beside the files that are read; hidden files and READMEs are nobody's settings.
fn unread_paths(dir: &Path, root_name: &str) -> Result<Vec<Notice>, AppError> {
    let unreadable = |error| AppError::new(dir, AppFault::Unreadable(error));
    let mut notices = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = name == root_name || name == "sync";
        if known || name.starts_with('.') || name.starts_with("README") {
            continue;
        }
        let is_dir = entry.file_type().map_err(unreadable)?.is_dir();
        notices.push(Notice::UnreadPath(if is_dir { format!("{name}/") } else { name }));
    }
    Ok(notices)
}
