//! What a crate must have, and which crate may know which.

use super::{Finding, Source};
use crate::step::root;

/// The crates that each crate may depend on. Tests may depend on more.
const MAY_KNOW: [(&str, &[&str]); 5] = [
    ("protocol", &[]),
    ("core", &["protocol"]),
    ("storage", &["protocol", "core"]),
    ("server", &["protocol", "core", "storage"]),
    ("client", &["protocol", "core", "storage"]),
];

/// A published crate says what it is, inherits the workspace's lints and licence, and has the documents that people
/// look for.
pub(super) fn crates_are_complete(source: &Source) -> Vec<Finding> {
    const NEEDED: [&str; 4] = [
        "description = ",
        "license.workspace = true",
        "rust-version.workspace = true",
        "[lints]\nworkspace = true",
    ];
    const DOCUMENTS: [&str; 2] = ["README.md", "CHANGELOG.md"];
    let Some(name) = crate_of(source.path) else { return Vec::new() };
    let folder = root().join("crates").join(name);
    let entries = NEEDED.iter().filter(|entry| !source.text.contains(**entry));
    let documents = DOCUMENTS.iter().filter(|document| !folder.join(document).exists());
    let missing = entries.chain(documents);
    missing
        .map(|what| Finding { line: 0, what: format!("`{}` is missing", what.escape_debug()) })
        .collect()
}

/// Dependencies between the crates point one way, so that each layer can be used without those above it.
pub(super) fn dependencies_point_one_way(source: &Source) -> Vec<Finding> {
    let Some(name) = crate_of(source.path) else { return Vec::new() };
    let may_know =
        MAY_KNOW.iter().find(|(it, _)| *it == name).map_or(&[][..], |(_, others)| *others);
    let mut section = "";
    let mut findings = Vec::new();
    for (number, line) in source.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let Some(rest) = line.strip_prefix("bailiwick-") else { continue };
        let other = rest.split(['.', ' ', '=']).next().unwrap_or_default();
        if section == "[dependencies]" && !may_know.contains(&other) {
            let what = format!("`{name}` must not know `{other}`");
            findings.push(Finding { line: number, what });
        }
    }
    findings
}

/// The name in `crates/NAME/Cargo.toml`.
fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: super::super::Rule, name: &str, text: &str, expected: &[&str]) {
        let path = format!("crates/{name}/Cargo.toml");
        let findings: Vec<_> =
            rule(&Source { path: &path, text }).into_iter().map(|finding| finding.what).collect();
        assert_eq!(findings, expected);
    }

    #[test]
    fn a_crate_above_is_found_among_the_dependencies() {
        let text = "[dependencies]\nbailiwick-protocol.workspace = true\nbailiwick-server = { path = \"x\" }\n";
        check(dependencies_point_one_way, "core", text, &["`core` must not know `server`"]);
        check(dependencies_point_one_way, "core", &text.replace("[dep", "[dev-dep"), &[]);
    }

    #[test]
    fn what_a_manifest_lacks_is_found() {
        let text = "description = \"x\"\nlicense.workspace = true\nrust-version.workspace = true\n";
        check(crates_are_complete, "protocol", text, &["`[lints]\\nworkspace = true` is missing"]);
    }
}
