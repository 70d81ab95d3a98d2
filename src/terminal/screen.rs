//! The bottom rows of the screen: the prompt and the line being edited.
//!
//! The line is written as one text that the terminal itself wraps, so that the terminal can wrap it
//! again when its window changes. Only rows that terminals would wrap differently end with line breaks
//! (see [`Layout`]). This module computes only how many rows the text takes. It never moves the cursor to
//! a computed column, because terminals disagree about the width of characters of several code points. It
//! moves the cursor by writing the text up to it.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::layout::{Layout, cursor_after, max_text_width, max_width};

/// The distance between tab stops, in columns.
pub(super) const TAB: usize = 8;

/// No grapheme cluster that people write has more bytes per cell than this.
const MAX_CLUSTER: usize = 32;

/// The size of a window, in character cells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The text on the screen below the transcript, laid out: what is before the cursor, prompt included,
/// and what is after it.
#[derive(Debug, Default)]
pub(super) struct Screen {
    before: String,
    after: String,
    /// How many columns the window had when the text was written.
    columns: usize,
}

impl Screen {
    /// Shows `prompt` and the line, given as the text before the cursor and the text after it.
    pub(super) fn show(
        &mut self,
        window: Window,
        prompt: &str,
        (before, after): (&str, &str),
        out: &mut Vec<u8>,
    ) {
        let (before, after) = expand_tabs(prompt, before, after);
        self.replace_with(window, Self::fitted(window, prompt, &before, &after), out);
    }

    fn replace_with(&mut self, window: Window, next: Self, out: &mut Vec<u8>) {
        match next.before.strip_prefix(&self.before) {
            // Typing at the end of the line, the common case: only the new text is written.
            Some(typed) if self.extended_by(typed, &next) => {
                out.extend_from_slice(typed.as_bytes());
                wrap_if_full(window, &next.before, out);
            }
            _ => {
                self.erase(window, out);
                next.draw(window, out);
            }
        }
        *self = next;
    }

    /// Erases the prompt and the line, and leaves the cursor where they began.
    pub(super) fn erase(&mut self, window: Window, out: &mut Vec<u8>) {
        if !self.before.is_empty() || !self.after.is_empty() {
            // If the window has changed since the text was drawn, and the text now fills its last row,
            // then the cursor is at the end of that row on some terminals, and below it on others.
            // After these spaces, it is below it on all of them.
            if self.columns != window.columns && fills_last_row(window, &self.before) {
                out.extend_from_slice(b"  \r");
            }
            // The row is computed anew for the same reason.
            move_up(cursor_after(window.columns, &self.before).0, out);
            // The space is for tmux: if erasing began in the very first cell of the window, tmux
            // would copy the whole window into its scrollback.
            out.extend_from_slice(b" \x1b[J\r");
        }
        *self = Self::default();
    }

    /// Leaves the prompt and the whole line on the screen, and moves the cursor to the next row.
    pub(super) fn leave(&mut self, window: Window, prompt: &str, line: &str, out: &mut Vec<u8>) {
        let (line, after) = expand_tabs(prompt, line, "");
        self.replace_with(window, Self::laid_out(window, &[prompt, &line].concat(), &after), out);
        // After a line that fills its last row the cursor is on a new row already.
        if cursor_after(window.columns, &self.before).1 > 0 {
            out.push(b'\n');
        }
        *self = Self::default();
    }

    fn laid_out(window: Window, before: &str, after: &str) -> Self {
        let mut layout = Layout::new(window.columns);
        layout.push(before);
        let end_of_before = layout.text().len();
        layout.push(after);
        let (before, after) = layout.text().split_at(end_of_before);
        Self { before: before.to_owned(), after: after.to_owned(), columns: window.columns }
    }

    fn rows(&self) -> usize {
        cursor_after(self.columns, &[&self.before[..], &self.after].concat()).0 + 1
    }

    /// What to show of the prompt and the line. If they do not fit into the window, this is the part
    /// around the cursor: rows that have scrolled out of the window could not be erased again.
    fn fitted(window: Window, prompt: &str, before: &str, after: &str) -> Self {
        let cells = window.rows * window.columns;
        let surely_too_long = before.len() + after.len() > cells * MAX_CLUSTER;
        if !surely_too_long {
            let all = Self::laid_out(window, &[prompt, before].concat(), after);
            if all.rows() <= window.rows {
                return all;
            }
        }
        let before = [prompt.trim_start_matches('\n'), before].concat();
        // One column and one row less than the window has: a wide character may not fit into the
        // last column.
        let mut room = (window.rows - 1) * (window.columns - 1);
        loop {
            let reserved = max_text_width(prefix_within(after, room / 2));
            let shown = suffix_within(&before, room - reserved);
            let after = prefix_within(after, room.saturating_sub(max_text_width(shown)));
            let part = Self::laid_out(window, shown, after);
            // Rows that end early because of a cluster of uncertain width may take more room.
            if part.rows() <= window.rows || room == 0 {
                return part;
            }
            room = room.saturating_sub(window.columns);
        }
    }

    /// Whether writing `typed` at the cursor turns this screen into `next`.
    fn extended_by(&self, typed: &str, next: &Self) -> bool {
        let shown = !self.before.is_empty() && self.columns == next.columns;
        // A character of width zero may change the cluster that is on the screen already.
        let apart = typed.chars().next().is_none_or(|c| c.encode_utf8(&mut [0; 4]).width() > 0);
        shown && apart && self.after.is_empty() && next.after.is_empty()
    }

    fn draw(&self, window: Window, out: &mut Vec<u8>) {
        let whole = [&self.before[..], &self.after].concat();
        out.extend_from_slice(whole.as_bytes());
        wrap_if_full(window, &whole, out);
        if !self.after.is_empty() {
            move_up(cursor_after(window.columns, &whole).0, out);
            out.extend_from_slice(self.before.as_bytes());
            if fills_last_row(window, &self.before) {
                out.push(b'\n');
            }
        }
    }
}

/// The longest prefix of `text` that fits into this many cells.
fn prefix_within(text: &str, mut cells: usize) -> &str {
    let clusters = text.grapheme_indices(true);
    let fitting = clusters.take_while(|(_, cluster)| take_cells(cluster, &mut cells));
    let end = fitting.last().map_or(0, |(at, cluster)| at + cluster.len());
    text.split_at(end).0
}

/// The longest suffix of `text` that fits into this many cells.
fn suffix_within(text: &str, mut cells: usize) -> &str {
    let clusters = text.grapheme_indices(true).rev();
    let fitting = clusters.take_while(|(_, cluster)| take_cells(cluster, &mut cells));
    let start = fitting.last().map_or(text.len(), |(at, _)| at);
    text.split_at(start).1
}

/// Takes the cells that a cluster needs, and returns whether there were enough.
fn take_cells(cluster: &str, cells: &mut usize) -> bool {
    let remaining = cells.checked_sub(max_width(cluster));
    *cells = remaining.unwrap_or(0);
    remaining.is_some()
}

/// The two parts of the line with tabs replaced by spaces. Terminals do not wrap at a tab, and a tab
/// does not overwrite what it moves across.
fn expand_tabs(prompt: &str, before: &str, after: &str) -> (String, String) {
    let mut column = prompt.lines().last().map_or(0, UnicodeWidthStr::width);
    let mut expand = |text: &str| {
        let mut expanded = String::with_capacity(text.len());
        for part in text.split_inclusive('\t') {
            let text = part.trim_end_matches('\t');
            let spaces = if text == part { 0 } else { TAB - (column + text.width()) % TAB };
            column += text.width() + spaces;
            expanded += text;
            expanded.extend(std::iter::repeat_n(' ', spaces));
        }
        expanded
    };
    (expand(before), expand(after))
}

/// Whether `text` fills its last row. The terminal then keeps the cursor on that row until more
/// text follows.
fn fills_last_row(window: Window, text: &str) -> bool {
    !text.is_empty() && !text.ends_with('\n') && cursor_after(window.columns, text).1 == 0
}

/// Moves the cursor to the next row if `text`, which ends at the cursor, fills its last row.
fn wrap_if_full(window: Window, text: &str, out: &mut Vec<u8>) {
    if fills_last_row(window, text) {
        out.extend_from_slice(b" \r");
    }
}

/// Moves the cursor up this many rows, to the first column.
fn move_up(rows: usize, out: &mut Vec<u8>) {
    out.push(b'\r');
    if rows > 0 {
        out.extend_from_slice(format!("\x1b[{rows}A").as_bytes());
    }
}

#[cfg(test)]
mod tests;
