//! The tests that docs/reliability.md cites exist, and the files to which the documents link.

use std::{collections::BTreeSet, fs, path::Path};

use crate::house::rust_files;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The paths of all tests, such as `actors::hub::tests::slots::NAME` or `it::limit::NAME`.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (folder, crate_name) in [("src", ""), ("tests/it", "it::")] {
        let folder = root().join(folder);
        let mut files = Vec::new();
        rust_files(&folder, &mut files);
        for file in files {
            let module = file.strip_prefix(&folder).unwrap().with_extension("");
            let module = module.to_str().unwrap().replace('/', "::");
            let text = fs::read_to_string(&file).unwrap();
            found.extend(names(&text).map(|name| format!("{crate_name}{module}::{name}")));
        }
    }
    found
}

/// The names of the functions in the source text that have the attribute of a test.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("test]\n").skip(1).filter_map(|after| {
        let mut rest = after.trim_start();
        while let Some(attribute) = rest.strip_prefix("#[") {
            rest = attribute.split_once("]\n")?.1.trim_start();
        }
        let rest = rest.strip_prefix("async ").unwrap_or(rest);
        rest.strip_prefix("fn ")?.split('(').next()
    })
}

/// Whether the citation names this test: modules may be left out, but not the name.
fn is_cited_as(test: &str, citation: &str) -> bool {
    let (test, citation): (Vec<_>, Vec<_>) =
        (test.split("::").collect(), citation.split("::").collect());
    let mut modules = test.iter();
    test.last() == citation.last() && citation.iter().all(|part| modules.any(|name| name == part))
}

/// The pieces of code in a text.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_cited_test_exists() {
    let text = include_str!("../../../docs/reliability.md");
    let tests = tests();
    let citations: Vec<&str> = code(text).filter(|piece| piece.contains("::")).collect();
    assert!(citations.len() > 100, "found only {citations:?}");
    let is_missing = |citation: &&str| {
        let module = format!("{citation}::");
        !tests.iter().any(|test| is_cited_as(test, citation) || test.starts_with(&module))
    };
    let missing: Vec<_> = citations.into_iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "docs/reliability.md cites tests that do not exist: {missing:#?}");
    for target in text.split("fuzz target `").skip(1).filter_map(|rest| rest.split('`').next()) {
        let file = root().join(format!("fuzz/src/bin/{target}.rs"));
        assert!(file.exists(), "there is no fuzz target {target}");
    }
}

/// The documents, as paths from the root.
fn documents() -> Vec<String> {
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}{name}")).collect()
    };
    [names(""), names("docs/")].concat()
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_').collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for document in documents() {
        let path = root().join(&document);
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            assert!(target.exists(), "{document} links to {link}");
            let is_heading = |line: &str| line.starts_with('#') && anchor(line) == heading;
            let has_heading = || fs::read_to_string(&target).unwrap().lines().any(is_heading);
            assert!(heading.is_empty() || has_heading(), "{document} links to {link}");
        }
    }
}
