//! Keys: from the bytes that a terminal sends to what the user wants done.
//!
//! The bindings are those of every line editor since Emacs. The sequences are xterm's, which the
//! others send too: <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>.

/// What a key does.
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
    DeleteOrEnd,
    KillToStart,
    KillToEnd,
    KillBlankWordBack,
    KillWordBack,
    KillWord,
    Yank,
    Transpose,
    Clear,
    Interrupt,
    Suspend,
}

/// Parameters longer than this belong to no key.
const MAX_PARAMETERS: usize = 16;

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// The first bytes of a character, and how many are missing.
    Character(u32, u8),
    /// After ESC: an Alt key, or the start of a sequence.
    Escape,
    /// After `ESC [`: the parameters.
    Csi(Vec<u8>),
    /// After `ESC O`.
    Ss3,
    /// After `ESC [ [`, as the function keys of the Linux console begin.
    Console,
}

/// Decodes keys, wherever the reads cut them. Bytes that are no key's are dropped.
#[derive(Debug, Default)]
pub(super) struct Keys(State);

impl Keys {
    pub(super) fn push(&mut self, byte: u8) -> Option<Key> {
        match std::mem::take(&mut self.0) {
            State::Character(bits, missing) if byte & 0xc0 == 0x80 => {
                let bits = bits << 6 | u32::from(byte & 0x3f);
                if missing > 1 {
                    self.0 = State::Character(bits, missing - 1);
                    return None;
                }
                char::from_u32(bits).filter(|c| !c.is_control()).map(Key::Char)
            }
            State::Ground | State::Character(..) => self.ground(byte),
            State::Escape => self.escape(byte),
            State::Csi(parameters) => self.csi(parameters, byte),
            State::Ss3 => letter(byte, &[]),
            State::Console => None,
        }
    }

    fn ground(&mut self, byte: u8) -> Option<Key> {
        Some(match byte {
            0x1b => return self.goes_on(State::Escape),
            b'\r' | b'\n' => Key::Enter,
            b'\t' | b' '..=b'~' => Key::Char(char::from(byte)),
            0x7f | 0x08 => Key::Backspace,
            0xc2..=0xdf => return self.goes_on(State::Character(u32::from(byte & 0x1f), 1)),
            0xe0..=0xef => return self.goes_on(State::Character(u32::from(byte & 0x0f), 2)),
            0xf0..=0xf4 => return self.goes_on(State::Character(u32::from(byte & 0x07), 3)),
            control => match control | 0x60 {
                b'a' => Key::Home,
                b'b' => Key::Left,
                b'c' => Key::Interrupt,
                b'd' => Key::DeleteOrEnd,
                b'e' => Key::End,
                b'f' => Key::Right,
                b'k' => Key::KillToEnd,
                b'l' => Key::Clear,
                b'n' => Key::Newer,
                b'p' => Key::Older,
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
            0x1b => self.goes_on(State::Escape),
            b'[' => self.goes_on(State::Csi(Vec::new())),
            b'O' => self.goes_on(State::Ss3),
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
            b'[' if parameters.is_empty() => self.goes_on(State::Console),
            0x20..=0x3f if parameters.len() < MAX_PARAMETERS => {
                parameters.push(byte);
                self.goes_on(State::Csi(parameters))
            }
            0x20..=0x3f => self.goes_on(State::Csi(parameters)),
            b'~' => match parameters.split(|byte| *byte == b';').next() {
                Some(b"1" | b"7") => Some(Key::Home),
                Some(b"3") if parameters.contains(&b';') => Some(Key::KillWord),
                Some(b"3") => Some(Key::Delete),
                Some(b"4" | b"8") => Some(Key::End),
                _ => None,
            },
            _ => letter(byte, &parameters),
        }
    }

    fn goes_on(&mut self, state: State) -> Option<Key> {
        self.0 = state;
        None
    }
}

/// The key of a sequence that ends in a letter. Parameters say that Ctrl, Alt or Shift was held.
fn letter(letter: u8, parameters: &[u8]) -> Option<Key> {
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
    use super::{Key, Keys};

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.push(*byte)).collect()
    }

    #[test]
    fn knows_arrow_keys_in_both_modes_and_with_ctrl() {
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
    fn keeps_characters_whole_and_drops_what_is_none() {
        let typed: Vec<Key> = "né👍🏽".chars().map(Key::Char).collect();
        assert_eq!(keys("né👍🏽".as_bytes()), typed);
        assert_eq!(
            keys(b"a\xff\xc3b\x80\xc2\x9bc"),
            [Key::Char('a'), Key::Char('b'), Key::Char('c')]
        );
    }

    #[test]
    fn drops_the_sequences_of_unbound_keys() {
        let unbound =
            b"\x1b[15~\x1b[[A\x1bOP\x1b[200~\x1b[<0;12;13M\x1b[1;2;3;4;5;6;7;8;9;10;11R\x1bx";
        assert_eq!(keys(unbound), []);
        assert_eq!(keys(b"\x1b\x1b[Ax"), [Key::Older, Key::Char('x')]);
    }
}
