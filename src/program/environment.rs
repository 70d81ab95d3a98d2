//! Environment variables that have no corresponding argument. Only `main` reads them.

use std::{env, ffi::OsString, path::PathBuf};

/// The file that keeps the history of lines: the one that `LINEHUB_HISTORY` names, or else `name` in the
/// folder for the user's state (XDG Base Directory Specification). None if the variable is `off`, or if there is
/// no such folder.
pub fn history_file(name: &str) -> Option<PathBuf> {
    match variable("LINEHUB_HISTORY") {
        Some(off) if off == "off" => None,
        Some(path) => Some(path.into()),
        None => Some(state_folder()?.join("linehub").join(name)),
    }
}

/// Whether the user wants no colors (<https://no-color.org>).
pub fn no_color() -> bool {
    variable("NO_COLOR").is_some()
}

fn state_folder() -> Option<PathBuf> {
    // The specification has programs ignore relative paths.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
