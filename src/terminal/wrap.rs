//! Printed lines that are longer than the window. Their further rows start with two spaces, so that no
//! client can pad a line until the rest of it looks like a row of the program's own.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

use super::{layout::max_width, screen::TAB};

/// What each further row starts with.
const INDENT: &str = "  ";

/// Narrower windows have no room for an indented wide character. Nothing in them looks like a row.
const MIN_COLUMNS: usize = 4;

/// Appends whole lines to `out`, divided into rows that fit into a window of this many columns.
pub(super) fn push_wrapped(columns: usize, lines: &[u8], out: &mut Vec<u8>) {
    let mut rest = lines;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, from_end) = rest.split_at(end);
        if surely_fits(columns, line) || columns < MIN_COLUMNS {
            out.extend_from_slice(line);
        } else {
            push_rows(columns, &String::from_utf8_lossy(line), out);
        }
        let (line_end, next) = from_end.split_at(from_end.len().min(1));
        out.extend_from_slice(line_end);
        rest = next;
    }
}

/// Whether the line has no more bytes than the window has columns, and so surely fits: only a tab takes
/// more columns than bytes.
fn surely_fits(columns: usize, line: &[u8]) -> bool {
    line.len() <= columns && memchr::memchr(b'\t', line).is_none()
}

fn push_rows(columns: usize, line: &str, out: &mut Vec<u8>) {
    let mut column = 0;
    let mut push = |part: &str, width: &dyn Fn(usize) -> usize| {
        if column > 0 && column + width(column) > columns {
            out.push(b'\n');
            out.extend_from_slice(INDENT.as_bytes());
            column = INDENT.len();
        }
        column += width(column);
        out.extend_from_slice(part.as_bytes());
    };
    let mut in_color = false;
    for cluster in line.graphemes(true) {
        // The program's own codes for colors, `ESC [ … m`, take no columns. Other escape sequences do not
        // get here, because the transcript escapes them.
        if in_color || cluster == "\x1b" {
            in_color = cluster != "m";
            push(cluster, &|_| 0);
            continue;
        }
        let width = max_width(cluster);
        if cluster == "\t" {
            push(cluster, &|column| TAB - column % TAB);
        } else if width <= columns - INDENT.len() {
            push(cluster, &|_| width);
        } else {
            // A cluster that alone is wider than a row is nothing that people write.
            for character in cluster.chars() {
                let width = character.width().unwrap_or(1);
                push(character.encode_utf8(&mut [0; 4]), &|_| width);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use proptest::prelude::*;

    use super::*;

    fn wrapped(columns: usize, lines: &str) -> String {
        let mut out = Vec::new();
        push_wrapped(columns, lines.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_that_fits_is_printed_as_it_is() {
        for text in
            ["", "\n", "0123456789\n", "漢字漢字漢\n\n", "01234567\n0123456789", "e\u{301}\n"]
        {
            assert_eq!(wrapped(10, text), text);
        }
    }

    #[test]
    fn a_longer_line_continues_after_two_spaces() {
        assert_eq!(wrapped(10, "0123456789ab\nc\n"), "0123456789\n  ab\nc\n");
        assert_eq!(wrapped(10, "0123456789abcdefghi\n"), "0123456789\n  abcdefgh\n  i\n");
        // A wide character is not divided.
        assert_eq!(wrapped(10, "012345678漢字\n"), "012345678\n  漢字\n");
        assert_eq!(wrapped(10, "0123456\t8\n"), "0123456\t8\n");
        assert_eq!(wrapped(10, "01234567\t8\n"), "01234567\n  \t8\n");
        assert_eq!(wrapped(10, "012345678e\u{301}x\n"), "012345678e\u{301}\n  x\n");
    }

    #[test]
    fn a_terminal_that_does_not_know_a_sequence_has_room_for_its_characters() {
        let family = "👩\u{200d}👩\u{200d}👧";
        assert_eq!(wrapped(10, &family.repeat(2)), format!("{family}\n  {family}"));
        // This is one cluster, wider than the window.
        let endless = "👩\u{200d}".repeat(20) + "👩";
        assert!(wrapped(10, &endless).lines().all(|row| row.chars().count() <= 10));
    }

    #[test]
    fn codes_for_colors_take_no_columns() {
        let colored = |text| format!("\x1b[38;5;31m{text}\x1b[39m");
        let text = colored("[anna]") + "6789";
        assert_eq!(wrapped(10, &text), text);
        assert_eq!(wrapped(10, &(text.clone() + "ab")), text + "\n  ab");
        assert_eq!(wrapped(10, &colored("0123456789ab")), colored("0123456789\n  ab"));
    }

    #[test]
    fn a_tiny_window_gets_the_line_as_it_is() {
        for columns in 1..MIN_COLUMNS {
            assert_eq!(wrapped(columns, "0123456789\n"), "0123456789\n");
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let parts = [
            "> ",
            "x",
            "yz",
            "漢",
            "é",
            "e\u{301}",
            "\t",
            " ",
            "👩\u{200d}👧",
            "\u{200b}",
            "☺\u{fe0f}",
        ];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..60)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        /// No row of a terminal but the first of each line starts with anything but two spaces, and
        /// nothing but those is added.
        #[test]
        fn no_line_can_make_a_row_look_like_the_first_of_another(
            lines in prop::collection::vec(line(), 1..5),
            columns in 4_u16..40,
        ) {
            let mut top = 0;
            let mut terminal = vt100::Parser::new(
                NonZeroU16::new(1000).unwrap(),
                NonZeroU16::new(columns).unwrap(),
                0,
            );
            for line in lines {
                let rows = wrapped(columns.into(), &format!("{line}\n"));
                prop_assert_eq!(rows.replace("\n  ", ""), format!("{line}\n"));
                terminal.process(rows.replace('\n', "\r\n").as_bytes());
                let end = terminal.screen().cursor_position().0;
                prop_assert_eq!(usize::from(end - top), rows.matches('\n').count());
                let seen = terminal.screen().rows(0, columns);
                for row in seen.take(end.into()).skip(usize::from(top) + 1) {
                    prop_assert!(row.is_empty() || row.starts_with("  "), "{:?}", row);
                }
                top = end;
            }
        }
    }
}
