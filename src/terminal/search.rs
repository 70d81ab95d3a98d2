//! The incremental search in the history (Ctrl-R). It only changes what the prompt shows, so lines are
//! printed above it as above any other prompt.

use rustyline::history::SearchDirection;

use super::{history::History, keys::Key};

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub(super) struct Search {
    query: String,
    /// The line that was found: its position in the history, and where the query begins in it.
    found: Option<(usize, usize)>,
    /// Whether nothing was found for the query as it is now. `found` is what was found before.
    failed: bool,
}

/// What a key does to a search.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum SearchResult {
    Continue,
    /// The search ends, and the line is as before.
    Cancel,
    /// The search ends, what was found becomes the line, and the key is applied to it.
    Accept,
}

impl Search {
    pub(super) fn found(&self) -> Option<(usize, usize)> {
        self.found
    }

    pub(super) fn press(&mut self, key: Key, history: &History) -> SearchResult {
        match key {
            Key::Char(c) => {
                self.query.push(c);
                let newest = history.len().saturating_sub(1);
                self.search(history, self.found.map_or(newest, |(at, _)| at), Direction::Older);
            }
            Key::Backspace => {
                self.query.pop();
                self.search(history, history.len().saturating_sub(1), Direction::Older);
            }
            Key::Search => match self.found {
                Some((0, _)) => self.failed = true,
                Some((at, _)) => self.search(history, at - 1, Direction::Older),
                None => {}
            },
            Key::SearchForward => {
                if let Some((at, _)) = self.found {
                    self.search(history, at + 1, Direction::Newer);
                }
            }
            Key::Abort | Key::Escape | Key::Interrupt | Key::Suspend => {
                return SearchResult::Cancel;
            }
            _ => return SearchResult::Accept,
        }
        SearchResult::Continue
    }

    fn search(&mut self, history: &History, start: usize, direction: Direction) {
        let direction = match direction {
            Direction::Older => SearchDirection::Reverse,
            Direction::Newer => SearchDirection::Forward,
        };
        let found = history.search(&self.query, start, direction);
        self.failed = found.is_none() && !self.query.is_empty();
        self.found = match self.query.is_empty() {
            true => None,
            false => found.or(self.found),
        };
    }

    /// The prompt during the search. It takes as many rows as the usual one, unless it wraps.
    pub(super) fn prompt(&self, usual: &str) -> String {
        let lead = if usual.starts_with('\n') { "\n" } else { "" };
        let found = if self.failed { "nothing more in the history for" } else { "history:" };
        format!("{lead}> {found} \"{}\" : ", self.query)
    }
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    Older,
    Newer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_older_and_newer_lines_and_says_when_there_is_none() {
        let mut history = History::default();
        for line in ["tell one", "other", "tell two"] {
            history.add(line);
        }
        let mut search = Search::default();
        let mut pressing = |keys: &[Key], found, prompt: &str| {
            for key in keys {
                assert_eq!(search.press(*key, &history), SearchResult::Continue);
            }
            assert_eq!((search.found(), &search.prompt("> ")[..]), (found, prompt));
        };
        pressing(&[Key::Search], None, "> history: \"\" : ");
        pressing(&[Key::Char('t')], Some((2, 0)), "> history: \"t\" : ");
        pressing(&[Key::Char('h')], Some((1, 1)), "> history: \"th\" : ");
        pressing(&[Key::Backspace, Key::Char('e')], Some((2, 0)), "> history: \"te\" : ");
        pressing(&[Key::Search], Some((0, 0)), "> history: \"te\" : ");
        let nothing = "> nothing more in the history for \"te\" : ";
        pressing(&[Key::Search], Some((0, 0)), nothing);
        pressing(&[Key::SearchForward], Some((2, 0)), "> history: \"te\" : ");
        assert_eq!(search.press(Key::Left, &history), SearchResult::Accept);
        assert_eq!(search.press(Key::Escape, &history), SearchResult::Cancel);
    }
}
