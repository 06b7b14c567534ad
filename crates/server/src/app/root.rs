//! The root file: `realm_config.json`, or `root_config.json` in newer exports.

use crate::app::document::Document;
use crate::app::fault::{AppError, AppFault};
use crate::app::id::AppId;
use crate::app::notice::Notice;

/// What the root file says.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) id: AppId,
    pub(super) name: String,
    pub(super) location: String,
    pub(super) deployment_model: String,
    pub(super) allowed_request_origins: Vec<String>,
}

impl Root {
    pub(super) fn parse(mut file: Document, notices: &mut Vec<Notice>) -> Result<Self, AppError> {
        let id = file.need_string("app_id", r#""app_id": "inventory-abcde""#)?;
        let id = id.parse::<AppId>().map_err(|error| file.fault(AppFault::AppId(error)))?;
        let name = file.take_string("name")?.unwrap_or_else(|| id.to_string());
        let location = file.take_string("location")?.unwrap_or_else(|| "US-VA".to_owned());
        let deployment_model =
            file.take_string("deployment_model")?.unwrap_or_else(|| "GLOBAL".to_owned());
        let allowed_request_origins = file.take_strings("allowed_request_origins")?;
        // These two say how the directory was written, and where; they ask for nothing.
        file.take("config_version");
        file.take("provider_region");
        file.note_unread(notices);
        Ok(Self { id, name, location, deployment_model, allowed_request_origins })
    }
}
