//! Parts of a sentence: the system's text for an error, and names that may hold any character.

use std::io;

use super::escape::escape;

/// The system's text for the error, without its number.
pub(crate) fn os_error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// The text on one line, whatever characters it contains: see [`escape`].
pub(crate) fn one_line(text: &str) -> String {
    let mut line = Vec::new();
    escape(text, &mut line);
    String::from_utf8_lossy(&line).into_owned()
}
