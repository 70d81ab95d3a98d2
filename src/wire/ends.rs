//! Line ends that are more than one byte, or one of several: rewritten as single bytes before the
//! decoder divides the text.

use bytes::BytesMut;
use memchr::{memchr, memchr2, memchr3};

use crate::wire::framing::LineEnd;

const NUL: u8 = 0;
const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// Rewrites the line ends of one stream, however it is split into reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    kind: Kind,
    /// The last byte of the stream so far, if it is a line end that may be the first of a pair. The
    /// line has been ended already, so it does not wait for the second byte.
    first: Option<u8>,
    /// Second bytes of pairs that were removed since this was asked for.
    removed: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// CR ends a line, and stays; an LF after it is removed.
    Cr,
    /// CR, LF and NUL end a line, and become LF; so do the pairs.
    Any,
}

impl Ends {
    /// None if the decoder needs no help with such line ends.
    pub(crate) fn new(end: LineEnd) -> Option<Self> {
        let kind = match end {
            LineEnd::Lf | LineEnd::Nul => return None,
            LineEnd::Cr => Kind::Cr,
            LineEnd::Any => Kind::Any,
        };
        Some(Self { kind, first: None, removed: 0 })
    }

    /// How many bytes were removed since the last call.
    pub(crate) fn take_removed(&mut self) -> usize {
        std::mem::take(&mut self.removed) as usize
    }

    /// Rewrites what was read last: the part of `buf` from `start`.
    pub(crate) fn rewrite(&mut self, buf: &mut BytesMut, start: usize) {
        let (_, read) = buf.split_at(start);
        let Some(&last) = read.last() else { return };
        if self.is_rewritten(read) {
            self.first = self.is_end(last).then_some(last);
            return;
        }
        let read = read.to_vec();
        buf.truncate(start);
        let mut rest = &read[..];
        while let Some(at) = self.find(rest) {
            let (text, from_end) = rest.split_at(at);
            self.push_text(text, buf);
            let Some((&byte, after)) = from_end.split_first() else { return };
            self.push_end(byte, buf);
            rest = after;
        }
        self.push_text(rest, buf);
    }

    /// Whether the text is already as it should be. That takes no copy.
    fn is_rewritten(&self, text: &[u8]) -> bool {
        match self.kind {
            Kind::Cr => memchr(LF, text).is_none(),
            Kind::Any => self.first != Some(CR) && memchr2(CR, NUL, text).is_none(),
        }
    }

    fn is_end(&self, byte: u8) -> bool {
        match self.kind {
            Kind::Cr => byte == CR,
            Kind::Any => matches!(byte, CR | LF | NUL),
        }
    }

    /// The next byte that is a line end or belongs to one.
    fn find(&self, text: &[u8]) -> Option<usize> {
        match self.kind {
            Kind::Cr => memchr2(CR, LF, text),
            Kind::Any => memchr3(CR, LF, NUL, text),
        }
    }

    fn push_text(&mut self, text: &[u8], buf: &mut BytesMut) {
        if !text.is_empty() {
            buf.extend_from_slice(text);
            self.first = None;
        }
    }

    fn push_end(&mut self, byte: u8, buf: &mut BytesMut) {
        let is_second = match (self.first, byte) {
            (Some(CR), LF) => true,
            (Some(LF), CR) | (Some(CR), NUL) => self.kind == Kind::Any,
            _ => false,
        };
        if is_second {
            self.first = None;
            self.removed = self.removed.saturating_add(1);
            return;
        }
        self.first = self.is_end(byte).then_some(byte);
        buf.extend_from_slice(&[if self.kind == Kind::Any { LF } else { byte }]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The stream as it is rewritten when it arrives in these reads.
    fn rewritten(end: LineEnd, reads: &[&[u8]]) -> Vec<u8> {
        let mut ends = Ends::new(end).unwrap();
        let mut buf = BytesMut::new();
        for read in reads {
            let start = buf.len();
            buf.extend_from_slice(read);
            ends.rewrite(&mut buf, start);
        }
        buf.to_vec()
    }

    #[test]
    fn any_takes_each_end_and_each_pair_for_one_end() {
        for (stream, expected) in [
            ("a\nb\rc\0d", "a\nb\nc\nd"),
            ("a\r\nb\n\rc\r\0d", "a\nb\nc\nd"),
            ("\r\n\r\n", "\n\n"),
            ("\n\r\n\r", "\n\n"),
            ("\r\r\n", "\n\n"),
            ("\n\n\0\0", "\n\n\n\n"),
            ("\n\0", "\n\n"),
            ("\r\0\n", "\n\n"),
        ] {
            assert_eq!(rewritten(LineEnd::Any, &[stream.as_bytes()]), expected.as_bytes());
        }
    }

    #[test]
    fn cr_removes_an_lf_directly_after_it_and_keeps_any_other() {
        let stream = b"a\r\nb\nc\r\n\nd\0\r\r";
        assert_eq!(rewritten(LineEnd::Cr, &[stream]), b"a\rb\nc\r\nd\0\r\r");
    }

    #[test]
    fn a_pair_that_arrives_in_two_reads_is_one_end() {
        for (one, two) in [("a\r", "\nb"), ("a\n", "\rb"), ("a\r", "\0b")] {
            let reads = [one.as_bytes(), b"", two.as_bytes()];
            assert_eq!(rewritten(LineEnd::Any, &reads), b"a\nb");
        }
        assert_eq!(rewritten(LineEnd::Cr, &[b"a\r", b"\nb"]), b"a\rb");
    }

    proptest! {
        #[test]
        fn any_split_into_reads_gives_the_same_text(
            stream in "[ab\n\r\0]{0,40}",
            size in 1usize..10,
        ) {
            for end in [LineEnd::Any, LineEnd::Cr] {
                let reads: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
                let whole = rewritten(end, &[stream.as_bytes()]);
                prop_assert_eq!(rewritten(end, &reads), whole);
            }
        }
    }
}
