//! What a connected device costs that does nothing: memory of the server for each, on Linux.
//!
//! `cargo run --release -p bailiwick-server --example idle_connections -- examples/inventory 2000`
//!
//! The devices are in a process of their own. Each has one session, bound and identified: first all in one
//! partition, then, with the argument `own`, each in its own. `ulimit -n` has to allow for as many files.

#![expect(clippy::print_stdout, reason = "it prints what it has measured")]

use std::error::Error;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;

use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::{Bind, ClientIdent, ClientMessage, ServerMessage};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{DownloadCursor, SaltedVersion};
use bailiwick_server::app::App;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::serve::{ServeConfig, Server};
use bailiwick_storage::memory::MemoryStore;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["devices", address, app_id, count, partitions] => {
            connect_all(address.parse()?, app_id, count.parse()?, partitions == "own").await
        }
        [dir, count] => measure(dir, count, "shared").await,
        [dir, count, "own"] => measure(dir, count, "own").await,
        _ => Err("usage: idle_connections DIR COUNT [own]".into()),
    }
}

async fn measure(dir: &str, count: &str, partitions: &str) -> Result<()> {
    let app = App::read(dir.as_ref())?;
    let app_id = app.id.to_string();
    let store = Arc::new(MemoryStore::default());
    let server = Server::new(app, store, Addressing::FromHost, ServeConfig::default())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(listener, async { drop(stopped.await) }));

    // One device first, so that what is made once is not counted.
    let mut first = devices(&address, &app_id, "1", partitions)?;
    wait_for_line(&mut first).await?;
    let before = resident_kib()?;
    let mut others = devices(&address, &app_id, count, partitions)?;
    wait_for_line(&mut others).await?;
    let after = resident_kib()?;
    let each = (after - before) / count.parse::<f64>()?;
    println!("{count} devices, partitions {partitions}: {before} KiB before, {after} KiB after");
    println!("{each:.1} KiB for each");

    first.kill().await?;
    others.kill().await?;
    drop(stop);
    running.await??;
    Ok(())
}

fn devices(
    address: &str,
    app_id: &str,
    count: &str,
    partitions: &str,
) -> Result<tokio::process::Child> {
    let child = tokio::process::Command::new(std::env::current_exe()?)
        .args(["devices", address, app_id, count, partitions])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

/// Waits until the devices say that they are connected.
async fn wait_for_line(child: &mut tokio::process::Child) -> Result<()> {
    let stdout = child.stdout.as_mut().ok_or("the devices have no output")?;
    let line = BufReader::new(stdout).lines().next_line().await?;
    line.ok_or("the devices have failed")?;
    Ok(())
}

/// The memory of this process that is in use.
fn resident_kib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

/// The other process: connects devices and stays.
async fn connect_all(address: SocketAddr, app_id: &str, count: usize, own: bool) -> Result<()> {
    let token = log_in(address, app_id).await?;
    let mut connected = Vec::with_capacity(count);
    for number in 0..count {
        let partition = if own { format!("\"{number}\"") } else { "\"shared\"".to_owned() };
        connected.push(connect(address, app_id, &token, partition).await?);
    }
    println!("connected");
    std::future::pending::<()>().await;
    Ok(())
}

async fn log_in(address: SocketAddr, app_id: &str) -> Result<String> {
    let body = r#"{"provider":"anon-user","options":{"device":{}}}"#;
    let request = format!(
        "POST /api/client/v2.0/app/{app_id}/auth/providers/anon-user/login HTTP/1.1\r\n\
         Host: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer to the login")?;
    let body: serde_json::Value = serde_json::from_str(body)?;
    Ok(body["access_token"].as_str().ok_or("the login was refused")?.to_owned())
}

/// A device with one session, up to its first DOWNLOAD.
async fn connect(
    address: SocketAddr,
    app_id: &str,
    token: &str,
    path: String,
) -> Result<WebSocketStream<TcpStream>> {
    let version = ProtocolVersion::MAX;
    let url = format!("ws://{address}/api/client/v2.0/app/{app_id}/realm-sync?baas_at={token}");
    let mut request = url.into_client_request()?;
    let offered = HeaderValue::from_str(&format!("com.mongodb.realm-sync#{version}"))?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", offered);
    let stream = TcpStream::connect(address).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await?;

    let session = SessionIdent(1);
    let bind = ClientMessage::Bind(Bind {
        session,
        path,
        token: String::new(),
        need_client_file_ident: true,
        is_subserver: false,
    });
    socket.send(Message::Binary(bind.print().into())).await?;
    let ServerMessage::Ident(ident) = receive(&mut socket, version).await? else {
        return Err("no client file was allocated".into());
    };
    let ident = ClientMessage::Ident(ClientIdent {
        session,
        file_ident: ident.file_ident,
        file_ident_salt: ident.file_ident_salt,
        download_cursor: DownloadCursor::default(),
        latest_server_version: SaltedVersion::default(),
    });
    socket.send(Message::Binary(ident.print().into())).await?;
    match receive(&mut socket, version).await? {
        ServerMessage::Download(_) => Ok(socket),
        other => Err(format!("a {} instead of a DOWNLOAD", other.name()).into()),
    }
}

async fn receive(
    socket: &mut WebSocketStream<TcpStream>,
    version: ProtocolVersion,
) -> Result<ServerMessage> {
    match socket.next().await.ok_or("the connection has ended")?? {
        Message::Binary(payload) => Ok(ServerMessage::parse(version, &payload)?),
        other => Err(format!("not a sync message: {other:?}").into()),
    }
}
