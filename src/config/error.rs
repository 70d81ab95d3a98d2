//! Why a configuration cannot be used.

use std::{
    fmt::{self, Display, Formatter},
    io,
};

use thiserror::Error;

use crate::events::wording::os_error_text;

/// Why a configuration cannot be used, as one plain sentence.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file does not exist or cannot be read.
    #[error("{file}: {}", os_error_text(.source))]
    Unreadable {
        /// The file's name.
        file: String,
        /// The error of the system.
        source: io::Error,
    },
    /// A value is wrong, or the file is not TOML.
    #[error("{}{problem}", prefix(.location.as_ref()))]
    Invalid {
        /// Where the value is, if it is in a file.
        location: Option<Location>,
        /// The value's key, such as `limits.outbox`; empty if the file is not TOML.
        key: String,
        /// Which key is wrong, and what was expected.
        problem: String,
    },
}

/// A line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file's name.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

impl Display for Location {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

fn prefix(location: Option<&Location>) -> String {
    location.map(|location| format!("{location}: ")).unwrap_or_default()
}
