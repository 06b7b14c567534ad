//! What the demo shows: titles, sentences, tables and progress bars.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bailiwick_client::SyncProgress;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// One column of a table: who sees it, and what.
pub(super) struct Column<'a> {
    pub(super) title: &'a str,
    pub(super) lines: Vec<String>,
}

/// The width of a column that holds an item and its quantity.
const COLUMN_WIDTH: usize = 22;

/// Begins a chapter.
pub(super) fn title(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m== {text}\x1b[0m");
    } else {
        println!("\n== {text}");
    }
}

pub(super) fn say(text: &str) {
    println!("{}", format!("   {text}").trim_end());
}

/// What is to be copied.
pub(super) fn code(lines: &[&str]) {
    println!();
    for line in lines {
        println!("       {line}");
    }
    println!();
}

/// What somebody does.
pub(super) fn act(who: &str, what: &str, how: &str) {
    println!("{}", format!("   {who:<12} {what:<30} {how}").trim_end());
}

/// What several devices see, side by side.
pub(super) fn table(columns: &[Column<'_>]) {
    let row = |cell: &dyn Fn(&Column<'_>) -> String| {
        let cells = columns.iter().map(|column| format!("{:<COLUMN_WIDTH$}", cell(column)));
        println!("     {}", cells.collect::<Vec<_>>().join("| ").trim_end());
    };
    println!();
    row(&|column| column.title.to_owned());
    row(&|_| "-".repeat(COLUMN_WIDTH - 1));
    let height = columns.iter().map(|column| column.lines.len()).max().unwrap_or_default();
    for line in 0..height {
        row(&|column| column.lines.get(line).cloned().unwrap_or_default());
    }
    println!();
}

/// A bar for what a device sends and receives. Without a terminal there is none.
pub(super) fn bar(who: &str, what: &str) -> Result<Bar> {
    let bar = ProgressBar::new(SCALE);
    let style = ProgressStyle::with_template("   {prefix:<12} {bar:28} {msg}")
        .context("the style of the progress bars")?;
    bar.set_style(style);
    bar.set_prefix(who.to_owned());
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    Ok(Bar { bar, who: who.to_owned() })
}

/// Parts of a bar.
const SCALE: u64 = 1000;

/// A progress bar; removed from the screen if it is not finished.
pub(super) struct Bar {
    bar: ProgressBar,
    who: String,
}

impl Bar {
    pub(super) fn show(&self, progress: &SyncProgress) {
        let both = f64::midpoint(progress.download_estimate, progress.upload_estimate);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an estimate from 0 to 1"
        )]
        self.bar.set_position((both * SCALE as f64) as u64);
        self.bar.set_message(amounts(progress));
    }

    /// Replaces the bar by a line that stays.
    pub(super) fn finish(self, progress: Option<SyncProgress>) {
        self.bar.finish_and_clear();
        let amounts = progress.as_ref().map(amounts).unwrap_or_default();
        println!("   {:<12} in step with the server   {amounts}", self.who);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn amounts(progress: &SyncProgress) -> String {
    format!("{} up, {} down", HumanBytes(progress.uploaded), HumanBytes(progress.downloaded))
}
