//! [`Lines`], a batch of whole lines, and [`LineDecoder`], which splits a byte stream into such
//! batches.

mod decoder;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr_iter};

pub use self::decoder::{Decoded, LineDecoder};

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

    /// No lines.
    pub(crate) fn none() -> Self {
        Self::new(BytesMut::new())
    }

    /// A batch of one line, given without its line end. With LFs inside it becomes several lines.
    pub fn one(line: &str) -> Self {
        let mut text = BytesMut::with_capacity(line.len() + 1);
        text.extend_from_slice(line.as_bytes());
        text.extend_from_slice(&[LF]);
        Self::new(text)
    }

    /// The same with U+FFFD in place of each maximal invalid part.
    fn into_utf8(self) -> Self {
        if self.plain || std::str::from_utf8(&self.text).is_ok() {
            return self;
        }
        let text = String::from_utf8_lossy(&self.text);
        Self { text: Bytes::from(text.into_owned()), plain: false, end: self.end }
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

    /// The number of whole lines in the first `length` bytes, and the lines after those, if any.
    pub(crate) fn split_sent(&self, length: usize) -> (usize, Option<Self>) {
        let ends = memchr_iter(self.end, &self.text).map(|at| at + 1);
        let (mut count, mut start) = (0, 0);
        for end in ends.take_while(|&end| end <= length) {
            (count, start) = (count + 1, end);
        }
        let has_rest = start < self.text.len();
        (count, has_rest.then(|| Self { text: self.text.slice(start..), ..*self }))
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

#[cfg(test)]
mod tests;
