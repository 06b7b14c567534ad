//! A device's transactions: the application of the tests of `bailiwick-core`, told by the fuzzer what to do.

#[path = "../../crates/core/tests/devices/app.rs"]
mod app;
#[path = "../../crates/core/tests/devices/schema.rs"]
mod schema;
#[path = "../../crates/core/tests/devices/value.rs"]
mod value;
#[path = "../../crates/core/tests/devices/writer.rs"]
mod writer;

use std::sync::LazyLock;

use bailiwick_core::merge::Concurrent;
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::changeset::json::ChangesetJson;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;

use crate::input::Input;
use app::{Action, Clocks, Style};
use schema::AppVersion;
use writer::Writer;

/// How the devices of one input write.
#[derive(Clone, Copy)]
pub(crate) struct Habits(Style);

/// One device's file, and what it has written.
pub(crate) struct Device {
    pub(crate) state: State,
    pub(crate) written: Vec<Concurrent>,
    ident: FileIdent,
    habits: Habits,
    time: u64,
    /// What is to be done in the next transaction.
    actions: Vec<Action>,
}

impl Habits {
    pub(crate) fn read(input: &mut Input<'_>) -> Self {
        Self::new(input.u8().is_multiple_of(2), input.u32())
    }

    /// Clocks that do not go back, or show anything; the columns by their places, all of them if it is 0.
    pub(crate) fn new(are_clocks_steady: bool, columns: u32) -> Self {
        let clocks = if are_clocks_steady { Clocks::Steady } else { Clocks::Jumping };
        Self(Style { clocks, columns })
    }
}

/// The first version of the schema: what declares it, and what it leads to.
static DECLARED: LazyLock<(Changeset, State)> = LazyLock::new(|| {
    let style = Style { clocks: Clocks::Steady, columns: 0 };
    let mut writer = Writer::new(State::default(), 0, style);
    writer.declare(AppVersion::First);
    (writer.changeset, writer.state)
});

/// What the devices start from: the schema, and what some actions make of it. The changesets lead to the state.
pub(crate) fn base(
    habits: Habits,
    actions: &mut Input<'_>,
    count: usize,
) -> (State, [Changeset; 2]) {
    let (schema, state) = &*DECLARED;
    let mut writer = Writer::new(state.clone(), 0, habits.0);
    for _ in 0..count {
        writer.act(action(actions));
    }
    (writer.state, [schema.clone(), writer.changeset])
}

/// What to do next.
fn action(input: &mut Input<'_>) -> Action {
    Action { what: input.u8(), object: input.u8(), seed: input.u16() }
}

impl Device {
    pub(crate) fn new(state: State, ident: FileIdent, habits: Habits) -> Self {
        Self { state, written: Vec::new(), ident, habits, time: 100, actions: Vec::new() }
    }

    /// Takes an action into the next transaction.
    pub(crate) fn act(&mut self, input: &mut Input<'_>) {
        self.actions.push(action(input));
    }

    /// What the clock showed at the last commit.
    pub(crate) fn now(&self) -> OriginTimestamp {
        OriginTimestamp(self.time)
    }

    /// Takes what others wrote, the last of it at `time`; `changesets` follow what is written here.
    pub(crate) fn follow(&mut self, changesets: &[Concurrent], time: OriginTimestamp) {
        self.state = applied_to(std::mem::take(&mut self.state), changesets);
        // Whose clock goes back would write before what it has seen.
        if self.habits.0.clocks == Clocks::Steady {
            self.time = self.time.max(time.0);
        }
    }

    /// Commits what was done since the last time. Clocks that jump show `time`, others advance by it.
    pub(crate) fn commit(&mut self, time: u8) {
        self.time = match self.habits.0.clocks {
            Clocks::Steady => self.time + u64::from(time),
            Clocks::Jumping => 100 + u64::from(time),
        };
        let author = u8::from(self.ident.0 > 2);
        let mut writer = Writer::new(self.state.clone(), author, self.habits.0);
        for action in self.actions.drain(..) {
            writer.act(action);
        }
        self.state = writer.state;
        self.written.push(Concurrent::new(writer.changeset, self.now(), self.ident));
    }
}

/// The state of a device that takes what another one wrote.
pub(crate) fn applied_to(mut state: State, entries: &[Concurrent]) -> State {
    for entry in entries {
        // A server sends some in another form, with the same effect.
        if let Err(error) = state.apply(entry.changeset()) {
            let text = serde_json::to_string(&ChangesetJson::from(entry.changeset()));
            panic!("{error:?}, on {text:?}");
        }
    }
    state
}
