//! The reader over in-memory streams.

use std::time::Duration;

use tokio::{
    io::{AsyncWriteExt, DuplexStream, ReadBuf},
    time::Instant,
};

use super::*;
use crate::wire::framing::LineEnd;

/// The time-out of every wait: longer than anything takes, even on a busy machine.
const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// A stream that fills every read, and counts the reads.
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
async fn a_long_line_is_read_in_large_reads() {
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
    assert!(endless.reads <= long / MIN_READ, "{} reads", endless.reads);
}

#[tokio::test]
async fn a_partial_line_uses_no_more_memory_than_it_needs() {
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

/// A reader with this framing over an in-memory stream, and the stream's ends.
fn framed(framing: Framing) -> (LineReader, DuplexStream, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(4096);
    let reader = LineReader::new(LineDecoder::new(20), Buffers::new(1)).framed(&framing);
    (reader, ours, theirs)
}

/// The next batch.
async fn next(reader: &mut LineReader, stream: &mut DuplexStream) -> Option<Decoded> {
    tokio::time::timeout(WAIT_LIMIT, reader.next(stream)).await.unwrap().unwrap()
}

/// The reader finds the stream empty and returns nothing.
async fn waits(reader: &mut LineReader, stream: &mut DuplexStream) {
    assert!(tokio::time::timeout(Duration::ZERO, reader.next(stream)).await.is_err());
    assert!(reader.is_drained());
}

fn lines(text: &str) -> Option<Decoded> {
    Some(Decoded::Lines(Lines::one(text)))
}

#[tokio::test]
async fn removes_a_byte_order_mark_before_the_first_line_only() {
    let (mut reader, mut ours, mut theirs) = framed(Framing::default());
    theirs.write_all("\u{feff}one\n\u{feff}two\n".as_bytes()).await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("one\n\u{feff}two"));
}

#[tokio::test]
async fn removes_a_byte_order_mark_that_arrives_in_three_reads() {
    let (mut ours, mut theirs) = tokio::io::duplex(64);
    let mut reader = LineReader::new(LineDecoder::new(1), Buffers::new(1));
    for byte in [&b"\xef"[..], b"\xbb"] {
        theirs.write_all(byte).await.unwrap();
        waits(&mut reader, &mut ours).await;
    }
    theirs.write_all(b"\xbfa\n").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("a"));
}

#[tokio::test]
async fn the_beginning_of_a_byte_order_mark_is_data() {
    for (stream, expected) in [(&b"\xef"[..], "\u{fffd}"), (b"\xef\xbb!\n", "\u{fffd}!")] {
        let (mut reader, mut ours, mut theirs) = framed(Framing::default());
        theirs.write_all(stream).await.unwrap();
        drop(theirs);
        assert_eq!(next(&mut reader, &mut ours).await, lines(expected));
        assert_eq!(next(&mut reader, &mut ours).await, None);
    }
}

#[tokio::test]
async fn removes_telnet_commands_before_it_divides_lines() {
    let framing = Framing { telnet: true, end: LineEnd::Any, ..Framing::default() };
    let (mut reader, mut ours, mut theirs) = framed(framing);
    let stream = b"\xff\xfb\x18\xef\xbb\xbfone\r\xff\xf1\ntwo\xff\xfd\r\n\xff\xfd\0\nthree\xff";
    theirs.write_all(stream).await.unwrap();
    // The CR after DO is the option, and so is the NUL.
    assert_eq!(next(&mut reader, &mut ours).await, lines("one\ntwo\n"));
    let answers = reader.take_answers();
    assert_eq!(answers.as_deref(), Some(&b"\xff\xfe\x18\xff\xfc\r\xff\xfc\0"[..]));
    assert_eq!(reader.take_answers(), None);
    drop(theirs);
    assert_eq!(next(&mut reader, &mut ours).await, lines("three"));
}

#[tokio::test]
async fn without_telnet_those_bytes_are_data() {
    let (mut reader, mut ours, mut theirs) = framed(Framing::default());
    theirs.write_all(b"a\xff\xf1\xfeb\n").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("a\u{fffd}\u{fffd}\u{fffd}b"));
}

#[tokio::test]
async fn telnet_commands_alone_use_no_memory() {
    let framing = Framing { telnet: true, ..Framing::default() };
    let (mut reader, mut ours, mut theirs) = framed(framing);
    let commands = b"\xff\xf1\xff\xfd\x06\xff\xfa\x18x\xff\xf0".repeat(100);
    for _ in 0..100 {
        theirs.write_all(&commands).await.unwrap();
        waits(&mut reader, &mut ours).await;
        assert!(!reader.has_partial_line());
    }
    assert_eq!(reader.rest.capacity(), 0);
    assert!(reader.take_answers().is_some_and(|answers| answers.len() <= 1024));
}

#[tokio::test]
async fn knows_the_length_of_an_unfinished_line() {
    let (mut reader, mut ours, mut theirs) = framed(Framing::default());
    theirs.write_all(b"one\ntwo").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("one"));
    assert_eq!(reader.partial_len(), 3);
    theirs.write_all(&[b'x'; 30]).await.unwrap();
    waits(&mut reader, &mut ours).await;
    assert_eq!(reader.partial_len(), 33, "it is too long, and discarded");
    theirs.write_all(b"\n").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, Some(Decoded::Discarded(33)));
    assert_eq!(reader.partial_len(), 0);
}

const GAP: Duration = Duration::from_millis(100);

/// A reader for which a pause ends a line.
fn with_gap() -> (LineReader, DuplexStream, DuplexStream) {
    framed(Framing { gap: Some(GAP), ..Framing::default() })
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_an_unfinished_line() {
    let (mut reader, mut ours, mut theirs) = with_gap();
    let start = Instant::now();
    theirs.write_all(b"one\ntwo").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("one"));
    assert_eq!(next(&mut reader, &mut ours).await, lines("two"));
    assert!((GAP..2 * GAP).contains(&start.elapsed()));
    theirs.write_all(&[b'x'; 30]).await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, Some(Decoded::Discarded(30)));
}

#[tokio::test(start_paused = true)]
async fn each_byte_starts_the_pause_again() {
    let (mut reader, mut ours, mut theirs) = with_gap();
    for byte in [b"a", b"b", b"c"] {
        theirs.write_all(byte).await.unwrap();
        let almost = GAP - Duration::from_millis(2);
        assert!(tokio::time::timeout(almost, reader.next(&mut ours)).await.is_err());
    }
    assert_eq!(next(&mut reader, &mut ours).await, lines("abc"));
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_an_unfinished_line_ends_none() {
    let (mut reader, mut ours, mut theirs) = with_gap();
    theirs.write_all(b"one\n").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("one"));
    assert!(tokio::time::timeout(10 * GAP, reader.next(&mut ours)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_line_end_after_a_pause_is_not_an_empty_line() {
    for end in [LineEnd::Lf, LineEnd::Any] {
        let (mut reader, mut ours, mut theirs) =
            framed(Framing { end, gap: Some(GAP), ..Framing::default() });
        theirs.write_all(b"one").await.unwrap();
        assert_eq!(next(&mut reader, &mut ours).await, lines("one"));
        theirs.write_all(b"\r").await.unwrap();
        waits(&mut reader, &mut ours).await;
        theirs.write_all(b"\n\ntwo\n").await.unwrap();
        assert_eq!(next(&mut reader, &mut ours).await, lines("\ntwo"));
    }
}

#[tokio::test(start_paused = true)]
async fn time_in_which_the_stream_is_not_read_is_not_a_pause() {
    let (mut reader, mut ours, mut theirs) = with_gap();
    theirs.write_all(b"one\ntw").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("one"));
    tokio::time::sleep(10 * GAP).await;
    theirs.write_all(b"o\n").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("two"));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_buffer_is_no_pause() {
    let (mut reader, mut ours, mut theirs) = with_gap();
    theirs.write_all(b"on").await.unwrap();
    waits(&mut reader, &mut ours).await;
    let all = Arc::clone(&reader.buffers.permits).acquire_owned().await.unwrap();
    theirs.write_all(b"e").await.unwrap();
    assert!(tokio::time::timeout(10 * GAP, reader.next(&mut ours)).await.is_err());
    drop(all);
    theirs.write_all(b" line\n").await.unwrap();
    assert_eq!(next(&mut reader, &mut ours).await, lines("one line"));
}

#[tokio::test]
async fn the_size_of_lines_is_as_they_came() {
    let any = Framing { end: LineEnd::Any, ..Framing::default() };
    let cr = Framing { end: LineEnd::Cr, ..Framing::default() };
    let (lf, long) = (Framing::default(), "x".repeat(11));
    for (framing, stream, expected) in [
        (lf, "a\r\nb\n\r\nlast".to_owned(), 11),
        (lf, "\u{feff}a\n".to_owned(), 2),
        (lf, format!("a\n{long}\nb\n"), 4),
        (any, "a\r\nb\0\n\r".to_owned(), 7),
        (cr, "a\r\nb\r".to_owned(), 5),
    ] {
        let decoder = LineDecoder::new(10);
        let mut reader = LineReader::new(decoder, Buffers::new(2)).framed(&framing);
        let mut input = stream.as_bytes();
        let mut size = 0;
        while let Some(decoded) = reader.next(&mut input).await.unwrap() {
            if let Decoded::Lines(_) = decoded {
                size += reader.take_len();
            }
        }
        assert_eq!(size, expected, "{stream:?}");
    }
}
