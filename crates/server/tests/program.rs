//! The program `bailiwick`, as far as it needs no device.

use std::path::Path;
use std::process::Command;

#[test]
fn a_dump_of_a_directory_without_a_store_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let app = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory");
    for data in [dir.path().join("data"), dir.path().to_owned()] {
        let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args(["dump", "--partition", r#""Store 42""#])
            .arg("--app")
            .arg(&app)
            .arg("--data")
            .arg(&data)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("realms.redb does not exist; name the directory"), "{error}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }
}
