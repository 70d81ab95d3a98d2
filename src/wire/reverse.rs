//! Reverses lines by user-perceived characters.

use unicode_segmentation::UnicodeSegmentation;

use crate::wire::lines::Lines;

/// Reverses the characters of each line: `taco cat` becomes `tac ocat`.
///
/// A character is an extended grapheme cluster of Unicode Standard Annex #29, so an accent stays on
/// its letter and a skin tone on its hand. Plain text is reversed in place.
pub fn reverse_lines(lines: Lines) -> Lines {
    reverse_and_count(lines).0
}

/// Like [`reverse_lines`], but also returns the number of lines, which saves counting them separately.
pub(crate) fn reverse_and_count(lines: Lines) -> (Lines, usize) {
    let mut count = 0;
    if lines.is_plain() {
        let reversed = lines.edit_each(|line| {
            count += 1;
            line.reverse();
        });
        return (reversed, count);
    }
    let mut reversed = Vec::with_capacity(lines.len());
    for line in lines.iter() {
        count += 1;
        match std::str::from_utf8(line) {
            Ok(line) => push_reversed(line, &mut reversed),
            // A batch is UTF-8, and so is each of its lines.
            Err(_) => push_reversed(&String::from_utf8_lossy(line), &mut reversed),
        }
        reversed.push(lines.end());
    }
    (lines.rewritten(reversed), count)
}

/// Appends the line with its characters in reverse order.
fn push_reversed(line: &str, reversed: &mut Vec<u8>) {
    let start = reversed.len();
    reversed.extend_from_slice(line.as_bytes());
    let (_, space) = reversed.split_at_mut(start);
    if line.bytes().any(|byte| byte >= FIRST_LEAD_OF_COMBINING) || line.contains("\r\n") {
        fill_backwards(space, line.graphemes(true).map(str::as_bytes));
    } else {
        space.reverse();
        restore_pairs(space);
    }
}

/// The first byte of U+0300 in UTF-8. Below it only CR and LF combine, so every other character is
/// a cluster of its own (UAX #29, rules GB3 to GB13).
const FIRST_LEAD_OF_COMBINING: u8 = 0xcc;

/// Restores the byte order within each two-byte character. Below U+0300 there are no longer ones
/// (RFC 3629, section 3).
fn restore_pairs(mut reversed: &mut [u8]) {
    while let Some(at) = reversed.iter().position(|byte| !byte.is_ascii()) {
        let (_, from) = std::mem::take(&mut reversed).split_at_mut(at);
        let (pair, rest) = from.split_at_mut(2);
        pair.reverse();
        reversed = rest;
    }
}

/// Copies the pieces into `space` from its end to its start. Iterating over clusters forwards takes
/// linear time; backwards it does not, because of flags.
fn fill_backwards<'a>(space: &mut [u8], pieces: impl Iterator<Item = &'a [u8]>) {
    let mut free = space;
    for piece in pieces {
        let start = free.len() - piece.len();
        let (before, end) = std::mem::take(&mut free).split_at_mut(start);
        end.copy_from_slice(piece);
        free = before;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_util::codec::Decoder;

    use super::*;
    use crate::wire::lines::{Decoded, LineDecoder};

    fn reversed_naively(line: &str) -> String {
        line.graphemes(true).rev().collect()
    }

    /// The line after the program has reversed it.
    fn reversed(line: &str) -> String {
        let lines = reverse_lines(Lines::one(line));
        let mut lines = lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap());
        let only = lines.next().unwrap();
        assert_eq!(lines.next(), None);
        only
    }

    #[test]
    fn reverses_the_example_lines() {
        assert_eq!(reversed("Line 1 sending to server"), "revres ot gnidnes 1 eniL");
        assert_eq!(reversed("racecar"), "racecar");
        assert_eq!(reversed("taco cat"), "tac ocat");
        assert_eq!(reversed(""), "");
    }

    #[test]
    fn keeps_grapheme_clusters_intact() {
        assert_eq!(reversed("né👍🏽"), "👍🏽én");
        assert_eq!(reversed("ne\u{301}👍🏽"), "👍🏽e\u{301}n");
        assert_eq!(reversed("a🇩🇪🇫🇷b👩‍👩‍👧"), "👩‍👩‍👧b🇫🇷🇩🇪a");
        assert_eq!(reversed("한국어 ใจดี नमस्ते"), reversed_naively("한국어 ใจดี नमस्ते"));
    }

    #[test]
    fn reverses_each_line_of_a_batch_separately() {
        assert_eq!(reverse_lines(Lines::one("abc\n\nde")), Lines::one("cba\n\ned"));
        assert_eq!(reverse_lines(Lines::one("abc\né1\nx\u{1b}")), Lines::one("cba\n1é\n\u{1b}x"));
    }

    #[test]
    fn reverses_a_line_that_contains_line_ends_as_data() {
        let decoded = LineDecoder::new(80).ended_by(0).decode(&mut "a\nb\0\r\nc\0".into()).unwrap();
        let Some(Decoded::Lines(lines)) = decoded else { panic!("{decoded:?}") };
        let reversed = reverse_lines(lines);
        assert!(reversed.iter().eq([&b"b\na"[..], b"c\r\n"]));
    }

    #[test]
    fn does_not_change_a_shared_batch() {
        let lines = Lines::one("abc");
        assert_eq!(reverse_lines(lines.clone()), Lines::one("cba"));
        assert_eq!(lines, Lines::one("abc"));
    }

    /// Text that is likely to contain every kind of cluster.
    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,8}",
                "[à-ÿ]{0,4}",
                "[e\u{300}\u{301}\u{200d}\u{fe0f}\u{1f3fd}👍👩🇩🇪\r한\u{1100}\u{1161}\u{11a8}क\u{94d}]{0,6}",
                "\\PC{0,4}",
            ],
            0..8,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn equals_the_naive_reversal(line in text()) {
            prop_assert_eq!(reversed(&line), reversed_naively(&line));
        }

        #[test]
        fn reversing_twice_restores_text_whose_clusters_do_not_merge(line in text()) {
            let clusters: Vec<&str> = line.graphemes(true).collect();
            let back_to_front = reversed_naively(&line);
            prop_assume!(back_to_front.graphemes(true).rev().eq(clusters));
            prop_assert_eq!(reversed(&reversed(&line)), line);
        }
    }
}
