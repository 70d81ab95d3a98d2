//! The rows at the bottom of the screen: the prompt and the line being edited behind it.
//!
//! Rows are rewritten as a whole, and the terminal wraps them, so that it can wrap them anew when
//! its window changes. Only the number of rows is computed here. Columns never are, because
//! terminals disagree about how wide a character of several code points is: the cursor goes where
//! writing up to it has brought it.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// A tab goes to the next column that is a multiple of this.
const TAB: usize = 8;

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
        let (before, after) = without_tabs(prompt, before, after);
        self.replace_with(window, Self::fitted(window, prompt, &before, &after), out);
    }

    fn replace_with(&mut self, window: Window, next: Self, out: &mut Vec<u8>) {
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
            // The space is for tmux: erasing from the very first cell would put all of it into the
            // scrollback.
            out.extend_from_slice(b" \x1b[J\r");
        }
        *self = Self::default();
    }

    /// Leaves the prompt and the line on the screen, in full, and goes to a fresh row.
    pub(super) fn leave(&mut self, window: Window, prompt: &str, line: &str, out: &mut Vec<u8>) {
        let (line, after) = without_tabs(prompt, line, "");
        self.replace_with(window, Self { before: [prompt, &line].concat(), after }, out);
        // A line that fills its last row has brought the cursor to a fresh one already.
        if end(window, &self.before).1 > 0 {
            out.push(b'\n');
        }
        *self = Self::default();
    }

    /// A line longer than the window shows what is around the cursor: what has been scrolled out
    /// of the window cannot be taken off again.
    fn fitted(window: Window, prompt: &str, before: &str, after: &str) -> Self {
        let cells = window.rows * window.columns;
        let surely_too_long = before.len() + after.len() > cells * MAX_CHARACTER;
        if !surely_too_long && end(window, &[prompt, before, after].concat()).0 < window.rows {
            return Self { before: [prompt, before].concat(), after: after.to_owned() };
        }
        // A column less than there are: a wide character may not fit into the last one.
        let room = (window.rows - 1) * (window.columns - 1);
        let before = [prompt.trim_start_matches('\n'), before].concat();
        let reserved = first(after, room / 2).width();
        let start = start_of_last(&before, room - reserved);
        let before = before.get(start..).unwrap_or_default();
        let after = first(after, room.saturating_sub(before.width()));
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    fn extended_by(&self, typed: &str, next: &Self) -> bool {
        let shown = !self.before.is_empty();
        // A character without a width belongs to the one before it.
        let apart = typed.chars().next().is_none_or(|c| c.encode_utf8(&mut [0; 4]).width() > 0);
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

/// As much of the beginning of `text` as so many cells hold.
fn first(text: &str, mut cells: usize) -> &str {
    let fitting =
        text.grapheme_indices(true).take_while(|(_, grapheme)| fits(grapheme, &mut cells));
    let end = fitting.last().map_or(0, |(at, grapheme)| at + grapheme.len());
    text.get(..end).unwrap_or_default()
}

/// Where the end of `text` begins that so many cells hold.
fn start_of_last(text: &str, mut cells: usize) -> usize {
    let graphemes = text.grapheme_indices(true).rev();
    let fitting = graphemes.take_while(|(_, grapheme)| fits(grapheme, &mut cells));
    fitting.last().map_or(text.len(), |(at, _)| at)
}

/// Whether so many cells hold this, too; there are fewer then.
fn fits(grapheme: &str, cells: &mut usize) -> bool {
    let left = cells.checked_sub(grapheme.width());
    *cells = left.unwrap_or_default();
    left.is_some()
}

/// The row and the column in which the cursor is after `text`, which begins in the first column.
fn end(window: Window, text: &str) -> (usize, usize) {
    let (mut row, mut column) = (0, 0);
    for grapheme in text.graphemes(true) {
        if grapheme == "\n" {
            (row, column) = (row + 1, 0);
            continue;
        }
        let width = grapheme.width();
        if column + width <= window.columns {
            column += width;
        } else {
            (row, column) = (row + 1, width);
        }
    }
    if column >= window.columns { (row + 1, 0) } else { (row, column) }
}

/// The line with spaces for tabs: terminals do not wrap a tab, nor does it cover what was there.
fn without_tabs(prompt: &str, before: &str, after: &str) -> (String, String) {
    let mut column = prompt.lines().last().map_or(0, UnicodeWidthStr::width);
    let mut spaced = |text: &str| {
        let mut spaced = String::with_capacity(text.len());
        for part in text.split_inclusive('\t') {
            let text = part.trim_end_matches('\t');
            let spaces = if text == part { 0 } else { TAB - (column + text.width()) % TAB };
            column += text.width() + spaces;
            spaced += text;
            spaced.extend(std::iter::repeat_n(' ', spaces));
        }
        spaced
    };
    (spaced(before), spaced(after))
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use proptest::prelude::*;

    use super::{Screen, Window, without_tabs};
    use crate::terminal::{
        keys::Key,
        line::{Line, Outcome},
    };

    #[derive(Clone, Debug)]
    enum Happens {
        Pressed(Vec<Key>),
        Entered,
        Arrived(Vec<String>),
    }

    fn keys() -> impl Strategy<Value = Vec<Key>> {
        let editing = [
            Key::Left,
            Key::Right,
            Key::Home,
            Key::End,
            Key::WordLeft,
            Key::Backspace,
            Key::Delete,
            Key::KillBlankWordBack,
            Key::Yank,
            Key::Older,
            Key::Transpose,
        ];
        let typed = ["a", "b", "c", "d", " ", "\t", "é", "e\u{301}", "漢", "字"];
        prop_oneof![
            6 => prop::sample::select(typed.to_vec())
                .prop_map(|typed| typed.chars().map(Key::Char).collect()),
            2 => prop::sample::select(editing.to_vec()).prop_map(|key| vec![key]),
        ]
    }

    fn happens() -> impl Strategy<Value = Happens> {
        prop_oneof![
            4 => prop::collection::vec(keys(), 1..6)
                .prop_map(|keys| Happens::Pressed(keys.concat())),
            1 => Just(Happens::Entered),
            1 => prop::collection::vec("[x-z漢]{0,25}", 1..4).prop_map(Happens::Arrived),
        ]
    }

    /// A line being edited on a screen, and the transcript that the screen should show above it.
    struct Played {
        window: Window,
        prompt: &'static str,
        line: Line,
        screen: Screen,
        /// What the terminal has been sent and not been given.
        out: Vec<u8>,
        transcript: String,
    }

    impl Played {
        fn new(columns: u16, rows: u16, prompt: &'static str) -> Self {
            let window = Window { columns: columns.into(), rows: rows.into() };
            let (line, screen) = (Line::new(), Screen::default());
            Self { window, prompt, line, screen, out: Vec::new(), transcript: String::new() }
        }

        fn show(&mut self) {
            self.screen.show(self.window, self.prompt, self.line.around_cursor(), &mut self.out);
        }

        fn entered(&mut self) {
            let (before, after) = self.line.around_cursor();
            let whole = [before, after].concat();
            self.screen.leave(self.window, self.prompt, &whole, &mut self.out);
            let (entered, _) = without_tabs(self.prompt, &self.line.take(), "");
            self.transcript += &format!("{}{entered}\n", self.prompt);
        }

        fn arrived(&mut self, lines: &[String]) {
            self.screen.erase(self.window, &mut self.out);
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            self.out.extend_from_slice(text.as_bytes());
            self.transcript += &text;
        }

        /// What the terminal gets, as the kernel passes it on.
        fn sent(&mut self) -> String {
            String::from_utf8(std::mem::take(&mut self.out)).unwrap().replace('\n', "\r\n")
        }
    }

    fn rows_of(terminal: &vt100::Parser, columns: u16) -> String {
        let rows = terminal.screen().rows(0, columns);
        let rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n").trim_end().to_owned()
    }

    fn terminal(rows: u16, columns: u16) -> vt100::Parser {
        vt100::Parser::new(NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap(), 0)
    }

    proptest! {
        /// A terminal that has seen all of it shows what one shows that was only told the outcome.
        #[test]
        fn shows_what_arrived_and_below_it_what_was_typed(
            happenings in prop::collection::vec(happens(), 1..40),
            columns in 12_u16..24,
            rows in 12_u16..16,
            prompt in prop::sample::select(vec!["> prompt : ", "\n> prompt : ", "0123456789ab"]),
        ) {
            let mut played = Played::new(columns, rows, prompt);
            let mut seen = terminal(rows, columns);
            played.show();
            for happening in happenings {
                match happening {
                    Happens::Pressed(keys) => {
                        for key in keys {
                            let (before, after) = played.line.around_cursor();
                            let room = before.len() + after.len() < 60;
                            if room || !matches!(key, Key::Char(_) | Key::Yank) {
                                prop_assert_ne!(played.line.press(key), Outcome::Ended);
                            }
                        }
                    }
                    Happens::Entered => played.entered(),
                    Happens::Arrived(lines) => played.arrived(&lines),
                }
                played.show();
                seen.process(played.sent().as_bytes());

                let (before, after) = played.line.around_cursor();
                let transcript = &played.transcript;
                let (before, after) = without_tabs(prompt, before, after);
                let mut told = terminal(500, columns);
                let text = format!("{transcript}{prompt}{before}{after}").replace('\n', "\r\n");
                told.process(text.as_bytes());
                let (expected, found) = (rows_of(&told, columns), rows_of(&seen, columns));
                prop_assert!(
                    expected.ends_with(&found),
                    "found:\n{}\nexpected:\n{}", found, expected
                );

                let mut told = terminal(500, columns);
                let text = format!("{transcript}{prompt}{before}").replace('\n', "\r\n");
                told.process(text.as_bytes());
                let (mut row, mut column) = told.screen().cursor_position();
                if column == columns {
                    (row, column) = (row + 1, 0);
                }
                let scrolled = expected.lines().count() - found.lines().count();
                let (found_row, found_column) = seen.screen().cursor_position();
                let found = (usize::from(found_row) + scrolled, found_column);
                prop_assert_eq!(found, (row.into(), column), "the cursor in:\n{}", expected);
            }
        }

        /// No row of a prompt is left behind, and none of an entered line is missing.
        #[test]
        fn leaves_every_line_whole_in_a_window_too_small_for_it(
            happenings in prop::collection::vec(happens(), 1..40),
            columns in 2_u16..12,
            rows in 2_u16..5,
            prompt in prop::sample::select(vec!["> p : ", "\n> p : ", "0123456789ab"]),
        ) {
            let mut played = Played::new(columns, rows, prompt);
            for happening in happenings {
                match happening {
                    Happens::Pressed(keys) => for key in keys {
                        played.line.press(key);
                    },
                    Happens::Entered => played.entered(),
                    Happens::Arrived(lines) => played.arrived(&lines),
                }
                played.show();
            }
            played.screen.erase(played.window, &mut played.out);
            let expected = played.transcript.replace('\n', "\r\n");
            prop_assert_eq!(
                all_rows(rows, columns, &played.sent()),
                all_rows(rows, columns, &expected)
            );
        }
    }

    /// What has been scrolled out of the window, and what is in it.
    fn all_rows(rows: u16, columns: u16, text: &str) -> String {
        let size = (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        let mut terminal = vt100::Parser::new(size.0, size.1, 10_000);
        terminal.process(text.as_bytes());
        let mut all = Vec::new();
        for above in (0..=terminal.screen().scrollback_len()).rev() {
            terminal.screen_mut().set_scrollback(above);
            all.push(terminal.screen().rows(0, columns).next().unwrap().trim_end().to_owned());
        }
        all.extend(rows_of(&terminal, columns).lines().skip(1).map(ToOwned::to_owned));
        all.join("\n").trim_end().to_owned()
    }

    #[test]
    fn erases_from_the_second_cell() {
        let window = Window { columns: 20, rows: 5 };
        let (mut screen, mut out) = (Screen::default(), Vec::new());
        screen.show(window, "> ", ("a", ""), &mut out);
        screen.erase(window, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "> a\r \x1b[J\r");
    }
}
