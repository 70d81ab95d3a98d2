//! Parts of a sentence: the system's words for why it did not do something, and names of any kind.

use std::io;

use crate::events::transcript::escape;

/// The system's words for the error, without its number.
pub fn os_error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

/// The text on one line whatever is in it: see [`escape`].
pub fn one_line(text: &str) -> String {
    let mut line = Vec::new();
    escape(text, &mut line);
    String::from_utf8_lossy(&line).into_owned()
}
