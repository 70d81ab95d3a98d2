//! Configuration and arguments, and what is said when they are wrong.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt,
    process::{Command, Output},
};

use crate::support::{client_command, server_command};

/// The programs, each asked for a text.
fn asked() -> Vec<Command> {
    let mut commands = Vec::new();
    for (command, flags) in [
        (server_command as fn() -> Command, ["--help", "--version", "--check"].as_slice()),
        (client_command, &["--help", "--version"]),
    ] {
        for flag in flags {
            commands.push(command());
            commands.last_mut().unwrap().arg(flag);
        }
    }
    commands
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    output
}

/// What `--check` says is in force.
fn in_force(command: &mut Command) -> String {
    let output = run(command.arg("--check"));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a program says on stderr before it fails.
fn stderr(command: &mut Command) -> String {
    let output = run(command);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The first line on stderr of a program that ends with status 2.
fn refusal(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    let err = String::from_utf8(output.stderr).unwrap();
    err.lines().next().unwrap().to_owned()
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.toml");
    fs::write(&path, "[server]\nport = 1\nmax_sessions = 1\nbind = \"127.0.0.1\"\n").unwrap();
    let mut command = server_command();
    command.arg("--config").arg(&path).env("HUB_PORT", "2").env("HUB_MAX_SESSIONS", "2").arg("3");
    let text = in_force(&mut command);
    assert!(text.contains("port = 3\n"), "{text}");
    assert!(text.contains("max_sessions = 2\n"), "{text}");
    assert!(text.contains("bind = \"127.0.0.1\"\n"), "{text}");
    assert!(text.contains("max_line = \"64 KiB\"\n"), "{text}");
    fs::write(&path, &text).unwrap();
    assert_eq!(in_force(server_command().env("HUB_CONFIG", &path)), text, "it reads back the same");
}

#[test]
fn the_file_that_ships_says_what_is_in_force_without_one() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/server.toml");
    let with = in_force(server_command().args(["--config", shipped]));
    assert_eq!(with, in_force(&mut server_command()));
}

#[test]
fn an_empty_variable_is_not_set() {
    let mut command = server_command();
    for variable in ["HUB_CONFIG", "HUB_PORT", "HUB_BIND", "HUB_MAX_SESSIONS", "HUB_FORMAT"] {
        command.env(variable, "");
    }
    assert_eq!(in_force(&mut command), in_force(&mut server_command()));
}

#[test]
fn a_wrong_file_is_told_with_file_line_key_and_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.toml");
    let name = path.display();
    for (text, expected) in [
        (
            "[limits]\noutbox = \"a lot\"\n",
            "2: limits.outbox: invalid value: string \"a lot\", expected a size from 1 byte to 1 \
             GiB such as 65536 or \"64 KiB\"",
        ),
        (
            "[server]\n\nprot = 1\n",
            "3: server.prot: unknown field `prot`, expected one of `port`, `bind`, \
             `max_sessions`, `workers`",
        ),
        (
            "[limits]\noutbox = 100\n",
            "2: limits.outbox (100 bytes) cannot hold a longest line (limits.max_line, 65536 \
             bytes): expected limits.outbox to be at least 65601",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let said = refusal(server_command().arg("--config").arg(&path));
        assert_eq!(said, format!("hub-server: {name}:{expected}"));
    }
    fs::remove_file(&path).unwrap();
    let said = refusal(server_command().arg("--config").arg(&path));
    assert_eq!(said, format!("hub-server: {name}: No such file or directory"));
}

#[test]
fn a_wrong_argument_or_variable_is_told_by_its_name() {
    assert_eq!(
        refusal(server_command().arg("70000")),
        "hub-server: invalid value '70000' for '[PORT]': expected a TCP port from 0 to 65535"
    );
    assert_eq!(
        refusal(server_command().env("HUB_PORT", "abc")),
        "hub-server: HUB_PORT: invalid value 'abc' for '[PORT]': expected a TCP port from 0 to \
         65535"
    );
    assert_eq!(
        refusal(server_command().env("HUB_BIND", "localhost")),
        "hub-server: HUB_BIND: invalid value 'localhost' for '--bind <ADDR>': expected an IP address \
         such as 0.0.0.0 or ::"
    );
    assert_eq!(
        refusal(server_command().env("HUB_MAX_SESSIONS", "9").args(["--max-sessions", "0"])),
        "hub-server: invalid value '0' for '--max-sessions <N>': expected a number of clients from \
         1 to 1000000"
    );
    assert_eq!(
        refusal(client_command().env("HUB_FORMAT", "xml").arg("1")),
        "hub-client: HUB_FORMAT: invalid value 'xml' for '--format <text|json>': expected text or \
         json"
    );
    assert_eq!(
        refusal(server_command().arg("--frob")),
        "hub-server: unexpected argument '--frob' found"
    );
    assert_eq!(
        refusal(&mut client_command()),
        "hub-client: the following required arguments were not provided: <PORT>"
    );
    assert_eq!(
        refusal(client_command().arg("0")),
        "hub-client: invalid value '0' for '<PORT>': expected a TCP port from 1 to 65535"
    );
}

#[test]
fn a_variable_is_blamed_for_what_it_says_and_for_nothing_else() {
    assert_eq!(
        refusal(server_command().env("HUB_MAX_SESSIONS", "0").arg("0")),
        "hub-server: HUB_MAX_SESSIONS: invalid value '0' for '--max-sessions <N>': expected a \
         number of clients from 1 to 1000000"
    );
    assert_eq!(
        refusal(server_command().env("HUB_PORT", "70000").arg("70000")),
        "hub-server: invalid value '70000' for '[PORT]': expected a TCP port from 0 to 65535"
    );
    let garbage = OsStr::from_bytes(b"\xff");
    assert_eq!(
        refusal(server_command().env("HUB_BIND", garbage).env("HUB_FORMAT", garbage)),
        "hub-server: HUB_BIND: expected UTF-8"
    );
    assert_eq!(
        refusal(client_command().env("HUB_FORMAT", garbage).arg("1")),
        "hub-client: HUB_FORMAT: expected UTF-8"
    );
    assert_eq!(
        refusal(server_command().env("HUB_PORT", "1").arg(garbage)),
        "hub-server: invalid UTF-8 was detected in one or more arguments"
    );
}

#[test]
fn a_failure_is_one_line_whatever_the_names_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a\nb.toml");
    let name = path.display().to_string().replace('\n', "\\n");
    let said = stderr(server_command().arg("--config").arg(&path));
    assert_eq!(said, format!("hub-server: {name}: No such file or directory\n"));
    fs::write(&path, "\"\\u001b[2J\\n\" = 1\n").unwrap();
    assert_eq!(
        stderr(server_command().arg("--config").arg(&path)),
        format!(
            "hub-server: {name}:1: \\u{{1b}}[2J\\n: unknown field `\\u{{1b}}[2J\\n`, expected one of \
             `server`, `limits`, `timeouts`, `console`\n"
        )
    );
    let said = stderr(client_command().args(["1", "x\n\u{1b}y"]));
    assert!(said.starts_with("hub-client: cannot find the host x\\n\\u{1b}y: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for argument in ["a\n\nb\u{1b}", "--a\n\nb\u{1b}", "--bind=a\n\nb\u{1b}"] {
        let said = stderr(server_command().arg(argument));
        let [sentence, hint] = said.lines().collect::<Vec<_>>()[..] else {
            panic!("a sentence and a hint: {said}");
        };
        assert!(sentence.contains("a\\n\\nb\\u{1b}'"), "{sentence}");
        assert_eq!(hint, "For more information, try '--help'.");
    }
}

#[test]
fn what_was_asked_for_goes_to_stdout_and_all_is_well() {
    for mut command in asked() {
        let output = run(&mut command);
        assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn what_was_asked_for_and_cannot_be_written_is_a_failure_unless_nobody_wants_it() {
    for mut command in asked() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run(command.stdout(full));
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.ends_with(": cannot write to stdout: No space left on device\n"), "{said}");
        assert_eq!(said.lines().count(), 1);

        let (reader, unread) = io::pipe().unwrap();
        drop(reader);
        let output = run(command.stdout(unread));
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}
