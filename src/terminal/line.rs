//! The line being edited, its history, and its kill buffer.

use std::collections::BTreeMap;

use rustyline::{
    At, Movement, Word,
    line_buffer::{ChangeListener, DeleteListener, Direction, LineBuffer},
};

use super::{
    history::{History, MAX_HISTORY_LINE},
    keys::Key,
};

/// The longest line that can be typed or pasted, in bytes. The buffer grows as needed. This is
/// larger than any likely `limits.max_line`, so that the user sees that limit's error and not a
/// line that stops growing.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// What pressing a key led to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Edited,
    Unchanged,
    /// The line is complete.
    Entered,
    /// Ctrl-D on an empty line.
    EndOfInput,
    /// Ctrl-C.
    Interrupted,
    ClearScreen,
    Suspend,
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub(super) struct Line {
    buffer: LineBuffer,
    kills: KillBuffer,
    pub(super) history: History,
    /// The position in the history of the line on display. `history.len()` stands for the new line.
    position: usize,
    /// Edits to lines of the history, and the new line while another one is on display. Entering a
    /// line discards them.
    edited: BTreeMap<usize, String>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            buffer: LineBuffer::with_capacity(MAX_LINE),
            kills: KillBuffer::default(),
            history: History::default(),
            position: 0,
            edited: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The text before the cursor and the text after it.
    pub(super) fn around_cursor(&self) -> (&str, &str) {
        self.buffer.as_str().split_at(self.buffer.pos())
    }

    pub(super) fn press(&mut self, key: Key) -> Outcome {
        let (line, kills) = (&mut self.buffer, &mut self.kills);
        kills.append = std::mem::take(&mut kills.killed);
        let changed = match key {
            Key::Char(c) => line.insert(c, 1, kills).is_some(),
            Key::Left => line.move_backward(1),
            Key::Right => line.move_forward(1),
            Key::WordLeft => line.move_to_prev_word(Word::Emacs, 1),
            Key::WordRight => line.move_to_next_word(At::AfterEnd, Word::Emacs, 1),
            Key::Home => line.move_buffer_start(),
            Key::End => line.move_buffer_end(),
            Key::Older => self.recall(self.position.saturating_sub(1)),
            Key::Newer => self.recall(self.position + 1),
            Key::DeleteOrEof if line.is_empty() => return Outcome::EndOfInput,
            Key::Delete | Key::DeleteOrEof => line.kill(&Movement::ForwardChar(1), kills),
            Key::Backspace => line.kill(&Movement::BackwardChar(1), kills),
            Key::KillToStart => line.kill(&Movement::BeginningOfBuffer, kills),
            Key::KillToEnd => line.kill(&Movement::EndOfBuffer, kills),
            Key::KillBlankWordBack => line.kill(&Movement::BackwardWord(1, Word::Big), kills),
            Key::KillWordBack => line.kill(&Movement::BackwardWord(1, Word::Emacs), kills),
            Key::KillWord => line.kill(&Movement::ForwardWord(1, At::AfterEnd, Word::Emacs), kills),
            Key::Yank => {
                let text = kills.text.clone();
                line.yank(&text, 1, kills).is_some()
            }
            Key::Transpose => line.transpose_chars(kills),
            Key::ClearScreen => return Outcome::ClearScreen,
            Key::Suspend => return Outcome::Suspend,
            Key::Interrupt => return Outcome::Interrupted,
            Key::Enter => return Outcome::Entered,
            // These never get here, or have no meaning outside a search or a paste.
            Key::Tab
            | Key::Search
            | Key::SearchForward
            | Key::Abort
            | Key::Escape
            | Key::PasteStart
            | Key::PasteEnd => false,
        };
        if changed { Outcome::Edited } else { Outcome::Unchanged }
    }

    /// Inserts text at the cursor. Text that would make the line too long is dropped.
    pub(super) fn insert(&mut self, text: &str) {
        if !text.is_empty() {
            self.buffer.yank(text, 1, &mut self.kills);
        }
    }

    /// Fills the history with the lines of earlier runs. Only before anything is typed.
    pub(super) fn set_history(&mut self, history: History) {
        self.position = history.len();
        self.history = history;
    }

    /// Takes the line, adds it to the history, and starts an empty one.
    pub(super) fn take(&mut self) -> String {
        let line = self.buffer.as_str().to_owned();
        self.replace("");
        self.edited.clear();
        self.history.add(&line);
        self.position = self.history.len();
        line
    }

    /// Puts the line at `position` of the history on display, with the edits made to it before.
    /// Returns whether anything changed.
    fn recall(&mut self, position: usize) -> bool {
        let newest = self.history.len();
        let position = position.min(newest);
        if position == self.position {
            return false;
        }
        // The new line has been saved in `edited` by the time that it can be recalled.
        let edited = self.edited.get(&position).map(String::as_str);
        let recalled = edited.or_else(|| self.history.get(position));
        let Some(recalled) = recalled.map(str::to_owned) else {
            return false;
        };
        let line = self.buffer.as_str();
        // An edited line that is too long for the history is lost; a new one is kept.
        if self.position == newest || line.len() <= MAX_HISTORY_LINE {
            self.edited.insert(self.position, line.to_owned());
        }
        self.position = position;
        self.replace(&recalled);
        true
    }

    /// Puts the line at `position` of the history on display, without edits made to it before, and the
    /// cursor at this byte of it.
    pub(super) fn recall_found(&mut self, position: usize, cursor: usize) {
        if position == self.position {
            let found = self.history.get(position).unwrap_or_default().to_owned();
            self.replace(&found);
        } else {
            self.edited.remove(&position);
            self.recall(position);
        }
        if self.buffer.as_str().is_char_boundary(cursor) {
            self.buffer.set_pos(cursor);
        }
    }

    fn replace(&mut self, line: &str) {
        self.buffer.update(line, line.len(), &mut NoopListener);
    }
}

/// Keeps the text that was killed last, for yanking it. Kills that follow one another directly are
/// joined.
#[derive(Debug, Default)]
struct KillBuffer {
    text: String,
    /// The deletion in progress is a kill.
    killing: bool,
    /// The previous key killed text, so this key's kill is appended to it.
    append: bool,
    /// The current key killed text.
    killed: bool,
}

impl DeleteListener for KillBuffer {
    fn start_killing(&mut self) {
        self.killing = true;
    }

    fn delete(&mut self, _: usize, text: &str, direction: Direction) {
        match direction {
            _ if !self.killing => return,
            _ if !self.append => text.clone_into(&mut self.text),
            Direction::Forward => self.text.push_str(text),
            Direction::Backward => self.text.insert_str(0, text),
        }
        self.killed = true;
    }

    fn stop_killing(&mut self) {
        self.killing = false;
    }
}

impl ChangeListener for KillBuffer {
    fn insert_char(&mut self, _: usize, _: char) {}
    fn insert_str(&mut self, _: usize, _: &str) {}
    fn replace(&mut self, _: usize, _: &str, _: &str) {}
}

/// Ignores all changes.
struct NoopListener;

impl DeleteListener for NoopListener {
    fn delete(&mut self, _: usize, _: &str, _: Direction) {}
}

impl ChangeListener for NoopListener {
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
    fn yanks_everything_that_was_killed_in_a_row() {
        let mut line = line("one two three four");
        line.press(Key::WordLeft);
        for kill in [Key::KillBlankWordBack, Key::KillToEnd, Key::KillBlankWordBack] {
            line.press(kill);
        }
        line.press(Key::Yank);
        assert_eq!(line.around_cursor(), ("one two three four", ""));
        line.press(Key::KillBlankWordBack);
        line.press(Key::Home);
        line.press(Key::Yank);
        assert_eq!(line.around_cursor(), ("four", "one two three "));
    }

    #[test]
    fn keeps_edits_to_recalled_lines_until_a_line_is_entered() {
        let mut line = line("first");
        line.take();
        type_in(&mut line, "second");
        line.take();
        type_in(&mut line, "dr");
        let mut pressing = |keys: &[Key], text: &str| {
            for key in keys {
                line.press(*key);
            }
            assert_eq!(line.around_cursor(), (text, ""));
        };
        pressing(&[Key::Older, Key::Char('!')], "second!");
        pressing(&[Key::Older, Key::Older], "first");
        pressing(&[Key::Newer], "second!");
        pressing(&[Key::Newer, Key::Newer], "dr");
        line.take();
        line.press(Key::Older);
        line.press(Key::Older);
        assert_eq!(line.around_cursor(), ("second", ""));
    }
}
