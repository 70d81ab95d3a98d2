//! [`Lines`], a batch of whole lines, and [`LineDecoder`], which splits a byte stream into such
//! batches.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr, memchr_iter, memrchr};
use tokio_util::codec::Decoder;

/// The size of a full batch, in bytes: as much as one read returns at most.
pub const BATCH: usize = 64 * 1024;

const LF: u8 = b'\n';
const CR: u8 = b'\r';

/// One or more whole lines in one shared buffer, each ended by LF.
///
/// Only lines from a client that ends them with another byte may contain an LF. A batch with such a
/// line keeps that byte as the end of its lines, and is never plain.
///
/// The text is valid UTF-8 (see [`LineDecoder`]). A clone shares the buffer, so one batch serves any
/// number of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    text: Bytes,
    plain: bool,
    /// The byte that ends each line, and is in none.
    end: u8,
}

impl Lines {
    /// A batch of this text, in which every line must end with LF.
    fn new(text: BytesMut) -> Self {
        let plain = is_plain(&text);
        Self { text: text.freeze(), plain, end: LF }
    }

    /// A batch of this text, in which every line must end with `end`, which is not LF.
    fn ended_by(end: u8, mut text: BytesMut) -> Self {
        if memchr(LF, &text).is_some() {
            return Self { text: text.freeze(), plain: false, end };
        }
        for byte in text.iter_mut().filter(|byte| **byte == end) {
            *byte = LF;
        }
        Self::new(text)
    }

    /// A batch of one line, given without its line end. With LFs inside it becomes several lines.
    pub fn one(line: &str) -> Self {
        let mut text = BytesMut::with_capacity(line.len() + 1);
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(&[LF]);
        Self::new(text)
    }

    /// The lines in order, without their ends.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.iter_with_ends().map(|line| line.split_last().map_or(line, |(_end, line)| line))
    }

    /// The lines in order, each with its end: see [`Self::end`].
    pub fn iter_with_ends(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        memchr_iter(self.end, &self.text).map(move |end| {
            #[expect(clippy::indexing_slicing, reason = "memchr found the ends in this text")]
            let line = &self.text[start..end + 1];
            start = end + 1;
            line
        })
    }

    /// The number of lines.
    pub fn count(&self) -> usize {
        memchr_iter(self.end, &self.text).count()
    }

    /// The byte that ends each line: LF, unless one of the lines contains an LF.
    pub fn end(&self) -> u8 {
        self.end
    }

    /// All lines with their ends.
    pub fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    /// The size in bytes, line ends included.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether it contains no lines.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether the lines are printable ASCII and tabs only. Then every byte is a character, and none
    /// needs escaping.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Copies the lines into a buffer of exactly their size, so that a large shared one can be freed.
    pub fn compact(&self) -> Self {
        Self { text: Bytes::copy_from_slice(&self.text), ..*self }
    }

    /// Changes each line in place with `edit`. The buffer is copied only if it is shared.
    ///
    /// `edit` gets a line without its end. It must keep plain text plain and UTF-8 valid.
    pub(crate) fn edit_each(self, mut edit: impl FnMut(&mut [u8])) -> Self {
        let mut text =
            self.text.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let mut rest = &mut text[..];
        while let Some(end) = memchr(self.end, rest) {
            let (line, after) = std::mem::take(&mut rest).split_at_mut(end + 1);
            if let Some((_end, line)) = line.split_last_mut() {
                edit(line);
            }
            rest = after;
        }
        Self { text: text.freeze(), plain: self.plain, end: self.end }
    }

    /// A batch of this text: UTF-8 in which every line ends with the same byte as in `self`.
    pub(crate) fn rewritten(&self, text: Vec<u8>) -> Self {
        Self { plain: self.end == LF && is_plain(&text), text: text.into(), end: self.end }
    }

    /// The lines up to and including the first one equal to `word`, and the lines before that one, if
    /// any. None if no line is equal to `word`.
    pub fn up_to(&self, word: &str) -> Option<(Self, Option<Self>)> {
        let mut start = 0;
        for line in self.iter() {
            let end = start + line.len() + 1;
            if line == word.as_bytes() {
                let part = |end| Self { text: self.text.slice(..end), ..*self };
                return Some((part(end), (start > 0).then(|| part(start))));
            }
            start = end;
        }
        None
    }

    /// The first line without its end, and the lines after it, if any.
    pub fn split_first(&self) -> (Bytes, Option<Self>) {
        let end = memchr(self.end, &self.text).unwrap_or(self.text.len());
        let rest = self.text.get(end + 1..).filter(|rest| !rest.is_empty());
        let rest = rest.map(|rest| Self { text: self.text.slice_ref(rest), ..*self });
        (self.text.slice(..end), rest)
    }
}

/// Whether `text` is printable ASCII, tabs and LFs only.
///
/// There is no branch per byte, so that the compiler can vectorise the loop.
fn is_plain(text: &[u8]) -> bool {
    text.chunks(256).all(|chunk| {
        chunk.iter().fold(true, |plain, &byte| {
            plain & ((byte.wrapping_sub(b' ') < 0x5f) | (byte == LF) | (byte == b'\t'))
        })
    })
}

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
        Self { max_line, max_batch, end: LF, scanned, discarding, ended_early }
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

    /// Ends the line here, if one has begun. If its line end comes next, it does not end another line.
    pub fn end_line(&mut self, buf: &mut BytesMut) -> Option<Decoded> {
        let ended = self.take_partial(buf);
        self.ended_early |= ended.is_some();
        ended
    }

    /// Takes the beginning of a line as a line.
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
            _ => {
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
        self.ended_early = false;
        true
    }

    /// The number of bytes of a line end in front of its last byte.
    fn cr_len(&self, line: &[u8]) -> usize {
        usize::from(self.end == LF && line.last() == Some(&CR))
    }

    /// A batch of whole lines in which a CR before the end is data.
    fn whole(&self, text: BytesMut) -> Lines {
        to_utf8(if self.end == LF { Lines::new(text) } else { Lines::ended_by(self.end, text) })
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
        match self.first_overlong(batch) {
            None => Ok(Some(Decoded::Lines(self.batch(split_front(buf, end))))),
            Some(0) => Ok(self.discard(Overlong { bytes: 0, ends_in_cr: false }, buf)),
            Some(start) => Ok(Some(Decoded::Lines(self.batch(split_front(buf, start))))),
        }
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
        return to_utf8(lines);
    }
    let mut kept = BytesMut::with_capacity(lines.len());
    for line in lines.iter() {
        kept.extend_from_slice(line.strip_suffix(&[CR]).unwrap_or(line));
        kept.extend_from_slice(&[LF]);
    }
    to_utf8(Lines::new(kept))
}

/// Replaces invalid UTF-8.
fn to_utf8(lines: Lines) -> Lines {
    if lines.plain || std::str::from_utf8(&lines.text).is_ok() {
        return lines;
    }
    let text = String::from_utf8_lossy(&lines.text);
    Lines { text: Bytes::from(text.into_owned()), plain: false, end: lines.end }
}

#[cfg(test)]
mod tests;
