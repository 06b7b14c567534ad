//! Real processes that are killed, a few times.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn crash(program: &Path, times: &str, partitions: &str, temporary: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["crash", "--times", times, "--partitions", partitions, "--devices", "3", "--json"])
        // Debug builds on a busy machine are not what the promise is about.
        .args(["--ready-within", "60000", "--program"])
        .arg(program)
        .env("TMPDIR", temporary)
        .output()
        .unwrap()
}

#[test]
fn what_is_acknowledged_survives_kills_and_everybody_agrees() {
    let temporary = tempfile::tempdir().unwrap();
    let crash = crash(&bailiwick(), "3", "50", temporary.path());
    let errors = String::from_utf8_lossy(&crash.stderr);
    assert!(crash.status.success(), "{errors}");
    let figures: serde_json::Value = serde_json::from_slice(&crash.stdout).unwrap();
    assert_eq!(figures["partitions"], 50, "{figures}");
    assert!(figures["kills"]["server"].as_u64() >= Some(4), "{figures}");
    assert!(figures["transactions"]["acknowledged"].as_u64() > Some(20), "{figures}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "something is left");
}

/// A program that keeps a copy of its data when it is started for the second time, and goes back to it afterwards.
#[cfg(unix)]
#[test]
fn a_server_that_forgets_is_found_out_and_everything_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;

    let temporary = tempfile::tempdir().unwrap();
    let forgetful = temporary.path().join("forgetful");
    let script = r#"#!/bin/sh
        for argument; do
            if [ "$last" = --data ]; then data=$argument; fi
            last=$argument
        done
        copy=$(dirname "$0")/copy
        if [ -d "$copy" ]; then
            rm -r "$data" && cp -r "$copy" "$data"
        elif [ -d "$data" ]; then
            cp -r "$data" "$copy"
        fi
        exec PROGRAM "$@"
    "#;
    fs::write(&forgetful, script.replace("PROGRAM", bailiwick().to_str().unwrap())).unwrap();
    fs::set_permissions(&forgetful, fs::Permissions::from_mode(0o755)).unwrap();
    let crash = crash(&forgetful, "2", "8", temporary.path());
    let errors = String::from_utf8_lossy(&crash.stderr);
    assert_eq!(crash.status.code(), Some(1), "{errors}");
    // Whoever looks first: a device that is told to reset, which works or does not since classes are gone as well; the one
    // who counts; or one whose login is gone, if the server was killed the first time before it had made the key of its
    // tokens.
    let problems = [
        "ResetStarted",
        "a client reset is needed",
        "was acknowledged and is lost",
        "the user is logged out",
    ];
    assert!(problems.iter().any(|problem| errors.contains(problem)), "{errors}");
    let kept = errors.lines().find_map(|line| line.split("everything is kept in ").nth(1)).unwrap();
    let kept = Path::new(kept.split(':').next().unwrap());
    assert!(kept.join("server.log").exists(), "{errors}");
}

/// The program, which cargo builds for the tests of the workspace; otherwise it is built here.
fn bailiwick() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("bailiwick");
    if !beside.exists() {
        let build = ["build", "--package", "bailiwick-server", "--bin", "bailiwick"];
        assert!(Command::new(env!("CARGO")).args(build).status().unwrap().success());
    }
    beside
}
