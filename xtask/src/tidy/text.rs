//! What must not stand in a file.

use std::path::Path;

use super::{Finding, Source};
use crate::step::root;

/// Split, so that this file does not find itself.
const LEFTOVERS: [&str; 8] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("#[ign", "ore"),
    concat!("<<<<", "<<<"),
];

/// Where people's files are; split for the same reason.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!(":\\Us", "ers"),
    concat!("/wo", "rk/"),
];

/// Work that is not done is an issue, not a comment.
pub(super) fn no_leftovers(source: &Source) -> Vec<Finding> {
    find(source, &LEFTOVERS, "is left over")
}

/// A path of somebody's machine means nothing on another.
pub(super) fn no_machine_paths(source: &Source) -> Vec<Finding> {
    find(source, &MACHINE_PATHS, "is a path of one machine")
}

fn find(source: &Source, words: &[&str], what: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            findings.push(Finding { line: number, what: format!("`{word}` {what}") });
        }
    }
    findings
}

/// No tabs at the start or blanks at the end of lines, one line break at the end of the file.
pub(super) fn clean_lines(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines() {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(Finding { line: number, what: "the line ends with a blank".to_owned() });
        }
        if line.starts_with('\t') {
            findings.push(Finding { line: number, what: "the line starts with a tab".to_owned() });
        }
    }
    let ends_well = source.text.ends_with('\n') && !source.text.ends_with("\n\n");
    if !ends_well && !source.text.is_empty() {
        findings.push(Finding { line: 0, what: "must end with one line break".to_owned() });
    }
    findings
}

/// A link of a document to a file of the repository names one that is there.
pub(super) fn links_lead_somewhere(source: &Source) -> Vec<Finding> {
    if !source.path.to_ascii_lowercase().ends_with(".md") {
        return Vec::new();
    }
    let folder = root().join(source.path);
    let folder = folder.parent().expect("a file is in a folder");
    let mut findings = Vec::new();
    for (number, line) in source.lines() {
        for target in link_targets(line).filter(|target| !leads_somewhere(folder, target)) {
            findings.push(Finding { line: number, what: format!("`{target}` is not there") });
        }
    }
    findings
}

/// What stands between `](` and `)`.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn leads_somewhere(folder: &Path, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    path.is_empty()
        || path.contains("://")
        || path.starts_with("mailto:")
        || folder.join(path).exists()
}

/// A file is named by what it is about.
pub(super) fn a_noun_for_a_name(source: &Source) -> Vec<Finding> {
    const EMPTY_NAMES: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];
    let path = Path::new(source.path);
    let name = path.file_stem().unwrap_or_default();
    if path.extension().is_some_and(|it| it == "rs") && EMPTY_NAMES.iter().any(|it| name == *it) {
        return vec![Finding { line: 0, what: "the name does not say what is in it".to_owned() }];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: super::super::Rule, path: &str, text: &str, expected_lines: &[usize]) {
        let findings = rule(&Source { path, text });
        let lines: Vec<_> = findings.iter().map(|finding| finding.line).collect();
        assert_eq!(lines, expected_lines, "{findings:?}");
    }

    #[test]
    fn work_that_is_not_done_is_found() {
        let text = format!("fn a() {{}}\nfn b() {{ {}) }}\n", LEFTOVERS[3]);
        check(no_leftovers, "a.rs", &text, &[2]);
        check(no_leftovers, "a.rs", "fn todo() {}\n", &[]);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        check(no_machine_paths, "a.md", &format!("see {}me/x\n", MACHINE_PATHS[0]), &[1]);
        check(no_machine_paths, "a.md", "see /var/lib/bailiwick\n", &[]);
    }

    #[test]
    fn blanks_and_missing_line_breaks_are_found() {
        check(clean_lines, "a.md", "a\nb \n\tc\n", &[2, 3]);
        check(clean_lines, "a.md", "a", &[0]);
        check(clean_lines, "a.md", "a\n\n", &[0]);
        check(clean_lines, "a.md", "a\n", &[]);
        check(clean_lines, "a.md", "", &[]);
    }

    #[test]
    fn links_to_files_that_are_not_there_are_found() {
        let text =
            "[a](Cargo.toml) [b](no-such-file.md#part)\n[c](https://example.com/x) [d](#part)\n";
        check(links_lead_somewhere, "README.md", text, &[1]);
        check(links_lead_somewhere, "a.rs", text, &[]);
        check(links_lead_somewhere, "xtask/README.md", "[up](../Cargo.toml)\n", &[]);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        check(a_noun_for_a_name, "crates/core/src/utils.rs", "", &[0]);
        check(a_noun_for_a_name, "crates/core/src/merge.rs", "", &[]);
        check(a_noun_for_a_name, "crates/server/tests/realm_sdk/common.mjs", "", &[]);
    }
}
