//! The program `bailiwick`, as far as it needs no device.

use std::path::Path;
use std::process::Command;

#[test]
fn a_dump_of_a_directory_that_is_not_there_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory");
    let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
        .args(["dump", "--partition", r#""Store 42""#])
        .arg("--app")
        .arg(app)
        .arg("--data")
        .arg(&data)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("there is no data directory"), "{error}");
    assert!(!data.exists());
}
