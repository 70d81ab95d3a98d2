//! Reads batches of lines from a byte stream, and holds no buffer while it waits for input.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::AsyncRead,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::coop,
};
use tokio_util::{codec::Decoder, io::poll_read_buf, sync::PollSemaphore};

use crate::wire::{
    ends::Ends,
    framing::Framing,
    gap::Gap,
    lines::{BATCH, Decoded, LineDecoder, Lines},
    telnet::Telnet,
};

/// The UTF-8 byte order mark, which some programs write at the start of a text.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The least free space for one read, in bytes.
const MIN_READ: usize = BATCH / 2;

/// How many unused buffers are kept for the next read; the others are freed.
const MAX_SPARE: usize = 8;

/// The read buffers, of [`BATCH`] bytes each, that several [`LineReader`]s share. Their number bounds
/// what has been read and not yet been acknowledged.
#[derive(Debug)]
pub struct Buffers {
    /// One permit for each buffer that may be in use.
    permits: Arc<Semaphore>,
    /// Unused buffers.
    spare: Mutex<Vec<BytesMut>>,
}

impl Buffers {
    /// `count` buffers, each allocated when it is first needed.
    pub fn new(count: usize) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(count));
        Arc::new(Self { permits, spare: Mutex::new(Vec::new()) })
    }

    fn take(&self) -> BytesMut {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| BytesMut::with_capacity(BATCH))
    }

    fn give_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE && (BATCH..=2 * BATCH).contains(&buffer.capacity()) {
            spare.push(buffer);
        }
    }
}

/// The use of a shared buffer by a batch of lines. Hold it until the batch has been acknowledged:
/// dropping it returns the buffer for another read.
#[derive(Debug)]
pub struct Lease {
    batch: Bytes,
    buffers: Arc<Buffers>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // If the batch is still referenced elsewhere, its last reference frees the buffer.
        if let Ok(buffer) = std::mem::take(&mut self.batch).try_into_mut() {
            self.buffers.give_back(buffer);
        }
    }
}

/// Reads batches of lines from a stream.
#[derive(Debug)]
pub struct LineReader {
    decoder: LineDecoder,
    buffers: Arc<Buffers>,
    permits: PollSemaphore,
    /// The permit for the buffer in `rest`, until a batch leases the buffer.
    permit: Option<OwnedSemaphorePermit>,
    /// What has been read and not yet decoded: usually nothing.
    rest: BytesMut,
    received: u64,
    /// Whether the last read found the stream empty.
    drained: bool,
    /// Whether the stream has ended.
    ended: bool,
    /// Whether what is left at the end of the stream is a partial line, not a line.
    truncated: bool,
    /// Whether nothing of the stream's first line has been decoded.
    at_start: bool,
    telnet: Option<Telnet>,
    ends: Option<Ends>,
    gap: Option<Box<Gap>>,
}

impl LineReader {
    /// A reader that reads into these buffers and decodes with this decoder. A byte order mark before
    /// the first line is removed.
    pub fn new(decoder: LineDecoder, buffers: Arc<Buffers>) -> Self {
        let permits = PollSemaphore::new(Arc::clone(&buffers.permits));
        let rest = BytesMut::new();
        Self {
            decoder,
            buffers,
            permits,
            permit: None,
            rest,
            received: 0,
            drained: false,
            ended: false,
            truncated: false,
            at_start: true,
            telnet: None,
            ends: None,
            gap: None,
        }
    }

    /// The same with this framing.
    #[must_use]
    pub fn framed(mut self, framing: &Framing) -> Self {
        self.decoder = self.decoder.ended_by(framing.end.byte());
        self.telnet = framing.telnet.then(Telnet::default);
        self.ends = Ends::new(framing.end);
        self.gap = framing.gap.map(|limit| Box::new(Gap::new(limit)));
        self
    }

    /// Polls for the next batch; none at the end of the stream.
    ///
    /// # Errors
    ///
    /// The stream's own.
    pub fn poll_next<R: AsyncRead + Unpin>(
        &mut self,
        stream: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Decoded>>> {
        loop {
            if (!self.at_start || self.skip_bom())
                && let Some(decoded) = self.decoder.decode(&mut self.rest)?
            {
                return Poll::Ready(Ok(Some(decoded)));
            }
            if self.ended && self.truncated {
                return Poll::Ready(Ok(None));
            }
            if self.ended {
                return Poll::Ready(self.decoder.decode_eof(&mut self.rest));
            }
            match self.poll_read(stream, cx) {
                Poll::Ready(read) => read?,
                Poll::Pending => return self.poll_gap(cx).map(Ok),
            }
        }
    }

    /// [`Self::poll_next`] as a future.
    ///
    /// # Errors
    ///
    /// The stream's own.
    pub async fn next<R: AsyncRead + Unpin>(
        &mut self,
        stream: &mut R,
    ) -> io::Result<Option<Decoded>> {
        std::future::poll_fn(|cx| self.poll_next(stream, cx)).await
    }

    /// Whether the last read found the stream empty. If not, and a poll is pending, the reader waits
    /// for a shared buffer or has used up its task budget.
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// Whether the beginning of a line has been read, but not its end.
    pub fn has_partial_line(&self) -> bool {
        !self.rest.is_empty() || self.decoder.is_discarding()
    }

    /// The length of the line whose beginning has been read, but not its end, in bytes. What has been
    /// discarded of it counts.
    pub fn partial_len(&self) -> usize {
        self.decoder.partial_len(&self.rest)
    }

    /// The answers to telnet commands since the last call, to be sent before anything else.
    pub(crate) fn take_answers(&mut self) -> Option<Bytes> {
        self.telnet.as_mut()?.take_answers()
    }

    /// Discards the partial line at the end of the stream instead of returning it as a line, because
    /// the rest of it will never arrive.
    pub fn discard_partial_line(&mut self) {
        self.truncated = true;
    }

    /// Stops reading. Whole lines that have been read are still returned; a partial line is
    /// discarded.
    pub fn stop(&mut self) {
        self.ended = true;
        self.discard_partial_line();
    }

    /// The number of bytes that the lines had which were decoded since the last call, with their ends as
    /// they came.
    pub(crate) fn take_len(&mut self) -> usize {
        self.decoder.take_len() + self.ends.as_mut().map_or(0, Ends::take_removed)
    }

    /// The number of bytes read so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Leases the buffer of the last batch, from which these lines were made. Without a lease the
    /// batch does not count towards the bound of the shared buffers.
    ///
    /// Call it after the lines have been changed: while there is a lease, a change copies the buffer.
    pub fn lease(&mut self, lines: &Lines) -> Lease {
        Lease {
            batch: lines.as_bytes().clone(),
            buffers: Arc::clone(&self.buffers),
            _permit: self.permit.take(),
        }
    }

    /// Reads once into a shared buffer, and returns the buffer if there is nothing to read.
    fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        stream: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        // Queue for a permit again, so that other readers get their turn.
        self.permit = None;
        self.drained = false;
        let permit = ready!(self.permits.poll_acquire(cx));
        // A partial line is usually short and is copied to the new buffer. A long one grows in place:
        // copying it for every read would take time quadratic in its length.
        let is_short = self.rest.len() < BATCH;
        let mut buffer = if is_short {
            let mut buffer = self.buffers.take();
            buffer.extend_from_slice(&self.rest);
            buffer
        } else {
            std::mem::take(&mut self.rest)
        };
        buffer.reserve(MIN_READ);
        let read = poll_read_buf(Pin::new(stream), cx, &mut buffer);
        // Without budget, pending means that the task must yield, not that the stream is empty.
        self.drained = read.is_pending() && coop::has_budget_remaining();
        if is_short && !matches!(read, Poll::Ready(Ok(1..))) {
            self.buffers.give_back(buffer);
            self.compact();
        } else {
            self.rest = buffer;
        }
        match ready!(read)? {
            0 => self.ended = true,
            count => {
                self.received += count as u64;
                self.permit = permit;
                self.filter(self.rest.len() - count);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Prepares what has just been read for the decoder: the part of `rest` from `start`.
    fn filter(&mut self, start: usize) {
        if let Some(telnet) = &mut self.telnet {
            telnet.filter(&mut self.rest, start);
        }
        if self.rest.len() == start {
            return;
        }
        if let Some(ends) = &mut self.ends {
            ends.rewrite(&mut self.rest, start);
        }
        if let Some(gap) = &mut self.gap {
            gap.interrupt();
        }
    }

    /// Removes a byte order mark from the start of the stream. False if more must be read first.
    fn skip_bom(&mut self) -> bool {
        if self.rest.len() < BOM.len() && BOM.starts_with(&self.rest) {
            return false;
        }
        if self.rest.starts_with(BOM) {
            self.rest.advance(BOM.len());
        }
        self.at_start = false;
        true
    }

    /// The line that a pause has ended. Call it when there is nothing to read.
    fn poll_gap(&mut self, cx: &mut Context<'_>) -> Poll<Option<Decoded>> {
        let has_partial_line = self.has_partial_line();
        let Some(gap) = &mut self.gap else {
            return Poll::Pending;
        };
        // Without budget this is polled again at once, and then the stream may not be empty.
        if !coop::has_budget_remaining() {
            return Poll::Pending;
        }
        // While the reader waits for a buffer, bytes may be waiting, too.
        if !has_partial_line || !self.drained {
            gap.interrupt();
            return Poll::Pending;
        }
        ready!(gap.poll_silence(cx));
        self.at_start = false;
        match self.decoder.end_line(&mut self.rest) {
            Some(decoded) => Poll::Ready(Some(decoded)),
            None => Poll::Pending,
        }
    }

    /// Keeps a partial line in no more memory than it needs while the reader waits.
    fn compact(&mut self) {
        if self.rest.capacity() > 2 * self.rest.len() {
            let exact = BytesMut::from(&self.rest[..]);
            self.buffers.give_back(std::mem::replace(&mut self.rest, exact));
        }
    }
}

#[cfg(test)]
mod tests;
