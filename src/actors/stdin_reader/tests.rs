//! The StdinReader with a stub Hub and input from memory.

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::actors::stubs::{Inbox, settle, soon, stub};

struct Scene {
    reader: actix::Addr<StdinReader<DuplexStream>>,
    input: DuplexStream,
    broadcast: Inbox<Broadcast>,
    report: Inbox<Report>,
    ended: CancellationToken,
}

fn scene() -> Scene {
    let (broadcast, broadcasts) = stub();
    let (report, reports) = stub();
    let (input, ours) = duplex(100_000);
    let (reader, ended) = StdinReader::new(ours, 20, 1000, RelayHandle { broadcast, report });
    Scene { reader: reader.start(), input, broadcast: broadcasts, report: reports, ended }
}

#[actix::test]
async fn lines_that_arrive_together_are_broadcast_together() {
    let mut scene = scene();
    scene.input.write_all(b"one\ntwo\nthr").await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("one\ntwo"));
    scene.input.write_all(b"ee\n").await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("three"));
}

#[actix::test]
async fn a_short_batch_does_not_keep_its_read_buffer() {
    let mut scene = scene();
    scene.input.write_all(b"short\n").await.unwrap();
    let (Broadcast(lines), _unanswered) = scene.broadcast.next().await;
    let bytes = lines.as_bytes().clone();
    drop(lines);
    let own = bytes.try_into_mut().expect("nobody else holds the buffer");
    assert!(own.capacity() < 64, "{} bytes", own.capacity());
}

#[actix::test]
async fn a_batch_is_no_larger_than_an_outbox() {
    let mut scene = scene();
    scene.input.write_all("0123456789\n".repeat(200).as_bytes()).await.unwrap();
    let mut lines = 0;
    while lines < 200 {
        let Broadcast(batch) = scene.broadcast.answer(Ok(())).await;
        assert!(batch.len() + BATCH_OVERHEAD <= 1000);
        lines += batch.iter().count();
    }
    assert_eq!(lines, 200);
}

#[actix::test]
async fn the_last_line_needs_no_lf_and_ends_the_reader() {
    let mut scene = scene();
    scene.input.write_all(b"one\nlast").await.unwrap();
    drop(scene.input);
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("one"));
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("last"));
    soon(scene.ended.cancelled()).await;
}

#[actix::test]
async fn sends_a_batch_when_the_previous_one_is_acknowledged() {
    let mut scene = scene();
    scene.input.write_all(b"one\n").await.unwrap();
    let (_, ack) = scene.broadcast.next().await;
    scene.input.write_all(b"two\n").await.unwrap();
    settle().await;
    scene.input.write_all(b"three\n").await.unwrap();
    assert!(scene.broadcast.is_empty().await);
    ack.send(Ok(())).unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("two"));
}

#[actix::test]
async fn a_line_that_is_too_long_is_reported_and_not_broadcast() {
    let mut scene = scene();
    let text = format!("{}\nok\n", "x".repeat(21));
    scene.input.write_all(text.as_bytes()).await.unwrap();
    let (Report(sentence), ack) = scene.report.next().await;
    assert!(sentence.starts_with("a line of 21 bytes was not sent"), "{sentence}");
    assert!(
        scene.broadcast.is_empty().await,
        "a report must be acknowledged, or reports would pile up"
    );
    ack.send(Ok(())).unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("ok"));
}

#[actix::test]
async fn finish_broadcasts_all_read_lines_and_reads_no_more() {
    let mut scene = scene();
    scene.input.write_all(b"one\n").await.unwrap();
    let (_, ack) = scene.broadcast.next().await;
    scene.input.write_all(b"two\n").await.unwrap();
    settle().await;
    let finished = actix::spawn(scene.reader.send(Finish));
    settle().await;
    scene.input.write_all(b"three\n").await.unwrap();
    ack.send(Ok(())).unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("two"));
    soon(finished).await.unwrap().unwrap();
    assert!(scene.broadcast.is_empty().await);
}

#[actix::test]
async fn finish_broadcasts_a_large_read_in_several_batches() {
    let mut scene = scene();
    let text = "0123456789\n".repeat(200);
    scene.input.write_all(text.as_bytes()).await.unwrap();
    let (Broadcast(batch), ack) = scene.broadcast.next().await;
    let finished = actix::spawn(scene.reader.send(Finish));
    settle().await;
    ack.send(Ok(())).unwrap();
    let mut lines = batch.iter().count();
    while lines < 200 {
        lines += scene.broadcast.answer(Ok(())).await.0.iter().count();
    }
    soon(finished).await.unwrap().unwrap();
}

/// Input that fails after its first line.
struct Failing(&'static [u8]);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0.is_empty() {
            false => Pin::new(&mut self.0).poll_read(cx, buf),
            true => Poll::Ready(Err(io::Error::from_raw_os_error(5))),
        }
    }
}

#[actix::test]
async fn failing_input_is_reported_and_its_unfinished_line_is_dropped() {
    let (broadcast, mut broadcasts) = stub();
    let (report, mut reports) = stub();
    let relay = RelayHandle { broadcast, report };
    let (reader, ended) = StdinReader::new(Failing(b"one\nha"), 20, 1000, relay);
    let _reader = reader.start();
    assert_eq!(broadcasts.answer(Ok(())).await.0, Lines::one("one"));
    assert_eq!(reports.answer(Ok(())).await.0, "cannot read stdin: Input/output error");
    soon(ended.cancelled()).await;
    assert!(broadcasts.is_empty().await);
}

#[actix::test]
async fn ends_with_the_console() {
    let mut scene = scene();
    scene.input.write_all(b"one\n").await.unwrap();
    scene.broadcast.answer(Err(crate::actors::messages::ConsoleGone)).await;
    soon(scene.ended.cancelled()).await;
}
