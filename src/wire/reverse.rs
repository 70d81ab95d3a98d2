//! Reversing lines by user-perceived characters.

use unicode_segmentation::UnicodeSegmentation;

use crate::wire::lines::Lines;

/// Every line of the batch with its characters in reverse order.
///
/// What is reversed is the extended grapheme cluster of Unicode Standard Annex #29, so an accent
/// stays on its letter and a skin tone on its hand. Plain text is reversed in its own buffer.
pub fn reverse_lines(lines: Lines) -> Lines {
    if lines.is_plain() {
        return lines.edit_each(<[u8]>::reverse);
    }
    let mut reversed = Vec::with_capacity(lines.len());
    for line in lines.iter() {
        match std::str::from_utf8(line) {
            Ok(line) => push_reversed(line, &mut reversed),
            // A batch is UTF-8, and so is each of its lines.
            Err(_) => push_reversed(&String::from_utf8_lossy(line), &mut reversed),
        }
        reversed.push(b'\n');
    }
    Lines::from_rewritten(reversed)
}

/// One line with its characters in reverse order: `taco cat` gives `tac ocat`.
pub fn reverse(line: &str) -> String {
    let mut reversed = Vec::with_capacity(line.len());
    push_reversed(line, &mut reversed);
    String::from_utf8_lossy(&reversed).into_owned()
}

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

/// The first byte of U+0300 in UTF-8. Below it nothing combines with anything but CR with LF,
/// so each character is a cluster of its own (UAX #29, rules GB3 to GB13).
const FIRST_LEAD_OF_COMBINING: u8 = 0xcc;

/// Turns round again what was turned inside characters of two bytes: below U+0300 there are no
/// longer ones (RFC 3629, section 3).
fn restore_pairs(mut reversed: &mut [u8]) {
    while let Some(at) = reversed.iter().position(|byte| !byte.is_ascii()) {
        let (_, from) = std::mem::take(&mut reversed).split_at_mut(at);
        let (pair, rest) = from.split_at_mut(2);
        pair.reverse();
        reversed = rest;
    }
}

/// Lays the pieces into `space` from its end. Going through the clusters forwards and filling
/// backwards takes time linear in the line; going through them backwards does not (flags).
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

    use super::*;

    fn slowly(line: &str) -> String {
        line.graphemes(true).rev().collect()
    }

    #[test]
    fn reverses_the_labs_own_lines() {
        assert_eq!(reverse("Line 1 sending to server"), "revres ot gnidnes 1 eniL");
        assert_eq!(reverse("racecar"), "racecar");
        assert_eq!(reverse("taco cat"), "tac ocat");
        assert_eq!(reverse(""), "");
    }

    #[test]
    fn keeps_what_a_reader_sees_as_one_character_together() {
        assert_eq!(reverse("né👍🏽"), "👍🏽én");
        assert_eq!(reverse("ne\u{301}👍🏽"), "👍🏽e\u{301}n");
        assert_eq!(reverse("a🇩🇪🇫🇷b👩‍👩‍👧"), "👩‍👩‍👧b🇫🇷🇩🇪a");
        assert_eq!(reverse("한국어 ใจดี नमस्ते"), slowly("한국어 ใจดี नमस्ते"));
    }

    #[test]
    fn reverses_each_line_of_a_batch_by_itself() {
        assert_eq!(reverse_lines(Lines::one("abc\n\nde")), Lines::one("cba\n\ned"));
        assert_eq!(reverse_lines(Lines::one("abc\né1\nx\u{1b}")), Lines::one("cba\n1é\n\u{1b}x"));
    }

    #[test]
    fn a_shared_batch_is_left_as_it_was() {
        let lines = Lines::one("abc");
        assert_eq!(reverse_lines(lines.clone()), Lines::one("cba"));
        assert_eq!(lines, Lines::one("abc"));
    }

    /// Text in which clusters of every kind are likely.
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
        fn the_fast_way_equals_the_slow_one(line in text()) {
            prop_assert_eq!(reverse(&line), slowly(&line));
            let batch = reverse_lines(Lines::one(&line));
            prop_assert_eq!(batch, Lines::one(&slowly(&line)));
        }

        #[test]
        fn twice_reversed_gives_back_text_whose_clusters_do_not_merge(line in text()) {
            let clusters: Vec<&str> = line.graphemes(true).collect();
            let turned = slowly(&line);
            let merged = turned.graphemes(true).rev().ne(clusters.iter().copied());
            prop_assume!(!merged);
            prop_assert_eq!(reverse(&reverse(&line)), line);
        }
    }
}
