//! The outbox: the queue of batches to be sent to one peer, bounded in bytes.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::wire::telnet::{ANSWER, MAX_ANSWERS};

/// What a queued batch counts in addition to its length, in bytes: about the memory that a queue
/// entry takes, so that many short batches do not exceed the bound many times over.
pub const BATCH_OVERHEAD: usize = 64;

/// The most batches in one vectored write.
const MAX_VECTORED: usize = 64;

/// A queue of shared buffers to be sent to one peer.
#[derive(Debug)]
pub struct Outbox {
    queue: VecDeque<Bytes>,
    /// The size of the queue in bytes, with each batch's overhead.
    used: usize,
    limit: usize,
    written: u64,
    /// The number of bytes of answers to telnet commands up to `answers_end` that may be queued.
    answers: usize,
    /// How many bytes will have been written when the last such answer has been.
    answers_end: u64,
}

impl Outbox {
    /// An outbox for `limit` bytes. An empty outbox accepts one batch of any size.
    pub fn new(limit: usize) -> Self {
        Self { queue: VecDeque::new(), used: 0, limit, written: 0, answers: 0, answers_end: 0 }
    }

    /// Whether there is room for a batch of `len` bytes.
    pub fn has_room(&self, len: usize) -> bool {
        self.queue.is_empty() || self.used + len + BATCH_OVERHEAD <= self.limit
    }

    /// Queues a batch, whether or not there is room.
    pub fn push(&mut self, batch: Bytes) {
        if !batch.is_empty() {
            self.used += batch.len() + BATCH_OVERHEAD;
            self.queue.push_back(batch);
        }
    }

    /// The first of these answers to telnet commands: as many as may be queued, so that a peer that
    /// sends commands and reads nothing takes no more memory. They must be sent next.
    pub(crate) fn limit_answers(&mut self, mut answers: Bytes) -> Bytes {
        if self.written >= self.answers_end {
            self.answers = 0;
        }
        let room = MAX_ANSWERS.saturating_sub(self.answers);
        answers.truncate(room - room % ANSWER);
        if !answers.is_empty() {
            self.answers += answers.len();
            self.answers_end = self.written + (self.waiting() + answers.len()) as u64;
        }
        answers
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The number of queued bytes, without overhead.
    pub fn waiting(&self) -> usize {
        self.used - self.queue.len() * BATCH_OVERHEAD
    }

    /// The number of bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Discards everything that is queued.
    pub fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.used = 0;
    }

    /// Writes a batch at once if nothing is queued. The rest is queued, whether or not there is room,
    /// and then this is pending.
    ///
    /// # Errors
    ///
    /// The stream's own.
    pub fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        mut batch: Bytes,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.queue.is_empty() && !batch.is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, &batch) {
                Poll::Ready(written) => {
                    let written = not_zero(written?)?;
                    self.written += written as u64;
                    batch.advance(written);
                }
                Poll::Pending => self.push(std::mem::take(&mut batch)),
            }
        }
        self.push(batch);
        if self.queue.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Writes until the queue is empty. Pending while the stream accepts no more.
    ///
    /// # Errors
    ///
    /// The stream's own.
    pub fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(first) = self.queue.front() {
            let stream = Pin::new(&mut *stream);
            let written = if self.queue.len() == 1 {
                ready!(stream.poll_write(cx, first))?
            } else {
                let mut slices = [IoSlice::new(&[]); MAX_VECTORED];
                for (slice, batch) in slices.iter_mut().zip(&self.queue) {
                    *slice = IoSlice::new(batch);
                }
                let (filled, _) = slices.split_at(self.queue.len().min(MAX_VECTORED));
                ready!(stream.poll_write_vectored(cx, filled))?
            };
            self.remove_written(not_zero(written)?);
        }
        // Free the memory of a queue that was long once.
        self.queue.shrink_to(4);
        Poll::Ready(Ok(()))
    }

    /// Removes the bytes that have been written from the front of the queue.
    fn remove_written(&mut self, mut bytes: usize) {
        self.written += bytes as u64;
        self.used -= bytes;
        while let Some(first) = self.queue.front_mut() {
            if bytes < first.len() {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            self.used -= BATCH_OVERHEAD;
            self.queue.pop_front();
        }
    }
}

/// A write of zero bytes is an error: retrying it would loop endlessly.
fn not_zero(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncRead, AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn writes_batches_in_order_to_a_stream_that_accepts_little() {
        let (mut ours, mut theirs) = duplex(7);
        let mut outbox = Outbox::new(1000);
        for text in ["one\n", "", "a longer line than seven\n", "three\n"] {
            outbox.push(Bytes::from_static(text.as_bytes()));
        }
        assert_eq!(outbox.waiting(), 35);
        let write = std::future::poll_fn(|cx| outbox.poll_write(&mut ours, cx));
        let mut read = [0; 35];
        let (written, _) = tokio::join!(write, theirs.read_exact(&mut read));
        written.unwrap();
        assert_eq!(&read[..], b"one\na longer line than seven\nthree\n");
        assert!(outbox.is_empty());
        assert_eq!((outbox.waiting(), outbox.written()), (0, 35));
    }

    #[tokio::test]
    async fn poll_send_writes_at_once_and_queues_the_rest_in_order() {
        let (mut ours, mut theirs) = duplex(7);
        let mut outbox = Outbox::new(1000);
        let mut cx = Context::from_waker(Waker::noop());
        let mut send = |text| {
            let sent = outbox.poll_send(Bytes::from_static(text), &mut ours, &mut cx);
            (sent.is_ready(), outbox.waiting(), outbox.written())
        };
        assert_eq!(send(b"one\n"), (true, 0, 4));
        assert_eq!(send(b""), (true, 0, 4));
        assert_eq!(send(b"seven\n"), (false, 3, 7));
        assert_eq!(send(b"eight\n"), (false, 9, 7));
        let write = std::future::poll_fn(|cx| outbox.poll_write(&mut ours, cx));
        let mut read = [0; 16];
        let (written, _) = tokio::join!(write, theirs.read_exact(&mut read));
        written.unwrap();
        assert_eq!(&read, b"one\nseven\neight\n");
        assert_eq!((outbox.waiting(), outbox.written()), (0, 16));
    }

    #[test]
    fn room_counts_bytes_and_an_overhead_per_batch() {
        let mut outbox = Outbox::new(2 * (10 + BATCH_OVERHEAD));
        assert!(outbox.has_room(1_000_000), "a large batch fits when it is alone");
        outbox.push(Bytes::from_static(b"0123456789"));
        assert!(outbox.has_room(10));
        assert!(!outbox.has_room(11));
        outbox.push(Bytes::from_static(b"0123456789"));
        assert!(!outbox.has_room(0));
    }

    #[test]
    fn at_most_a_kibibyte_of_telnet_answers_is_queued() {
        let (mut ours, mut theirs) = duplex(15);
        let mut cx = Context::from_waker(Waker::noop());
        let mut outbox = Outbox::new(100);
        let answers = || Bytes::from(b"\xff\xfc\x01".repeat(300));
        outbox.push(Bytes::from_static(b"0123456789"));
        for expected in [900, 123, 0] {
            let answers = outbox.limit_answers(answers());
            assert_eq!(answers.len(), expected);
            outbox.push(answers);
        }
        while outbox.poll_write(&mut ours, &mut cx).is_pending() {
            assert!(outbox.limit_answers(answers()).is_empty(), "the last one is not written yet");
            let mut read = [0; 15];
            let mut read = tokio::io::ReadBuf::new(&mut read);
            let _ = Pin::new(&mut theirs).poll_read(&mut cx, &mut read);
        }
        assert_eq!(outbox.limit_answers(answers()).len(), 900);
    }

    #[test]
    fn a_partial_write_makes_room() {
        let (mut ours, _theirs) = duplex(15);
        let mut outbox = Outbox::new(2 * (10 + BATCH_OVERHEAD));
        outbox.push(Bytes::from_static(b"0123456789"));
        outbox.push(Bytes::from_static(b"0123456789"));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outbox.poll_write(&mut ours, &mut cx).is_pending());
        assert_eq!(outbox.waiting(), 5);
        assert!(outbox.has_room(10));
        outbox.clear();
        assert_eq!(outbox.waiting(), 0);
    }
}
