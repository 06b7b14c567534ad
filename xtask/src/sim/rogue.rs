//! Somebody who sends what nobody should, among honest devices; and what anybody may.

mod changesets;

use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{
    Bind, Body, ClientIdent, ClientMessage, Mark, RequestIdent, ServerMessage, Unbind, Upload,
    UploadEntry, UploadHeader,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use super::app::Memory;
use super::choices::Choices;
pub(crate) use changesets::unsound;
use changesets::{Flaw, distorted, flawed, guess, removal, sound};

/// A program of its own making, with the token of a user.
#[derive(Debug)]
pub(crate) struct Rogue {
    pub(crate) user: String,
    pub(crate) link: Option<u64>,
    version: ProtocolVersion,
    /// What it was given in a session: the only file that it may say it is.
    file: Option<(SessionIdent, FileIdent, Salt)>,
    /// It has said so, and was not sent away.
    is_bound: bool,
    /// How much of the history it was sent.
    seen: ServerVersion,
    /// Its next changeset that can be read.
    next_version: ClientVersion,
}

/// What a rogue is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It sends whatever comes to its mind.
    Wild,
    /// It behaves like a device, but for what it uploads.
    Quiet,
}

/// What a rogue can know of the others.
#[derive(Debug)]
pub(crate) struct Gossip<'a> {
    /// Messages of honest devices.
    pub(crate) overheard: &'a [Bytes],
    /// The partition that it asks for, as Extended JSON.
    pub(crate) path: String,
    /// A client file of another user there.
    pub(crate) other: Option<(FileIdent, Salt)>,
    /// Classes that a restored server does not know would keep honest devices from recovering.
    pub(crate) memory: Memory,
    /// Nothing is wrong with what has to be refused.
    pub(crate) spares: bool,
}

impl Rogue {
    pub(crate) fn new(user: String) -> Self {
        Self {
            user,
            link: None,
            version: ProtocolVersion::MAX,
            file: None,
            is_bound: false,
            seen: ServerVersion(0),
            next_version: ClientVersion(1),
        }
    }

    /// It has connected.
    pub(crate) fn connected(&mut self, link: u64, version: ProtocolVersion) {
        (self.link, self.version, self.file) = (Some(link), version, None);
    }

    /// Takes what the server has sent.
    pub(crate) fn receive(&mut self, message: &Bytes) {
        match ServerMessage::parse(self.version, message) {
            Ok(ServerMessage::Ident(ident)) => {
                self.file = Some((ident.session, ident.file_ident, ident.file_ident_salt));
                self.is_bound = false;
                (self.seen, self.next_version) = (ServerVersion(0), ClientVersion(1));
            }
            Ok(ServerMessage::Download(download)) => {
                self.seen = download.header.download_cursor.server_version;
            }
            Ok(ServerMessage::JsonError(_) | ServerMessage::Unbound(_)) => self.file = None,
            _ => (),
        }
    }

    /// The next things that it sends.
    pub(crate) fn messages(
        &mut self,
        manner: Manner,
        gossip: &Gossip<'_>,
        choices: &mut Choices,
    ) -> Vec<Bytes> {
        let session = SessionIdent(1 + choices.below(4) as u64);
        if manner == Manner::Quiet && gossip.memory == Memory::Everything {
            return match self.file {
                None => vec![bind(session, &gossip.path, true)],
                Some(_) if choices.one_in(5) => self.flood(),
                Some(_) => self.transactions(gossip, choices),
            };
        }
        match choices.below(8) {
            0 => vec![garbage(choices)],
            1 => gossip.overheard.iter().map(|message| mutated(message, choices)).collect(),
            2 => gossip.overheard.to_vec(),
            3 => {
                let order = [mark(session), unbind(session), bind(session, &gossip.path, false)];
                vec![choices.pick(&order).clone()]
            }
            // As many as it likes.
            4 => (0..=choices.below(10) as u64)
                .map(|more| bind(SessionIdent(session.0 + more), &gossip.path, true))
                .collect(),
            5 => {
                let lie = match gossip.other {
                    Some((file, salt)) if choices.yes() => (file, salt),
                    _ => (FileIdent(choices.below(8) as u64), Salt(1 + choices.number() / 2)),
                };
                vec![bind(session, &gossip.path, false), ident(session, lie)]
            }
            _ => self.uploads(choices),
        }
    }

    /// An UPLOAD that is small on its way, and then longer than some servers take.
    fn flood(&mut self) -> Vec<Bytes> {
        let Some((session, ..)) = self.file else { return Vec::new() };
        let entry = UploadEntry {
            client_version: ClientVersion(1),
            last_integrated_server_version: ServerVersion(0),
            origin_timestamp: OriginTimestamp(0),
            origin_file_ident: FileIdent::SELF,
            // It begins with an instruction that does not exist.
            changeset: vec![0x2f; FLOOD_LEN].into(),
        };
        let progress = UploadCursor {
            client_version: ClientVersion(1),
            last_integrated_server_version: ServerVersion(0),
        };
        let header = UploadHeader { session, progress, locked_server_version: ServerVersion(0) };
        let upload = Upload { header, body: Body::from_entries(&[entry]) };
        let ident = self.identify();
        ident.into_iter().chain([ClientMessage::Upload(upload).print().into()]).collect()
    }

    /// An UPLOAD that can be read, as a device would send it.
    fn transactions(&mut self, gossip: &Gossip<'_>, choices: &mut Choices) -> Vec<Bytes> {
        let Some((session, ..)) = self.file else { return Vec::new() };
        let mut entries = Vec::new();
        // A single bad one is enough for all to be refused.
        let is_good = choices.yes();
        for _ in 0..=choices.below(3) {
            let key = i64::try_from(1 + (choices.number() >> 20)).expect("it is positive");
            let changeset = match choices.below(10) {
                0..=1 if is_good => removal(key, choices).encode().into(),
                _ if is_good => sound(key, choices).encode().into(),
                0..=2 if gossip.spares => sound(-key, choices).encode().into(),
                0..=2 => flawed(key, *choices.pick(&Flaw::ALL)).encode().into(),
                3 => guess(key, choices).encode().into(),
                4..=5 => distorted(key, choices),
                _ => sound(key, choices).encode().into(),
            };
            entries.push(UploadEntry {
                client_version: self.next_version,
                last_integrated_server_version: self.seen,
                origin_timestamp: OriginTimestamp(choices.number() >> 24),
                origin_file_ident: FileIdent::SELF,
                changeset,
            });
            self.next_version.0 += 1;
        }
        let progress = UploadCursor {
            client_version: ClientVersion(self.next_version.0 - 1),
            last_integrated_server_version: self.seen,
        };
        let header = UploadHeader { session, progress, locked_server_version: self.seen };
        let upload = Upload { header, body: Body::from_entries(&entries) };
        let ident = self.identify();
        ident.into_iter().chain([ClientMessage::Upload(upload).print().into()]).collect()
    }

    /// Says which file it has, unless it has.
    fn identify(&mut self) -> Option<Bytes> {
        let (session, file, salt) = self.file?;
        let is_bound = std::mem::replace(&mut self.is_bound, true);
        (!is_bound).then(|| ident(session, (file, salt)))
    }

    /// UPLOADs of the file that it has, none of which can be taken.
    fn uploads(&self, choices: &mut Choices) -> Vec<Bytes> {
        let Some((session, file, salt)) = self.file else { return Vec::new() };
        let number = |choices: &mut Choices| match choices.below(3) {
            0 => choices.below(4) as u64,
            1 => choices.below(1000) as u64,
            _ => choices.number() >> 1,
        };
        let entries: Vec<UploadEntry> = (0..=choices.below(3))
            .map(|_| UploadEntry {
                client_version: ClientVersion(number(choices)),
                last_integrated_server_version: ServerVersion(number(choices)),
                origin_timestamp: OriginTimestamp(number(choices)),
                origin_file_ident: FileIdent(choices.below(3) as u64),
                changeset: unreadable(choices),
            })
            .collect();
        let header = UploadHeader {
            session,
            progress: UploadCursor {
                client_version: ClientVersion(number(choices)),
                last_integrated_server_version: ServerVersion(number(choices)),
            },
            locked_server_version: ServerVersion(number(choices)),
        };
        let upload = Upload { header, body: Body::from_entries(&entries) };
        let upload = ClientMessage::Upload(upload).print().into();
        if choices.yes() { vec![ident(session, (file, salt)), upload] } else { vec![upload] }
    }
}

/// More than the smallest bound of a server, in bytes.
const FLOOD_LEN: usize = 200 << 10;

/// A changeset that begins with an instruction that does not exist, so that it never becomes part of a history.
fn unreadable(choices: &mut Choices) -> Bytes {
    let mut bytes = vec![0x2f];
    bytes.extend((0..choices.below(40)).map(|_| choices.number().to_le_bytes()[0]));
    bytes.into()
}

fn garbage(choices: &mut Choices) -> Bytes {
    let names = ["", "bind ", "ident ", "upload ", "mark ", "ping ", "unbind ", "json_error "];
    let mut bytes = choices.pick(&names).as_bytes().to_vec();
    for _ in 0..choices.below(100) {
        let byte = choices.number().to_le_bytes()[0];
        bytes.push(if choices.yes() { *choices.pick(b"0123456789 \n") } else { byte });
    }
    bytes.into()
}

/// A message with some bytes changed, removed or doubled.
fn mutated(message: &Bytes, choices: &mut Choices) -> Bytes {
    let mut bytes = message.to_vec();
    for _ in 0..=choices.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = choices.below(bytes.len());
        match choices.below(4) {
            0 => bytes[at] ^= 1 << choices.below(8),
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, bytes[at]),
            _ => bytes.truncate(at),
        }
    }
    bytes.into()
}

fn bind(session: SessionIdent, path: &str, need_client_file_ident: bool) -> Bytes {
    let path = path.to_owned();
    let bind =
        Bind { session, path, token: String::new(), need_client_file_ident, is_subserver: false };
    ClientMessage::Bind(bind).print().into()
}

fn ident(session: SessionIdent, (file_ident, file_ident_salt): (FileIdent, Salt)) -> Bytes {
    let ident = ClientIdent {
        session,
        file_ident,
        file_ident_salt,
        download_cursor: DownloadCursor::default(),
        latest_server_version: SaltedVersion::default(),
    };
    ClientMessage::Ident(ident).print().into()
}

fn mark(session: SessionIdent) -> Bytes {
    ClientMessage::Mark(Mark { session, request_ident: RequestIdent(1) }).print().into()
}

fn unbind(session: SessionIdent) -> Bytes {
    ClientMessage::Unbind(Unbind { session }).print().into()
}
