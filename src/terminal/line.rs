//! The line being edited, and those before it.

use std::collections::VecDeque;

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
    /// The line of the history that is shown, and what had been typed instead.
    recalled: Option<(usize, String)>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            buffer: LineBuffer::with_capacity(MAX_LINE),
            cuts: Cuts::default(),
            history: VecDeque::new(),
            recalled: None,
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
        self.recalled = None;
        let repeated = self.history.back() == Some(&line);
        if !line.is_empty() && line.len() <= MAX_RECALLED && !repeated {
            self.history.push_back(line.clone());
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
        line
    }

    /// Shows the line before or after the one of the history that is shown.
    fn recall(&mut self, older: bool) -> bool {
        let (at, draft) = match self.recalled.take() {
            Some(recalled) => recalled,
            None => (self.history.len(), self.buffer.as_str().to_owned()),
        };
        let at = if older { at.saturating_sub(1) } else { (at + 1).min(self.history.len()) };
        let line = self.history.get(at).unwrap_or(&draft).clone();
        self.replace(&line);
        if at < self.history.len() {
            self.recalled = Some((at, draft));
        }
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
}

impl DeleteListener for Cuts {
    fn start_killing(&mut self) {
        self.cutting = true;
    }

    fn delete(&mut self, _: usize, text: &str, _: Direction) {
        if self.cutting {
            text.clone_into(&mut self.last);
        }
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
