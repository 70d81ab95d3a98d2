//! Splits a byte stream into batches of whole lines, and discards lines that are too long.

use std::io;

use bytes::{Buf, BytesMut};
use memchr::{memchr, memchr_iter, memrchr};
use tokio_util::codec::Decoder;

use super::{BATCH, CR, LF, Lines};

/// What [`LineDecoder`] found in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// All whole lines in the buffer, up to the size of a batch.
    Lines(Lines),
    /// The end of an overlong line: the line was discarded. It had this many bytes, without its
    /// line end.
    Discarded(usize),
}

/// Splits a byte stream into batches of lines: a [`tokio_util`] codec.
///
/// A line ends with LF; a CR before it is dropped and not counted. Text without an LF at the end of
/// the stream is a line, too. (With another line end, see [`Self::ended_by`], a CR is data.) A line over
/// the limit is discarded up to its end and never buffered whole. Invalid UTF-8 becomes U+FFFD, one
/// for each maximal invalid part (see [`String::from_utf8_lossy`] and the Unicode Standard, section
/// 3.9).
#[derive(Debug)]
pub struct LineDecoder {
    max_line: usize,
    max_batch: usize,
    /// The byte that ends a line.
    end: u8,
    /// How many bytes at the front of the buffer are known to contain no line end.
    scanned: usize,
    discarding: Option<Overlong>,
    /// Whether the last line was ended by [`Self::end_line`], so that a line end that follows is its own.
    ended_early: bool,
    /// The size of the lines since this was asked for, as they were read. A batch is below 4 GiB.
    taken: u32,
}

/// What has been discarded of an overlong line whose end has not been read.
#[derive(Debug, Clone, Copy)]
struct Overlong {
    bytes: usize,
    ends_in_cr: bool,
}

impl LineDecoder {
    /// Lines of up to `max_line` bytes, in batches of up to [`BATCH`] bytes (or one longest line).
    pub fn new(max_line: usize) -> Self {
        Self::with_batch(max_line, BATCH)
    }

    /// The same with batches of at most `max_batch` bytes (or one longest line).
    pub fn with_batch(max_line: usize, max_batch: usize) -> Self {
        // A longest line travels with CR and LF.
        let max_batch = max_batch.max(max_line.saturating_add(2));
        let (scanned, discarding, ended_early) = (0, None, false);
        Self { max_line, max_batch, end: LF, scanned, discarding, ended_early, taken: 0 }
    }

    /// The same for lines that end with this byte.
    #[must_use]
    pub fn ended_by(mut self, end: u8) -> Self {
        self.end = end;
        self
    }

    /// The length of the line whose end is not in the stream so far. `buf` is what is not decoded yet.
    pub fn partial_len(&self, buf: &[u8]) -> usize {
        let start = memrchr(self.end, buf).map_or(0, |last| last + 1);
        self.discarding.map_or(0, |overlong| overlong.bytes) + buf.len() - start
    }

    /// The number of bytes that the lines since the last call had, with their ends as they were read.
    pub(crate) fn take_len(&mut self) -> usize {
        std::mem::take(&mut self.taken) as usize
    }

    fn count(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Ends the line here, if one has begun. If its line end comes next, it does not end another line.
    pub fn end_line(&mut self, buf: &mut BytesMut) -> Option<Decoded> {
        let ended = self.take_partial(buf);
        self.ended_early |= ended.is_some();
        ended
    }

    /// Returns the partial line in `buf` as a line.
    fn take_partial(&mut self, buf: &mut BytesMut) -> Option<Decoded> {
        if let Some(overlong) = self.discarding.take() {
            return Some(Decoded::Discarded(overlong.bytes));
        }
        self.scanned = 0;
        let mut rest = std::mem::take(buf);
        match rest.len() {
            0 => None,
            // No LF follows, so a CR at the end is data and counts.
            len if len > self.max_line => Some(Decoded::Discarded(len)),
            len => {
                self.count(len);
                rest.extend_from_slice(&[self.end]);
                Some(Decoded::Lines(self.whole(rest)))
            }
        }
    }

    /// Skips the end of a line that has been ended early. False if more must be read first.
    fn skip_end(&mut self, buf: &mut BytesMut) -> bool {
        let skip = match buf[..] {
            [] => return false,
            [CR] if self.end == LF => return false,
            [CR, LF, ..] if self.end == LF => 2,
            [first, ..] => usize::from(first == self.end),
        };
        buf.advance(skip);
        self.count(skip);
        self.ended_early = false;
        true
    }

    /// The number of bytes of a line end in front of its last byte.
    fn cr_len(&self, line: &[u8]) -> usize {
        usize::from(self.end == LF && line.last() == Some(&CR))
    }

    /// A batch of whole lines in which a CR before the end is data.
    fn whole(&self, text: BytesMut) -> Lines {
        if self.end == LF { Lines::new(text) } else { Lines::ended_by(self.end, text) }.into_utf8()
    }

    /// A batch of whole lines as they were read.
    fn batch(&self, text: BytesMut) -> Lines {
        if self.end == LF { normalize(text) } else { self.whole(text) }
    }

    /// Whether it is in the middle of an overlong line that it discards.
    pub fn is_discarding(&self) -> bool {
        self.discarding.is_some()
    }

    /// Discards more of an overlong line: up to its end, or else all of `buf`.
    fn discard(&mut self, overlong: Overlong, buf: &mut BytesMut) -> Option<Decoded> {
        self.scanned = 0;
        let end = memchr(self.end, buf);
        let (part, _) = buf.split_at(end.unwrap_or(buf.len()));
        let ends_in_cr = part.last().map_or(overlong.ends_in_cr, |&last| last == CR);
        let bytes = overlong.bytes + part.len();
        match end {
            Some(end) => {
                buf.advance(end + 1);
                self.discarding = None;
                Some(Decoded::Discarded(bytes - usize::from(self.end == LF && ends_in_cr)))
            }
            None => {
                buf.clear();
                self.discarding = Some(Overlong { bytes, ends_in_cr });
                None
            }
        }
    }

    /// The start of the first overlong line in `batch`, which holds whole lines.
    fn first_overlong(&self, batch: &[u8]) -> Option<usize> {
        if batch.len() <= self.max_line {
            return None;
        }
        let mut start = 0;
        for end in memchr_iter(self.end, batch) {
            #[expect(clippy::indexing_slicing, reason = "memchr found the ends in this batch")]
            let line = &batch[start..end];
            if line.len() - self.cr_len(line) > self.max_line {
                return Some(start);
            }
            start = end + 1;
        }
        None
    }

    /// Whether this partial line already exceeds `max_line`. A CR at its end may belong to a CR LF.
    fn is_overlong(&self, part: &[u8]) -> bool {
        part.len() - self.cr_len(part) > self.max_line
    }
}

impl Decoder for LineDecoder {
    type Item = Decoded;
    type Error = io::Error;

    fn decode(&mut self, buf: &mut BytesMut) -> io::Result<Option<Decoded>> {
        if let Some(overlong) = self.discarding {
            return Ok(self.discard(overlong, buf));
        }
        if self.ended_early && !self.skip_end(buf) {
            return Ok(None);
        }
        let (window, _) = buf.split_at(buf.len().min(self.max_batch));
        let (_, unscanned) = window.split_at(self.scanned);
        let Some(last) = memrchr(self.end, unscanned) else {
            if self.is_overlong(window) {
                return Ok(self.discard(Overlong { bytes: 0, ends_in_cr: false }, buf));
            }
            self.scanned = window.len();
            return Ok(None);
        };
        let end = self.scanned + last + 1;
        self.scanned = 0;
        let (batch, _) = window.split_at(end);
        let whole = match self.first_overlong(batch) {
            None => end,
            Some(0) => return Ok(self.discard(Overlong { bytes: 0, ends_in_cr: false }, buf)),
            Some(start) => start,
        };
        self.count(whole);
        Ok(Some(Decoded::Lines(self.batch(split_front(buf, whole)))))
    }

    fn decode_eof(&mut self, buf: &mut BytesMut) -> io::Result<Option<Decoded>> {
        match self.decode(buf)? {
            Some(decoded) => Ok(Some(decoded)),
            None => Ok(self.take_partial(buf)),
        }
    }
}

/// Splits off the first `end` bytes. Where that is cheap they become the only owner of their buffer,
/// so that they can be changed in place and the buffer can be used again.
fn split_front(buf: &mut BytesMut, end: usize) -> BytesMut {
    let (_, rest) = buf.split_at(end);
    if rest.len() > end {
        return buf.split_to(end);
    }
    let rest = BytesMut::from(rest);
    buf.truncate(end);
    std::mem::replace(buf, rest)
}

/// Drops the CR of every CR LF, and replaces invalid UTF-8.
fn normalize(text: BytesMut) -> Lines {
    let lines = Lines::new(text);
    if lines.plain || memchr(CR, &lines.text).is_none() {
        return lines.into_utf8();
    }
    let mut kept = BytesMut::with_capacity(lines.len());
    for line in lines.iter() {
        kept.extend_from_slice(line.strip_suffix(&[CR]).unwrap_or(line));
        kept.extend_from_slice(&[LF]);
    }
    Lines::new(kept).into_utf8()
}
