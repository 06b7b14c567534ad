//! Files that cannot be opened, and what the application is told.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use super::{encrypted, owner, plain};
use crate::local::head::HEAD_LEN;
use crate::local::{EncryptionKey, LocalFile, OpenError, OpenOptions, Owner};

fn make(path: &Path, options: &OpenOptions) {
    drop(LocalFile::open(path, options).unwrap());
}

#[track_caller]
fn check_refused(path: &Path, options: &OpenOptions, expected: &str) {
    let bytes = fs::read(path).unwrap();
    let error = LocalFile::open(path, options).unwrap_err();
    assert!(format!("{error:?}").starts_with(expected), "{error:?}");
    assert!(error.to_string().starts_with(&format!("{} ", path.display())), "{error}");
    assert!(fs::read(path).unwrap() == bytes, "a file that is refused stays as it is");
}

#[test]
fn a_file_is_made_with_its_directory_and_opens_again() {
    for options in [plain(), encrypted()] {
        let dir = tempdir().unwrap();
        let path = dir.path().join("new/realm");
        make(&path, &options);
        make(&path, &options);
        let names: Vec<_> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["realm"]);
    }
}

#[test]
fn a_file_that_is_open_is_locked() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    let file = LocalFile::open(&path, &plain()).unwrap();
    let snapshot = file.snapshot().unwrap();
    let aside = dir.path().join("aside");
    for error in [
        LocalFile::open(&path, &plain()).unwrap_err(),
        LocalFile::remove(&path).unwrap_err(),
        LocalFile::set_aside(&path, &aside).unwrap_err(),
    ] {
        assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    }
    drop(file);
    let file = LocalFile::open(&path, &plain()).unwrap();
    // What was read from the file that is closed does not keep it.
    drop(snapshot);
    drop(file);
    LocalFile::remove(&path).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_a_crash_left_of_a_draft_is_replaced() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    fs::write(dir.path().join("realm.new"), "half a file").unwrap();
    make(&path, &plain());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    make(&path, &plain());
}

#[test]
fn a_file_that_is_being_made_is_locked() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    let draft = fs::File::create(dir.path().join("realm.new")).unwrap();
    draft.lock().unwrap();
    let error = LocalFile::open(&path, &plain()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    drop(draft);
    make(&path, &plain());
}

#[test]
fn a_file_set_aside_is_whole_and_replaces_nothing() {
    let dir = tempdir().unwrap();
    let (path, aside) = (dir.path().join("realm"), dir.path().join("recovered/realm"));
    make(&path, &encrypted());
    LocalFile::set_aside(&path, &aside).unwrap();
    assert!(!path.exists());
    make(&aside, &encrypted());
    make(&path, &encrypted());
    let error = LocalFile::set_aside(&path, &aside).unwrap_err();
    assert!(matches!(error, OpenError::Io { path, .. } if path == aside));
    LocalFile::remove(&path).unwrap();
    LocalFile::remove(&path).unwrap();
    let error = LocalFile::set_aside(&path, dir.path().join("other")).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}

#[cfg(unix)]
#[test]
fn a_new_file_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempdir().unwrap();
    let path = dir.path().join("new/realm");
    make(&path, &plain());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
}

#[test]
fn another_app_user_or_partition_is_refused() {
    let dir = tempdir().unwrap();
    for (name, options) in [("plain", plain()), ("encrypted", encrypted())] {
        let path = dir.path().join(name);
        make(&path, &options);
        let cases = [
            ("app", Owner { app_id: "x".into(), ..owner() }, owner().app_id),
            ("user", Owner { user_id: "x".into(), ..owner() }, owner().user_id),
            ("partition", Owner { partition: "x".into(), ..owner() }, owner().partition),
        ];
        for (part, other, expected) in cases {
            let options = OpenOptions { owner: other, ..options.clone() };
            match LocalFile::open(&path, &options) {
                Err(OpenError::Owner { part: named, found, .. }) => {
                    assert_eq!((named, found), (part, expected));
                }
                answer => panic!("{part}: {answer:?}"),
            }
        }
        make(&path, &options);
    }
}

#[test]
fn a_key_that_does_not_fit_is_refused() {
    let dir = tempdir().unwrap();
    let (open, closed) = (dir.path().join("open"), dir.path().join("closed"));
    make(&open, &plain());
    make(&closed, &encrypted());
    check_refused(&open, &encrypted(), "NotEncrypted");
    check_refused(&closed, &plain(), "KeyNeeded");
    let other_key = plain().encryption_key(EncryptionKey::new([9; 64]));
    check_refused(&closed, &other_key, "WrongKey");
    // Whose realm it is is nobody's business without the key.
    let other_owner =
        OpenOptions::new(Owner::default()).encryption_key(EncryptionKey::new([9; 64]));
    check_refused(&closed, &other_owner, "WrongKey");
}

#[test]
fn a_key_is_not_printed() {
    assert_eq!(format!("{:?}", encrypted().key), "Some(EncryptionKey(..))");
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    let foreign: [&[u8]; 4] = [b"", b"Dear diary", &b"Dear diary, ".repeat(1000), &[0; 10_000]];
    for bytes in foreign {
        fs::write(&path, bytes).unwrap();
        check_refused(&path, &plain(), "Foreign");
        check_refused(&path, &encrypted(), "Foreign");
    }
    fs::remove_file(&path).unwrap();
    drop(redb::Database::create(&path).unwrap());
    check_refused(&path, &plain(), "Foreign");
}

#[test]
fn a_directory_is_not_a_file() {
    let dir = tempdir().unwrap();
    let error = LocalFile::open(dir.path(), &plain()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}

#[test]
fn a_later_format_is_refused() {
    use hmac::digest::Digest as _;
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    make(&path, &plain());
    let mut bytes = fs::read(&path).unwrap();
    bytes[19] = 2;
    bytes[4000] = 1;
    fs::write(&path, &bytes).unwrap();
    check_refused(&path, &plain(), "Damaged");
    let sum = sha2::Sha256::digest(&bytes[..88]);
    bytes[88..120].copy_from_slice(&sum);
    fs::write(&path, &bytes).unwrap();
    check_refused(&path, &plain(), "FutureFormat");
    let error = LocalFile::open(&path, &plain()).unwrap_err();
    assert!(error.to_string().contains("format 2 and this program knows format 1"), "{error}");
}

#[test]
fn a_wrong_byte_anywhere_in_the_head_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    for options in [plain(), encrypted()] {
        let _ = fs::remove_file(&path);
        make(&path, &options);
        let mut bytes = fs::read(&path).unwrap();
        for at in 0..HEAD_LEN {
            bytes[at] ^= 1 << (at % 8);
            let head = bytes[..HEAD_LEN].try_into().unwrap();
            assert!(crate::local::head::read(head, options.key.as_ref()).is_err(), "byte {at}");
            if at % 512 == 0 || at == HEAD_LEN - 1 {
                fs::write(&path, &bytes).unwrap();
                check_refused(&path, &options, if at == 0 { "Foreign" } else { "Damaged" });
            }
            bytes[at] ^= 1 << (at % 8);
        }
        fs::write(&path, &bytes).unwrap();
        make(&path, &options);
    }
}

#[test]
fn a_file_that_ends_early_is_damaged() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    for options in [plain(), encrypted()] {
        let _ = fs::remove_file(&path);
        make(&path, &options);
        let bytes = fs::read(&path).unwrap();
        for len in [60, HEAD_LEN, HEAD_LEN + 5, HEAD_LEN + 320, 3 * HEAD_LEN, bytes.len() - 1] {
            fs::write(&path, &bytes[..len]).unwrap();
            check_refused(&path, &options, "Damaged");
        }
    }
}
