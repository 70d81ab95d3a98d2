//! The line being edited, and those before it.

use std::collections::{BTreeMap, VecDeque};

use rustyline::{
    At, Movement, Word,
    line_buffer::{ChangeListener, DeleteListener, Direction, LineBuffer},
};

use super::keys::Key;

/// Typed lines that can be called back.
const HISTORY: usize = 1000;

/// Longer ones cannot, in bytes.
const MAX_RECALLED: usize = 16 * 1024;

/// The longest line that can be typed or pasted, in bytes; memory is used as it grows. More than
/// any limit on lines is likely to be, so that it is that limit which the user is told of.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// What a key has come to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Edited,
    Nothing,
    /// The line is complete.
    Entered,
    /// Nothing follows: Ctrl-D.
    Ended,
    /// The user wants no more: Ctrl-C.
    Left,
    Clear,
    Suspend,
}

/// The line being edited, its history, and what was cut out last.
#[derive(Debug)]
pub(super) struct Line {
    buffer: LineBuffer,
    cuts: Cuts,
    history: VecDeque<String>,
    /// The place in the history of the line that is shown; behind the last is the new one's.
    place: usize,
    /// What has become of lines of the history, and of the new one, until one is entered.
    changed: BTreeMap<usize, String>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            buffer: LineBuffer::with_capacity(MAX_LINE),
            cuts: Cuts::default(),
            history: VecDeque::new(),
            place: 0,
            changed: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What is before the cursor, and what is after it.
    pub(super) fn around_cursor(&self) -> (&str, &str) {
        self.buffer.as_str().split_at(self.buffer.pos())
    }

    pub(super) fn press(&mut self, key: Key) -> Outcome {
        let (line, cuts) = (&mut self.buffer, &mut self.cuts);
        cuts.adding = std::mem::take(&mut cuts.added);
        let changed = match key {
            Key::Char(c) => line.insert(c, 1, cuts).is_some(),
            Key::Left => line.move_backward(1),
            Key::Right => line.move_forward(1),
            Key::WordLeft => line.move_to_prev_word(Word::Emacs, 1),
            Key::WordRight => line.move_to_next_word(At::AfterEnd, Word::Emacs, 1),
            Key::Home => line.move_buffer_start(),
            Key::End => line.move_buffer_end(),
            Key::Older => self.recall(true),
            Key::Newer => self.recall(false),
            Key::DeleteOrEnd if line.is_empty() => return Outcome::Ended,
            Key::Delete | Key::DeleteOrEnd => line.kill(&Movement::ForwardChar(1), cuts),
            Key::Backspace => line.kill(&Movement::BackwardChar(1), cuts),
            Key::KillToStart => line.kill(&Movement::BeginningOfBuffer, cuts),
            Key::KillToEnd => line.kill(&Movement::EndOfBuffer, cuts),
            Key::KillBlankWordBack => line.kill(&Movement::BackwardWord(1, Word::Big), cuts),
            Key::KillWordBack => line.kill(&Movement::BackwardWord(1, Word::Emacs), cuts),
            Key::KillWord => line.kill(&Movement::ForwardWord(1, At::AfterEnd, Word::Emacs), cuts),
            Key::Yank => {
                let cut = cuts.last.clone();
                line.yank(&cut, 1, cuts).is_some()
            }
            Key::Transpose => line.transpose_chars(cuts),
            Key::Clear => return Outcome::Clear,
            Key::Suspend => return Outcome::Suspend,
            Key::Interrupt => return Outcome::Left,
            Key::Enter => return Outcome::Entered,
        };
        if changed { Outcome::Edited } else { Outcome::Nothing }
    }

    /// Takes the line out and begins the next.
    pub(super) fn take(&mut self) -> String {
        let line = self.buffer.as_str().to_owned();
        self.replace("");
        self.changed.clear();
        let repeated = self.history.back() == Some(&line);
        if !line.is_empty() && line.len() <= MAX_RECALLED && !repeated {
            self.history.push_back(line.clone());
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
        self.place = self.history.len();
        line
    }

    /// Shows the line before or after the one that is shown, as it was left.
    fn recall(&mut self, older: bool) -> bool {
        let last = self.history.len();
        let place = if older { self.place.saturating_sub(1) } else { (self.place + 1).min(last) };
        if place == self.place {
            return false;
        }
        let line = self.buffer.as_str();
        // One that cannot be called back is kept only where it was typed.
        if self.place == last || line.len() <= MAX_RECALLED {
            self.changed.insert(self.place, line.to_owned());
        }
        let line = self.changed.get(&place).or_else(|| self.history.get(place));
        let line = line.cloned().unwrap_or_default();
        self.place = place;
        self.replace(&line);
        true
    }

    fn replace(&mut self, line: &str) {
        self.buffer.update(line, line.len(), &mut Unheard);
    }
}

/// Keeps what was cut out last, for putting it in elsewhere.
#[derive(Debug, Default)]
struct Cuts {
    last: String,
    cutting: bool,
    /// The key before this one has cut, too: what it cuts is added.
    adding: bool,
    /// This key has cut.
    added: bool,
}

impl DeleteListener for Cuts {
    fn start_killing(&mut self) {
        self.cutting = true;
    }

    fn delete(&mut self, _: usize, text: &str, direction: Direction) {
        match direction {
            _ if !self.cutting => return,
            _ if !self.adding => text.clone_into(&mut self.last),
            Direction::Forward => self.last.push_str(text),
            Direction::Backward => self.last.insert_str(0, text),
        }
        self.added = true;
    }

    fn stop_killing(&mut self) {
        self.cutting = false;
    }
}

impl ChangeListener for Cuts {
    fn insert_char(&mut self, _: usize, _: char) {}
    fn insert_str(&mut self, _: usize, _: &str) {}
    fn replace(&mut self, _: usize, _: &str, _: &str) {}
}

/// Takes no notice of changes.
struct Unheard;

impl DeleteListener for Unheard {
    fn delete(&mut self, _: usize, _: &str, _: Direction) {}
}

impl ChangeListener for Unheard {
    fn insert_char(&mut self, _: usize, _: char) {}
    fn insert_str(&mut self, _: usize, _: &str) {}
    fn replace(&mut self, _: usize, _: &str, _: &str) {}
}

#[cfg(test)]
mod tests {
    use super::Line;
    use crate::terminal::keys::Key;

    fn line(typed: &str) -> Line {
        let mut line = Line::new();
        type_in(&mut line, typed);
        line
    }

    fn type_in(line: &mut Line, typed: &str) {
        for c in typed.chars() {
            line.press(Key::Char(c));
        }
    }

    #[test]
    fn puts_back_all_that_was_cut_in_a_row() {
        let mut line = line("one two three four");
        line.press(Key::WordLeft);
        for cut in [Key::KillBlankWordBack, Key::KillToEnd, Key::KillBlankWordBack] {
            line.press(cut);
        }
        line.press(Key::Yank);
        assert_eq!(line.around_cursor(), ("one two three four", ""));
        line.press(Key::KillBlankWordBack);
        line.press(Key::Home);
        line.press(Key::Yank);
        assert_eq!(line.around_cursor(), ("four", "one two three "));
    }

    #[test]
    fn keeps_what_has_become_of_earlier_lines_until_one_is_entered() {
        let mut line = line("first");
        line.take();
        type_in(&mut line, "second");
        line.take();
        type_in(&mut line, "dr");
        let mut comes_to = |keys: &[Key], text: &str| {
            for key in keys {
                line.press(*key);
            }
            assert_eq!(line.around_cursor(), (text, ""));
        };
        comes_to(&[Key::Older, Key::Char('!')], "second!");
        comes_to(&[Key::Older, Key::Older], "first");
        comes_to(&[Key::Newer], "second!");
        comes_to(&[Key::Newer, Key::Newer], "dr");
        line.take();
        line.press(Key::Older);
        line.press(Key::Older);
        assert_eq!(line.around_cursor(), ("second", ""));
    }
}
