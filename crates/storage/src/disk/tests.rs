//! A disk behaves as a file does, and a crash leaves what it should.

use std::io::ErrorKind;

use proptest::prelude::*;
use redb::StorageBackend as _;

use super::{Disk, Event, Keeps, Power, Usage};

const PAGE: usize = 4096;

fn event() -> impl Strategy<Value = Event> {
    // Around the borders of pages, and across several.
    let offset = prop_oneof![0..3 * PAGE, PAGE - 70..PAGE + 70, Just(PAGE), Just(2 * PAGE)];
    let len = prop_oneof![0..200_usize, Just(PAGE), 0..2 * PAGE + 1];
    prop_oneof![
        1 => (0..4 * PAGE).prop_map(Event::SetLen),
        6 => (offset, len, any::<u8>()).prop_map(|(offset, len, byte)| {
            Event::Write(offset, vec![byte; len].into())
        }),
        1 => Just(Event::Sync),
    ]
}

/// What a file is: an array of bytes.
fn apply(bytes: &mut Vec<u8>, event: &Event) {
    match event {
        Event::SetLen(len) => bytes.resize(*len, 0),
        Event::Write(offset, data) => {
            bytes.resize(bytes.len().max(offset + data.len()), 0);
            bytes[*offset..*offset + data.len()].copy_from_slice(data);
        }
        Event::Sync => (),
    }
}

fn carry_out(disk: &Disk, event: &Event) {
    match event {
        Event::SetLen(len) => disk.set_len(*len as u64),
        Event::Write(offset, data) => disk.write(*offset as u64, data),
        Event::Sync => disk.sync_data(),
    }
    .unwrap();
}

proptest! {
    /// A reader sees everything, a crash keeps at least what was flushed, and a log tells it all.
    #[test]
    fn a_disk_is_a_file(events in prop::collection::vec(event(), 0..40), seed: u64) {
        let disk = Disk::default().with_log();
        let (mut bytes, mut flushed) = (Vec::new(), Vec::new());
        for event in &events {
            carry_out(&disk, event);
            apply(&mut bytes, event);
            if *event == Event::Sync {
                flushed.clone_from(&bytes);
            }
        }
        prop_assert!(disk.bytes() == bytes);
        prop_assert!(disk.crashed(Keeps::Nothing).bytes() == flushed);
        prop_assert!(disk.crashed(Keeps::Everything).bytes() == bytes);
        prop_assert_eq!(disk.log(), events.clone());
        let torn = disk.crashed(Keeps::Some(seed));
        prop_assert!(torn.bytes() == Disk::after(&events).crashed(Keeps::Some(seed)).bytes());
        // A crash changes neither the disk that it happened to, nor later what it left.
        carry_out(&torn, &Event::Write(1, vec![7; 5000].into()));
        prop_assert!(disk.bytes() == bytes);
        prop_assert!(disk.crashed(Keeps::Nothing).bytes() == flushed);
    }
}

#[test]
fn a_crash_leaves_any_part_of_a_write_that_was_not_flushed() {
    let disk = Disk::new(vec![0; 640]);
    disk.write(32, &[1; 600]).unwrap();
    let mut kinds = [0; 4];
    for seed in 0..200 {
        let bytes = disk.crashed(Keeps::Some(seed)).bytes();
        let ones: usize = bytes.iter().map(|byte| usize::from(*byte)).sum();
        let kind = match ones {
            0 => 0,
            600 => 1,
            _ if bytes[32] == 1 => 2,
            _ => 3,
        };
        kinds[kind] += 1;
        if let Some(start) = bytes.iter().position(|byte| *byte == 1) {
            assert!([start, start + ones].iter().all(|at| [32, 632].contains(at) || at % 64 == 0));
        }
        assert_eq!(bytes, disk.crashed(Keeps::Some(seed)).bytes());
    }
    assert!(kinds.iter().all(|count| *count > 10), "{kinds:?}");
}

#[test]
fn without_power_nothing_changes() {
    let power = Power::default();
    let disk = Disk::default().with_power(power.clone());
    let other = Disk::default().with_power(power.clone());
    power.last_for(2);
    disk.write(0, b"one").unwrap();
    assert!(!power.is_out());
    other.sync_data().unwrap();
    assert!(power.is_out());
    for disk in [disk, other] {
        let bytes = disk.bytes();
        assert!(disk.write(0, b"two").is_err() && disk.set_len(7).is_err());
        assert!(disk.sync_data().is_err());
        assert_eq!(disk.bytes(), bytes);
        // A crash brings the power back.
        disk.crashed(Keeps::Everything).write(0, b"two").unwrap();
    }
    assert_eq!(power.used(), 2);
}

#[test]
fn a_full_disk_lets_only_what_it_holds_be_overwritten() {
    let disk = Disk::default();
    disk.write(0, &[1; PAGE]).unwrap();
    disk.set_room(Some(2 * PAGE + 100));
    disk.set_len(100 * PAGE as u64).unwrap();
    disk.write(PAGE as u64 - 10, &[2; PAGE]).unwrap();
    assert_eq!(disk.write(PAGE as u64, &[3; 3 * PAGE]).unwrap_err().kind(), ErrorKind::StorageFull);
    disk.write(0, &[4; 3 * PAGE]).unwrap();
    assert_eq!(disk.write(9 * PAGE as u64, &[5]).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.bytes()[..3 * PAGE], vec![4; 3 * PAGE]);
    disk.set_room(None);
    disk.write(9 * PAGE as u64, &[5]).unwrap();
}

#[test]
fn usage_is_told_once() {
    let disk = Disk::default();
    disk.write(0, &[1; 50]).unwrap();
    disk.sync_data().unwrap();
    disk.read(10, &mut [0; 20]).unwrap();
    let usage = Usage { sync_count: 1, written_len: 50, read_len: 20, torn_count: 0 };
    assert_eq!((disk.take_usage(), disk.take_usage()), (usage, Usage::default()));
    assert_eq!(disk.read(40, &mut [0; 20]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}
