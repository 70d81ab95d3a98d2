//! Escaping: text from the other side is displayed, but cannot control the terminal.

use super::render::push_fmt;

/// Appends the text to `out`. Every character that has an effect beyond its glyph is escaped as
/// [`char::escape_default`] does: `\u{1b}`, `\r`.
///
/// These are the control characters except tab (they move the cursor and reprogram the terminal),
/// the line and paragraph separators (they forge lines) and the bidirectional controls of UAX #9
/// (they reorder the text around them).
pub fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.find(is_unsafe) {
        let (safe, from_unsafe) = rest.split_at(at);
        out.extend_from_slice(safe.as_bytes());
        let mut characters = from_unsafe.chars();
        if let Some(character) = characters.next() {
            push_fmt(out, format_args!("{}", character.escape_default()));
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Appends one line of the other side, escaped unless it is known to be plain.
pub(crate) fn push_escaped(line: &[u8], plain: bool, out: &mut Vec<u8>) {
    if plain {
        out.extend_from_slice(line);
    } else {
        escape(&String::from_utf8_lossy(line), out);
    }
}

/// Whether [`escape`] leaves the character as it is.
pub(crate) fn is_printed_as_is(character: char) -> bool {
    !is_unsafe(character)
}

fn is_unsafe(character: char) -> bool {
    match character {
        '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The characters that docs/protocol.md lists, written out.
    fn must_be_escaped(character: char) -> bool {
        matches!(
            u32::from(character),
            // C0 except tab, DEL and C1.
            0x00..=0x08 | 0x0a..=0x1f | 0x7f | 0x80..=0x9f
            // Line and paragraph separators.
            | 0x2028 | 0x2029
            // Bidirectional controls.
            | 0x061c | 0x200e | 0x200f
            | 0x202a | 0x202b | 0x202c | 0x202d | 0x202e
            | 0x2066 | 0x2067 | 0x2068 | 0x2069
        )
    }

    #[test]
    fn safe_text_is_unchanged() {
        for text in [
            "\ttab",
            "back\\slash \\u{1b}",
            "👩\u{200d}👩\u{200d}👧",
            "می\u{200c}خواهم",
            "é\u{301}\u{fe0f}",
        ] {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn exactly_the_listed_characters_are_escaped() {
        for character in '\0'..=char::MAX {
            let expected = match character {
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                _ if must_be_escaped(character) => format!("\\u{{{:x}}}", u32::from(character)),
                _ => character.to_string(),
            };
            assert_eq!(escaped(&character.to_string()), expected, "{:x}", u32::from(character));
        }
    }

    proptest! {
        #[test]
        fn no_unsafe_character_remains(text in any::<String>()) {
            let shown = escaped(&text);
            prop_assert!(!shown.chars().any(must_be_escaped));
            let safe: String = text.chars().filter(|&one| !must_be_escaped(one)).collect();
            prop_assert_eq!(escaped(&safe), safe);
        }
    }
}
