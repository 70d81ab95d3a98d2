use std::{fs, io::Read, path::Path};

use tempfile::TempDir;

use super::*;
use crate::events::ServerEvent;

const STALL: Duration = Duration::from_millis(200);

struct Scene {
    folder: TempDir,
    log: Log<ServerEvent>,
    problems: mpsc::Receiver<String>,
}

impl Scene {
    fn new(prepare: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("log");
        prepare(&file);
        let file = LogFile::open(Settings { file, rotate: None, keep: 7 }).unwrap();
        let (log, problems) = Log::start(file, STALL).unwrap();
        Self { folder, log, problems }
    }

    async fn accept(&self, events: &[Stamped<ServerEvent>]) {
        if let Some(room) = self.log.accept(events) {
            soon(room).await;
        }
    }

    async fn finish(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        self.log.finish(deadline, deadline).await;
    }

    fn text(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.unwrap()
}

fn broadcast(text: &str) -> Stamped<ServerEvent> {
    ServerEvent::Broadcast { lines: Lines::one(text), sessions: 1, by_http: false }.into()
}

/// A summary of each line of a log, without times.
fn summaries(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            match event["event"].as_str().unwrap() {
                "gap" => {
                    assert_eq!(event["where"], "log");
                    format!("gap of {}", event["missed"])
                }
                "broadcast" => event["text"].as_str().unwrap().to_owned(),
                other => other.to_owned(),
            }
        })
        .collect()
}

#[actix::test]
async fn every_event_is_one_line_in_order() {
    let scene = Scene::new(|_| ());
    let texts: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    for text in &texts {
        scene.accept(&[broadcast(text)]).await;
    }
    scene.accept(&[ServerEvent::Listing("no event\n".to_owned()).into()]).await;
    scene.accept(&[ServerEvent::Stopped.into()]).await;
    scene.finish().await;
    let expected: Vec<_> = texts.into_iter().chain(["stopped".to_owned()]).collect();
    assert_eq!(summaries(&scene.text()), expected);
}

#[actix::test]
async fn what_cannot_be_written_is_counted_and_reported_once() {
    let mut scene = Scene::new(|file| std::os::unix::fs::symlink("/dev/full", file).unwrap());
    scene.accept(&[broadcast("one\ntwo"), broadcast("three")]).await;
    let problem = soon(scene.problems.recv()).await.unwrap();
    assert!(problem.ends_with("/log cannot be written: No space left on device"), "{problem}");
    scene.accept(&[broadcast("four\nfive\nsix")]).await;
    let file = scene.folder.path().join("log");
    fs::remove_file(&file).unwrap();
    // Nothing is under way to the full device when the log is opened again.
    soon(scene.log.shared.until(|state| state.bytes == 0)).await;
    scene.log.reopen();
    scene.accept(&[broadcast("seven")]).await;
    scene.finish().await;
    assert_eq!(summaries(&scene.text()), ["gap of 6", "seven"]);
    drop(scene.log);
    assert_eq!(soon(scene.problems.recv()).await, None);
}

#[actix::test]
async fn the_gap_is_written_without_waiting_for_another_event() {
    let mut scene = Scene::new(|file| std::os::unix::fs::symlink("/dev/full", file).unwrap());
    scene.accept(&[broadcast("lost")]).await;
    soon(scene.problems.recv()).await.unwrap();
    let file = scene.folder.path().join("log");
    fs::remove_file(&file).unwrap();
    scene.log.reopen();
    let appeared = async {
        while fs::read_to_string(&file).is_ok_and(|text| text.is_empty()) || !file.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(appeared).await;
    assert_eq!(summaries(&scene.text()), ["gap of 1"]);
}

#[actix::test]
async fn a_log_that_blocks_is_given_up_after_stall_and_gets_a_gap_when_it_is_read() {
    let mut scene = Scene::new(make_fifo);
    let line = "x".repeat(10_000);
    let mut accepted = 0;
    // Fill the FIFO and the queue.
    while !scene.log.shared.lock().given_up {
        scene.accept(&[broadcast(&line)]).await;
        accepted += 1;
    }
    let problem = soon(scene.problems.recv()).await.unwrap();
    assert!(problem.contains("/log is too slow: "), "{problem}");
    let start = Instant::now();
    for _ in 0..1000 {
        scene.accept(&[broadcast("missed\nmissed")]).await;
    }
    assert!(start.elapsed() < Duration::from_secs(10), "nothing waits any more");
    let mut fifo = fs::File::open(scene.folder.path().join("log")).unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        fifo.read_to_string(&mut text).unwrap();
        text
    });
    soon(scene.log.shared.until(|state| state.bytes == 0)).await;
    // The thread may not have seen yet that it has written everything.
    while scene.log.shared.lock().given_up {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    scene.accept(&[broadcast("next")]).await;
    scene.finish().await;
    drop(scene.log);
    let text = reader.join().unwrap();
    let mut expected = vec![line; accepted];
    expected.extend(["gap of 2000".to_owned(), "next".to_owned()]);
    assert_eq!(summaries(&text), expected);
}

#[actix::test]
async fn a_blocked_log_continues_with_the_same_line_in_the_file_that_is_opened_again() {
    let scene = Scene::new(make_fifo);
    let line = "x".repeat(10_000);
    for _ in 0..20 {
        scene.accept(&[broadcast(&line)]).await;
    }
    let file = scene.folder.path().join("log");
    let mut fifo = fs::File::open(&file).unwrap();
    let mut first_line = [0; 10_000];
    fifo.read_exact(&mut first_line).unwrap();
    fs::remove_file(&file).unwrap();
    scene.log.reopen();
    scene.finish().await;
    let in_file = summaries(&scene.text());
    // The FIFO has the lines before that, and perhaps the beginning of one.
    let mut in_fifo = String::new();
    fifo.read_to_string(&mut in_fifo).unwrap();
    assert_eq!(in_fifo.matches('\n').count() + in_file.len(), 20);
    assert_eq!(in_file, vec![line; in_file.len()]);
    assert!(in_file.len() < 20);
}

#[actix::test]
async fn dropping_the_log_ends_its_thread_even_if_it_is_blocked() {
    let mut scene = Scene::new(make_fifo);
    scene.accept(&[broadcast(&"x".repeat(100_000))]).await;
    drop(scene.log);
    // The thread holds the other end.
    assert_eq!(soon(scene.problems.recv()).await, None);
}

/// Makes a FIFO. The standard library cannot.
fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}
