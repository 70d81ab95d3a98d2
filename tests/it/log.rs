//! The log: every event in a file, whatever becomes of the file.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Hub, Program, config_file, server_command, wait_until};

/// A folder for logs, and the name of the one in it.
struct Folder {
    folder: TempDir,
    log: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let log = folder.path().join("log");
        Self { folder, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn hub(&self, args: &[&str]) -> Hub {
        Hub::start(&[&["--log", self.log.to_str().unwrap()], args].concat())
    }

    fn hub_with_config(&self, config: &str) -> Hub {
        Hub::with_config(config, &["--log", self.log.to_str().unwrap()])
    }
}

/// The events in a file. Every line must be JSON.
fn events(file: &Path) -> Vec<Value> {
    parsed(&fs::read_to_string(file).unwrap())
}

fn parsed(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The texts of these events, and the names of those without one.
fn texts(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["text"].as_str().unwrap_or_else(|| event["event"].as_str().unwrap()))
        .collect()
}

/// Waits until the file has this text in it.
fn wait_for(file: &Path, text: &str) {
    wait_until(text, || {
        fs::read_to_string(file).is_ok_and(|found| found.contains(text)).then_some(())
    });
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn the_log_has_every_event_in_the_order_of_stdout() {
    let folder = Folder::new();
    let mut hub = folder.hub(&["--format", "json"]);
    let peers: Vec<_> = (0..4).map(|_| hub.peer()).collect();
    let sending: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            thread::spawn(move || {
                for n in 0..2000 {
                    peer.send(format!("line \"{n}\"\t\\ {n}\n"));
                }
                peer.leave();
            })
        })
        .collect();
    for n in 0..100 {
        hub.program.enter(&n.to_string());
    }
    for sending in sending {
        sending.join().unwrap();
    }
    hub.program.stop();
    let mut log = fs::read_to_string(&folder.log).unwrap();
    let first = log.find('\n').unwrap() + 1;
    assert!(log.drain(..first).as_str().contains("\"event\":\"bound\""));
    assert_eq!(parsed(&log).len(), 2 * 4 + 4 * 2000 + 100 + 1);
    assert!(log == hub.program.out.rest(), "the log differs from stdout");
}

#[test]
fn the_log_is_json_when_stdout_is_text_and_is_appended_to() {
    let folder = Folder::new();
    for _ in 0..2 {
        let mut hub = folder.hub(&[]);
        hub.peer().send("taco cat\n");
        hub.program.out.find("tac ocat");
        hub.program.out.find("> Closing connection");
        hub.program.stop();
    }
    let events = events(&folder.log);
    let run = ["bound", "connected", "tac ocat", "disconnected", "stopped"];
    assert_eq!(texts(&events), [run, run].concat());
    let mode = fs::metadata(&folder.log).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn large_logs_are_renamed_and_the_oldest_deleted() {
    let folder = Folder::new();
    let mut hub = folder.hub_with_config("[log]\nrotate = \"4 KiB\"\nkeep = 3\n");
    for n in 0..200 {
        hub.program.enter(&n.to_string());
    }
    hub.program.out.find(" : 199");
    hub.program.stop();
    let mut names: Vec<_> = fs::read_dir(folder.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["log", "log.1", "log.2", "log.3"]);
    let mut all = Vec::new();
    for name in ["log.3", "log.2", "log.1"] {
        let size = fs::metadata(folder.path(name)).unwrap().len();
        assert!((4096..4096 + 200).contains(&size), "{name} has {size} bytes");
        all.extend(events(&folder.path(name)));
    }
    all.extend(events(&folder.log));
    let first: usize = texts(&all)[0].parse().unwrap();
    let expected: Vec<_> = (first..200).map(|n| n.to_string()).chain(["stopped".into()]).collect();
    assert_eq!(texts(&all), expected);
}

#[test]
fn a_log_that_was_moved_is_opened_again_on_sighup_without_losing_a_line() {
    let folder = Folder::new();
    let mut hub = folder.hub(&[]);
    for round in 0..5 {
        for n in 0..200 {
            hub.program.enter(&format!("{round} {n}"));
        }
        fs::rename(&folder.log, folder.path(&format!("moved.{round}"))).unwrap();
        hub.program.signal(Signal::HUP);
        wait_until("the log is there again", || folder.log.exists().then_some(()));
    }
    hub.program.out.find("4 199");
    hub.program.stop();
    let mut all = Vec::new();
    for round in 0..5 {
        all.extend(events(&folder.path(&format!("moved.{round}"))));
    }
    all.extend(events(&folder.log));
    let lines = (0..5).flat_map(|round| (0..200).map(move |n| format!("{round} {n}")));
    let expected: Vec<_> =
        ["bound".to_owned()].into_iter().chain(lines).chain(["stopped".to_owned()]).collect();
    assert_eq!(texts(&all), expected);
}

#[test]
fn sighup_without_a_log_stops_nothing() {
    let mut hub = Hub::start(&[]);
    hub.program.signal(Signal::HUP);
    hub.program.enter("still here");
    hub.program.out.find("still here");
    hub.program.stop();
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error_that_names_it() {
    for (log, why) in [("/", "Is a directory"), ("/no/such/log", "No such file or directory")] {
        let mut program =
            Program::start(server_command().args(["--bind", "127.0.0.1", "--log", log, "0"]));
        program.ends_with(1);
        assert_eq!(program.err.rest(), format!("hub-server: cannot open the log {log}: {why}\n"));
        assert_eq!(program.out.rest(), "");
        let checked = server_command().args(["--check", "--log", log]).output().unwrap();
        assert!(checked.status.success(), "--check does not open it");
    }
}

#[test]
fn a_wrong_value_is_an_error_that_names_its_line_and_key() {
    for (line, expected) in [
        (
            "rotate = \"2 TiB\"",
            "log.rotate: invalid value: string \"2 TiB\", expected \"off\" or a size from 1 byte to 1 \
             TiB such as 1048576 or \"100 MiB\"",
        ),
        (
            "keep = -1",
            "log.keep: invalid value: integer `-1`, expected a number of files from 0 to 10000",
        ),
        ("file = \"\"", "log.file: invalid value: string \"\", expected the name of a file"),
    ] {
        let config = config_file(&format!("[log]\n{line}\n"));
        let path = config.path().to_str().unwrap();
        let output = server_command().args(["--check", "--config", path]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error, format!("hub-server: {path}:2: {expected}\n"));
    }
}

#[test]
fn a_flag_overrides_the_variable_which_overrides_the_file() {
    let config = config_file("[log]\nfile = \"in-file\"\nrotate = \"5 MiB\"\n");
    let path = config.path().to_str().unwrap();
    let log_with = |set: fn(&mut Command)| {
        let mut command = server_command();
        set(command.args(["--check", "--config", path]));
        let output = command.output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_once("[log]\n").unwrap().1.lines().next().unwrap().to_owned()
    };
    assert_eq!(log_with(|_| ()), "file = \"in-file\"");
    let variable = |command: &mut Command| {
        command.env("LINEHUB_LOG", "in-variable");
    };
    assert_eq!(
        log_with(|command| {
            command.env("LINEHUB_LOG", "");
        }),
        "file = \"in-file\""
    );
    assert_eq!(log_with(variable), "file = \"in-variable\"");
    let both = |command: &mut Command| {
        command.env("LINEHUB_LOG", "in-variable").args(["--log", "in-flag"]);
    };
    assert_eq!(log_with(both), "file = \"in-flag\"");
}

#[test]
fn a_log_that_cannot_be_opened_again_is_reported_and_the_old_one_continues() {
    let folder = Folder::new();
    let mut hub = folder.hub(&[]);
    fs::rename(&folder.log, folder.path("moved")).unwrap();
    fs::create_dir(&folder.log).unwrap();
    hub.program.signal(Signal::HUP);
    let report = hub.program.err.next();
    assert!(report.ends_with("/log cannot be opened again: Is a directory"), "{report}");
    hub.program.enter("still logged");
    hub.program.out.find("still logged");
    hub.program.stop();
    let events = events(&folder.path("moved"));
    assert!(texts(&events).contains(&"still logged"));
}

/// A full disk, as far as the program can tell: no file may grow beyond a limit. The signal that comes
/// with that is ignored.
#[test]
fn a_full_disk_delays_nothing_and_the_missing_events_are_counted() {
    let folder = Folder::new();
    let (server, log) = (env!("CARGO_BIN_EXE_hub-server"), folder.log.display());
    let command = format!(
        "trap '' XFSZ; ulimit -S -f 8; exec {server} --bind 127.0.0.1 --log '{log}' --format json 0"
    );
    let mut sh = crate::support::command("sh");
    let mut hub = Hub::start_as(sh.arg("-c").arg(command).stdout(Stdio::piped()));
    let line = "x".repeat(100);
    for _ in 0..200 {
        hub.program.enter(&line);
    }
    hub.program.enter("last");
    let mut stdout = Vec::new();
    while stdout.last().is_none_or(|event: &Value| event["text"] != "last") {
        stdout.push(hub.event());
    }
    let report = hub.program.err.next();
    assert!(report.ends_with("/log cannot be written: File too large"), "{report}");
    // Room again.
    let pid = Pid::from_raw(hub.program.pid().try_into().unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    wait_for(&folder.log, "\"gap\"");
    hub.program.enter("after it");
    hub.program.stop();
    stdout.extend(parsed(&hub.program.out.rest()));
    let logged = events(&folder.log);
    assert_eq!(missing_and_found(&logged), stdout.len() as u64 + 1, "{:?}", texts(&logged));
    assert_eq!(texts(&logged)[logged.len() - 2..], ["after it", "stopped"]);
    assert_eq!(hub.program.err.rest(), "", "it is reported once");
}

/// The number of events that are in the log or counted as missing.
fn missing_and_found(events: &[Value]) -> u64 {
    let gap = |event: &Value| event["missed"].as_u64();
    events.iter().map(|event| gap(event).unwrap_or(1)).sum()
}

#[test]
fn a_log_without_a_reader_delays_the_hub_for_stall_and_gets_a_gap() {
    let folder = Folder::new();
    make_fifo(&folder.log);
    let mut hub = folder.hub_with_config("[timeouts]\nstall = \"300ms\"\n");
    let line = "x".repeat(10_000);
    for _ in 0..1000 {
        hub.program.enter(&line);
    }
    hub.program.enter("last");
    hub.program.out.find(" : last");
    let report = hub.program.err.next();
    assert!(report.contains("/log is too slow: "), "{report}");
    let mut fifo = File::open(&folder.log).unwrap();
    // Reads up to and including the gap.
    let mut text = String::new();
    let mut buffer = vec![0; 64 * 1024];
    while !text.contains("\"gap\"") || !text.ends_with('\n') {
        let count = fifo.read(&mut buffer).unwrap();
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    hub.program.enter("after it");
    hub.program.out.find(" : after it");
    hub.program.stop();
    fifo.read_to_string(&mut text).unwrap();
    let logged = parsed(&text);
    // Bound, the lines, the report, and the end.
    assert_eq!(missing_and_found(&logged), 1 + 1001 + 1 + 1 + 1);
    let last: Vec<_> = logged[logged.len() - 3..].iter().map(|event| &event["event"]).collect();
    assert_eq!(last, ["gap", "broadcast", "stopped"]);
    assert!(logged.len() > 20, "what was accepted is not lost");
    assert_eq!(hub.program.err.rest(), "", "it is reported once");
}

#[test]
fn a_full_device_stops_nothing() {
    let folder = Folder::new();
    symlink("/dev/full", &folder.log).unwrap();
    let mut hub = folder.hub(&[]);
    hub.program.enter("printed");
    hub.program.out.find("printed");
    let report = hub.program.err.next();
    assert!(report.ends_with("/log cannot be written: No space left on device"), "{report}");
    hub.program.stop();
    assert_eq!(hub.program.err.rest(), "");
}

#[test]
fn a_log_that_blocks_does_not_keep_the_server_from_ending() {
    let folder = Folder::new();
    make_fifo(&folder.log);
    let mut hub = folder.hub_with_config("[timeouts]\nstall = \"300ms\"\n");
    // More than the FIFO holds, and less than the queue.
    for _ in 0..50 {
        hub.program.enter(&"x".repeat(10_000));
    }
    hub.program.enter("last");
    hub.program.out.find(" : last");
    hub.program.stop();
}
