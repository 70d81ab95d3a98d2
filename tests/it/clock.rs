//! No value of the system's clock is an error. faketime (a Debian package) gives a program a clock of
//! its own.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Program, server_command, skipped};

/// The library that gives programs a clock of their own, as faketime preloads it. None if faketime is not
/// installed.
fn faketime() -> Option<String> {
    let mut probe = Command::new("faketime");
    probe.args(["2000-01-01", "printenv", "LD_PRELOAD"]).stdin(Stdio::null());
    let output = probe.output().ok().filter(|output| output.status.success());
    if output.is_none() {
        skipped("faketime is not installed");
    }
    Some(String::from_utf8(output?.stdout).unwrap().trim().to_owned())
}

#[test]
fn the_hub_runs_with_a_clock_before_1970() {
    let Some(library) = faketime() else { return };
    let mut command = server_command();
    command.args(["--bind", "127.0.0.1", "--format", "json", "0"]);
    command.env("LD_PRELOAD", library).env("FAKETIME", "@1969-12-31 23:00:00").env("TZ", "UTC");
    // Time-outs use the monotonic clock, which stays as it is.
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut hub = Program::start(&mut command);
    for event in ["bound", "stopped"] {
        let record: serde_json::Value = serde_json::from_str(&hub.out.next()).unwrap();
        assert_eq!(record["event"], event);
        let time = record["time"].as_str().unwrap();
        assert!(time.starts_with("1969-12-31T23:0") && time.ends_with('Z'), "{time}");
        assert_eq!(time.len(), "1969-12-31T23:00:00.000000Z".len());
        if event == "bound" {
            hub.signal(Signal::TERM);
        }
    }
    hub.ends_with(0);
}
