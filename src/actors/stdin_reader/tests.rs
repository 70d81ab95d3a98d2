//! The StdinReader with a stub Hub and input from memory.

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::actors::stubs::{Inbox, settle, soon, stub};

struct Scene {
    reader: actix::Addr<StdinReader<DuplexStream>>,
    input: DuplexStream,
    broadcast: Inbox<Broadcast>,
    report: Inbox<Report>,
    ended: oneshot::Receiver<()>,
}

fn scene() -> Scene {
    let (broadcast, broadcasts) = stub();
    let (report, reports) = stub();
    let (input, ours) = duplex(100_000);
    let (reader, ended) = StdinReader::new(ours, 20, 1000, RelayHandle { broadcast, report });
    Scene { reader: reader.start(), input, broadcast: broadcasts, report: reports, ended }
}

#[actix::test]
async fn lines_that_wait_together_are_relayed_together() {
    let mut scene = scene();
    scene.input.write_all(b"one\ntwo\nthr").await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("one\ntwo"));
    scene.input.write_all(b"ee\n").await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("three"));
}

#[actix::test]
async fn a_short_batch_does_not_keep_the_memory_that_was_read_into() {
    let mut scene = scene();
    scene.input.write_all(b"short\n").await.unwrap();
    let (Broadcast(lines), _unanswered) = scene.broadcast.next().await;
    let bytes = lines.as_bytes().clone();
    drop(lines);
    let own = bytes.try_into_mut().expect("nobody else has a part of it");
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
async fn the_last_line_needs_no_lf_and_then_it_ends() {
    let mut scene = scene();
    scene.input.write_all(b"one\nlast").await.unwrap();
    drop(scene.input);
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("one"));
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("last"));
    assert!(soon(scene.ended).await.is_err());
}

#[actix::test]
async fn waits_until_everybody_has_taken_a_batch_before_the_next() {
    let mut scene = scene();
    scene.input.write_all(b"one\n").await.unwrap();
    let (_, taken) = scene.broadcast.next().await;
    scene.input.write_all(b"two\n").await.unwrap();
    settle().await;
    scene.input.write_all(b"three\n").await.unwrap();
    assert!(scene.broadcast.is_empty().await);
    taken.send(Ok(())).unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("two"));
}

#[actix::test]
async fn a_line_that_is_too_long_is_reported_and_not_relayed() {
    let mut scene = scene();
    let text = format!("{}\nok\n", "x".repeat(21));
    scene.input.write_all(text.as_bytes()).await.unwrap();
    let (Report(sentence), said) = scene.report.next().await;
    assert!(sentence.starts_with("a line of 21 bytes was not sent"), "{sentence}");
    assert!(scene.broadcast.is_empty().await, "reports are waited for, or they would pile up");
    said.send(Ok(())).unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("ok"));
}

#[actix::test]
async fn told_to_finish_it_relays_what_it_has_read_and_reads_no_more() {
    let mut scene = scene();
    scene.input.write_all(b"one\n").await.unwrap();
    let (_, taken) = scene.broadcast.next().await;
    scene.input.write_all(b"two\n").await.unwrap();
    settle().await;
    let finished = actix::spawn(scene.reader.send(Finish));
    settle().await;
    scene.input.write_all(b"three\n").await.unwrap();
    taken.send(Ok(())).unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.0, Lines::one("two"));
    soon(finished).await.unwrap().unwrap();
    assert!(scene.broadcast.is_empty().await);
}

#[actix::test]
async fn told_to_finish_it_relays_all_of_what_it_has_read_at_once() {
    let mut scene = scene();
    let text = "0123456789\n".repeat(200);
    scene.input.write_all(text.as_bytes()).await.unwrap();
    let (Broadcast(batch), taken) = scene.broadcast.next().await;
    let finished = actix::spawn(scene.reader.send(Finish));
    settle().await;
    taken.send(Ok(())).unwrap();
    let mut lines = batch.iter().count();
    while lines < 200 {
        lines += scene.broadcast.answer(Ok(())).await.0.iter().count();
    }
    soon(finished).await.unwrap().unwrap();
}

/// Input that fails behind its first line.
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
async fn input_that_fails_is_reported_and_half_a_line_of_it_is_no_line() {
    let (broadcast, mut broadcasts) = stub();
    let (report, mut reports) = stub();
    let relay = RelayHandle { broadcast, report };
    let (reader, ended) = StdinReader::new(Failing(b"one\nha"), 20, 1000, relay);
    let _reader = reader.start();
    assert_eq!(broadcasts.answer(Ok(())).await.0, Lines::one("one"));
    assert_eq!(reports.answer(Ok(())).await.0, "cannot read stdin: Input/output error");
    assert!(soon(ended).await.is_err());
    assert!(broadcasts.is_empty().await);
}

#[actix::test]
async fn ends_when_the_console_has_gone() {
    let mut scene = scene();
    scene.input.write_all(b"one\n").await.unwrap();
    scene.broadcast.answer(Err(crate::actors::messages::ConsoleGone)).await;
    assert!(soon(scene.ended).await.is_err());
}
