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
};
use tokio_util::{codec::Decoder, io::poll_read_buf, sync::PollSemaphore};

use crate::lines::{BATCH, Cut, LineDecoder, Lines};

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
    /// Whether it waits for one of the shared buffers, not for its stream.
    queued: bool,
    ended: bool,
    /// Whether the stream has been cut off rather than ended.
    torn: bool,
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
            queued: false,
            ended: false,
            torn: false,
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
    ) -> Poll<io::Result<Option<Cut>>> {
        loop {
            if let Some(cut) = self.decoder.decode(&mut self.rest)? {
                return Poll::Ready(Ok(Some(cut)));
            }
            if self.ended && self.torn {
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
    pub async fn next<R: AsyncRead + Unpin>(&mut self, stream: &mut R) -> io::Result<Option<Cut>> {
        std::future::poll_fn(|cx| self.poll_next(stream, cx)).await
    }

    /// Whether it waits for others to give back a buffer: what its stream has to say is not known.
    pub fn is_queued(&self) -> bool {
        self.queued
    }

    /// From now on what the stream ends with is the beginning of a line, not a line: somebody knows
    /// that the rest of it will never come.
    pub fn tear(&mut self) {
        self.torn = true;
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
        let permit = self.permits.poll_acquire(cx);
        self.queued = permit.is_pending();
        let permit = ready!(permit);
        let mut buffer = self.buffers.take();
        buffer.reserve(self.rest.len() + 1);
        buffer.extend_from_slice(&self.rest);
        match poll_read_buf(Pin::new(stream), cx, &mut buffer) {
            Poll::Pending => {
                self.buffers.give_back(buffer);
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(count)) => {
                self.received += count as u64;
                self.permit = permit;
                self.rest = buffer;
                Poll::Ready(Ok(()))
            }
        }
    }
}
