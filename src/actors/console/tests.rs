//! The Console over a pipe, with a stdout that counts what the Writer writes.

use std::{
    fs::File,
    io::{self, PipeReader, Read, Write},
    os::fd::OwnedFd,
};

use rustix::pipe::fcntl_setpipe_size;
use tokio::sync::mpsc;

use super::*;
use crate::{
    actors::stubs::{settle, soon},
    blocking,
    events::{ServerEvent, ServerTranscript},
    wire::lines::Lines,
};

/// Bytes that a pipe holds in these tests.
const PIPE: usize = 4096;

/// The stdout of the Writer. It announces the length of each write.
struct Announced {
    pipe: File,
    lengths: mpsc::UnboundedSender<usize>,
}

impl Write for Announced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lengths.send(bytes.len()).map_err(io::Error::other)?;
        self.pipe.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Scene {
    console: Addr<Console<ServerEvent>>,
    /// The lengths of the Writer's writes.
    by_writer: mpsc::UnboundedReceiver<usize>,
    stdout: PipeReader,
}

fn scene(at_once: bool) -> Scene {
    let (stdout, pipe) = io::pipe().unwrap();
    let pipe = File::from(OwnedFd::from(pipe));
    fcntl_setpipe_size(&pipe, PIPE).unwrap();
    let (lengths, by_writer) = mpsc::unbounded_channel();
    let file = at_once.then(|| pipe.try_clone().unwrap());
    let transcript = ServerTranscript::new("test", false);
    let outputs =
        Outputs::new(transcript, Announced { pipe, lengths }, io::sink()).nonblocking(file);
    Scene { console: Console::start(outputs).unwrap(), by_writer, stdout }
}

/// Whether pipes support writing without blocking (since Linux 6.4).
fn pipes_support_nowait() -> bool {
    let (_reader, pipe) = io::pipe().unwrap();
    let can = blocking::write_at_once(&pipe, b"?").is_ok();
    if !can {
        assert!(std::env::var_os("CI").is_none(), "pipes should support it in CI");
        // libtest does not capture this, unlike println!.
        let _ = io::stderr().write_all(
            b"skipped: pipes do not support writing without blocking
",
        );
    }
    can
}

fn broadcast(text: &str) -> Print<ServerEvent> {
    Print(vec![
        ServerEvent::Broadcast { lines: Lines::one(text), sessions: 1, by_http: false }.into(),
    ])
}

fn printed(text: &str) -> String {
    format!("> Enter message to send to all clients : {text}\n")
}

fn read(stdout: &mut PipeReader, len: usize) -> String {
    let mut bytes = vec![0; len];
    stdout.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[actix::test]
async fn a_short_line_is_printed_without_waking_the_writer() {
    if !pipes_support_nowait() {
        return;
    }
    let mut scene = scene(true);
    assert_eq!(soon(scene.console.send(broadcast("hello"))).await, Ok(Ok(())));
    assert_eq!(read(&mut scene.stdout, printed("hello").len()), printed("hello"));
    settle().await;
    assert!(scene.by_writer.is_empty());
}

#[actix::test]
async fn the_writer_prints_long_output_and_what_cannot_be_written_without_blocking() {
    for (at_once, text) in [(false, "hello".to_owned()), (true, "x".repeat(SHORT + 1))] {
        let mut scene = scene(at_once);
        let printing = actix::spawn(scene.console.send(broadcast(&text)));
        let expected = printed(&text);
        assert_eq!(soon(scene.by_writer.recv()).await, Some(expected.len()));
        assert_eq!(read(&mut scene.stdout, expected.len()), expected);
        assert_eq!(soon(printing).await.unwrap(), Ok(Ok(())));
    }
}

#[actix::test]
async fn the_writer_finishes_what_a_full_stdout_did_not_accept() {
    let mut scene = scene(true);
    let texts: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    let first = actix::spawn(scene.console.send(broadcast(&texts.join("\n"))));
    let second = actix::spawn(scene.console.send(broadcast("behind it")));
    let expected: String = texts.iter().map(|text| printed(text)).collect();
    let accepted_at_once = if pipes_support_nowait() { PIPE } else { 0 };
    assert_eq!(soon(scene.by_writer.recv()).await, Some(expected.len() - accepted_at_once));
    settle().await;
    assert!(!first.is_finished());
    let expected = expected + &printed("behind it");
    assert_eq!(read(&mut scene.stdout, expected.len()), expected);
    assert_eq!(soon(first).await.unwrap(), Ok(Ok(())));
    assert_eq!(soon(second).await.unwrap(), Ok(Ok(())));
}

#[actix::test]
async fn every_print_fails_after_stdout_is_closed() {
    for text in ["hello", &"x".repeat(SHORT + 1)] {
        let scene = scene(true);
        drop(scene.stdout);
        for print in [broadcast(text), Print(Vec::new()), broadcast("hello")] {
            assert_eq!(soon(scene.console.send(print)).await, Ok(Err(ConsoleGone)));
        }
    }
}

#[actix::test]
async fn short_is_measured_by_the_output_and_not_by_the_input() {
    let mut scene = scene(true);
    // As input this is one kilobyte. As output it is fifty.
    let empty_lines = "\n".repeat(1023);
    let expected = printed("").repeat(1024);
    let printing = actix::spawn(scene.console.send(broadcast(&empty_lines)));
    assert_eq!(soon(scene.by_writer.recv()).await, Some(expected.len()));
    assert_eq!(read(&mut scene.stdout, expected.len()), expected);
    assert_eq!(soon(printing).await.unwrap(), Ok(Ok(())));
}
