//! A sensor that logs a value every second, whether or not there is a server: what it could not send is sent when there
//! is one, in the order in which it was measured.
//!
//! ```text
//! cargo run -p bailiwick-client --example sensor -- 20       (20 values; stop and start a server meanwhile)
//! ```

#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use bailiwick_client::{
    App, AppConfig, Credentials, ObjectId, Schema, SyncStatus, Timestamp, object,
};

object! {
    /// One measurement.
    struct Reading {
        #[primary_key]
        _id: ObjectId,
        sensor: String,
        measured_at: Timestamp,
        celsius: f64,
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let count: u32 = std::env::args().nth(1).as_deref().unwrap_or("10").parse()?;
    let base_url = std::env::var("BASE_URL").unwrap_or_else(|_| "http://localhost:9090".into());
    let folder = std::env::temp_dir().join("bailiwick-sensor");
    let app = App::new(AppConfig::new(base_url, "inventory-abcde", folder))?;
    let user = match app.current_user() {
        Some(user) => user,
        None => app.log_in(Credentials::anonymous()).await?,
    };
    let realm = user.open("readings", Schema::new().with::<Reading>()).await?;
    let sync = realm.sync().context("a realm of a user syncs")?;

    for second in 0..count {
        let reading = Reading {
            _id: ObjectId::new(),
            sensor: user.id().to_owned(),
            measured_at: SystemTime::now().into(),
            celsius: 20.0 + f64::from(second).sin(),
        };
        let celsius = reading.celsius;
        // Durable here once this returns; nothing waits for the network.
        realm.write_async(move |tx| tx.insert(&reading)).await?;
        let bytes = realm.snapshot()?.state().bytes;
        let status = match *sync.status().borrow() {
            SyncStatus::Connected => "online",
            SyncStatus::Disconnected => "offline",
        };
        println!("{celsius:.2} °C  {status}, {} bytes to send", bytes.uploadable - bytes.uploaded);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    match tokio::time::timeout(Duration::from_secs(5), sync.wait_for_upload()).await {
        Ok(sent) => {
            sent?;
            println!("everything is at the server");
        }
        Err(_) => println!("the rest is sent the next time"),
    }
    Ok(())
}
