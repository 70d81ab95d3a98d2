//! What a program wants of its line editor.

use std::{
    ffi::OsString,
    fmt::{self, Debug, Formatter},
    path::PathBuf,
};

/// The options of a [`Terminal`](super::Terminal).
#[derive(Debug)]
pub struct TerminalOptions {
    /// The name that a line on stderr begins with.
    pub program: &'static str,
    /// The prompt. If it begins with a newline, an empty row separates it from the transcript. Arriving
    /// lines are printed above that row.
    pub prompt: &'static str,
    /// A row that is printed once, above the first prompt: how to get help, and how to stop.
    pub help: &'static str,
    /// The value of the environment variable `TERM`.
    pub term: Option<OsString>,
    /// Whether the user wants no colors.
    pub no_color: bool,
    /// Whether stdout is for JSON only. The editor then uses stderr.
    pub json: bool,
    /// Completes commands. Without it, Tab inserts a tab.
    pub completer: Option<Completer>,
    /// The file that keeps the history.
    pub history: Option<PathBuf>,
}

impl TerminalOptions {
    /// Whether the terminal has no control codes.
    pub fn is_dumb(&self) -> bool {
        self.term.as_ref().is_none_or(|term| term.is_empty() || term == "dumb")
    }
}

type Complete = dyn Fn(&str) -> Vec<String> + Send;

/// Finds what the last word of a line may be completed to.
pub struct Completer(Box<Complete>);

impl Completer {
    /// A completer that calls this function with the text before the cursor.
    pub fn new(complete: impl Fn(&str) -> Vec<String> + Send + 'static) -> Self {
        Self(Box::new(complete))
    }

    /// The whole words that the last word of the line may become.
    #[cfg_attr(not(feature = "terminal"), expect(dead_code, reason = "only the editor calls it"))]
    pub(super) fn complete(&self, line: &str) -> Vec<String> {
        (self.0)(line)
    }
}

impl Debug for Completer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Completer")
    }
}
