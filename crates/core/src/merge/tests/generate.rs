//! What two devices do at the same time: transactions that are valid on the device that makes them.

use std::ops::Range;

use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use super::text::parse;
use crate::merge::Concurrent;

/// What a device is told to do; it does the nearest thing that is possible.
#[derive(Clone, Copy, Debug)]
pub(super) struct Action {
    what: u8,
    object: u8,
    place: u8,
    value: u8,
    /// Whether the next action belongs to another transaction, and its time.
    commit: Option<u8>,
}

/// The actions of one device.
pub(super) fn actions(kinds: Range<u8>) -> impl Strategy<Value = Vec<Action>> {
    vec(action((kinds, 0..4_u8, 0..8_u8, 0..4_u8, proptest::option::of(0..8_u8))), 0..24)
}

/// The actions of one device that works on a list or two for long; few of them are about anything else.
pub(super) fn list_actions() -> impl Strategy<Value = Vec<Action>> {
    let what = prop_oneof![
        // Insertions and erasures of integers, and assignments.
        12 => prop_oneof![Just(4_u8), Just(8), Just(10)],
        // Insertions and erasures of embedded objects, and what is inside of them.
        8 => 12..16_u8,
        1 => 0..ALL.end,
    ];
    let place = prop_oneof![1 => Just(0), 1 => 0..4_u8, 2 => 0..32_u8];
    let commit = proptest::option::of(prop_oneof![2 => Just(4), 1 => 0..8_u8]);
    let object = prop_oneof![9 => Just(0), 1 => 1..4_u8];
    vec(action((what, object, place, 0..4_u8, commit)), 0..64)
}

fn action(
    parts: impl Strategy<Value = (u8, u8, u8, u8, Option<u8>)>,
) -> impl Strategy<Value = Action> {
    parts.prop_map(|(what, object, place, value, commit)| Action {
        what,
        object,
        place,
        value,
        commit,
    })
}

/// Kinds of actions after which both orders lead to the same state.
pub(super) const CONVERGENT: Range<u8> = 0..23;
/// The same, and collections inside of mixed values. They need clocks that do not go back: else a device's later
/// change of type can lose against another's, whose Clear has already lost against an earlier one.
pub(super) const WITH_MIXED: Range<u8> = 0..26;
/// The same, and kinds of which the rules are known not to converge, or that no SDK uses.
pub(super) const ALL: Range<u8> = 0..36;
/// Declarations, and what takes them back.
pub(super) const SCHEMA: Range<u8> = 29..36;

/// The state that both devices start from: the schema, then objects 0, 1 and 2 of class A.
pub(super) fn base() -> Vec<Changeset> {
    let schema = "addtable A _id Int 0 0; addembedded E; addcol A i Int 0 single; addcol A li Int 0 list; \
        addcol A le Link 0 list E; addcol A e Link 1 single E; addcol A d Int 0 dict; addcol A s Int 0 set; \
        addcol A m Mixed 1 single; addcol A l Link 1 single A; addcol E v Int 0 single; addcol E li Int 0 list";
    let object = |k: u8| {
        format!(
            "create A {k}; insert A/{k}/li/0 int:1 0; insert A/{k}/li/1 int:2 1; insert A/{k}/li/2 int:3 2; \
             insert A/{k}/le/0 obj 0; insert A/{k}/le/0/@li/0 int:1 0; \
             insert A/{k}/le/1 obj 1; insert A/{k}/le/1/@li/0 int:1 0; \
             update A/{k}/e obj; insert A/{k}/e/@li/0 int:1 0; \
             update A/{k}/d/@a int:1; update A/{k}/d/@b int:2; sinsert A/{k}/s int:1; sinsert A/{k}/s int:2"
        )
    };
    let mut texts = vec![schema.to_owned()];
    texts.extend((0..3).map(object));
    texts.iter().map(|text| parse(text)).collect()
}

/// As [`transactions`], with a clock that never goes back.
pub(super) fn steady_transactions(actions: &[Action], file_ident: u64) -> Vec<Concurrent> {
    let mut time = 0;
    let steady = |mut action: Action| {
        action.commit = action.commit.map(|past| {
            time += past;
            time
        });
        action
    };
    let actions: Vec<_> = actions.iter().copied().map(steady).collect();
    transactions_until(&actions, file_ident, time)
}

/// The transactions of a device whose file has the ident `file_ident`, starting from [`base`].
pub(super) fn transactions(actions: &[Action], file_ident: u64) -> Vec<Concurrent> {
    transactions_until(actions, file_ident, 4)
}

fn transactions_until(actions: &[Action], file_ident: u64, end: u8) -> Vec<Concurrent> {
    let existing = || Model { ints: 3, embedded: vec![1, 1], single: Some(1), ..Model::default() };
    let mut device = Device {
        objects: [Some(existing()), Some(existing()), Some(existing()), None],
        written: Vec::new(),
    };
    let mut transactions = Vec::new();
    let mut commit = |device: &mut Device, time: u8| {
        let text = std::mem::take(&mut device.written).join("; ");
        let time = OriginTimestamp(100 + u64::from(time));
        transactions.push(Concurrent::new(parse(&text), time, FileIdent(file_ident)));
    };
    for &action in actions {
        device.act(action);
        if let Some(time) = action.commit {
            commit(&mut device, time);
        }
    }
    commit(&mut device, end);
    transactions
}

struct Device {
    objects: [Option<Model>; 4],
    written: Vec<String>,
}

/// As much of an object as is needed to know the lengths of its lists.
#[derive(Default)]
struct Model {
    ints: u32,
    /// The lengths of the lists inside.
    embedded: Vec<u32>,
    /// The length of the list inside.
    single: Option<u32>,
    mixed: Mixed,
}

#[derive(Default)]
enum Mixed {
    #[default]
    Scalar,
    List(u32),
    Dictionary,
}

impl Device {
    fn act(&mut self, action: Action) {
        let Action { what, object: k, place, value, .. } = action;
        let p = u32::from(place);
        let write = &mut self.written;
        let Some(model) = &mut self.objects[usize::from(k)] else {
            write.push(format!("create A {k}"));
            write.push(format!("update A/{k}/i int:{value} default"));
            self.objects[usize::from(k)] = Some(Model::default());
            return;
        };
        let key = ["a", "b", "c"][usize::from(place % 3)];
        let element = |len: u32| (len > 0).then(|| p % len);
        let nested = |len: usize| (len > 0).then(|| usize::from(place) % len);
        match what {
            0 => {
                write.push(format!("erase A {k}"));
                self.objects[usize::from(k)] = None;
            }
            1 | 2 => write.push(format!("update A/{k}/i int:{value}")),
            3 => write.push(format!("addint A/{k}/i {value}")),
            4 | 5 => {
                let at = p % (model.ints + 1);
                write.push(format!("insert A/{k}/li/{at} int:{value} {}", model.ints));
                model.ints += 1;
            }
            6 | 7 => {
                if let (Some(from), Some(to)) =
                    (element(model.ints), element(model.ints.saturating_sub(1)))
                {
                    let to = if to >= from { to + 1 } else { to };
                    write.push(format!("move A/{k}/li/{from} {to} {}", model.ints));
                }
            }
            8 | 9 => {
                if let Some(at) = element(model.ints) {
                    write.push(format!("aerase A/{k}/li/{at} {}", model.ints));
                    model.ints -= 1;
                }
            }
            10 => {
                if let Some(at) = element(model.ints) {
                    write.push(format!("update A/{k}/li/{at} int:{value} {}", model.ints));
                }
            }
            11 => {
                write.push(format!("clear A/{k}/li list"));
                model.ints = 0;
            }
            12 => {
                let len = model.embedded.len();
                let at = usize::from(place) % (len + 1);
                write.push(format!("insert A/{k}/le/{at} obj {len}"));
                write.push(format!("update A/{k}/le/{at}/@v int:{value}"));
                model.embedded.insert(at, 0);
            }
            13 => {
                if let Some(at) = nested(model.embedded.len()) {
                    write.push(format!("aerase A/{k}/le/{at} {}", model.embedded.len()));
                    model.embedded.remove(at);
                }
            }
            14 => {
                if let Some(at) = nested(model.embedded.len()) {
                    write.push(format!("update A/{k}/le/{at}/@v int:{value}"));
                }
            }
            15 => {
                if let Some(at) = nested(model.embedded.len()) {
                    let len = &mut model.embedded[at];
                    write.push(format!("insert A/{k}/le/{at}/@li/0 int:{value} {len}"));
                    *len += 1;
                }
            }
            16 => {
                let value = if model.single.take().is_some() { "null" } else { "obj" };
                write.push(format!("update A/{k}/e {value}"));
                model.single = (value == "obj").then_some(0);
            }
            17 => {
                if model.single.is_some() {
                    write.push(format!("update A/{k}/e/@v int:{value}"));
                    write.push(format!("addint A/{k}/e/@v {value}"));
                }
            }
            18 => {
                if let Some(len) = &mut model.single {
                    write.push(format!("insert A/{k}/e/@li/{len} int:{value} {len}"));
                    *len += 1;
                }
            }
            19 => write.push(format!("update A/{k}/d/@{key} int:{value}")),
            20 => write.push(format!("update A/{k}/d/@{key} erased")),
            21 => match value {
                0 => write.push(format!("clear A/{k}/d dict")),
                1 => write.push(format!("clear A/{k}/s set")),
                2 => write.push(format!("update A/{k}/l link:A={}", place % 4)),
                _ => write.push(format!("serase A/{k}/s int:{place}")),
            },
            22 => write.push(format!("sinsert A/{k}/s int:{value}")),
            23 => {
                write.push(format!("update A/{k}/m int:{value}"));
                model.mixed = Mixed::Scalar;
            }
            24 => {
                if let Mixed::List(len) = &mut model.mixed {
                    let at = p % (*len + 1);
                    write.push(format!("insert A/{k}/m/{at} int:{value} {len}"));
                    *len += 1;
                } else {
                    write.push(format!("update A/{k}/m list"));
                    write.push(format!("clear A/{k}/m list"));
                    model.mixed = Mixed::List(0);
                }
            }
            25 => {
                if let Mixed::Dictionary = &model.mixed {
                    write.push(format!("update A/{k}/m/@{key} int:{value}"));
                } else {
                    write.push(format!("update A/{k}/m dict"));
                    write.push(format!("clear A/{k}/m dict"));
                    model.mixed = Mixed::Dictionary;
                }
            }
            26 => {
                let len = model.embedded.len();
                if len > 1 {
                    let (from, to) = (usize::from(place) % (len - 1), len - 1);
                    write.push(format!("move A/{k}/le/{from} {to} {len}"));
                    let moved = model.embedded.remove(from);
                    model.embedded.insert(to, moved);
                }
            }
            27 => {
                write.push(format!("update A/{k}/de/@{key} obj"));
                write.push(format!("update A/{k}/de/@{key}/@v int:{value}"));
            }
            28 => write.push(format!("addint A/{k}/d/@{key} {value}")),
            29 => {
                let field = ["i", "li", "e", "d"][usize::from(value)];
                write.push(format!("erasecol A {field}"));
            }
            30 => write.push(format!("erasetable {}", ["A", "B", "C", "D"][usize::from(value)])),
            31 | 32 => {
                let class = ["A", "B", "C", "D"][usize::from(place % 4)];
                let target = ["A", "B", "C", "D"][usize::from(value)];
                write.push(format!("addcol {class} to_{target} Link 1 single {target}"));
            }
            33 => {
                write.push(format!("addtable {} _id Int 0 0", ["B", "C"][usize::from(value % 2)]));
            }
            34 => {
                let class = ["A", "B", "C", "D"][usize::from(place % 4)];
                let target = ["A", "B", "C", "D"][usize::from(value)];
                write.push(format!("update {class}/{k}/to_{target} link:{target}={k}"));
            }
            _ => write.push(format!("erasecol B to_{}", ["A", "B", "C", "D"][usize::from(value)])),
        }
    }
}
