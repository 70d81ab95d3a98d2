//! The Console over a pipe, with a stdout that shows what came by the Writer.

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
    events::transcript::ServerTranscript,
    wire::lines::Lines,
};

/// Bytes that a pipe holds in these tests.
const PIPE: usize = 4096;

/// What the Writer writes to: the pipe, after having told how many bytes.
struct Told {
    pipe: File,
    tell: mpsc::UnboundedSender<usize>,
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tell.send(bytes.len()).map_err(io::Error::other)?;
        self.pipe.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Scene {
    console: Addr<Console>,
    /// How many bytes the Writer is about to write.
    by_writer: mpsc::UnboundedReceiver<usize>,
    stdout: PipeReader,
}

fn scene(at_once: bool) -> Scene {
    let (stdout, pipe) = io::pipe().unwrap();
    let pipe = File::from(OwnedFd::from(pipe));
    fcntl_setpipe_size(&pipe, PIPE).unwrap();
    let (tell, by_writer) = mpsc::unbounded_channel();
    let outputs = Outputs {
        renderer: Box::new(ServerTranscript { program: "test", at_terminal: false }),
        out_file: at_once.then(|| pipe.try_clone().unwrap()),
        out: Box::new(Told { pipe, tell }),
        err: Box::new(io::sink()),
    };
    Scene { console: Console::start(outputs).unwrap(), by_writer, stdout }
}

/// Whether a pipe can be asked what it takes without waiting (since Linux 6.4).
fn pipes_can_tell() -> bool {
    let (_reader, pipe) = io::pipe().unwrap();
    let can = blocking::write_at_once(&pipe, b"?").is_ok();
    if !can {
        println!("skipped: this system's pipes cannot be asked");
    }
    can
}

fn broadcast(text: &str) -> Print {
    Print(vec![Event::Broadcast { lines: Lines::one(text), sessions: 1 }.into()])
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
    if !pipes_can_tell() {
        return;
    }
    let mut scene = scene(true);
    assert_eq!(soon(scene.console.send(broadcast("hello"))).await, Ok(Ok(())));
    assert_eq!(read(&mut scene.stdout, printed("hello").len()), printed("hello"));
    settle().await;
    assert!(scene.by_writer.is_empty());
}

#[actix::test]
async fn where_stdout_cannot_tell_or_much_is_to_be_printed_the_writer_does_it() {
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
async fn what_a_full_stdout_does_not_take_the_writer_waits_with_and_nothing_is_said_twice() {
    let mut scene = scene(true);
    let texts: Vec<_> = (0..300).map(|n| n.to_string()).collect();
    let first = actix::spawn(scene.console.send(broadcast(&texts.join("\n"))));
    let second = actix::spawn(scene.console.send(broadcast("behind it")));
    let expected: String = texts.iter().map(|text| printed(text)).collect();
    let taken_at_once = if pipes_can_tell() { PIPE } else { 0 };
    assert_eq!(soon(scene.by_writer.recv()).await, Some(expected.len() - taken_at_once));
    settle().await;
    assert!(!first.is_finished());
    let expected = expected + &printed("behind it");
    assert_eq!(read(&mut scene.stdout, expected.len()), expected);
    assert_eq!(soon(first).await.unwrap(), Ok(Ok(())));
    assert_eq!(soon(second).await.unwrap(), Ok(Ok(())));
}

#[actix::test]
async fn a_stdout_that_is_closed_is_told_to_everybody_from_then_on() {
    for text in ["hello", &"x".repeat(SHORT + 1)] {
        let scene = scene(true);
        drop(scene.stdout);
        for print in [broadcast(text), Print(Vec::new()), broadcast("hello")] {
            assert_eq!(soon(scene.console.send(print)).await, Ok(Err(ConsoleGone)));
        }
    }
}
