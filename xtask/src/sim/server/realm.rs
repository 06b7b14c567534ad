//! An open realm of the server: the production actor, its queue, and who is told the news.

use std::collections::{BTreeMap, VecDeque};

use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_server::realm::{Actor, Command, ConnectionId, RealmsConfig, Signal};
use bailiwick_storage::store::RealmKey;
use tokio::sync::watch;

use super::work::{Asker, Askers};

#[derive(Debug)]
pub(super) struct Realm {
    pub(super) partition: PartitionValue,
    pub(super) key: RealmKey,
    pub(super) actor: Actor<Askers>,
    pub(super) commands: VecDeque<Command<Askers>>,
    /// Whether the actor is about to take its commands.
    pub(super) is_awake: bool,
    pub(super) holders: BTreeMap<FileIdent, Holder>,
    /// The memory that the largest upload has needed, in bytes.
    pub(super) largest_upload: usize,
}

/// Who is told what concerns a client file.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) asker: Asker,
    pub(super) signal: watch::Sender<Signal>,
}

/// Commands that wait for one actor; connections wait beyond. Fewer than in a real server, so that it happens.
pub(super) const MAX_COMMANDS: usize = 16;

impl Realm {
    pub(super) fn new(partition: PartitionValue, key: RealmKey, config: RealmsConfig) -> Self {
        Self {
            partition,
            actor: Actor::new(key.clone(), config),
            key,
            commands: VecDeque::new(),
            is_awake: false,
            holders: BTreeMap::new(),
            largest_upload: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.commands.len() >= MAX_COMMANDS
    }

    /// The next command that the actor takes now. Before a client file is bound, it is let go of if whoever holds
    /// it is gone.
    pub(super) fn next_command(&mut self) -> Option<Command<Askers>> {
        if !self.actor.wants_commands() {
            return None;
        }
        if let Some(Command::Identify { file_ident, .. }) = self.commands.front()
            && let file_ident = *file_ident
            && let Some(release) = self.lost(file_ident)
        {
            return Some(release);
        }
        self.commands.pop_front()
    }

    /// Lets go of client files whose connections have gone without saying so.
    pub(super) fn all_lost(&mut self) -> Vec<Command<Askers>> {
        let idents: Vec<_> = self.holders.keys().copied().collect();
        idents.into_iter().filter_map(|ident| self.lost(ident)).collect()
    }

    fn lost(&mut self, file_ident: FileIdent) -> Option<Command<Askers>> {
        self.holders.get(&file_ident).filter(|holder| holder.signal.is_closed())?;
        let holder = self.holders.remove(&file_ident)?;
        let connection = ConnectionId(holder.asker.connection);
        Some(Command::Release { connection, file_ident })
    }
}
