//! Whatever happens, in whatever order.

use bailiwick_client::session::ResetMode;
use proptest::collection::vec;
use proptest::prelude::*;

use super::edits::{KINDS, NESTED, Step};
use super::world::{Event, World};

/// Whether the server may be restored from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backups {
    None,
    One,
}

/// The edit that declares more, which devices cannot recover past a backup that does not know it.
const DECLARES: u8 = 8;

fn steps(backups: Backups) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..KINDS, any::<u8>(), any::<u32>()).prop_map(move |(kind, key, n)| {
        let kind = if kind == DECLARES && backups == Backups::One { 0 } else { kind };
        Step { kind, key, n }
    });
    vec(step, 0..8)
}

fn event(backups: Backups) -> impl Strategy<Value = Event> {
    let device = || 0..3_usize;
    let server = match backups {
        Backups::None => Just(Event::Restart).boxed(),
        Backups::One => {
            prop_oneof![Just(Event::Restart), Just(Event::BackUp), Just(Event::Restore)].boxed()
        }
    };
    prop_oneof![
        12 => (device(), 0..3_u8, steps(backups))
            .prop_map(|(device, later, steps)| Event::Write { device, later, steps }),
        16 => (1..60_u8).prop_map(|count| Event::Run { count }),
        3 => (device(), 0..4_u8, any::<bool>())
            .prop_map(|(device, arrive, is_noticed)| Event::Cut { device, arrive, is_noticed }),
        2 => (device(), any::<u64>()).prop_map(|(device, seed)| Event::Kill { device, seed }),
        3 => (device(), any::<u8>()).prop_map(|(device, after)| Event::LosePower { device, after }),
        2 => device().prop_map(|device| Event::WaitForUpload { device }),
        2 => device().prop_map(|device| Event::WaitForDownload { device }),
        2 => (device(), any::<bool>()).prop_map(|(device, pause)| Event::Pause { device, pause }),
        2 => Just(Event::Wake),
        1 => server,
    ]
}

fn events(backups: Backups) -> impl Strategy<Value = Vec<Event>> {
    vec(event(backups), 0..60)
}

fn lowest() -> impl Strategy<Value = u8> {
    prop_oneof![8..=14_u8, NESTED..=14_u8]
}

/// Few cases, unless one asks for more.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: 24, ..config },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn devices_converge(
        (devices, lowest, seed) in (2..4_usize, lowest(), any::<u64>()),
        events in events(Backups::None),
    ) {
        World::new(devices, ResetMode::Recover, lowest, seed).run(&events);
    }

    #[test]
    fn devices_converge_with_a_server_that_was_restored(
        (devices, lowest, seed) in (2..4_usize, lowest(), any::<u64>()),
        mode in prop::sample::select(&[
            ResetMode::Recover, ResetMode::RecoverOrDiscard, ResetMode::DiscardLocal,
        ][..]),
        events in events(Backups::One),
        later in events(Backups::One),
    ) {
        let events = [events, vec![Event::Restore], later].concat();
        World::new(devices, mode, lowest, seed).run(&events);
    }
}
