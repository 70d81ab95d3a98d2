//! Reads the greeting, and finds out as early as possible that the other side is not a hub.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

use super::errors::MAX_SENT;
use crate::wire::{
    greeting::{Greeting, can_begin},
    line_reader::LineReader,
    lines::{Decoded, Lines},
};

/// How reading the greeting failed.
#[derive(Debug)]
pub(super) enum NoGreeting {
    /// The other side is not a hub: it sent something else.
    NotAHub,
    /// It closed before it had sent a whole greeting.
    Closed,
    /// The connection was lost.
    Lost(io::Error),
}

/// A server's first line, and what arrived together with it.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) greeting: Greeting,
    /// Whole lines that arrived together with the greeting.
    pub(super) early: Option<Lines>,
}

/// Reads the first line of a stream. `sent` gets a copy of what arrives, for an error that quotes it.
pub(super) async fn read_greeting<S: AsyncRead + Unpin>(
    stream: &mut S,
    reader: &mut LineReader,
    sent: &mut Vec<u8>,
) -> Result<Greeted, NoGreeting> {
    let mut watched = Watched { stream, sent };
    let lines = match reader.next(&mut watched).await {
        Ok(Some(Decoded::Lines(lines))) => lines,
        Ok(Some(Decoded::Discarded(_))) => return Err(NoGreeting::NotAHub),
        Ok(None) => return Err(NoGreeting::Closed),
        Err(_) if !can_begin(watched.sent) => return Err(NoGreeting::NotAHub),
        Err(error) => return Err(NoGreeting::Lost(error)),
    };
    let (status, early) = lines.split_first();
    // Only at the end of the stream is a line too short for a greeting that it could begin.
    let no_greeting = || match can_begin(watched.sent) {
        true => NoGreeting::Closed,
        false => NoGreeting::NotAHub,
    };
    let greeting = Greeting::parse(&status).ok_or_else(no_greeting)?;
    Ok(Greeted { greeting, early })
}

/// A stream that fails as soon as what it has read cannot be the beginning of a greeting.
struct Watched<'a, S> {
    stream: &'a mut S,
    /// The first [`MAX_SENT`] bytes.
    sent: &'a mut Vec<u8>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.stream).poll_read(cx, buf))?;
        let room = MAX_SENT.saturating_sub(self.sent.len());
        let arrived = buf.filled().iter().skip(before).take(room);
        self.sent.extend(arrived);
        if can_begin(self.sent) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::wire::{line_reader::Buffers, lines::LineDecoder};

    fn reader() -> LineReader {
        LineReader::new(LineDecoder::new(1024), Buffers::new(1))
    }

    /// The outcome if a server sends this and keeps the connection open.
    async fn after(sent: &[u8]) -> (Result<Greeted, NoGreeting>, Vec<u8>) {
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(sent).await.unwrap();
        let mut copy = Vec::new();
        let greeted = read_greeting(&mut ours, &mut reader(), &mut copy).await;
        (greeted, copy)
    }

    #[tokio::test]
    async fn fails_at_the_first_byte_that_cannot_belong_to_a_greeting() {
        for sent in
            [&b"SSH-2.0-OpenSSH"[..], b"220 m", b"220 linehuB", b"421-", b"\n", b"\xef\xbb4"]
        {
            let (greeted, copy) = after(sent).await;
            assert!(matches!(greeted, Err(NoGreeting::NotAHub)), "{greeted:?}");
            assert_eq!(copy, sent);
        }
    }

    #[tokio::test]
    async fn returns_the_lines_that_arrive_with_the_greeting() {
        let (greeted, _) = after(b"\xef\xbb\xbf220 linehub ready: client 1 of 4\r\na\n\nb\n").await;
        let greeted = greeted.unwrap();
        assert_eq!(greeted.greeting, Greeting::Ready);
        assert_eq!(greeted.early, Some(Lines::one("a\n\nb")));
    }

    #[tokio::test]
    async fn returns_the_text_of_a_refusal() {
        let (greeted, _) = after(b"421 Not allowed from this address\n").await;
        let refused = Greeting::Refused("Not allowed from this address".to_owned());
        assert_eq!(greeted.unwrap().greeting, refused);
    }

    #[tokio::test]
    async fn a_stream_that_ends_before_the_greeting_is_no_hub() {
        for sent in [&b"220 line"[..], b""] {
            let mut copy = Vec::new();
            let greeted = read_greeting(&mut &*sent, &mut reader(), &mut copy).await;
            assert!(matches!(greeted, Err(NoGreeting::Closed)), "{greeted:?}");
            assert_eq!(copy, sent);
        }
    }
}
