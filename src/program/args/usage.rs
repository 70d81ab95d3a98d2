//! clap's errors in the form of both programs: a sentence and a hint, one line each.

use clap::error::{ContextKind, ContextValue};

use crate::events::wording::one_line;

/// clap's own words.
pub(super) const HELP_HINT: &str = "For more information, try '--help'.";

/// clap's error on one line, and a hint: the argument that was probably meant, or else where to find
/// help.
pub(super) fn sentence(mut error: clap::Error) -> (String, String) {
    // What the user typed must not look like the layout of clap's text.
    let typed: Vec<_> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(one_line(text)))),
            _ => None,
        })
        .collect();
    for (kind, text) in typed {
        error.insert(kind, text);
    }
    let text = error.to_string();
    let (first, hints) = text.split_once("\n\n").unwrap_or((&text, ""));
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let words: Vec<&str> = first.split_whitespace().collect();
    let hint = match error.get(ContextKind::SuggestedArg) {
        Some(meant) => format!("Did you mean '{meant}'?"),
        None => hints.lines().rev().find(|line| !line.is_empty()).unwrap_or(HELP_HINT).to_owned(),
    };
    (words.join(" "), hint)
}
