//! Scenarios: those who wait for uploads and downloads.

use bailiwick_protocol::version::OriginTimestamp;
use bytes::Bytes;

use super::rig::Rig;
use crate::session::{ConnectError, Disconnect, Input, RealmKey, ResetMode, WaitKey};

const NOW: OriginTimestamp = OriginTimestamp(5);

fn gone() -> Input {
    Input::Disconnected(Disconnect::Network("gone".to_owned()))
}

#[test]
fn without_anything_to_upload_the_wait_is_over_even_offline() {
    let mut rig = Rig::new(14);
    rig.open(1, ResetMode::Manual);
    rig.input(Input::WaitForUpload(RealmKey(1), WaitKey(1)));
    rig.expect_outputs(&[]);
    // The file is loaded; there is no connection yet.
    rig.step();
    rig.expect_outputs(&["wait 1 done", "Connect"]);
    rig.input(Input::WaitForUpload(RealmKey(1), WaitKey(2)));
    rig.expect_outputs(&["wait 2 done"]);
    rig.input(Input::WaitForUpload(RealmKey(7), WaitKey(3)));
    rig.input(Input::WaitForDownload(RealmKey(7), WaitKey(4)));
    let ended = |wait| format!("wait {wait} failed: fatal: sync of the realm has ended");
    rig.expect_outputs(&[&ended(3), &ended(4)]);
}

#[test]
fn an_upload_is_waited_for_until_it_is_acknowledged() {
    let mut rig = Rig::synced();
    rig.commit(1, Bytes::from_static(b"one"), NOW);
    rig.wait_for_upload(1, 1);
    rig.commit(1, Bytes::from_static(b"two"), NOW);
    rig.wait_for_upload(1, 2);
    rig.expect_outputs(&["1: progress 0+0 0/3", "1: progress 0+0 0/6"]);
    rig.receive("download 1 2 4 2 777 4 1 0 0 0 0\n");
    rig.expect_outputs(&["1: progress 0+0 3/6", "wait 1 done"]);
    // The DOWNLOADs have made versions 6 and 7, of which nothing is to be uploaded.
    rig.receive("download 1 3 5 3 777 5 1 0 0 0 0\n");
    rig.expect_outputs(&["1: progress 0+0 6/6", "wait 2 done"]);
    rig.wait_for_upload(1, 3);
    rig.expect_outputs(&["wait 3 done"]);
}

#[test]
fn a_download_is_waited_for_until_it_is_integrated() {
    let mut rig = Rig::synced();
    rig.wait_for_download(1, 1);
    rig.expect(&["mark 1 2\n"]);
    rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
    rig.hear("download 1 3 0 3 777 3 1 0 0 0 0\n");
    rig.hear("mark 1 2\n");
    rig.step();
    rig.expect_outputs(&[]);
    rig.step();
    rig.settle();
    rig.expect_outputs(&["wait 1 done"]);
}

#[test]
fn the_answer_to_the_newest_mark_stands_for_all() {
    let mut rig = Rig::synced();
    for wait in 1..=3 {
        rig.wait_for_download(1, wait);
    }
    rig.expect(&["mark 1 2\n", "mark 1 3\n", "mark 1 4\n"]);
    rig.receive("mark 1 3\n");
    rig.expect_outputs(&["wait 1 done", "wait 2 done"]);
    rig.receive("mark 1 4\n");
    rig.expect_outputs(&["wait 3 done"]);
}

#[test]
fn a_wait_survives_the_loss_of_its_answer() {
    let mut rig = Rig::synced();
    rig.wait_for_download(1, 1);
    rig.wait_for_download(1, 2);
    rig.hear("download 1 2 0 2 777 3 1 0 0 0 0\n");
    rig.hear("download 1 3 0 3 777 3 1 0 0 0 0\n");
    // Of the second DOWNLOAD nothing is kept.
    rig.hear("mark 1 2\n");
    rig.input(gone());
    rig.sent.clear();
    rig.log.clear();
    rig.settle();
    rig.sleep();
    rig.sent.retain(|message| message.name() == "mark");
    rig.expect(&["mark 2 4\n"]);
    rig.expect_outputs(&["Connect", "1: connected true"]);
    rig.receive("download 2 3 0 3 777 3 1 0 0 0 0\n");
    rig.receive("mark 2 4\n");
    rig.expect_outputs(&["wait 1 done", "wait 2 done"]);
}

#[test]
fn who_waits_goes_on_waiting_while_the_realm_is_paused() {
    let mut rig = Rig::synced();
    rig.input(Input::Pause(RealmKey(1)));
    rig.wait_for_download(1, 1);
    rig.input(Input::Resume(RealmKey(1)));
    rig.settle();
    rig.receive("download 2 1 0 1 777 3 1 0 0 0 0\n");
    rig.sent.retain(|message| message.name() == "mark");
    rig.expect(&["mark 2 3\n"]);
    rig.log.clear();
    rig.receive("mark 2 3\n");
    rig.expect_outputs(&["wait 1 done"]);
}

#[test]
fn nobody_waits_for_a_connection_that_was_given_up() {
    let mut rig = Rig::synced();
    rig.input(Input::Disconnected(Disconnect::Network("gone".to_owned())));
    rig.wake();
    rig.is_connecting = false;
    rig.input(Input::Connected(Err(ConnectError::Status(404))));
    rig.log.clear();
    let fatal = "failed: fatal: cannot connect: the server answers with HTTP status 404";
    rig.wait_for_download(1, 1);
    rig.wait_for_upload(1, 2);
    rig.expect_outputs(&[&format!("wait 1 {fatal}"), "wait 2 done"]);
    rig.commit(1, Bytes::from_static(b"one"), NOW);
    rig.wait_for_upload(1, 3);
    rig.expect_outputs(&["1: progress 0+0 0/3", &format!("wait 3 {fatal}")]);
    // Who has it rest does not expect anything.
    rig.input(Input::Pause(RealmKey(1)));
    rig.wait_for_download(1, 4);
    rig.expect_outputs(&[]);
    rig.input(Input::Resume(RealmKey(1)));
    rig.wait_for_upload(1, 5);
    rig.settle();
    let session = rig.sent.back().unwrap().session().0;
    let mark = rig.marks.values().last().copied().unwrap();
    rig.receive(format!("mark {session} {mark}\n"));
    rig.receive(format!("download {session} 1 0 1 777 4 1 0 0 0 0\n"));
    rig.expect_outputs(&[
        "Connect",
        "1: connected true",
        "wait 4 done",
        "1: progress 0+0 3/3",
        "wait 5 done",
    ]);
}
