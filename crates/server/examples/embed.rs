//! Runs a server inside a program, with everything in memory, until Ctrl-C.
//!
//! `cargo run -p bailiwick-server --example embed -- examples/inventory`

#![expect(clippy::print_stdout, reason = "it tells its user where it listens")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use bailiwick_server::app::App;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::serve::{ServeConfig, Server};
use bailiwick_storage::memory::MemoryStore;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir: PathBuf = std::env::args_os().nth(1).ok_or("the app's directory is missing")?.into();
    let app = App::read(&dir)?;
    let app_id = app.id.to_string();

    let store = Arc::new(MemoryStore::default());
    let server = Server::new(app, store, Addressing::FromHost, ServeConfig::default())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{app_id} at http://{}", listener.local_addr()?);

    let interrupted = async {
        // Without the signal there is no other way to stop than to be killed; so stop at once.
        let _ = tokio::signal::ctrl_c().await;
    };
    server.run(listener, interrupted).await?;
    Ok(())
}
