//! The rows at the bottom of the screen: the prompt and the line being edited behind it.
//!
//! Rows are rewritten as a whole, and the terminal wraps them, so that it can wrap them anew when
//! its window changes. Only the number of rows is computed here. Columns never are, because
//! terminals disagree about how wide a character of several code points is: the cursor goes where
//! writing up to it has brought it.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Bytes of a character that takes a cell: more than any that means something.
const MAX_CHARACTER: usize = 32;

/// The size of a window, in character cells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What stands on the screen between the transcript and the cursor, and behind the cursor.
#[derive(Debug, Default)]
pub(super) struct Screen {
    before: String,
    after: String,
}

impl Screen {
    /// Shows `prompt` and the line: what is before the cursor in it, and what is behind.
    pub(super) fn show(
        &mut self,
        window: Window,
        prompt: &str,
        (before, after): (&str, &str),
        out: &mut Vec<u8>,
    ) {
        let next = Self::fitted(window, prompt, before, after);
        match next.before.strip_prefix(&self.before) {
            // Typing at the end of the line: the common case, and one where nothing moves.
            Some(typed) if self.extended_by(typed, &next) => {
                out.extend_from_slice(typed.as_bytes());
                wrap(window, &next.before, out);
            }
            _ => {
                self.erase(window, out);
                next.draw(window, out);
            }
        }
        *self = next;
    }

    /// Takes it off the screen, leaving the cursor where it began.
    pub(super) fn erase(&mut self, window: Window, out: &mut Vec<u8>) {
        if !self.before.is_empty() || !self.after.is_empty() {
            // Its rows may have been wrapped anew since it was drawn.
            up(end(window, &self.before).0, out);
            out.extend_from_slice(b"\x1b[J");
        }
        *self = Self::default();
    }

    /// Leaves it on the screen and goes to a fresh row. The cursor must be at the end of it.
    pub(super) fn leave(&mut self, window: Window, out: &mut Vec<u8>) {
        // A line that fills its last row has brought the cursor to a fresh one already.
        if end(window, &self.before).1 > 0 {
            out.push(b'\n');
        }
        *self = Self::default();
    }

    /// A line longer than the window shows its last rows before the cursor: what has been
    /// scrolled out of the window cannot be taken off again.
    fn fitted(window: Window, prompt: &str, before: &str, after: &str) -> Self {
        let whole = Self { before: [prompt, before].concat(), after: after.to_owned() };
        let cells = window.rows * window.columns;
        let surely_too_long = before.len() + after.len() > cells * MAX_CHARACTER;
        if !surely_too_long && end(window, &[prompt, before, after].concat()).0 < window.rows {
            return whole;
        }
        // A column less than there are: a wide character may not fit into the last one.
        let mut room = (window.rows - 1) * (window.columns - 1);
        let fitting = before.grapheme_indices(true).rev().take_while(|(_, grapheme)| {
            let fits = room >= width(grapheme, 0);
            room = room.saturating_sub(width(grapheme, 0));
            fits
        });
        let start = fitting.last().map_or(before.len(), |(at, _)| at);
        Self { before: before.get(start..).unwrap_or_default().to_owned(), after: String::new() }
    }

    fn extended_by(&self, typed: &str, next: &Self) -> bool {
        let shown = !self.before.is_empty();
        // A character without a width belongs to the one before it.
        let apart = typed.chars().next().is_none_or(|c| width(c.encode_utf8(&mut [0; 4]), 0) > 0);
        shown && apart && self.after.is_empty() && next.after.is_empty()
    }

    fn draw(&self, window: Window, out: &mut Vec<u8>) {
        let whole = [&self.before[..], &self.after].concat();
        out.extend_from_slice(whole.as_bytes());
        wrap(window, &whole, out);
        if !self.after.is_empty() {
            up(end(window, &whole).0, out);
            out.extend_from_slice(self.before.as_bytes());
            if fills_its_row(window, &self.before) {
                out.push(b'\n');
            }
        }
    }
}

/// The row and the column in which the cursor is after `text`, which begins in the first column.
fn end(window: Window, text: &str) -> (usize, usize) {
    let (mut row, mut column) = (0, 0);
    for grapheme in text.graphemes(true) {
        if grapheme == "\n" {
            (row, column) = (row + 1, 0);
            continue;
        }
        let width = width(grapheme, column);
        if column + width <= window.columns {
            column += width;
        } else if grapheme == "\t" {
            // A tab stops at the last column.
            column = window.columns - 1;
        } else {
            (row, column) = (row + 1, width);
        }
    }
    if column >= window.columns { (row + 1, 0) } else { (row, column) }
}

fn width(grapheme: &str, column: usize) -> usize {
    match grapheme {
        "\t" => 8 - column % 8,
        _ => grapheme.width(),
    }
}

/// Text that fills its last row leaves the cursor on that row until there is more.
fn fills_its_row(window: Window, text: &str) -> bool {
    !text.is_empty() && !text.ends_with('\n') && end(window, text).1 == 0
}

/// Brings the cursor to the next row if the text, which nothing follows, has filled its own.
fn wrap(window: Window, text: &str, out: &mut Vec<u8>) {
    if fills_its_row(window, text) {
        out.extend_from_slice(b" \r");
    }
}

/// To the start of the row that is so many rows up.
fn up(rows: usize, out: &mut Vec<u8>) {
    out.push(b'\r');
    if rows > 0 {
        out.extend_from_slice(format!("\x1b[{rows}A").as_bytes());
    }
}
