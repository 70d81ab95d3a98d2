//! Reading batches of lines from a byte stream without holding a buffer while nothing comes.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncRead,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::coop,
};
use tokio_util::{codec::Decoder, io::poll_read_buf, sync::PollSemaphore};

use crate::wire::lines::{BATCH, Decoded, LineDecoder, Lines};

/// The least that is asked for in one read, in bytes.
const READ: usize = BATCH / 2;

/// Buffers kept for the next read; more than these are freed.
const SPARE: usize = 8;

/// The buffers of [`BATCH`] bytes that a number of [`LineReader`]s share, and so the bound of what
/// they have read and nobody has taken yet.
#[derive(Debug)]
pub struct Buffers {
    /// One permit for each buffer that may be in use.
    permits: Arc<Semaphore>,
    spare: Mutex<Vec<BytesMut>>,
}

impl Buffers {
    /// `count` buffers. None is allocated before it is needed.
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
        if spare.len() < SPARE && (BATCH..=2 * BATCH).contains(&buffer.capacity()) {
            spare.push(buffer);
        }
    }
}

/// The use of a shared buffer by a batch of lines, to be held until the batch has been taken.
/// Dropping it gives the buffer back, so that it can be read into again.
#[derive(Debug)]
pub struct Lease {
    batch: Bytes,
    buffers: Arc<Buffers>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Where somebody still reads the batch, the buffer is freed when nobody does.
        if let Ok(buffer) = std::mem::take(&mut self.batch).try_into_mut() {
            self.buffers.give_back(buffer);
        }
    }
}

/// Reads batches of lines. While it waits for input it holds no buffer.
#[derive(Debug)]
pub struct LineReader {
    decoder: LineDecoder,
    buffers: Arc<Buffers>,
    permits: PollSemaphore,
    /// For the buffer of what is in `rest`, until a batch takes it over.
    permit: Option<OwnedSemaphorePermit>,
    /// What has been read and not cut: most often nothing.
    rest: BytesMut,
    received: u64,
    /// Whether its stream had nothing more to give when it was last asked.
    drained: bool,
    ended: bool,
    /// Whether the stream has been cut off rather than ended.
    truncated: bool,
}

impl LineReader {
    /// A reader that cuts with this decoder and reads into these buffers.
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
        }
    }

    /// The next batch, or none at the end of the stream.
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
            if let Some(decoded) = self.decoder.decode(&mut self.rest)? {
                return Poll::Ready(Ok(Some(decoded)));
            }
            if self.ended && self.truncated {
                return Poll::Ready(Ok(None));
            }
            if self.ended {
                return Poll::Ready(self.decoder.decode_eof(&mut self.rest));
            }
            ready!(self.poll_read(stream, cx))?;
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

    /// Whether its stream had nothing more to give when it was last asked. If not, it waits for
    /// others: for one of the shared buffers, or for its turn.
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// Whether there is the beginning of a line of which the end has not come.
    pub fn has_partial_line(&self) -> bool {
        !self.rest.is_empty() || self.decoder.is_discarding()
    }

    /// From now on what the stream ends with is the beginning of a line, not a line: somebody knows
    /// that the rest of it will never come.
    pub fn discard_partial_line(&mut self) {
        self.truncated = true;
    }

    /// Reads no more: what has been read is still cut into lines, and what is left then is the
    /// beginning of a line, not a line.
    pub fn stop(&mut self) {
        self.ended = true;
        self.discard_partial_line();
    }

    /// All bytes read so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The use of the buffer that the last batch came in, of which these lines were made. Without
    /// it the batch does not count against what may have been read and not taken.
    pub fn lease(&mut self, lines: &Lines) -> Lease {
        Lease {
            batch: lines.as_bytes().clone(),
            buffers: Arc::clone(&self.buffers),
            _permit: self.permit.take(),
        }
    }

    /// Reads once, into one of the shared buffers; gives it back if there is nothing to read.
    fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        stream: &mut R,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        // Others may wait for their turn: go behind them.
        self.permit = None;
        self.drained = false;
        let permit = ready!(self.permits.poll_acquire(cx));
        // The beginning of a line is short most often, and moves. A long one grows where it is: if it
        // moved for every read, that would cost the square of its length.
        let moves = self.rest.len() < BATCH;
        let mut buffer = if moves {
            let mut buffer = self.buffers.take();
            buffer.extend_from_slice(&self.rest);
            buffer
        } else {
            std::mem::take(&mut self.rest)
        };
        buffer.reserve(READ);
        let read = poll_read_buf(Pin::new(stream), cx, &mut buffer);
        // Pending without a budget means that it is the others' turn, not that nothing has come.
        self.drained = read.is_pending() && coop::has_budget_remaining();
        if moves && !matches!(read, Poll::Ready(Ok(1..))) {
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
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps the beginning of a line in no more memory than it needs, for as long as nothing comes.
    fn compact(&mut self) {
        if self.rest.capacity() > 2 * self.rest.len() {
            let exact = BytesMut::from(&self.rest[..]);
            self.buffers.give_back(std::mem::replace(&mut self.rest, exact));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncWriteExt, ReadBuf};

    use super::*;

    /// Gives as much as it is asked for, and counts how often it is.
    struct Endless {
        reads: usize,
    }

    impl AsyncRead for Endless {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.reads += 1;
            let room = buf.remaining();
            buf.put_slice(&vec![b'x'; room]);
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_long_line_takes_as_many_reads_as_it_has_room_for_not_as_many_as_it_has_bytes() {
        let long = 8 << 20;
        let mut reader = LineReader::new(LineDecoder::new(long), Buffers::new(1));
        let mut endless = Endless { reads: 0 };
        let beginning = std::future::poll_fn(|cx| {
            while reader.received() < long as u64 {
                let _ = reader.poll_read(&mut endless, cx);
            }
            Poll::Ready(())
        });
        beginning.await;
        assert!(endless.reads <= long / READ, "{} reads", endless.reads);
    }

    #[tokio::test]
    async fn half_a_line_is_kept_in_the_memory_that_it_needs() {
        let (mut ours, mut theirs) = tokio::io::duplex(64);
        let mut reader = LineReader::new(LineDecoder::new(BATCH), Buffers::new(1));
        theirs.write_all(b"half a line").await.unwrap();
        let waits = tokio::time::timeout(Duration::ZERO, reader.next(&mut ours)).await;
        assert!(waits.is_err() && reader.is_drained() && reader.has_partial_line());
        assert!(reader.rest.capacity() < 64, "{} bytes", reader.rest.capacity());
        theirs.write_all(b", then the rest\n").await.unwrap();
        let line = Lines::one("half a line, then the rest");
        assert_eq!(reader.next(&mut ours).await.unwrap(), Some(Decoded::Lines(line)));
    }
}
