//! How a connection divides text into lines: what ends a line in each direction, whether a pause ends
//! one, and whether telnet commands are recognized. Each session has its own.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::memchr_iter;

use crate::wire::lines::Lines;

const NUL: u8 = 0;
const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// How the text of one connection is divided into lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// What ends a line of the peer.
    pub end: LineEnd,
    /// What is sent after each line.
    pub send_end: SendEnd,
    /// A pause that also ends a line of the peer, or `None`.
    pub gap: Option<Duration>,
    /// Whether telnet commands are answered and removed.
    pub telnet: bool,
}

/// What ends a client's line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// LF; a CR before it is removed.
    #[default]
    Lf,
    /// CR; an LF directly after it is removed.
    Cr,
    /// NUL. CR and LF are data.
    Nul,
    /// LF, CR or NUL; CR LF, LF CR and CR NUL are one end.
    Any,
}

impl LineEnd {
    /// The byte that ends each line after [`Ends`](super::ends::Ends) has rewritten the text.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Lf | Self::Any => LF,
            Self::Cr => CR,
            Self::Nul => NUL,
        }
    }
}

/// What the hub sends after each line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendEnd {
    /// LF.
    #[default]
    Lf,
    /// CR LF.
    CrLf,
    /// CR.
    Cr,
}

impl SendEnd {
    /// The bytes that end each line.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
            Self::Cr => b"\r",
        }
    }

    /// The lines as they are sent. With LF this is their own buffer; otherwise it is a copy.
    pub fn encode(self, lines: &Lines) -> Bytes {
        if self == Self::Lf {
            return lines.as_bytes().clone();
        }
        let extra = (self.as_bytes().len() - 1) * memchr_iter(LF, lines.as_bytes()).count();
        let mut text = BytesMut::with_capacity(lines.len() + extra);
        for line in lines.iter() {
            text.extend_from_slice(line);
            text.extend_from_slice(self.as_bytes());
        }
        text.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_each_line_with_the_chosen_end() {
        let lines = Lines::one("one\n\né");
        assert_eq!(SendEnd::Lf.encode(&lines), "one\n\né\n");
        assert_eq!(SendEnd::CrLf.encode(&lines), "one\r\n\r\né\r\n");
        assert_eq!(SendEnd::Cr.encode(&lines), "one\r\ré\r");
    }

    #[test]
    fn sending_lf_copies_nothing() {
        let lines = Lines::one("one");
        assert_eq!(SendEnd::Lf.encode(&lines).as_ptr(), lines.as_bytes().as_ptr());
    }
}
