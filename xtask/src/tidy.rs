//! `cargo xtask tidy`: the rules that no lint knows.
//!
//! A rule is a function from one file to what it finds there; [`RULES`] lists them. Generated and downloaded folders
//! are left out, and so is the root's `vectors/`, which is data.

mod manifest;
mod text;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::step::root;

/// Checks the rules that no lint knows: what each crate must have, which crate may know which, what must not be left in a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// A file of the repository.
struct Source<'a> {
    /// From the root of the repository, with slashes.
    path: &'a str,
    text: &'a str,
}

/// Something that a rule does not allow.
#[derive(Debug, PartialEq)]
struct Finding {
    /// Counted from one; zero means the file as a whole.
    line: usize,
    what: String,
}

type Rule = fn(&Source) -> Vec<Finding>;

const RULES: [Rule; 7] = [
    text::no_leftovers,
    text::no_machine_paths,
    text::clean_lines,
    text::links_lead_somewhere,
    text::a_noun_for_a_name,
    manifest::crates_are_complete,
    manifest::dependencies_point_one_way,
];

/// Folders that nobody wrote by hand, wherever they are.
const GENERATED: [&str; 4] = [".git", "target", "node_modules", "bailiwick-data"];
/// The same, by their paths from the root.
const GENERATED_PATHS: [&str; 4] = ["vectors", "fuzz/corpus", "fuzz/artifacts", "fuzz/seeds"];

/// The files that people write.
const WRITTEN: [&str; 9] = ["rs", "md", "toml", "mjs", "js", "json", "sh", "yml", "yaml"];

impl Args {
    #[expect(clippy::unused_self, reason = "all commands are run alike")]
    pub(crate) fn run(self) -> Result<()> {
        run()
    }
}

pub(crate) fn run() -> Result<()> {
    let mut paths = Vec::new();
    collect(root(), &mut paths)?;
    paths.sort();
    let mut count = 0;
    for path in &paths {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let path = path.strip_prefix(root()).expect("the walk began there");
        let path = path.to_string_lossy().replace('\\', "/");
        let source = Source { path: &path, text: &text };
        for finding in RULES.iter().flat_map(|rule| rule(&source)) {
            println!("{path}:{finding}");
            count += 1;
        }
    }
    if count > 0 {
        bail!("{count} things to tidy");
    }
    println!("{} files are tidy", paths.len());
    Ok(())
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            let is_here = |generated: &&str| path.strip_prefix(root()) == Ok(Path::new(generated));
            let is_generated = GENERATED.iter().any(|&generated| name == generated)
                || GENERATED_PATHS.iter().any(is_here);
            if !is_generated {
                collect(&path, paths)?;
            }
        } else if is_written(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_written(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let is_generated = path.ends_with("package-lock.json");
    path.ends_with(".ci/run") || (ending.is_some_and(|it| WRITTEN.contains(&it)) && !is_generated)
}

impl Source<'_> {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, " {}", self.what),
            line => write!(f, "{line}: {}", self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vectors_of_the_root_are_data() {
        let mut paths = Vec::new();
        collect(root(), &mut paths).unwrap();
        let has = |path: &str| paths.iter().any(|found| found.starts_with(root().join(path)));
        assert!(has("xtask/src/vectors") && has("crates/client/tests/vectors"));
        assert!(!has("vectors") && !has("target") && !has("fuzz/seeds"));
    }
}
