//! Property tests: a virtual terminal must show what the editor means it to show.

use std::num::NonZeroU16;

use proptest::prelude::*;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::{Screen, Window, expand_tabs};
use crate::terminal::{
    keys::Key,
    line::{Line, Outcome},
};

#[derive(Clone, Debug)]
enum Action {
    /// The keys of each character, or an editing key.
    Pressed(Vec<Vec<Key>>),
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
    let typed = ["a", "b", "c", "d", " ", "\t", "é", "e\u{301}", "漢", "字", THUMB, FLAG, SMILEY];
    prop_oneof![
        6 => prop::sample::select(typed.to_vec())
            .prop_map(|typed| typed.chars().map(Key::Char).collect()),
        2 => prop::sample::select(editing.to_vec()).prop_map(|key| vec![key]),
    ]
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => prop::collection::vec(keys(), 1..6)
            .prop_map(Action::Pressed),
        1 => Just(Action::Entered),
        1 => prop::collection::vec("[x-z漢]{0,25}", 1..4).prop_map(Action::Arrived),
    ]
}

/// Characters whose width terminals disagree on, with a stand-in of the smallest width, one of the
/// largest, and that width.
const THUMB: &str = "👍🏽";
const FLAG: &str = "🇩🇪";
const SMILEY: &str = "☺\u{fe0f}";
const UNCERTAIN: [(&str, &str, &str, usize); 3] =
    [(THUMB, "漢", "漢字", 4), (FLAG, "ab", "漢字", 4), (SMILEY, "o", "漢", 2)];

/// How a terminal reads the characters whose width terminals disagree on.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Narrow,
    Wide,
}

impl Reading {
    /// The text with characters that have this width on every terminal.
    fn apply(self, text: &str) -> String {
        UNCERTAIN.iter().fold(text.to_owned(), |text, (character, narrow, wide, _)| {
            text.replace(
                character,
                match self {
                    Self::Narrow => narrow,
                    Self::Wide => wide,
                },
            )
        })
    }
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![Just(Reading::Narrow), Just(Reading::Wide)]
}

/// The text with a line break after each row that contains an uncertain character, and before one that
/// does not surely fit. Terminals divide all other rows themselves, and all in the same way.
fn divided(columns: u16, text: &str) -> String {
    let rows = text.split_inclusive('\n').map(|row| divided_row(columns.into(), row));
    rows.collect()
}

fn divided_row(columns: usize, text: &str) -> String {
    let mut rows = vec![(String::new(), 0)];
    let is_uncertain = |text: &str| UNCERTAIN.iter().any(|(one, ..)| text.contains(one));
    let mut push = |part: &str, width: usize| {
        if rows.last().unwrap().1 + width > columns {
            rows.push((String::new(), 0));
        }
        let (row, used) = rows.last_mut().unwrap();
        row.push_str(part);
        *used += width;
    };
    for cluster in text.trim_end_matches('\n').graphemes(true) {
        let uncertain = UNCERTAIN.iter().find(|(one, ..)| *one == cluster);
        let width = uncertain.map_or(cluster.width(), |(.., width)| *width);
        match width <= columns {
            true => push(cluster, width),
            false => cluster.chars().for_each(|c| push(c.encode_utf8(&mut [0; 4]), 2)),
        }
    }
    let mut divided = String::new();
    for (at, (row, used)) in rows.iter().enumerate() {
        let is_part = |c| matches!(c, '👍' | '🏽' | '🇩' | '🇪');
        let is_uncertain = |row: &str| is_uncertain(row) || columns < 4 && row.contains(is_part);
        let next_is_uncertain = rows.get(at + 1).is_some_and(|(next, _)| {
            let first = next.graphemes(true).next().unwrap();
            is_uncertain(first) && *used < columns
        });
        let ends_full = at + 1 == rows.len() && *used == columns;
        let ends = at + 1 < rows.len() || ends_full;
        divided.push_str(row);
        if is_uncertain(row) && ends || next_is_uncertain {
            divided.push('\n');
        }
    }
    if text.ends_with('\n') && !divided.ends_with('\n') {
        divided.push('\n');
    }
    divided
}

/// A line being edited on a screen, and the transcript that the screen should show above it.
struct Simulation {
    window: Window,
    prompt: &'static str,
    line: Line,
    screen: Screen,
    /// Output that the virtual terminal has not processed yet.
    out: Vec<u8>,
    transcript: String,
}

impl Simulation {
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
        let (entered, _) = expand_tabs(self.prompt, &self.line.take(), "");
        let rows = format!("{}{entered}\n", self.prompt);
        self.transcript += &divided(self.window.columns.try_into().unwrap(), &rows);
    }

    fn arrived(&mut self, lines: &[String]) {
        self.screen.erase(self.window, &mut self.out);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.out.extend_from_slice(text.as_bytes());
        self.transcript += &text;
    }

    /// Takes the output as a terminal reads it, with LF turned into CR LF as the kernel does.
    fn take_out(&mut self, reading: Reading) -> String {
        let out = String::from_utf8(std::mem::take(&mut self.out)).unwrap();
        reading.apply(&out).replace('\n', "\r\n")
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
    /// After every step the screen equals that of a terminal to which only the transcript, the
    /// prompt and the line were written.
    #[test]
    fn shows_arrived_lines_above_the_edited_line(
        actions in prop::collection::vec(actions(), 1..40),
        columns in 12_u16..24,
        rows in 12_u16..16,
        reading in reading(),
        prompt in prop::sample::select(vec!["> prompt : ", "\n> prompt : ", "0123456789ab"]),
    ) {
        let mut simulated = Simulation::new(columns, rows, prompt);
        let mut seen = terminal(rows, columns);
        simulated.show();
        for action in actions {
            match action {
                Action::Pressed(keys) => {
                    for keys in keys {
                        let (before, after) = simulated.line.around_cursor();
                        let room = before.len() + after.len() < 60;
                        if room || !matches!(keys[0], Key::Char(_) | Key::Yank) {
                            for key in keys {
                                prop_assert_ne!(simulated.line.press(key), Outcome::EndOfInput);
                            }
                        }
                    }
                }
                Action::Entered => simulated.entered(),
                Action::Arrived(lines) => simulated.arrived(&lines),
            }
            simulated.show();
            seen.process(simulated.take_out(reading).as_bytes());

            let (before, after) = simulated.line.around_cursor();
            let transcript = &simulated.transcript;
            let (before, after) = expand_tabs(prompt, before, after);
            let mut expected_terminal = terminal(500, columns);
            let line = divided(columns, &format!("{prompt}{before}{after}"));
            let text = reading.apply(&format!("{transcript}{line}")).replace('\n', "\r\n");
            expected_terminal.process(text.as_bytes());
            let (expected, found) = (rows_of(&expected_terminal, columns), rows_of(&seen, columns));
            prop_assert!(
                expected.ends_with(&found),
                "found:\n{}\nexpected:\n{}", found, expected
            );

            let mut expected_terminal = terminal(500, columns);
            let line = divided(columns, &format!("{prompt}{before}"));
            let text = reading.apply(&format!("{transcript}{line}")).replace('\n', "\r\n");
            expected_terminal.process(text.as_bytes());
            let (mut row, mut column) = expected_terminal.screen().cursor_position();
            if column == columns {
                (row, column) = (row + 1, 0);
            }
            let scrolled = expected.lines().count() - found.lines().count();
            let (found_row, found_column) = seen.screen().cursor_position();
            let found = (usize::from(found_row) + scrolled, found_column);
            prop_assert_eq!(found, (row.into(), column), "the cursor in:\n{}", expected);
        }
    }

    /// No row of a prompt stays on the screen, and no row of an entered line is missing.
    #[test]
    fn loses_no_row_in_a_window_smaller_than_the_line(
        actions in prop::collection::vec(actions(), 1..40),
        columns in 2_u16..12,
        rows in 2_u16..5,
        reading in reading(),
        prompt in prop::sample::select(vec!["> p : ", "\n> p : ", "0123456789ab"]),
    ) {
        let mut simulated = Simulation::new(columns, rows, prompt);
        for action in actions {
            match action {
                Action::Pressed(keys) => for key in keys.concat() {
                    simulated.line.press(key);
                },
                Action::Entered => simulated.entered(),
                Action::Arrived(lines) => simulated.arrived(&lines),
            }
            simulated.show();
        }
        simulated.screen.erase(simulated.window, &mut simulated.out);
        let expected = reading.apply(&simulated.transcript).replace('\n', "\r\n");
        prop_assert_eq!(
            all_rows(rows, columns, &simulated.take_out(reading)),
            all_rows(rows, columns, &expected)
        );
    }
}

/// The rows in the scrollback and in the window.
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

#[test]
fn breaks_a_row_before_a_character_that_might_not_fit() {
    let window = Window { columns: 6, rows: 5 };
    for (line, expected) in [
        ("ab👍🏽", "> ab\n👍🏽"),
        ("a👍🏽", "> a\n👍🏽"),
        ("👍🏽", "> 👍🏽\n"),
        ("🇩🇪b", "> 🇩🇪\nb"),
        ("abcd👍🏽e", "> abcd👍🏽e"),
        ("漢字e\u{301}", "> 漢字e\u{301}"),
    ] {
        let (mut screen, mut out) = (Screen::default(), Vec::new());
        screen.show(window, "> ", (line, ""), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn erases_the_right_row_after_a_resize_to_the_width_of_the_line() {
    let (mut screen, mut out) = (Screen::default(), Vec::new());
    screen.show(Window { columns: 20, rows: 5 }, "> ", ("0123456789", ""), &mut out);
    out.clear();
    // The terminal has wrapped the line again. Where its cursor is now depends on the terminal.
    screen.erase(Window { columns: 6, rows: 5 }, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "  \r\r\x1b[2A \x1b[J\r");
}
