//! A process that is killed while it writes and syncs: what it was told is written is there, at the server, once.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use bailiwick_client::schema::{Class, PropertyType};
use bailiwick_client::{
    App, AppConfig, Credentials, PartitionValue, Realm, Schema, Value, View, WriteError,
};
use bailiwick_protocol::version::ServerVersion;
use bailiwick_server::http::websocket::realm_key;
use bailiwick_storage::store::Store as _;

use crate::choices::Choices;
use crate::server::APP_ID;
use crate::service::{Kept, Service};

/// How often the process is killed.
const KILLS: usize = 30;

/// The process is killed after at most so many of its transactions.
const MAX_LINES: usize = 30;

const PARTITION: &str = "killed";

/// Tells the process that it is the one to be killed: its server, and its folder.
const ROLE: &str = "BAILIWICK_TEST_KILLED";

/// What a line begins with that says what is written.
const WRITTEN: &str = "written: ";

/// Runs itself in another process, which writes numbers until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_loses_nothing_and_repeats_nothing() {
    if let Some(role) = std::env::var_os(ROLE) {
        let role = role.into_string().unwrap();
        let (base_url, folder) = role.split_once(' ').unwrap();
        return write_until_killed(base_url, folder.as_ref()).await;
    }
    let seed = u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
    eprintln!("seed {seed}");
    let mut choices = Choices::new(seed);
    let mut server = Service::start().await;
    let device = server.device();
    let mut told = BTreeSet::new();
    for _ in 0..KILLS {
        let (base_url, folder) = (device.base_url.clone(), device.folder.path().to_owned());
        let lines = choices.below(MAX_LINES);
        let killed = tokio::task::spawn_blocking(move || kill_after(lines, &base_url, &folder));
        for number in killed.await.unwrap() {
            assert!(told.insert(number), "{number} is written again");
        }
    }

    // What was not told may be there, too: the process was killed before it could say so.
    let realm = open(&device.base_url, device.folder.path()).await;
    let numbers = check_numbers(&realm);
    assert!(told.is_subset(&numbers), "lost: {:?}", told.difference(&numbers));
    assert!(told.len() > KILLS, "{} numbers are no workload", told.len());
    realm.sync().unwrap().wait_for_upload().await.unwrap();
    let other = server.device();
    let other = open(&other.base_url, other.folder.path()).await;
    other.sync().unwrap().wait_for_download().await.unwrap();
    assert_eq!(check_numbers(&other), numbers);
    drop((realm, other));
    server.stop().await;
    check_history(&server, numbers.len());
}

/// Kills the process at whatever it is doing after it has told of so many numbers; returns all of which it has told.
fn kill_after(lines: usize, base_url: &str, folder: &Path) -> Vec<i64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("kills::a_process_that_is_killed_loses_nothing_and_repeats_nothing")
        .env(ROLE, format!("{base_url} {}", folder.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told = Vec::new();
    let mut number = |line: String| told.extend(line.strip_prefix(WRITTEN).map(parse));
    let mut seen = 0;
    while seen < lines {
        let line = output.next().expect("it writes until it is killed");
        seen += usize::from(line.starts_with(WRITTEN));
        number(line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had said by then; the last line may be cut, but never is: it is short.
    output.for_each(number);
    told
}

fn parse(number: &str) -> i64 {
    number.parse().unwrap()
}

/// The other process.
async fn write_until_killed(base_url: &str, folder: &Path) {
    let realm = open(base_url, folder).await;
    let first = check_numbers(&realm).last().map_or(0, |last| last + 1);
    for number in first.. {
        let write = realm.write_async::<_, WriteError>(move |tx| {
            tx.create("Number", number)?.set("text", "x".repeat(100))?;
            tx.create_or_update("Log", 0)?.list("numbers")?.push(number)?;
            tx.object("Log", 0)?.add("count", 1)?;
            Ok(())
        });
        write.await.unwrap();
        // Not `println`, whose lock and buffer others may hold.
        std::io::stdout().write_all(format!("{WRITTEN}{number}\n").as_bytes()).unwrap();
    }
}

async fn open(base_url: &str, folder: &Path) -> Realm {
    let app = App::new(AppConfig::new(base_url, APP_ID, PathBuf::from(folder))).unwrap();
    let user = match app.current_user() {
        Some(user) => user,
        None => app.log_in(Credentials::anonymous()).await.unwrap(),
    };
    user.open(PARTITION, schema()).await.unwrap()
}

fn schema() -> Schema {
    let number = Class::new("Number").primary_key("_id", PropertyType::Int);
    let log = Class::new("Log").primary_key("_id", PropertyType::Int);
    Schema::new()
        .class(number.property("text", PropertyType::String))
        .class(log.list("numbers", PropertyType::Int).property("count", PropertyType::Int))
}

/// The numbers that a realm has, if it has each of them once wherever they are.
fn check_numbers(realm: &Realm) -> BTreeSet<i64> {
    let view = View::new(realm.snapshot().unwrap());
    let keys = view.objects("Number").unwrap();
    let numbers: BTreeSet<i64> =
        keys.map(|object| object.unwrap().get("_id").unwrap().as_int().unwrap()).collect();
    let Some(log) = view.object("Log", 0).unwrap() else {
        assert!(numbers.is_empty());
        return numbers;
    };
    let Value::List(logged) = log.get("numbers").unwrap() else { panic!("it is a list") };
    let logged: Vec<_> = logged.iter().map(|number| number.as_int().unwrap()).collect();
    assert_eq!(logged, numbers.iter().copied().collect::<Vec<_>>());
    assert_eq!(log.get("count").unwrap().as_int(), i64::try_from(numbers.len()).ok());
    numbers
}

/// The server has integrated each version of each device once, and nothing that was not written.
fn check_history(server: &Service, transactions: usize) {
    let Kept::Memory(store) = &server.kept else { panic!("it is in memory") };
    let partition = PartitionValue::String(PARTITION.into());
    let key = realm_key(APP_ID, &partition);
    let (first, last) = (ServerVersion(0), ServerVersion(u64::MAX));
    let entries = store.entries(&key, first, last, usize::MAX).unwrap();
    let versions: BTreeSet<_> =
        entries.iter().map(|entry| (entry.origin_file_ident, entry.client_version)).collect();
    assert_eq!(versions.len(), entries.len(), "something is integrated twice");
    // Besides the schema, which each of the two devices has declared.
    assert!(entries.len() <= transactions + 2, "{} entries", entries.len());
}
