//! The rules of the house: which module may import which. ARCHITECTURE.md states them, and these
//! tests enforce them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A file may have more lines than this only if its first lines say why.
const MAX_LINES: usize = 400;

/// A source file and the modules of the crate that it imports, as paths like `actors::hub`.
struct Source {
    path: PathBuf,
    module: String,
    imports: BTreeSet<String>,
}

impl Source {
    fn is_in(&self, room: &str) -> bool {
        is_within(&self.module, room)
    }

    fn imports(&self, room: &str) -> bool {
        self.imports.iter().any(|import| is_within(import, room))
    }
}

fn is_within(module: &str, room: &str) -> bool {
    module == room || module.strip_prefix(room).is_some_and(|rest| rest.starts_with("::"))
}

pub(crate) fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let sources = files.into_iter().map(|path| {
        let text = code(&fs::read_to_string(&path).unwrap());
        let module = module_of(path.strip_prefix(&root).unwrap());
        Source { path, imports: imports(&text), module }
    });
    sources.collect()
}

/// `actors/hub/print_queue.rs` is `actors::hub::print_queue`.
fn module_of(path: &Path) -> String {
    let path = path.with_extension("");
    let names: Vec<_> = path.iter().map(|name| name.to_str().unwrap()).collect();
    names.join("::").trim_end_matches("::mod").to_owned()
}

/// The text without comments and without unit tests, which may import what they test.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path after `crate::` or, in the binaries, `linehub::`, with the braces resolved.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate::", "linehub::"] {
        for (at, _) in text.match_indices(root) {
            resolve("", &text[at + root.len()..], &mut found);
        }
    }
    found
}

/// Adds the path or the braced list of paths at the start of `text`, and returns the text after it.
fn resolve<'a>(prefix: &str, text: &'a str, found: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    let Some(mut list) = text.strip_prefix('{') else {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let path = format!("{prefix}{}", &text[..end]);
        return match text[end..].strip_prefix("::") {
            Some(rest) => resolve(&format!("{path}::"), rest, found),
            None => {
                found.insert(path);
                &text[end..]
            }
        };
    };
    loop {
        let before = list.len();
        list = resolve(prefix, list, found).trim_start();
        list = list.strip_prefix(',').unwrap_or(list).trim_start();
        if let Some(rest) = list.strip_prefix('}') {
            return rest;
        }
        assert!(list.len() < before, "this is no list of imports: {list:.40}");
    }
}

/// Asserts that no file in one of the rooms imports one of the others.
#[track_caller]
fn assert_never(sources: &[Source], rooms: &[&str], import: &[&str]) {
    for source in sources.iter().filter(|source| rooms.iter().any(|room| source.is_in(room))) {
        for room in import.iter().filter(|room| !source.is_in(room)) {
            assert!(!source.imports(room), "{} imports {room}", source.path.display());
        }
    }
}

#[test]
fn wire_and_events_import_no_actor() {
    assert_never(&sources(), &["wire", "events"], &["actors", "server", "client", "net"]);
    assert_never(&sources(), &["wire"], &["events"]);
}

#[test]
fn actors_import_neither_the_network_nor_the_configuration() {
    assert_never(&sources(), &["actors"], &["net", "config", "server", "client"]);
}

#[test]
fn actors_do_not_import_their_siblings() {
    let cast =
        ["console", "feed", "hub", "session", "stdin_reader"].map(|name| format!("actors::{name}"));
    let cast: Vec<_> = cast.iter().map(String::as_str).collect();
    let sources: Vec<_> =
        sources().into_iter().filter(|source| !source.module.contains("tests")).collect();
    assert_never(&sources, &cast, &cast);
    assert_never(&sources, &["actors::messages"], &cast);
}

#[test]
fn only_the_binaries_import_program() {
    for source in sources().iter().filter(|source| !source.is_in("bin")) {
        let theirs = source.is_in("program") || source.module == "lib";
        assert!(theirs || !source.imports("program"), "{} imports program", source.path.display());
    }
}

#[test]
fn imports_have_no_circle() {
    // Rooms, with the files at the top as rooms of their own.
    let room = |path: &str| path.split("::").next().unwrap().to_owned();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all = sources();
    let rooms: BTreeSet<_> = all.iter().map(|source| room(&source.module)).collect();
    for source in all.iter().filter(|source| source.module != "lib") {
        let from = room(&source.module);
        let to = source.imports.iter().map(|import| room(import));
        let to = to.filter(|to| *to != from && rooms.contains(to));
        arrows.entry(from.clone()).or_default().extend(to);
    }
    // A room that imports no remaining room can be removed. The rooms that cannot be removed form a circle.
    while let Some(leaf) = arrows
        .iter()
        .find(|(_, to)| to.iter().all(|to| !arrows.contains_key(to)))
        .map(|(from, _)| from.clone())
    {
        arrows.remove(&leaf);
    }
    assert!(arrows.is_empty(), "these import each other in a circle: {arrows:?}");
}

#[test]
fn long_files_say_why() {
    for source in sources() {
        let text = fs::read_to_string(&source.path).unwrap();
        let lines = text.lines().count();
        let says_why = text.lines().take(10).any(|line| line.contains("long"));
        assert!(lines <= MAX_LINES || says_why, "{} has {lines} lines", source.path.display());
    }
}
