//! The file against the built-in defaults, and what is said when something is wrong.

use super::*;

fn parsed(text: &str) -> Config {
    Config::from_toml(text, "hub.toml").unwrap()
}

fn error(text: &str) -> String {
    Config::from_toml(text, "hub.toml").unwrap_err().to_string()
}

/// The keys of a file, in their order, with their table.
fn keys(text: &str) -> Vec<String> {
    let mut table = "";
    let mut keys = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push(format!("{table}.{key}"));
        }
    }
    keys
}

#[test]
fn the_file_that_ships_says_the_defaults_and_every_key() {
    let text = include_str!("../../config/server.toml");
    assert_eq!(parsed(text), Config::default());
    assert_eq!(keys(text), keys(&Config::default().to_toml()));
    assert_eq!(keys(text).len(), 11);
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(parsed(""), Config::default());
    assert_eq!(parsed("[server]\n[limits]"), Config::default());
}

#[test]
fn what_is_in_force_reads_back_the_same() {
    let mut config = Config::default();
    assert_eq!(parsed(&config.to_toml()), config);
    config.server =
        Listen { port: 0, bind: "::".parse().unwrap(), max_sessions: 10_000, workers: 2 };
    config.limits = Limits { max_line: 1000, outbox: 3 << 20 };
    config.timeouts = Timeouts {
        stall: Duration::from_millis(1500),
        idle: Some(Duration::from_secs(3600)),
        keepalive: None,
        drain: Duration::from_millis(1),
    };
    config.console.format = Format::Json;
    assert_eq!(parsed(&config.to_toml()), config);
}

#[test]
fn sizes_and_durations_are_written_as_people_write_them() {
    for (text, bytes) in [("65536", 65536), ("\"64 KiB\"", 65536), ("\"64KiB\"", 65536)] {
        assert_eq!(parsed(&format!("[limits]\nmax_line = {text}")).limits.max_line, bytes);
    }
    for (text, millis) in [("1500ms", 1500), ("10s", 10_000), ("2m", 120_000)] {
        let stall = parsed(&format!("[timeouts]\nstall = \"{text}\"")).timeouts.stall;
        assert_eq!(stall, Duration::from_millis(millis));
    }
    let off = parsed("[timeouts]\nidle = \"off\"\nkeepalive = \"off\"").timeouts;
    assert_eq!((off.idle, off.keepalive), (None, None));
}

#[test]
fn overrides_beat_the_file_and_the_file_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.toml");
    fs::write(&path, "[server]\nport = 5000\nmax_sessions = 7\n").unwrap();
    let overrides = Overrides { port: Some(6000), ..Overrides::default() };
    let config = Config::load(Some(&path), &overrides).unwrap();
    assert_eq!((config.server.port, config.server.max_sessions), (6000, 7));
    assert_eq!(config.limits, Limits::default());
    assert_eq!(Config::load(None, &Overrides::default()).unwrap(), Config::default());
}

#[test]
fn every_error_names_file_line_key_and_what_was_expected() {
    for (text, expected) in [
        (
            "[server]\nport = 70000",
            "hub.toml:2: server.port: invalid value: integer `70000`, expected a TCP port from 0 \
             to 65535",
        ),
        (
            "[server]\nport = 9999999999999999999999999999999999999999",
            "hub.toml:2: server.port: invalid value, expected a smaller number",
        ),
        (
            "[server]\n\nport = true",
            "hub.toml:3: server.port: invalid type: boolean `true`, expected a TCP port from 0 to \
             65535",
        ),
        (
            "[server]\nbind = \"localhost\"",
            "hub.toml:2: server.bind: invalid value: string \"localhost\", expected an IP address \
             such as \"0.0.0.0\" or \"::\"",
        ),
        (
            "[server]\nmax_sessions = 0",
            "hub.toml:2: server.max_sessions: invalid value: integer `0`, expected a number of \
             clients from 1 to 1000000",
        ),
        (
            "[limits]\nmax_line = \"lots\"",
            "hub.toml:2: limits.max_line: invalid value: string \"lots\", expected a size from 1 \
             byte to 1 GiB such as 65536 or \"64 KiB\"",
        ),
        (
            "[limits]\noutbox = -1",
            "hub.toml:2: limits.outbox: invalid value: integer `-1`, expected a size from 1 byte \
             to 1 GiB such as 65536 or \"64 KiB\"",
        ),
        (
            "[timeouts]\nstall = 10",
            "hub.toml:2: timeouts.stall: invalid value: integer `10`, expected a duration up to a \
             year such as \"1500ms\", \"10s\" or \"2m\"",
        ),
        (
            "[timeouts]\nkeepalive = \"1500ms\"",
            "hub.toml:2: timeouts.keepalive: invalid value: string \"1500ms\", expected \"off\" or \
             whole seconds from \"1s\" to \"32767s\"",
        ),
        (
            "[console]\nformat = \"xml\"",
            "hub.toml:2: console.format: invalid value: string \"xml\", expected \"text\" or \
             \"json\"",
        ),
        (
            "# a comment\n[server]\nprot = 1",
            "hub.toml:3: server.prot: unknown field `prot`, expected one of `port`, `bind`, \
             `max_sessions`, `workers`",
        ),
        (
            "[sever]\nport = 1",
            "hub.toml:1: sever: unknown field `sever`, expected one of `server`, `limits`, \
             `timeouts`, `console`",
        ),
    ] {
        assert_eq!(error(text), expected);
    }
}

#[test]
fn what_is_no_table_where_a_table_belongs_is_an_error() {
    for (text, expected) in [
        ("server = [5000, \"::\", 7, 2]", "1: server: invalid type: array, expected a table"),
        ("\nlimits = []", "2: limits: invalid type: array, expected a table"),
        ("\n[[server]]\nport = 1", "2: server: invalid type: array, expected a table"),
        ("timeouts = \"10s\"", "1: timeouts: invalid type: string, expected a table"),
        ("console = 1979-05-27", "1: console: invalid type: datetime, expected a table"),
    ] {
        assert_eq!(error(text), format!("hub.toml:{expected}"));
    }
    assert_eq!(parsed("server = { port = 1 }").server.port, 1);
    assert_eq!(parsed("server.port = 1").server.port, 1);
}

#[test]
fn what_is_no_toml_is_told_with_the_key_and_what_was_expected() {
    for (text, expected) in [
        (
            "[server]\nport = 1\nport = 2",
            "3: server.port: duplicate key, expected each key only once",
        ),
        ("[server]\n\n[server]", "3: server: duplicate key, expected each key only once"),
        (
            "server.port = 1\nserver.port = 2",
            "2: server.port: duplicate key, expected each key only once",
        ),
        (
            "[server]\nbind = 0.0.0.0",
            "2: server.bind: invalid value: `0.0.0.0`, expected a number, or a string in quotes",
        ),
        (
            "# how long\n[timeouts] # all\nstall=10s # long",
            "3: timeouts.stall: invalid value: `10s`, expected a number, or a string in quotes",
        ),
        (
            "[limits]\nmax_line = 64 KiB",
            "2: limits.max_line: invalid value: `64 KiB`, expected a number, or a string in quotes",
        ),
        (
            "[console]\nformat = text",
            "2: console.format: invalid value: `text`, expected a number, or a string in quotes",
        ),
        ("[server]\nport =", "2: server.port: expected a number, or a string in quotes"),
        ("[server]\nbind = \"::", "2: server.bind: invalid basic string, expected `\"`"),
        ("[server]\nport 4444", "2: server.port: key with no value, expected `=`"),
        ("[server", "1: server: unclosed table, expected `]`"),
        ("x", "1: x: key with no value, expected `=`"),
        ("= 5", "1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"),
    ] {
        assert_eq!(error(text), format!("hub.toml:{expected}"));
    }
    assert!(error("\u{0}").starts_with("hub.toml:1: "));
}

#[test]
fn a_key_is_told_whole_and_on_one_line_whatever_it_is_made_of() {
    assert_eq!(
        error("[console]\n\"a\\nb\" = 1"),
        "hub.toml:2: console.a\\nb: unknown field `a\\nb`, expected `format`"
    );
}

#[test]
fn limits_that_cannot_work_together_are_refused_with_the_reason() {
    assert_eq!(
        error("[limits]\noutbox = \"64 KiB\""),
        "hub.toml:2: limits.outbox (65536 bytes) cannot hold a longest line (limits.max_line, \
         65536 bytes): expected limits.outbox to be at least 65601"
    );
    assert_eq!(
        error("[limits]\noutbox = \"1 MiB\"\n# too long\nmax_line = \"1 MiB\""),
        "hub.toml:2: limits.outbox (1048576 bytes) cannot hold a longest line (limits.max_line, \
         1048576 bytes): expected limits.outbox to be at least 1048641"
    );
    assert_eq!(
        error("[limits]\n\nmax_line = 1048576"),
        "hub.toml:3: limits.outbox (1048576 bytes) cannot hold a longest line (limits.max_line, \
         1048576 bytes): expected limits.outbox to be at least 1048641"
    );
    parsed("[limits]\noutbox = 65601");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Some(Path::new("no/such.toml")), &Overrides::default()).unwrap_err();
    assert_eq!(error.to_string(), "no/such.toml: No such file or directory");
}
