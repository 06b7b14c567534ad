//! Scenarios: client resets.

use bailiwick_protocol::version::OriginTimestamp;
use bytes::Bytes;

use super::rig::Rig;
use crate::session::{
    Disconnect, FileRole, Input, RealmKey, ResetMode, StorageAnswer, StorageRequest, SyncError,
};

fn demand(session: u64, action: &str) -> String {
    let body = format!(
        "{{\"tryAgain\":false,\"message\":\"m\",\"shouldClientReset\":true,\
         \"isRecoveryModeDisabled\":false,\"logURL\":\"\",\"action\":\"{action}\"}}"
    );
    format!("json_error 211 {} {session}\n{body}", body.len())
}

/// A realm of which the server has demanded a reset.
fn demanded(reset_mode: ResetMode, action: &str) -> Rig {
    let mut rig = Rig::synced_with(reset_mode);
    rig.commit(1, Bytes::from_static(b"mine"), OriginTimestamp(5));
    rig.sent.clear();
    rig.log.clear();
    rig.receive(demand(1, action));
    rig
}

/// The server gives the fresh copy all that it has.
fn complete_fresh(rig: &mut Rig) {
    rig.receive("ident 2 3 4243\n");
    rig.receive("download 2 7 0 7 777 0 0 0 0 0 0\n");
    rig.receive("mark 2 1\n");
}

#[track_caller]
fn check_failed(rig: &mut Rig, message: &str) {
    let outputs = rig.outputs();
    let expected = format!("1: fatal: a client reset is needed: {message}");
    assert_eq!(outputs.last(), Some(&expected), "{outputs:?}");
    assert!(rig.requests.is_empty());
}

#[test]
fn a_reset_takes_the_way_over_a_fresh_copy() {
    let mut rig = demanded(ResetMode::Recover, "ClientReset");
    rig.wait_for_upload(1, 1);
    rig.wait_for_download(1, 2);
    rig.expect(&["unbind 1\n", "bind 2 3 0 1 0\n\"1\""]);
    rig.expect_outputs(&["1: connected false"]);
    complete_fresh(&mut rig);
    rig.expect(&[
        "ident 2 3 4243 0 0 0 0\n",
        "mark 2 1\n",
        "unbind 2\n",
        "bind 3 3 0 0 0\n\"1\"",
        "ident 3 3 4243 7 0 7 777\n",
        "mark 3 3\n",
        "upload 3 0 14 0 6 7 7\n4 7 5 0 4 mine",
    ]);
    rig.expect_outputs(&["1: reset started", "1: reset done, recovered true", "1: connected true"]);
    rig.receive("download 3 8 4 8 777 6 7 0 0 0 0\n");
    rig.expect_outputs(&["1: progress 0+0 4/4", "wait 1 done"]);
    assert!(rig.is_reset_pending(1), "not all is there");
    rig.receive("mark 3 3\n");
    rig.expect_outputs(&["wait 2 done"]);
    assert!(!rig.is_reset_pending(1));
}

#[test]
fn resets_that_may_not_be_made_are_the_applications_business() {
    let (reset, no_recovery) = ("ClientReset", "ClientResetNoRecovery");
    check_failed(&mut demanded(ResetMode::Manual, reset), "m");
    check_failed(&mut demanded(ResetMode::Manual, no_recovery), "m");
    check_failed(&mut demanded(ResetMode::Recover, no_recovery), "m (recovery is not allowed)");
    for mode in [ResetMode::DiscardLocal, ResetMode::RecoverOrDiscard] {
        let mut rig = demanded(mode, no_recovery);
        assert_eq!(rig.sent.pop_back().unwrap().name(), "bind");
    }
}

#[test]
fn a_server_that_has_ever_more_does_not_hold_a_reset_up() {
    let mut rig = demanded(ResetMode::DiscardLocal, "ClientReset");
    rig.receive("ident 2 3 4243\n");
    rig.receive("download 2 5 0 7 777 0 0 0 0 0 0\n");
    rig.receive("mark 2 1\n");
    rig.sent.drain(..4);
    rig.expect(&[
        "unbind 2\n",
        "bind 3 3 0 0 0\n\"1\"",
        "ident 3 3 4243 5 0 7 777\n",
        "mark 3 2\n",
    ]);
}

#[test]
fn a_fresh_copy_survives_the_connection() {
    let mut rig = demanded(ResetMode::DiscardLocal, "ClientReset");
    rig.receive("ident 2 3 4243\n");
    rig.receive("download 2 5 0 7 777 0 0 0 0 0 0\n");
    rig.input(Input::Disconnected(Disconnect::Network("gone".to_owned())));
    rig.sent.clear();
    rig.sleep();
    rig.expect(&["bind 3 3 0 0 0\n\"1\"", "ident 3 3 4243 5 0 7 777\n", "mark 3 1\n"]);
    // A pause, too.
    rig.input(Input::Pause(RealmKey(1)));
    rig.input(Input::Resume(RealmKey(1)));
    rig.settle();
    rig.expect(&[
        "unbind 3\n",
        "bind 4 3 0 0 0\n\"1\"",
        "ident 4 3 4243 5 0 7 777\n",
        "mark 4 1\n",
    ]);
}

#[test]
fn a_fresh_copy_that_cannot_be_completed_is_removed() {
    let failures: [fn(&mut Rig); 3] = [
        |rig| rig.receive(demand(2, "ClientReset")),
        |rig| {
            let body = "{\"tryAgain\":false,\"message\":\"m\",\"shouldClientReset\":false,\
                        \"isRecoveryModeDisabled\":false,\"logURL\":\"\",\"action\":\"ApplicationBug\"}";
            rig.receive(format!("json_error 206 {} 2\n{body}", body.len()));
        },
        |rig| {
            rig.receive("ident 2 3 4243\n");
            rig.hear("download 2 5 0 7 777 0 0 0 0 0 0\n");
            rig.answer(StorageAnswer::Failed(SyncError::File("m".to_owned())));
        },
    ];
    for fail in failures {
        let mut rig = demanded(ResetMode::DiscardLocal, "ClientReset");
        fail(&mut rig);
        let outputs = rig.outputs();
        let told = outputs
            .iter()
            .filter(|output| output.starts_with("1: fatal: a client reset is needed: "));
        assert_eq!(told.count(), 1, "{outputs:?}");
        assert!(
            rig.realms[&RealmKey(1)].fresh.as_ref().unwrap().state.client_file.is_none(),
            "it is gone"
        );
        // The application may try again.
        rig.sent.clear();
        rig.input(Input::Resume(RealmKey(1)));
        rig.settle();
        let session = rig.sent[0].session().0;
        assert_eq!(rig.sent[0].name(), "bind");
        rig.receive(demand(session, "ClientReset"));
        let last = rig.sent.pop_back().unwrap().print();
        assert_eq!(last, format!("bind {} 3 0 1 0\n\"1\"", session + 1).as_bytes());
    }
}

#[test]
fn a_storage_that_refuses_the_reset_ends_sync() {
    let mut rig = demanded(ResetMode::DiscardLocal, "ClientReset");
    rig.receive("ident 2 3 4243\n");
    rig.receive("download 2 7 0 7 777 0 0 0 0 0 0\n");
    rig.hear("mark 2 1\n");
    assert!(matches!(rig.requests[0], (_, FileRole::Main, StorageRequest::BeginReset { .. })));
    rig.answer(StorageAnswer::ResetFailed("again".to_owned()));
    check_failed(&mut rig, "again");
}

#[test]
fn a_reset_that_leads_to_another_is_refused() {
    let mut rig = demanded(ResetMode::Recover, "ClientReset");
    complete_fresh(&mut rig);
    rig.sent.clear();
    rig.receive(demand(3, "ClientReset"));
    rig.receive("ident 4 4 4244\n");
    rig.receive("download 4 7 0 7 777 0 0 0 0 0 0\n");
    rig.receive("mark 4 1\n");
    check_failed(&mut rig, "a client reset leads to another");
    // The first reset has its end if the server has thought better of it.
    rig.sent.clear();
    rig.input(Input::Resume(RealmKey(1)));
    rig.settle();
    let session = rig.sent[0].session().0;
    rig.receive(format!("download {session} 8 4 8 777 6 7 0 0 0 0\n"));
    assert!(rig.is_reset_pending(1));
    let mark = rig.marks.values().last().copied().unwrap();
    rig.receive(format!("mark {session} {mark}\n"));
    assert!(!rig.is_reset_pending(1));
}

#[test]
fn the_end_of_a_reset_is_found_again_after_a_restart() {
    let mut rig = demanded(ResetMode::Recover, "ClientReset");
    complete_fresh(&mut rig);
    let realm = rig.realms.remove(&RealmKey(1)).unwrap();
    let mut rig = Rig::new(14);
    rig.realms.insert(RealmKey(1), realm);
    rig.open(1, ResetMode::Recover);
    rig.settle();
    rig.receive("download 1 8 4 8 777 6 7 0 0 0 0\n");
    let mark = rig.marks.values().last().copied().unwrap();
    assert!(rig.is_reset_pending(1));
    rig.receive(format!("mark 1 {mark}\n"));
    assert!(!rig.is_reset_pending(1));
}

#[test]
fn an_upload_that_is_too_big_for_the_server_resets_all_realms() {
    let mut rig = Rig::synced();
    rig.open(2, ResetMode::Manual);
    rig.settle();
    rig.log.clear();
    rig.input(Input::Disconnected(Disconnect::Closed(1009, "too big".to_owned())));
    rig.expect_outputs(&[
        "1: connected false",
        "2: fatal: a client reset is needed: the server closed the connection with code 1009: too big",
    ]);
    rig.sent.clear();
    rig.sleep();
    assert_eq!(rig.sent[0].print(), b"bind 3 3 0 1 0\n\"1\"");
}

#[test]
fn uploads_go_on_at_once_after_a_reset() {
    let mut rig = demanded(ResetMode::RecoverOrDiscard, "ClientReset");
    complete_fresh(&mut rig);
    assert!(rig.sent.iter().any(|message| message.name() == "upload"), "{:?}", rig.sent);
}

/// The application has sync go on, and the server demands a reset again: the copy of before is not there any more.
#[track_caller]
fn check_begins_anew(rig: &mut Rig) {
    rig.realms.get_mut(&RealmKey(1)).unwrap().fresh = None;
    rig.sent.clear();
    rig.input(Input::Resume(RealmKey(1)));
    rig.settle();
    let session = rig.sent[0].session().0;
    rig.expect(&[
        &format!("bind {session} 3 0 0 0\n\"1\""),
        &format!("ident {session} 2 4242 1 0 1 777\n"),
        &format!("mark {session} 2\n"),
    ]);
    rig.receive(demand(session, "ClientReset"));
    let fresh = session + 1;
    rig.expect(&[&format!("unbind {session}\n"), &format!("bind {fresh} 3 0 1 0\n\"1\"")]);
}

#[test]
fn a_reset_after_a_refused_one_begins_with_another_copy() {
    let mut rig = demanded(ResetMode::DiscardLocal, "ClientReset");
    rig.receive("ident 2 3 4243\n");
    rig.receive("download 2 7 0 7 777 0 0 0 0 0 0\n");
    rig.hear("mark 2 1\n");
    rig.answer(StorageAnswer::ResetFailed("again".to_owned()));
    check_begins_anew(&mut rig);
}

#[test]
fn a_reset_after_one_that_broke_off_begins_with_another_copy() {
    let mut rig = demanded(ResetMode::DiscardLocal, "ClientReset");
    rig.receive("ident 2 3 4243\n");
    rig.receive("download 2 7 0 7 777 0 0 0 0 0 0\n");
    rig.hear("mark 2 1\n");
    rig.step();
    assert!(matches!(rig.requests[0], (_, FileRole::Main, StorageRequest::Reset { .. })));
    rig.answer(StorageAnswer::Failed(SyncError::File("m".to_owned())));
    rig.realms.get_mut(&RealmKey(1)).unwrap().reset_pending = false;
    check_begins_anew(&mut rig);
}

#[test]
fn a_useless_copy_gets_no_session() {
    let mut rig = demanded(ResetMode::DiscardLocal, "ClientReset");
    rig.receive("ident 2 3 4243\n");
    rig.hear("download 2 5 0 7 777 0 0 0 0 0 0\n");
    let integration = rig.requests.pop_front().unwrap();
    rig.receive(demand(2, "ClientReset"));
    rig.input(Input::Resume(RealmKey(1)));
    rig.settle();
    let session = rig.sent.back().unwrap().session().0;
    rig.receive(demand(session, "ClientReset"));
    rig.sent.clear();
    // Only now the copy that is to be removed can be removed.
    rig.requests.push_front(integration);
    rig.settle();
    rig.expect(&[&format!("bind {} 3 0 1 0\n\"1\"", session + 1)]);
}
