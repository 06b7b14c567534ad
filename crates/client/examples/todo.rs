//! A to-do list that several processes share. Each has a folder of its own, works without the server, and catches up
//! with the others as soon as there is one.
//!
//! ```text
//! cargo xtask demo                                                        (a server)
//! cargo run -p bailiwick-client --example todo -- ann add "Buy milk"
//! cargo run -p bailiwick-client --example todo -- bob watch               (in another terminal)
//! cargo run -p bailiwick-client --example todo -- ann done "Buy milk"
//! ```
//!
//! A demo that is started again knows nobody any more: the first command after that says so, the next one logs in anew.

#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bailiwick_client::observe::QueryChange;
use bailiwick_client::{
    App, AppConfig, Credentials, ObjectId, Query, Realm, Schema, View, WriteError, object,
};
use futures_util::StreamExt as _;

object! {
    /// Something to do.
    struct Task {
        #[primary_key]
        _id: ObjectId,
        text: String,
        is_done: bool,
    }
}

const USAGE: &str = "usage: todo NAME (add TEXT | done TEXT | list | watch)";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, command) = arguments.split_first().context(USAGE)?;

    let base_url = std::env::var("BASE_URL").unwrap_or_else(|_| "http://localhost:9090".into());
    let folder = std::env::temp_dir().join("bailiwick-todo").join(name);
    let app = App::new(AppConfig::new(base_url, "inventory-abcde", folder))?;
    // Only the first start of all needs the server: afterwards the user and the list are here.
    let user = match app.current_user() {
        Some(user) => user,
        None => app.log_in(Credentials::anonymous()).await?,
    };
    let realm = user.open("to-do list", Schema::new().with::<Task>()).await?;

    match command {
        ["add", text] => {
            let task = Task { _id: ObjectId::new(), text: (*text).to_owned(), is_done: false };
            realm.write_async(move |tx| tx.insert(&task)).await?;
        }
        ["done", text] => finish(&realm, text).await?,
        ["list"] => (),
        ["watch"] => return watch(&realm).await,
        _ => bail!(USAGE),
    }
    catch_up(&realm).await;
    print(&realm.view()?)?;
    Ok(())
}

async fn finish(realm: &Realm, text: &str) -> Result<()> {
    let query = Query::<Task>::new().equals("text", text).equals("is_done", false);
    let task = realm.view()?.first(&query)?.context("there is no such task")?;
    realm
        .write_async::<_, WriteError>(move |tx| {
            tx.object("Task", task._id)?.set("is_done", true)?;
            Ok(())
        })
        .await?;
    Ok(())
}

/// Waits for the server, but not for long: what could not be sent is sent the next time.
async fn catch_up(realm: &Realm) {
    let Some(sync) = realm.sync() else { return };
    let caught_up = async {
        sync.wait_for_upload().await?;
        sync.wait_for_download().await
    };
    match tokio::time::timeout(Duration::from_secs(3), caught_up).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => println!("(not in step with the server: {error})"),
        Err(_) => println!("(offline; the server gets it later)"),
    }
}

async fn watch(realm: &Realm) -> Result<()> {
    let mut changes = realm.observe(Query::<Task>::new())?;
    while let Some(change) = changes.next().await {
        match change? {
            QueryChange::Initial(view) | QueryChange::Changed { view, .. } => print(&view)?,
        }
    }
    Ok(())
}

fn print(view: &View) -> Result<()> {
    println!("--");
    for task in view.find(&Query::<Task>::new().sort_by("is_done").sort_by("text"))? {
        let task = task?;
        println!("[{}] {}", if task.is_done { 'x' } else { ' ' }, task.text);
    }
    Ok(())
}
