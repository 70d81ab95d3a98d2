//! The sending side: reads the input, sends it, and keeps unsent lines for the next connection.

use std::{cell::Cell, future::Future, io, mem, pin::Pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWriteExt, WriteHalf},
    sync::watch,
    time::timeout,
};

use super::{
    conversation::{BUFFERS, Conversation, MAX_LINE},
    errors::ClientError,
};
use crate::{
    events::ClientEvent,
    net::socket::Socket,
    wire::{
        line_reader::{Buffers, LineReader},
        lines::{Decoded, LineDecoder, Lines},
    },
};

/// How long a client that is stopped waits to see whether there is unsent input.
const LAST_READ: Duration = Duration::from_millis(10);

/// The line that ends the client. The server never sees it.
const EXIT: &str = "exit";

/// Why nothing more is read from the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InputEnd {
    /// The line `exit`.
    Exit,
    /// The input has ended.
    EndOfInput,
}

/// An event that is being printed.
type Printing = Pin<Box<dyn Future<Output = Result<(), ClientError>>>>;

/// The input. It outlives a connection: what has not been sent on one is sent on the next.
pub(super) struct Input<F, I> {
    /// Opens the stream, when it is first read.
    open: Option<F>,
    stream: Option<I>,
    reader: LineReader,
    /// What has been read and is neither printed nor sent.
    read: Option<Decoded>,
    /// Lines that are printed and not yet sent.
    unsent: Option<Unsent>,
    printing: Option<Printing>,
    end: Option<InputEnd>,
    /// The number of lines that were sent on this connection.
    sent: usize,
    /// The number of lines that were sent on connections that have been lost.
    unconfirmed: usize,
    /// Whether a line was too long to be sent.
    overlong: bool,
}

/// Lines that may have been sent in part.
struct Unsent {
    lines: Lines,
    /// How many bytes have been written to the socket.
    written: usize,
}

impl Unsent {
    fn new(lines: Lines) -> Self {
        Self { lines, written: 0 }
    }
}

impl<F, I> Input<F, I>
where
    F: FnOnce() -> io::Result<I>,
    I: AsyncRead + Unpin,
{
    pub(super) fn new(open: F) -> Self {
        Self {
            open: Some(open),
            stream: None,
            reader: LineReader::new(LineDecoder::new(MAX_LINE), Buffers::new(BUFFERS)),
            read: None,
            unsent: None,
            printing: None,
            end: None,
            sent: 0,
            unconfirmed: 0,
            overlong: false,
        }
    }

    /// Reads a batch, unless one is waiting or the input has ended. Nothing is lost if this is dropped.
    async fn read(&mut self) -> Result<(), ClientError> {
        if self.read.is_some() || self.end.is_some() {
            return Ok(());
        }
        if let Some(open) = self.open.take() {
            self.stream = Some(open().map_err(ClientError::Input)?);
        }
        if let Some(stream) = &mut self.stream {
            self.read = self.reader.next(stream).await.map_err(ClientError::Input)?;
        }
        if self.read.is_none() {
            self.end = Some(InputEnd::EndOfInput);
        }
        Ok(())
    }

    /// Waits until the last event about the input has been printed.
    pub(super) async fn printed(&mut self) -> Result<(), ClientError> {
        let Some(printing) = &mut self.printing else { return Ok(()) };
        let printed = printing.await;
        self.printing = None;
        printed
    }

    /// Whether input that has not been sent is waiting.
    pub(super) async fn has_more(&mut self) -> bool {
        if self.unsent.is_some() {
            return true;
        }
        let failed = matches!(timeout(LAST_READ, self.read()).await, Ok(Err(_)));
        failed || self.read.is_some() || self.reader.has_partial_line()
    }

    /// Whether everything has been sent and nothing more will come. `stay`: only `exit` ends it.
    pub(super) fn is_done(&self, stay: bool) -> bool {
        let ended = match self.end {
            Some(InputEnd::Exit) => true,
            Some(InputEnd::EndOfInput) => !stay,
            None => false,
        };
        ended && self.unsent.is_none() && self.read.is_none()
    }

    /// The connection has ended. If lines were being sent, this counts those that were, and returns an
    /// event about them. The server drops a line that was sent in part, so that one is unsent.
    pub(super) fn settle(&mut self) -> Option<ClientEvent> {
        let Unsent { lines, written } = self.unsent.take()?;
        let (count, rest) = lines.split_sent(written);
        let bytes = lines.len() - rest.as_ref().map_or(0, Lines::len);
        self.sent += count;
        self.unsent = rest.map(Unsent::new);
        (count > 0).then_some(ClientEvent::Sent { lines: count, bytes })
    }

    /// Gives up the lines that were sent on the connection, and returns their number.
    pub(super) fn lose(&mut self) -> usize {
        let sent = mem::take(&mut self.sent);
        self.unconfirmed += sent;
        sent
    }

    /// Fails if the server has not confirmed every line.
    pub(super) fn check_confirmed(&self) -> Result<(), ClientError> {
        match self.unconfirmed {
            0 if self.overlong => Err(ClientError::Overlong),
            0 => Ok(()),
            lines => Err(ClientError::Unconfirmed { lines }),
        }
    }
}

impl Conversation {
    /// Sends the input until it ends, and then closes the sending side. A client that stays does so
    /// only when it is stopped.
    pub(super) async fn send<I: AsyncRead + Unpin>(
        &self,
        mut outgoing: Outgoing<'_>,
        input: &mut Input<impl FnOnce() -> io::Result<I>, I>,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), ClientError> {
        let result = self.send_input(&mut outgoing, input, &mut stopped).await;
        self.emit(ClientEvent::InputEnded).await?;
        if self.stay && input.end == Some(InputEnd::EndOfInput) {
            // This fails only if the conversation has ended.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }
        // If this fails, the receiving side learns why.
        let _ = outgoing.stream.shutdown().await;
        result
    }

    /// Sends the input until it ends or the client is stopped.
    async fn send_input<I: AsyncRead + Unpin>(
        &self,
        outgoing: &mut Outgoing<'_>,
        input: &mut Input<impl FnOnce() -> io::Result<I>, I>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<(), ClientError> {
        loop {
            self.send_unsent(outgoing, input).await?;
            if input.read.is_none() && input.end.is_some() {
                return Ok(());
            }
            tokio::select! {
                read = input.read() => read?,
                _ = stopped.wait_for(|stopped| *stopped) => {
                    let all = self.stay && !input.has_more().await;
                    return if all { Ok(()) } else { Err(ClientError::Interrupted) };
                }
            }
            self.enter(input);
        }
    }

    /// Sends the lines that are printed, and waits until they are.
    async fn send_unsent<I: AsyncRead + Unpin>(
        &self,
        outgoing: &mut Outgoing<'_>,
        input: &mut Input<impl FnOnce() -> io::Result<I>, I>,
    ) -> Result<(), ClientError> {
        let mut sent = None;
        if let Some(unsent) = &mut input.unsent {
            if !outgoing.send(unsent).await {
                // The receiving side learns why, and ends the conversation.
                return std::future::pending().await;
            }
            let (lines, bytes) = (unsent.lines.count(), unsent.lines.len());
            input.unsent = None;
            input.sent += lines;
            sent = Some(ClientEvent::Sent { lines, bytes });
        }
        input.printed().await?;
        match sent {
            Some(sent) => self.emit(sent).await,
            None => Ok(()),
        }
    }

    /// Prints what has been read, and makes it the next to be sent, up to the line `exit`. The event is
    /// emitted before the lines are sent, and waited for only afterwards.
    fn enter<F, I>(&self, input: &mut Input<F, I>) {
        let event = match input.read.take() {
            None => return,
            Some(Decoded::Discarded(bytes)) => {
                input.overlong = true;
                ClientEvent::Problem(format!(
                    "a line of {bytes} bytes was not sent: it is longer than 1 MiB"
                ))
            }
            Some(Decoded::Lines(lines)) => {
                let (entered, to_send) = match lines.up_to(EXIT) {
                    Some(parts) => {
                        input.end = Some(InputEnd::Exit);
                        parts
                    }
                    None => (lines.clone(), Some(lines)),
                };
                input.unsent = to_send.map(Unsent::new);
                ClientEvent::Entered { lines: entered }
            }
        };
        input.printing = Some(Box::pin(self.emit(event)));
    }

    /// Reads ahead while there is no connection. Completes when there is nothing to wait for: the input
    /// has ended and no line of it is left.
    pub(super) async fn until_done<I: AsyncRead + Unpin>(
        &self,
        input: &mut Input<impl FnOnce() -> io::Result<I>, I>,
    ) -> Result<(), ClientError> {
        while input.unsent.is_none() && !input.is_done(self.stay) {
            input.read().await?;
            match &input.read {
                Some(Decoded::Lines(lines)) if !starts_with_exit(lines) => break,
                Some(_) => self.enter(input),
                None => break,
            }
            input.printed().await?;
        }
        if input.is_done(self.stay) { Ok(()) } else { std::future::pending().await }
    }
}

fn starts_with_exit(lines: &Lines) -> bool {
    matches!(lines.up_to(EXIT), Some((_, None)))
}

/// The sending side of the connection.
pub(super) struct Outgoing<'a> {
    pub(super) stream: &'a mut WriteHalf<Socket>,
    /// Counts what is sent and received.
    pub(super) progress: &'a Cell<u64>,
    /// Why sending has failed.
    pub(super) failure: &'a Cell<Option<io::Error>>,
}

impl Outgoing<'_> {
    /// Sends the lines. Returns whether that succeeded.
    async fn send(&mut self, unsent: &mut Unsent) -> bool {
        let mut rest = unsent.lines.as_bytes().slice(unsent.written..);
        while !rest.is_empty() {
            match self.stream.write_buf(&mut rest).await {
                Ok(count) => unsent.written += count,
                Err(error) => {
                    self.failure.set(Some(error));
                    return false;
                }
            }
            self.progress.set(self.progress.get() + 1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(
        text: &'static [u8],
    ) -> Input<impl FnOnce() -> io::Result<&'static [u8]>, &'static [u8]> {
        Input::new(move || Ok(text))
    }

    #[tokio::test]
    async fn lines_sent_on_a_lost_connection_are_not_sent_again_and_others_are() {
        let mut input = input(b"");
        // The connection broke in the middle of the second line.
        input.unsent = Some(Unsent { lines: Lines::one("one\ntwo\nthree"), written: 6 });
        input.sent = 10;
        assert_eq!(input.settle(), Some(ClientEvent::Sent { lines: 1, bytes: 4 }));
        assert_eq!(input.lose(), 11);
        assert_eq!(input.unsent.as_ref().unwrap().lines, Lines::one("two\nthree"));
        assert_eq!(input.lose(), 0);
        assert!(matches!(input.check_confirmed(), Err(ClientError::Unconfirmed { lines: 11 })));
    }

    #[tokio::test]
    async fn only_an_input_without_unsent_lines_is_done() {
        let mut input = input(b"one\n");
        assert!(!input.is_done(false));
        input.read().await.unwrap();
        input.read().await.unwrap();
        assert!(input.has_more().await);
        assert!(!input.is_done(false));
        input.read = None;
        input.read().await.unwrap();
        assert!(input.is_done(false));
        assert!(!input.is_done(true));
        input.unsent = Some(Unsent::new(Lines::one("one")));
        assert!(!input.is_done(false));
    }
}
