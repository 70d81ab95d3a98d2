//! Decodes the bytes that a terminal sends into editing keys.
//!
//! The key bindings are Emacs's, as in most line editors. The escape sequences are xterm's, which
//! other terminals send too: <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>.
//! `docs/terminal.md` lists all keys for users.

/// An editing command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Older,
    Newer,
    Backspace,
    Delete,
    /// Ctrl-D: deletes a character, or ends the input if the line is empty.
    DeleteOrEof,
    KillToStart,
    KillToEnd,
    /// Ctrl-W: kills back to the previous blank.
    KillBlankWordBack,
    /// Alt-Backspace: kills back over letters and digits.
    KillWordBack,
    KillWord,
    Yank,
    Transpose,
    ClearScreen,
    Interrupt,
    Suspend,
    Tab,
    /// Ctrl-R: searches the history for an earlier line.
    Search,
    /// Ctrl-S: searches it for a later line.
    SearchForward,
    /// Ctrl-G: cancels a search.
    Abort,
    /// Esc alone. The decoder never returns it, because only a pause distinguishes it from an Alt key.
    Escape,
    /// What follows, up to [`PasteEnd`](Self::PasteEnd), has been pasted.
    PasteStart,
    PasteEnd,
}

/// The decoder keeps this many bytes of a sequence's parameters. No known key has more.
const MAX_PARAMETERS: usize = 16;

#[derive(Debug, Default)]
enum DecoderState {
    #[default]
    Ground,
    /// Inside a UTF-8 character: its bits so far, and the number of missing bytes.
    Character(u32, u8),
    /// After ESC: an Alt key or an escape sequence follows.
    Escape,
    /// After `ESC [`: the parameters so far.
    Csi(Vec<u8>),
    /// After `ESC O`.
    Ss3,
    /// After `ESC [ [`, the prefix of the Linux console's function keys.
    LinuxConsole,
}

/// Decodes keys one byte at a time, so a key may be split across reads. Drops all bytes that belong
/// to no known key.
#[derive(Debug, Default)]
pub(super) struct KeyDecoder(DecoderState);

impl KeyDecoder {
    /// Whether the last byte was ESC, which is a key or the beginning of one.
    pub(super) fn is_at_escape(&self) -> bool {
        matches!(self.0, DecoderState::Escape)
    }

    /// Decodes the next byte. Returns a key if the byte completes one.
    pub(super) fn push(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(&mut self.0) {
            DecoderState::Character(bits, missing) if byte & 0xc0 == 0x80 => {
                let bits = bits << 6 | u32::from(byte & 0x3f);
                if missing > 1 {
                    return self.enter(DecoderState::Character(bits, missing - 1));
                }
                char::from_u32(bits).filter(|c| !c.is_control()).map(Key::Char)
            }
            DecoderState::Ground | DecoderState::Character(..) => self.ground(byte),
            DecoderState::Escape => self.escape(byte),
            DecoderState::Csi(parameters) => self.csi(parameters, byte),
            DecoderState::Ss3 => final_letter(byte, &[]),
            DecoderState::LinuxConsole => None,
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            0x1b => return self.enter(DecoderState::Escape),
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            b' '..=b'~' => Key::Char(char::from(byte)),
            0x7f | 0x08 => Key::Backspace,
            // The first byte of a UTF-8 character of two, three or four bytes.
            0xc2..=0xdf => return self.enter(DecoderState::Character(u32::from(byte & 0x1f), 1)),
            0xe0..=0xef => return self.enter(DecoderState::Character(u32::from(byte & 0x0f), 2)),
            0xf0..=0xf4 => return self.enter(DecoderState::Character(u32::from(byte & 0x07), 3)),
            control => match control | 0x60 {
                b'a' => Key::Home,
                b'b' => Key::Left,
                b'c' => Key::Interrupt,
                b'd' => Key::DeleteOrEof,
                b'e' => Key::End,
                b'f' => Key::Right,
                b'g' => Key::Abort,
                b'k' => Key::KillToEnd,
                b'l' => Key::ClearScreen,
                b'n' => Key::Newer,
                b'p' => Key::Older,
                b'r' => Key::Search,
                b's' => Key::SearchForward,
                b't' => Key::Transpose,
                b'u' => Key::KillToStart,
                b'w' => Key::KillBlankWordBack,
                b'y' => Key::Yank,
                b'z' => Key::Suspend,
                _ => return None,
            },
        })
    }

    fn escape(&mut self, byte: u8) -> Option<Key> {
        match byte {
            0x1b => self.enter(DecoderState::Escape),
            b'[' => self.enter(DecoderState::Csi(Vec::new())),
            b'O' => self.enter(DecoderState::Ss3),
            b'b' => Some(Key::WordLeft),
            b'd' => Some(Key::KillWord),
            b'f' => Some(Key::WordRight),
            0x7f | 0x08 => Some(Key::KillWordBack),
            b'\r' | b'\n' => Some(Key::Enter),
            _ => None,
        }
    }

    fn csi(&mut self, mut parameters: Vec<u8>, byte: u8) -> Option<Key> {
        match byte {
            b'[' if parameters.is_empty() => self.enter(DecoderState::LinuxConsole),
            0x20..=0x3f => {
                if parameters.len() < MAX_PARAMETERS {
                    parameters.push(byte);
                }
                self.enter(DecoderState::Csi(parameters))
            }
            b'~' => match parameters.split(|byte| *byte == b';').next() {
                Some(b"1" | b"7") => Some(Key::Home),
                // A second parameter means that Ctrl, Alt or Shift was held.
                Some(b"3") if parameters.contains(&b';') => Some(Key::KillWord),
                Some(b"3") => Some(Key::Delete),
                Some(b"4" | b"8") => Some(Key::End),
                Some(b"200") => Some(Key::PasteStart),
                Some(b"201") => Some(Key::PasteEnd),
                _ => None,
            },
            _ => final_letter(byte, &parameters),
        }
    }

    /// Switches to a state in which the next byte continues the key.
    fn enter(&mut self, state: DecoderState) -> Option<Key> {
        self.0 = state;
        None
    }
}

/// Decodes a sequence by its final letter. Parameters mean that Ctrl, Alt or Shift was held.
fn final_letter(letter: u8, parameters: &[u8]) -> Option<Key> {
    Some(match (letter, parameters.is_empty()) {
        (b'A', _) => Key::Older,
        (b'B', _) => Key::Newer,
        (b'C', true) => Key::Right,
        (b'C', false) => Key::WordRight,
        (b'D', true) => Key::Left,
        (b'D', false) => Key::WordLeft,
        (b'F', _) => Key::End,
        (b'H', _) => Key::Home,
        (b'M', true) => Key::Enter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyDecoder};

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = KeyDecoder::default();
        bytes.iter().filter_map(|byte| decoder.push(*byte)).collect()
    }

    #[test]
    fn decodes_arrow_keys_in_both_modes_and_with_ctrl() {
        assert_eq!(
            keys(b"\x1b[A\x1bOB\x1b[1;5C\x1b[D\x1b[H\x1bOF\x1b[3~\x1b[4~"),
            [
                Key::Older,
                Key::Newer,
                Key::WordRight,
                Key::Left,
                Key::Home,
                Key::End,
                Key::Delete,
                Key::End
            ]
        );
    }

    #[test]
    fn decodes_utf8_and_drops_invalid_bytes() {
        let typed: Vec<Key> = "né👍🏽".chars().map(Key::Char).collect();
        assert_eq!(keys("né👍🏽".as_bytes()), typed);
        assert_eq!(
            keys(b"a\xff\xc3b\x80\xc2\x9bc"),
            [Key::Char('a'), Key::Char('b'), Key::Char('c')]
        );
    }

    #[test]
    fn ignores_the_sequences_of_unbound_keys() {
        let unbound =
            b"\x1b[15~\x1b[[A\x1bOP\x1b[20~\x1b[<0;12;13M\x1b[1;2;3;4;5;6;7;8;9;10;11R\x1bx";
        assert_eq!(keys(unbound), []);
        assert_eq!(keys(b"\x1b\x1b[Ax"), [Key::Older, Key::Char('x')]);
    }
}
