//! The StdinReader with a stub Hub and input from memory.

use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::{
    actors::{
        messages::{Broadcast, DeskError, Kick, List, Rename, Report, Show, Tell},
        stubs::{Inbox, settle, soon, stub},
    },
    desk::command::Who,
    wire::lines::Lines,
};

struct Scene {
    reader: actix::Addr<StdinReader<DuplexStream>>,
    input: DuplexStream,
    broadcast: Inbox<Broadcast>,
    tell: Inbox<Tell>,
    kick: Inbox<Kick>,
    rename: Inbox<Rename>,
    list: Inbox<List>,
    show: Inbox<Show>,
    report: Inbox<Report>,
    ending: Ending,
}

const SETTINGS: Settings = Settings { max_line: 20, outbox: 1000, commands: false };

fn scene() -> Scene {
    scene_with(SETTINGS)
}

fn scene_with(settings: Settings) -> Scene {
    let (broadcast, broadcasts) = stub();
    let (tell, tells) = stub();
    let (kick, kicks) = stub();
    let (rename, renames) = stub();
    let (list, lists) = stub();
    let (show, shows) = stub();
    let (report, reports) = stub();
    let desk = DeskHandle { broadcast, tell, kick, rename, list, show, report };
    let (input, ours) = duplex(100_000);
    let (reader, ending) = StdinReader::new(ours, settings, desk);
    Scene {
        reader: reader.start(),
        input,
        broadcast: broadcasts,
        tell: tells,
        kick: kicks,
        rename: renames,
        list: lists,
        show: shows,
        report: reports,
        ending,
    }
}

#[actix::test]
async fn lines_that_arrive_together_are_broadcast_together() {
    let mut scene = scene();
    scene.input.write_all(b"one\ntwo\nthr").await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("one\ntwo"));
    scene.input.write_all(b"ee\n").await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("three"));
}

#[actix::test]
async fn a_short_batch_does_not_keep_its_read_buffer() {
    let mut scene = scene();
    scene.input.write_all(b"short\n").await.unwrap();
    let (Broadcast { lines, .. }, _unanswered) = scene.broadcast.next().await;
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
        let Broadcast { lines: batch, .. } = scene.broadcast.answer(Ok(())).await;
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
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("one"));
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("last"));
    soon(scene.ending.ended.cancelled()).await;
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
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("two"));
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
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("ok"));
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
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("two"));
    soon(finished).await.unwrap().unwrap();
    assert!(scene.broadcast.is_empty().await);
}

#[actix::test]
async fn finish_broadcasts_a_large_read_in_several_batches() {
    let mut scene = scene();
    let text = "0123456789\n".repeat(200);
    scene.input.write_all(text.as_bytes()).await.unwrap();
    let (Broadcast { lines: batch, .. }, ack) = scene.broadcast.next().await;
    let finished = actix::spawn(scene.reader.send(Finish));
    settle().await;
    ack.send(Ok(())).unwrap();
    let mut lines = batch.iter().count();
    while lines < 200 {
        lines += scene.broadcast.answer(Ok(())).await.lines.iter().count();
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
    let (tell, kick, rename) = (stub().0, stub().0, stub().0);
    let (list, show) = (stub().0, stub().0);
    let desk = DeskHandle { broadcast, tell, kick, rename, list, show, report };
    let (reader, ending) = StdinReader::new(Failing(b"one\nha"), SETTINGS, desk);
    let _reader = reader.start();
    assert_eq!(broadcasts.answer(Ok(())).await.lines, Lines::one("one"));
    assert_eq!(reports.answer(Ok(())).await.0, "cannot read stdin: Input/output error");
    soon(ending.ended.cancelled()).await;
    assert!(broadcasts.is_empty().await);
}

#[actix::test]
async fn ends_with_the_console() {
    let mut scene = scene();
    scene.input.write_all(b"one\n").await.unwrap();
    scene.broadcast.answer(Err(crate::actors::messages::ConsoleGone)).await;
    soon(scene.ending.ended.cancelled()).await;
}

fn scene_with_commands() -> Scene {
    scene_with(Settings { max_line: 200, commands: true, ..SETTINGS })
}

#[actix::test]
async fn commands_are_carried_out_in_order_between_the_lines_to_all() {
    let mut scene = scene_with_commands();
    let text = b"one\n//two\n/tell anna only  you\n/kick 3\n/name 3 bob\n/who\n/help\nthree\n";
    scene.input.write_all(text).await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("one\n/two"));
    let tell = scene.tell.answer(Ok(())).await;
    assert_eq!((tell.who, tell.lines), (Who::parse("anna"), Lines::one("only  you")));
    assert_eq!(scene.kick.answer(Ok(())).await.who, Who::Number(3));
    let rename = scene.rename.answer(Ok(())).await;
    assert_eq!((rename.who, rename.name), (Who::Number(3), Some("bob".parse().unwrap())));
    scene.list.answer(Vec::new()).await;
    assert_eq!(scene.show.answer(Ok(())).await.0, "> Nobody is connected\n");
    assert!(scene.show.answer(Ok(())).await.0.contains("> /tell WHO TEXT"));
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("three"));
}

#[actix::test]
async fn a_mistake_is_reported_and_nothing_is_sent() {
    let mut scene = scene_with_commands();
    scene.input.write_all(b"/wo\n/kick anna\n").await.unwrap();
    let Report(sentence) = scene.report.answer(Ok(())).await;
    assert_eq!(sentence, "nothing was sent: there is no command /wo; /help lists the commands");
    let numbers = vec![1, 3];
    let several = DeskError::Several { who: Who::parse("anna"), numbers };
    scene.kick.answer(Err(several)).await;
    let Report(sentence) = scene.report.answer(Ok(())).await;
    let expected = "nothing was done: several clients are called anna: use one of the numbers 1, 3";
    assert_eq!(sentence, expected);
    assert!(scene.broadcast.is_empty().await);
}

#[actix::test]
async fn quit_stops_the_server_and_nothing_after_it_counts() {
    let mut scene = scene_with_commands();
    scene.input.write_all(b"one\n/quit\ntwo\n").await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("one"));
    soon(scene.ending.quit.cancelled()).await;
    soon(scene.ending.ended.cancelled()).await;
    assert!(scene.broadcast.is_empty().await);
}

#[actix::test]
async fn where_commands_are_off_every_line_is_data() {
    let mut scene = scene();
    scene.input.write_all(b"/quit\n//\n").await.unwrap();
    assert_eq!(scene.broadcast.answer(Ok(())).await.lines, Lines::one("/quit\n//"));
}
