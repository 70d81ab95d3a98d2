//! Telnet commands in a client's stream (RFC 854). They are removed, and offers and requests of options
//! are declined (RFC 855), so that a telnet client is a client like any other.
//!
//! The byte 0xFF, which starts each command, does not occur in UTF-8, so text needs only one search.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

/// Starts a command: "interpret as command".
const IAC: u8 = 0xff;
/// The lowest byte that makes a command of an IAC before it; also the end of a subnegotiation.
const SE: u8 = 0xf0;
/// Starts a subnegotiation.
const SB: u8 = 0xfa;
const WILL: u8 = 0xfb;
const WONT: u8 = 0xfc;
const DO: u8 = 0xfd;
const DONT: u8 = 0xfe;

/// The longest subnegotiation, in bytes: what follows is text again.
const MAX_SUBNEGOTIATION: u16 = 512;

/// The most bytes of answers that may be pending. Further answers are dropped.
pub(crate) const MAX_ANSWERS: usize = 1024;

/// The size of an answer.
pub(crate) const ANSWER: usize = 3;

/// Removes the telnet commands from one stream, however it is split into reads, and answers them.
#[derive(Debug, Default)]
pub(crate) struct Telnet {
    state: State,
    answers: Vec<u8>,
}

/// The kind of bytes with which the stream so far ends.
#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    /// An IAC.
    Command,
    /// An IAC and the command, which an option follows.
    Option { command: u8 },
    /// The beginning of a subnegotiation; this many more bytes can belong to it.
    Subnegotiation { left: u16, after_iac: bool },
}

impl Telnet {
    /// Removes the commands from what was read last: the part of `buf` from `start`.
    pub(crate) fn filter(&mut self, buf: &mut BytesMut, start: usize) {
        let (_, read) = buf.split_at(start);
        let text = match self.state {
            State::Text => memchr(IAC, read).unwrap_or(read.len()),
            _ => 0,
        };
        if text == read.len() {
            return;
        }
        // Commands are rare. One copy is simpler than closing each gap in place.
        let (_, read) = read.split_at(text);
        let read = read.to_vec();
        buf.truncate(start + text);
        let mut rest = &read[..];
        while !rest.is_empty() {
            rest = self.step(rest, buf);
        }
    }

    /// The answers since the last call.
    pub(crate) fn take_answers(&mut self) -> Option<Bytes> {
        (!self.answers.is_empty()).then(|| Bytes::from(std::mem::take(&mut self.answers)))
    }

    /// Consumes the text up to the next command, or one byte of a command, and returns what follows.
    fn step<'a>(&mut self, read: &'a [u8], text: &mut BytesMut) -> &'a [u8] {
        if let State::Text = self.state {
            let (before, from_iac) = read.split_at(memchr(IAC, read).unwrap_or(read.len()));
            text.extend_from_slice(before);
            let Some((_iac, after)) = from_iac.split_first() else { return from_iac };
            self.state = State::Command;
            return after;
        }
        let Some((&byte, after)) = read.split_first() else { return read };
        self.state = match self.state {
            State::Text | State::Command => Self::command(byte, text),
            State::Option { command } => {
                self.answer(command, byte);
                State::Text
            }
            State::Subnegotiation { left: 0 | 1, .. } => State::Text,
            State::Subnegotiation { after_iac: true, .. } if byte == SE => State::Text,
            State::Subnegotiation { left, after_iac } => {
                // Two IACs are one byte of its contents.
                State::Subnegotiation { left: left - 1, after_iac: byte == IAC && !after_iac }
            }
        };
        after
    }

    /// Handles the byte after an IAC.
    fn command(byte: u8, text: &mut BytesMut) -> State {
        match byte {
            ..SE => text.extend_from_slice(&[IAC, byte]),
            IAC => text.extend_from_slice(&[IAC]),
            SB => return State::Subnegotiation { left: MAX_SUBNEGOTIATION, after_iac: false },
            WILL | WONT | DO | DONT => return State::Option { command: byte },
            _ => {}
        }
        State::Text
    }

    /// Declines what is offered or requested. WONT and DONT need no answer.
    fn answer(&mut self, command: u8, option: u8) {
        let refusal = match command {
            DO => WONT,
            WILL => DONT,
            _ => return,
        };
        if self.answers.len() + ANSWER <= MAX_ANSWERS {
            self.answers.extend_from_slice(&[IAC, refusal, option]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text of a stream that arrives in these reads, and the answers.
    fn filtered<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<u8>) {
        let mut telnet = Telnet::default();
        let mut buf = BytesMut::new();
        for read in reads {
            let start = buf.len();
            buf.extend_from_slice(read);
            telnet.filter(&mut buf, start);
        }
        (buf.to_vec(), telnet.answers)
    }

    fn text(stream: &[u8]) -> Vec<u8> {
        filtered([stream]).0
    }

    #[test]
    fn declines_what_is_requested_and_offered() {
        let (text, answers) = filtered([&b"a\xff\xfd\x06b\xff\xfb\x18c"[..]]);
        assert_eq!((&text[..], &answers[..]), (&b"abc"[..], &b"\xff\xfc\x06\xff\xfe\x18"[..]));
    }

    #[test]
    fn removes_what_needs_no_answer() {
        let (text, answers) = filtered([&b"a\xff\xfc\x01b\xff\xfe\x01c\xff\xf4\xff\xf2d"[..]]);
        assert_eq!((&text[..], &answers[..]), (&b"abcd"[..], &b""[..]));
    }

    #[test]
    fn a_doubled_iac_is_one_byte_and_an_iac_before_text_is_data() {
        assert_eq!(text(b"a\xff\xffb\xffc\xff\xef"), b"a\xffb\xffc\xff\xef");
        assert_eq!(text(b"\xc3\xff\xf1\xa9"), "é".as_bytes());
    }

    #[test]
    fn removes_a_subnegotiation_with_everything_in_it() {
        assert_eq!(text(b"a\xff\xfa\x18\0xterm\xff\xff\xf0\n\xff\xf0b"), b"ab");
    }

    #[test]
    fn a_subnegotiation_ends_after_512_bytes_at_the_latest() {
        let stream = [&b"a\xff\xfa"[..], &[b'x'; 512], b"b"].concat();
        assert_eq!(text(&stream), b"ab");
        let doubled = [&b"a\xff\xfa"[..], &[IAC; 512], b"b"].concat();
        assert_eq!(text(&doubled), b"ab");
    }

    #[test]
    fn removes_a_command_that_is_unfinished_at_the_end() {
        for command in [&b"\xff"[..], b"\xff\xfd", b"\xff\xfa\x18\xff"] {
            assert_eq!(text(&[b"a", command].concat()), b"a");
        }
    }

    #[test]
    fn drops_answers_beyond_a_kibibyte_and_keeps_the_text() {
        let (text, answers) = filtered([&b"\xff\xfd\x01x".repeat(1000)[..]]);
        assert_eq!(text, b"x".repeat(1000));
        assert_eq!(answers, b"\xff\xfc\x01".repeat(MAX_ANSWERS / ANSWER));
    }

    proptest! {
        #[test]
        fn any_split_into_reads_gives_the_same_text_and_answers(
            stream in proptest::collection::vec(
                prop_oneof![Just(IAC), Just(SB), Just(SE), Just(DO), 0xee_u8.., any::<u8>()],
                0..200,
            ),
            size in 1usize..20,
        ) {
            prop_assert_eq!(filtered(stream.chunks(size)), filtered([&stream[..]]));
        }

        #[test]
        fn text_without_iac_is_unchanged(stream in any::<String>()) {
            prop_assert_eq!(text(stream.as_bytes()), stream.as_bytes());
        }
    }
}
