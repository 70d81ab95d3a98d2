//! The socket of a peer: a TCP stream that is read until the kernel has nothing more.
//!
//! After a read that does not fill its buffer, tokio waits for the next event. But
//! Linux also ends a read at the urgent mark (tcp(7)), and no event announces what follows the mark if
//! it has arrived already: it would stay unread until the peer sends more. A [`Socket`] waits only if
//! the kernel says that nothing is left to read.
//!
//! Set SO_OOBINLINE on the socket before it is connected, or on its listener. Otherwise the kernel
//! takes the urgent byte out of the stream.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::io::ioctl_fionread;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// See the [module's documentation](self).
#[derive(Debug)]
pub(crate) struct Socket(TcpStream);

impl Socket {
    /// A socket for this connection.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(stream)
    }

    /// The connection, for its addresses and options.
    pub(crate) fn get_ref(&self) -> &TcpStream {
        &self.0
    }
}

impl Socket {
    /// Asks the kernel how much is left to read. If it is nothing, the next read waits for an event, and
    /// need not fail with EAGAIN first, for which a buffer would be needed. (The end of the stream is
    /// an event that tokio does not forget.)
    fn clear_readiness_if_empty(&self) {
        // An error is what the next read reports, too.
        let _ = self.0.try_io(Interest::READABLE, || match ioctl_fionread(&self.0) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        });
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wanted = buf.remaining();
        loop {
            // This spends the task's budget, so that a peer that never pauses lets others run.
            ready!(self.0.poll_read_ready(cx))?;
            // This clears the readiness if the read fails with EAGAIN, and only then.
            match self.0.try_read_buf(buf) {
                Ok(read) => {
                    if (1..wanted).contains(&read) {
                        self.clear_readiness_if_empty();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream as StdStream, time::Duration};

    use socket2::SockRef;
    use tokio::{
        io::AsyncReadExt,
        net::TcpListener,
        task::{coop, yield_now},
    };

    use super::*;

    /// The time-out of every wait: longer than anything takes, even on a busy machine.
    const WAIT_LIMIT: Duration = Duration::from_secs(30);

    /// A connection with SO_OOBINLINE, and the peer's end of it.
    async fn pair() -> (Socket, StdStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        SockRef::from(&listener).set_out_of_band_inline(true).unwrap();
        let theirs = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().await.unwrap();
        (Socket::new(ours), theirs)
    }

    fn send(stream: &StdStream, text: &[u8]) {
        assert_eq!(SockRef::from(stream).send(text).unwrap(), text.len());
    }

    fn send_urgent(stream: &StdStream, byte: u8) {
        assert_eq!(SockRef::from(stream).send_out_of_band(&[byte]).unwrap(), 1);
    }

    #[tokio::test]
    async fn reads_past_the_urgent_mark_without_another_event() {
        let (mut ours, theirs) = pair().await;
        send(&theirs, b"ab");
        send_urgent(&theirs, b'!');
        send(&theirs, b"c\n");
        let mut read = [0; 5];
        let all = tokio::time::timeout(WAIT_LIMIT, ours.read_exact(&mut read));
        all.await.expect("it does not wait for more").unwrap();
        assert_eq!(&read, b"ab!c\n");
    }

    #[tokio::test]
    async fn waits_for_more_and_returns_the_end() {
        let (mut ours, theirs) = pair().await;
        let mut read = [0; 8];
        assert!(tokio::time::timeout(Duration::ZERO, ours.read(&mut read)).await.is_err());
        send(&theirs, b"ab");
        let more = tokio::time::timeout(WAIT_LIMIT, ours.read(&mut read)).await.unwrap();
        assert_eq!(more.unwrap(), 2);
        assert!(tokio::time::timeout(Duration::ZERO, ours.read(&mut read)).await.is_err());
        drop(theirs);
        let end = tokio::time::timeout(WAIT_LIMIT, ours.read(&mut read)).await.unwrap();
        assert_eq!(end.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_task_that_reads_without_a_pause_uses_up_its_budget() {
        let (mut ours, theirs) = pair().await;
        send(&theirs, &[b'x'; 4096]);
        yield_now().await;
        let mut reads = 0;
        std::future::poll_fn(|cx| {
            let mut byte = [0];
            while Pin::new(&mut ours).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_ready() {
                reads += 1;
            }
            assert!(!coop::has_budget_remaining());
            Poll::Ready(())
        })
        .await;
        assert!((1..4096).contains(&reads), "{reads} reads");
    }
}
