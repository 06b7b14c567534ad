//! What `cargo xtask vectors` prints, and the code that it ends with.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn check(arguments: &[&str], code: i32, stdout: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("vectors")
        .args(arguments)
        .output()
        .expect("the program was built for this test");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), stdout);
}

fn file(name: &str, content: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("cargo made the folder");
    path.to_str().expect("cargo's folders are text").to_owned()
}

const GOOD: &str = r#"{"kind":"u8","hex":"05","value":"5","consumed":1,"canonical":true}"#;
const BAD: &str =
    r#"{"name":"six","kind":"u8","hex":"06","value":"5","consumed":1,"canonical":true}"#;

#[test]
fn each_file_is_counted_and_its_failures_are_explained() {
    let (good, bad) =
        (file("good.jsonl", GOOD), file("bad.jsonl", &format!("{GOOD}\n{BAD}\n{BAD}\n")));
    check(&["integers", &good], 0, &format!("integers {good}: 1 passed, 0 failed\n"));
    let explained = format!(
        "integers {bad}: 1 passed, 2 failed\n  line 2, six: Ok(6), expected 5\n  and 1 more\n\
         integers {good}: 1 passed, 0 failed\n"
    );
    check(&["--explain", "1", "integers", &bad, &good], 1, &explained);
}

#[test]
fn a_file_without_cases_fails() {
    let empty = file("empty.jsonl", "");
    let explained = format!("integers {empty}: 0 passed, 1 failed\n  the file: it has no cases\n");
    check(&["integers", &empty], 1, &explained);
}

#[test]
fn a_file_that_is_not_there_does_not_hide_the_others() {
    let good = file("beside.jsonl", GOOD);
    let counted = format!("integers {good}: 1 passed, 0 failed\n");
    check(&["integers", "no-such-file.jsonl", &good], 2, &counted);
}

#[test]
fn suites_that_do_not_exist_are_not_passed() {
    let good = file("any.jsonl", GOOD);
    for suite in ["rules", "functions", "collections", "partitioning", "no-such-suite"] {
        check(&[suite, &good], 2, "");
    }
}

#[test]
fn a_suite_needs_a_file() {
    check(&["integers"], 2, "");
}
