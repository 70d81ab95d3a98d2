//! Pasted text. The terminal marks its beginning and its end (bracketed paste mode), so that several
//! lines are sent only after the user has confirmed it.

use super::keys::Key;

/// The longest text that may be pasted, in bytes: as long as the longest line.
const MAX_PASTE: usize = 4 * 1024 * 1024;

/// The text of a paste, so far or as a whole.
#[derive(Debug, Default)]
pub(super) struct Paste {
    text: String,
    too_long: bool,
}

impl Paste {
    /// Adds a key that the terminal sent as part of the paste. Control characters other than Tab and
    /// line breaks are dropped, because the user has not pressed those keys.
    pub(super) fn push(&mut self, key: Key) {
        let c = match key {
            Key::Char(c) => c,
            Key::Tab => '\t',
            Key::Enter => '\n',
            _ => return,
        };
        if self.text.len() < MAX_PASTE {
            self.text.push(c);
        } else {
            self.too_long = true;
        }
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.too_long
    }

    /// The only line, and whether a line break ends it; None if there are several lines.
    pub(super) fn single_line(&self) -> Option<(&str, bool)> {
        match self.text.split_once('\n') {
            None => Some((&self.text, false)),
            Some((line, "")) => Some((line, true)),
            Some(_) => None,
        }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// The question whether to send it, as a prompt.
    pub(super) fn question(&self, usual: &str) -> String {
        let lead = if usual.starts_with('\n') { "\n" } else { "" };
        let count = self.lines().count();
        format!("{lead}> Send {count} pasted lines? (y sends all of them, any other key none) ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paste(text: &str) -> Paste {
        let mut paste = Paste::default();
        for c in text.chars() {
            paste.push(if c == '\n' { Key::Enter } else { Key::Char(c) });
        }
        paste
    }

    #[test]
    fn a_line_break_at_the_end_makes_no_second_line() {
        assert_eq!(paste("one").single_line(), Some(("one", false)));
        assert_eq!(paste("one\n").single_line(), Some(("one", true)));
        for several in ["one\ntwo", "one\n\n", "one\ntwo\n"] {
            assert_eq!(paste(several).single_line(), None);
            assert!(paste(several).question("> ").starts_with("> Send 2 pasted lines?"));
        }
    }
}
