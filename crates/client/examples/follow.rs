//! Follows a partition, whatever is in it, and prints each change as a line of JSON.
//!
//! ```text
//! cargo run -p bailiwick-client --example follow -- http://localhost:9090 inventory-abcde '"Store 42"'
//! ```

#![expect(clippy::print_stdout, reason = "the changes are its output")]

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use bailiwick_client::observe::{Changes, ClassChange};
use bailiwick_client::schema::ClassKind;
use bailiwick_client::{
    App, AppConfig, Credentials, PartitionValue, PrimaryKey, ReadError, Realm, Schema, Value, View,
};
use futures_util::StreamExt as _;
use futures_util::stream::{BoxStream, SelectAll};
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base_url, app_id, partition] = &*arguments else {
        bail!("usage: follow BASE_URL APP_ID PARTITION, the last as Extended JSON");
    };
    let partition = PartitionValue::parse(partition).context(
        r#"the partition is Extended JSON, such as '"Store 42"' with both pairs of quotes"#,
    )?;
    let folder = std::env::temp_dir().join("bailiwick-follow");
    let app = App::new(AppConfig::new(base_url, app_id, folder))?;
    let user = match app.current_user() {
        Some(user) => user,
        None => app.log_in(Credentials::anonymous()).await?,
    };
    // Without classes of its own: it takes those that it finds.
    let realm = user.open_and_download(partition, Schema::new()).await?;

    let mut news = realm.file().news();
    let mut followed = BTreeSet::new();
    let mut changes = SelectAll::new();
    follow_new_classes(&realm, &mut followed, &mut changes)?;
    loop {
        tokio::select! {
            Some((class, change)) = changes.next() => print(&class, &change?)?,
            news = news.recv() => match news {
                Ok(news) if !news.schema_changed => (),
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    follow_new_classes(&realm, &mut followed, &mut changes)?;
                }
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// The changes of one class, with its name.
type ClassChanges = BoxStream<'static, (String, Result<ClassChange, ReadError>)>;

fn follow_new_classes(
    realm: &Realm,
    followed: &mut BTreeSet<String>,
    changes: &mut SelectAll<ClassChanges>,
) -> Result<()> {
    for class in realm.view()?.schema().classes {
        if !matches!(class.kind, ClassKind::Embedded) && followed.insert(class.name.clone()) {
            let stream: Changes<ClassChange> = realm.observe_class(&class.name)?;
            let name = class.name;
            changes.push(stream.map(move |change| (name.clone(), change)).boxed());
        }
    }
    Ok(())
}

fn print(class: &str, change: &ClassChange) -> Result<()> {
    match change {
        ClassChange::Initial(view) => {
            for object in view.objects(class)? {
                print_object("initial", view, class, object?.key())?;
            }
        }
        ClassChange::Changed { view, inserted, modified, deleted } => {
            for key in inserted {
                print_object("inserted", view, class, key)?;
            }
            for modified in modified {
                print_object("modified", view, class, &modified.key)?;
            }
            for key in deleted {
                let key = Value::from(key.clone());
                println!("{}", json!({ "change": "deleted", "class": class, "key": key }));
            }
        }
    }
    Ok(())
}

fn print_object(change: &str, view: &View, class: &str, key: &PrimaryKey) -> Result<()> {
    if let Some(object) = view.object(class, key)? {
        println!("{}", json!({ "change": change, "class": class, "object": object.to_fields()? }));
    }
    Ok(())
}
