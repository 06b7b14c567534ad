//! The program: arguments and wiring, nothing else.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use bailiwick_server::app::App;
use bailiwick_server::dump::dump;
use bailiwick_server::http::base_url::{Addressing, BaseUrl};
use bailiwick_server::http::websocket::realm_key;
use bailiwick_server::serve::{ServeConfig, Server};
use bailiwick_storage::redb::{RedbOptions, RedbStore};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// A self-hosted Device Sync server for the unmodified Realm SDKs.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to log: a level (error, warn, info, debug, trace), or levels by module, such as
    /// `info,bailiwick_server::session=debug`.
    #[arg(
        long,
        global = true,
        env = "BAILIWICK_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,
    /// How to log: for people, or one JSON object a line.
    #[arg(
        long,
        global = true,
        env = "BAILIWICK_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Serve),
    Dump(Dump),
}

/// Serves an app to its devices until it is told to stop (SIGTERM or Ctrl-C).
///
/// The app's directory has the layout in which the hosted service exported apps. Devices need one line
/// changed, their base URL, which is printed at the start.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bailiwick serve --app examples/inventory
  bailiwick serve --app my-app --data /var/lib/bailiwick --listen 0.0.0.0:9090
  bailiwick serve --app my-app --public-url https://sync.example.com")]
struct Serve {
    /// The app's configuration directory, with `realm_config.json` and sync/config.json.
    #[arg(long, env = "BAILIWICK_APP", value_name = "DIR")]
    app: PathBuf,
    /// Where histories, objects and users are kept; made if it does not exist.
    #[arg(long, env = "BAILIWICK_DATA", default_value = "bailiwick-data", value_name = "DIR")]
    data: PathBuf,
    /// The address to listen at; port 0 takes a free one.
    #[arg(long, env = "BAILIWICK_LISTEN", default_value = "127.0.0.1:9090", value_name = "ADDR")]
    listen: SocketAddr,
    /// The URL at which devices reach the server, if a proxy stands before it. Without it, they are told
    /// the host that they asked for.
    #[arg(long, env = "BAILIWICK_PUBLIC_URL", value_name = "URL")]
    public_url: Option<BaseUrl>,
    /// The largest UPLOAD that is accepted, in MiB of changesets. Devices split what they send at 16, but
    /// never a transaction: one that is larger makes its device reset.
    #[arg(long, env = "BAILIWICK_MAX_UPLOAD", default_value_t = 18, value_name = "MIB")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_upload: u16,
    /// Believe the X-Forwarded-Proto and X-Forwarded-Host of requests. Only behind a proxy that sets them.
    #[arg(long, env = "BAILIWICK_TRUST_FORWARDED", conflicts_with = "public_url")]
    trust_forwarded: bool,
}

/// Prints the classes and objects of a partition, one JSON object a line. The server must not run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bailiwick dump --app examples/inventory --partition '\"store42\"'
  bailiwick dump --app my-app --data /var/lib/bailiwick --partition '{\"$oid\": \"65a1b2c3d4e5f60718293a4b\"}'")]
struct Dump {
    /// The app's configuration directory.
    #[arg(long, env = "BAILIWICK_APP", value_name = "DIR")]
    app: PathBuf,
    /// Where the server keeps its data.
    #[arg(long, env = "BAILIWICK_DATA", default_value = "bailiwick-data", value_name = "DIR")]
    data: PathBuf,
    /// The partition value, in Extended JSON: a string has its quotes.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    partition: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = start_log(&cli).and_then(|()| match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Dump(dump) => dump.run(),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_log(cli: &Cli) -> Result<()> {
    let filter = EnvFilter::try_new(&cli.log)
        .with_context(|| format!("`{}` is not a log filter; try `info`", cli.log))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match cli.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

impl Dump {
    fn run(self) -> Result<()> {
        let app = App::read(&self.app)?;
        let partition = app.sync.partition_key.bind(&self.partition)?;
        let store = open_store(&self.data, &RedbOptions::default().existing_only())?;
        let mut out = BufWriter::new(io::stdout().lock());
        dump(&store, &realm_key(app.id.as_str(), &partition), &mut out)?;
        out.flush()?;
        Ok(())
    }
}

fn open_store(data: &Path, options: &RedbOptions) -> Result<RedbStore> {
    options
        .in_dir(data)
        .with_context(|| format!("cannot open the data directory {}", data.display()))
}

impl Serve {
    fn run(self) -> Result<()> {
        let app = App::read(&self.app)?;
        let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
        let store = Arc::new(open_store(&self.data, &RedbOptions::default())?);
        let max_upload_len = usize::from(self.max_upload) << 20;
        let config = ServeConfig { max_upload_len, ..ServeConfig::default() };
        let addressing = match self.public_url {
            Some(url) => Addressing::Configured(url),
            None if self.trust_forwarded => Addressing::FromProxy,
            None => Addressing::FromHost,
        };
        let result = runtime.block_on(async {
            let listener = TcpListener::bind(self.listen).await.with_context(|| {
                format!("cannot listen at {}; choose another with --listen", self.listen)
            })?;
            let address = listener.local_addr().context("the listener has no address")?;
            greet(&app, &self.data, address, &addressing)?;
            let server = Server::new(app, store, addressing, config)?;
            server.run(listener, told_to_stop()?).await?;
            Ok(())
        });
        // What still runs then has not been waited for on purpose.
        runtime.shutdown_background();
        result
    }
}

/// Says what a newcomer has to know.
fn greet(app: &App, data: &Path, address: SocketAddr, addressing: &Addressing) -> Result<()> {
    let base_url = match addressing {
        Addressing::Configured(url) => url.to_string(),
        Addressing::FromHost | Addressing::FromProxy => format!("http://{address}"),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "Bailiwick {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  app       {} ({})", app.id, app.name)?;
    writeln!(
        out,
        "  partition {} ({})",
        app.sync.partition_field,
        app.sync.partition_key.partition_type.name()
    )?;
    writeln!(out, "  data      {}", data.display())?;
    writeln!(out, "  base URL  {base_url}")?;
    writeln!(out)?;
    writeln!(out, "The one line to change in an app:")?;
    writeln!(out, "  new Realm.App({{ id: \"{}\", baseUrl: \"{base_url}\" }})", app.id)?;
    if address.ip().is_loopback() && !matches!(addressing, Addressing::Configured(_)) {
        writeln!(
            out,
            "Only this machine can reach that address; for others: --listen 0.0.0.0:{}",
            address.port()
        )?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "Everybody may do everything: permissions are not enforced yet, and login is anonymous."
    )?;
    for notice in &app.notices {
        writeln!(out, "note: {notice}")?;
    }
    writeln!(out, "listening on http://{address}")?;
    out.flush()?;
    Ok(())
}

/// Ready once the process is told to stop.
fn told_to_stop() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
    })
}
