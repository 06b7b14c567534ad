//! What the application does with a realm: commands to its sync, and commits.

use std::sync::Arc;

use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{broadcast, mpsc};

use crate::local::{Committed, Origin};
use crate::session::RealmKey;
use crate::transport::handle::RealmCommand;

/// Listens to one realm.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) realm: RealmKey,
    pub(super) commands: mpsc::Receiver<RealmCommand>,
    pub(super) news: broadcast::Receiver<Arc<Committed>>,
}

/// What was heard.
#[derive(Debug)]
pub(super) struct Heard {
    /// Whom to go on listening to.
    pub(super) listener: Listener,
    /// The latest commit with something to upload, which came before the command.
    pub(super) committed: Option<Arc<Committed>>,
    pub(super) command: Option<RealmCommand>,
    /// All handles are gone, and no command will come.
    pub(super) is_abandoned: bool,
}

impl Listener {
    /// Waits for something. The task that commits sees its commit told before what it asks for afterwards.
    pub(super) async fn listen(mut self) -> Heard {
        let mut committed = None;
        let (command, is_abandoned) = tokio::select! {
            command = self.commands.recv() => {
                let is_abandoned = command.is_none();
                (command, is_abandoned)
            }
            news = self.news.recv() => {
                committed = news.ok().filter(is_upload);
                (None, false)
            }
        };
        loop {
            match self.news.try_recv() {
                Ok(news) if is_upload(&news) => committed = Some(news),
                // The latest ones are kept for whoever falls behind.
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Heard { listener: self, committed, command, is_abandoned }
    }
}

fn is_upload(news: &Arc<Committed>) -> bool {
    news.origin == Origin::Local && news.uploadable.is_some()
}
