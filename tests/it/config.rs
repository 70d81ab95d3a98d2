//! Configuration, arguments and environment variables, and the errors in them.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt,
    process::{Command, Output},
};

use linehub::config::SESSIONS;

use crate::support::{client_command, server_command};

/// Every command that only prints a text.
fn text_requests() -> Vec<Command> {
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

/// The effective configuration, as `--check` prints it.
fn effective(command: &mut Command) -> String {
    let output = run(command.arg("--check"));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The stderr of a program that fails.
fn stderr(command: &mut Command) -> String {
    let output = run(command);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The first line on stderr of a program that exits with status 2.
fn usage_error(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8(output.stderr).unwrap();
    stderr.lines().next().unwrap().to_owned()
}

#[test]
fn a_flag_overrides_the_environment_which_overrides_the_file_which_overrides_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.toml");
    fs::write(&path, "[server]\nport = 1\nmax_sessions = 1\nbind = \"127.0.0.1\"\n").unwrap();
    let mut command = server_command();
    command
        .arg("--config")
        .arg(&path)
        .env("LINEHUB_PORT", "2")
        .env("LINEHUB_MAX_SESSIONS", "2")
        .arg("3");
    let text = effective(&mut command);
    assert!(text.contains("port = 3\n"), "{text}");
    assert!(text.contains("max_sessions = 2\n"), "{text}");
    assert!(text.contains("bind = \"127.0.0.1\"\n"), "{text}");
    assert!(text.contains("max_line = \"64 KiB\"\n"), "{text}");
    fs::write(&path, &text).unwrap();
    assert_eq!(
        effective(server_command().env("LINEHUB_CONFIG", &path)),
        text,
        "it reads back the same"
    );
}

#[test]
fn the_shipped_file_has_the_same_meaning_as_no_file() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/server.toml");
    let with = effective(server_command().args(["--config", shipped]));
    assert_eq!(with, effective(&mut server_command()));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let mut command = server_command();
    for variable in
        ["LINEHUB_CONFIG", "LINEHUB_PORT", "LINEHUB_BIND", "LINEHUB_MAX_SESSIONS", "LINEHUB_FORMAT"]
    {
        command.env(variable, "");
    }
    assert_eq!(effective(&mut command), effective(&mut server_command()));
}

#[test]
fn an_error_in_a_file_names_file_line_and_key_and_what_was_expected() {
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
            "3: server.prot: unknown field `prot`, expected one of `port`, ",
        ),
        (
            "[limits]\noutbox = 100\n",
            "2: limits.outbox (100 bytes) cannot hold a longest line (limits.max_line, 65536 \
             bytes): expected limits.outbox to be at least 65601",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let error = usage_error(server_command().arg("--config").arg(&path));
        assert!(error.starts_with(&format!("hub-server: {name}:{expected}")), "{error}");
    }
    fs::remove_file(&path).unwrap();
    let error = usage_error(server_command().arg("--config").arg(&path));
    assert_eq!(error, format!("hub-server: {name}: No such file or directory"));
}

#[test]
fn an_error_in_an_argument_or_variable_names_it() {
    assert_eq!(
        usage_error(server_command().arg("70000")),
        "hub-server: invalid value '70000' for '[PORT]': expected a TCP port from 0 to 65535"
    );
    assert_eq!(
        usage_error(server_command().env("LINEHUB_PORT", "abc")),
        "hub-server: LINEHUB_PORT: invalid value 'abc' for '[PORT]': expected a TCP port from 0 to \
         65535"
    );
    assert_eq!(
        usage_error(server_command().env("LINEHUB_BIND", "localhost")),
        "hub-server: LINEHUB_BIND: invalid value 'localhost' for '--bind <ADDR>': expected an IP address \
         such as 0.0.0.0, :: or fe80::1%eth0"
    );
    assert_eq!(
        usage_error(
            server_command().env("LINEHUB_MAX_SESSIONS", "9").args(["--max-sessions", "0"])
        ),
        "hub-server: invalid value '0' for '--max-sessions <N>': expected a number of clients from \
         1 to 1000000"
    );
    assert_eq!(
        usage_error(client_command().env("LINEHUB_FORMAT", "xml").arg("1")),
        "hub-client: LINEHUB_FORMAT: invalid value 'xml' for '--format <text|json>': expected text or \
         json"
    );
    assert_eq!(
        usage_error(server_command().arg("--frob")),
        "hub-server: unexpected argument '--frob' found"
    );
    assert_eq!(
        usage_error(&mut client_command()),
        "hub-client: the following required arguments were not provided: <PORT>"
    );
    assert_eq!(
        usage_error(client_command().arg("0")),
        "hub-client: invalid value '0' for '<PORT>': expected a TCP port from 1 to 65535"
    );
    for duration in ["5", "0s", "-1s", "9000000h"] {
        assert_eq!(
            usage_error(client_command().arg(format!("--timeout={duration}")).arg("1")),
            format!(
                "hub-client: invalid value '{duration}' for '--timeout <DURATION>': expected a \
                 duration up to a year such as 1500ms, 10s or 2m"
            )
        );
    }
}

#[test]
fn an_address_before_the_port_gets_a_hint() {
    for (args, hint) in [
        (&["127.0.0.1", "4444"][..], "did you mean hub-client 4444 127.0.0.1?"),
        (
            &["--format", "json", "scope.lab", "4444", "--stay"],
            "did you mean hub-client 4444 scope.lab?",
        ),
    ] {
        let error = stderr(client_command().args(args));
        let (sentence, rest) = error.split_once('\n').unwrap();
        assert!(sentence.ends_with("for '<PORT>': expected a TCP port from 1 to 65535"), "{error}");
        assert_eq!(rest, format!("hub-client PORT [ADDRESS]: {hint}\n"));
    }
    for args in [&["127.0.0.1"][..], &["0", "4444"], &["127.0.0.1", "localhost"]] {
        let error = stderr(client_command().args(args));
        assert!(error.ends_with("\nFor more information, try '--help'.\n"), "{error}");
    }
}

#[test]
fn an_error_names_a_variable_only_if_its_value_is_wrong_and_in_use() {
    assert_eq!(
        usage_error(server_command().env("LINEHUB_MAX_SESSIONS", "0").arg("0")),
        "hub-server: LINEHUB_MAX_SESSIONS: invalid value '0' for '--max-sessions <N>': expected a \
         number of clients from 1 to 1000000"
    );
    assert_eq!(
        usage_error(server_command().env("LINEHUB_PORT", "70000").arg("70000")),
        "hub-server: invalid value '70000' for '[PORT]': expected a TCP port from 0 to 65535"
    );
    let garbage = OsStr::from_bytes(b"\xff");
    assert_eq!(
        usage_error(server_command().env("LINEHUB_BIND", garbage).env("LINEHUB_FORMAT", garbage)),
        "hub-server: LINEHUB_BIND: expected UTF-8"
    );
    assert_eq!(
        usage_error(client_command().env("LINEHUB_FORMAT", garbage).arg("1")),
        "hub-client: LINEHUB_FORMAT: expected UTF-8"
    );
    // Nothing is wrong with the variable of a flag that is given.
    assert_eq!(
        usage_error(server_command().env("LINEHUB_FORMAT", garbage).args(["--format", "xml"])),
        "hub-server: invalid value 'xml' for '--format <text|json>': expected text or json"
    );
    assert_eq!(
        usage_error(server_command().env("LINEHUB_PORT", "1").arg(garbage)),
        "hub-server: invalid UTF-8 was detected in one or more arguments"
    );
}

#[test]
fn ignores_a_port_that_kubernetes_has_set() {
    for url in ["tcp://10.96.0.17:4444", "udp://[fd00::1]:53"] {
        let config = effective(server_command().env("LINEHUB_PORT", url));
        assert_eq!(config, effective(&mut server_command()));
    }
}

#[test]
fn a_variable_of_another_name_is_not_read() {
    let config = effective(server_command().env("HUB_PORT", "1").env("LINEHUB_PORTS", "1"));
    assert_eq!(config, effective(&mut server_command()));
}

#[test]
fn a_configuration_file_need_not_have_a_name_in_utf_8() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(OsStr::from_bytes(b"\xff.toml"));
    fs::write(&path, "server.port = 5000").unwrap();
    let config = effective(server_command().env("LINEHUB_CONFIG", &path));
    assert!(config.contains("port = 5000\n"), "{config}");
}

#[test]
fn the_help_names_every_variable() {
    let shipped = include_str!("../../config/server.toml");
    let mut variables: Vec<_> = shipped.split_whitespace().filter_map(variable).collect();
    assert!(variables.len() >= 4, "{variables:?}");
    variables.push("LINEHUB_CONFIG");
    let help = |mut command: Command| run(command.arg("--help")).stdout;
    let server = String::from_utf8(help(server_command())).unwrap();
    for variable in variables {
        assert!(server.contains(&format!("[env: {variable}]")), "{variable}: {server}");
    }
    let client = String::from_utf8(help(client_command())).unwrap();
    assert!(client.contains("[env: LINEHUB_FORMAT]"), "{client}");
}

/// The variable that this word of a text is.
fn variable(word: &str) -> Option<&str> {
    word.starts_with("LINEHUB_").then_some(word.trim_end_matches('.'))
}

#[test]
fn the_shipped_file_and_the_help_name_the_range_of_sessions() {
    let (least, most) = (SESSIONS.start(), SESSIONS.end());
    let shipped = include_str!("../../config/server.toml");
    assert!(shipped.contains(&format!("Clients at once, {least} to {most};")));
    let help = String::from_utf8(run(server_command().arg("--help")).stdout).unwrap();
    assert!(help.contains(&format!("Clients at once, {least} to {most};")), "{help}");
}

#[test]
fn a_misspelled_option_is_answered_with_the_nearest_one() {
    for args in [&["--max-session", "5"][..], &["--max-session=5"]] {
        assert_eq!(
            stderr(server_command().args(args)),
            "hub-server: unexpected argument '--max-session' found\n\
             Did you mean '--max-sessions'?\n"
        );
    }
}

#[test]
fn an_error_is_one_line_whatever_the_names_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a\nb.toml");
    let name = path.display().to_string().replace('\n', "\\n");
    let error = stderr(server_command().arg("--config").arg(&path));
    assert_eq!(error, format!("hub-server: {name}: No such file or directory\n"));
    fs::write(&path, "\"\\u001b[2J\\n\" = 1\n").unwrap();
    let error = stderr(server_command().arg("--config").arg(&path));
    let expected = "1: \\u{1b}[2J\\n: unknown field `\\u{1b}[2J\\n`, expected one of `server`, ";
    assert!(error.starts_with(&format!("hub-server: {name}:{expected}")), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let error = stderr(client_command().args(["1", "x\n\u{1b}y"]));
    assert!(error.starts_with("hub-client: cannot find the host x\\n\\u{1b}y: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for argument in ["a\n\nb\u{1b}", "--a\n\nb\u{1b}", "--bind=a\n\nb\u{1b}"] {
        let error = stderr(server_command().arg(argument));
        let [sentence, hint] = error.lines().collect::<Vec<_>>()[..] else {
            panic!("a sentence and a hint: {error}");
        };
        assert!(sentence.contains("a\\n\\nb\\u{1b}'"), "{sentence}");
        assert_eq!(hint, "For more information, try '--help'.");
    }
}

#[test]
fn a_requested_text_goes_to_stdout_with_status_0() {
    for mut command in text_requests() {
        let output = run(&mut command);
        assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn a_requested_text_that_cannot_be_written_is_an_error_unless_its_reader_is_gone() {
    for mut command in text_requests() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run(command.stdout(full));
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.ends_with(": cannot write to stdout: No space left on device\n"), "{error}");
        assert_eq!(error.lines().count(), 1);

        let (reader, unread) = io::pipe().unwrap();
        drop(reader);
        let output = run(command.stdout(unread));
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
}
