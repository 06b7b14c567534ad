//! The demo, as a newcomer starts it.

use std::process::Command;

#[test]
fn three_devices_agree_and_the_demo_ends_cleanly() {
    let demo = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["demo", "--exit", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&demo.stdout);
    let errors = String::from_utf8_lossy(&demo.stderr);
    assert!(demo.status.success(), "{shown}\n{errors}");
    assert!(shown.contains("All three agree."), "{shown}\n{errors}");
}

#[test]
fn an_address_that_is_taken_is_named_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let demo = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["demo", "--exit", "--listen", &address])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&demo.stderr);
    assert_eq!(demo.status.code(), Some(1), "{errors}");
    assert!(errors.contains(&address) && errors.contains("--listen"), "{errors}");
}
