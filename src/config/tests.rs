//! The file against the built-in defaults, and the errors for what is wrong.

mod devices;

use std::fs;

use super::{file::SECTIONS, *};

fn parsed(text: &str) -> Config {
    Config::from_toml(text, "hub.toml").unwrap()
}

fn error(text: &str) -> String {
    Config::from_toml(text, "hub.toml").unwrap_err().to_string()
}

/// The error for a configuration that is built in code.
fn invalid(change: impl Fn(&mut Config)) -> String {
    let mut config = Config::default();
    change(&mut config);
    config.validate().unwrap_err().to_string()
}

/// The keys of a file with their sections, in order.
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
fn the_shipped_file_has_every_key_with_its_default() {
    let text = include_str!("../../config/server.toml");
    assert_eq!(parsed(text), Config::default());
    assert_eq!(keys(text), keys(&Config::default().to_toml().unwrap()));
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(parsed(""), Config::default());
    assert_eq!(parsed("[server]\n[limits]"), Config::default());
}

#[test]
fn a_written_configuration_reads_back_the_same() {
    let mut config = Config::default();
    assert_eq!(parsed(&config.to_toml().unwrap()), config);
    config.server.port = 0;
    config.server.bind = "::".parse().unwrap();
    config.server.max_sessions = 10_000;
    config.server.workers = 2;
    config.server.greeting = false;
    config.server.telnet = false;
    config.lines.end = LineEnd::Any;
    config.lines.send_end = SendEnd::CrLf;
    config.lines.gap = Some(Duration::from_millis(50));
    config.limits.max_line = 1000;
    config.limits.outbox = 3 << 20;
    config.timeouts.stall = Duration::from_millis(1500);
    config.timeouts.idle = Some(Duration::from_secs(3600));
    config.timeouts.keepalive = None;
    config.timeouts.drain = Duration::from_millis(1);
    config.console.format = Format::Json;
    config.log = LogConfig { file: Some("/a log".into()), rotate: Some(10 << 30), keep: 0 };
    assert_eq!(parsed(&config.to_toml().unwrap()), config);
    config.validate().unwrap();
}

#[test]
fn sizes_and_durations_are_written_with_their_largest_unit() {
    let mut config = Config::default();
    config.limits.max_line = 1000;
    config.timeouts.stall = Duration::from_millis(1500);
    let text = config.to_toml().unwrap();
    let lines: Vec<_> = text.lines().collect();
    for expected in [
        "max_line = 1000",
        "outbox = \"1 MiB\"",
        "stall = \"1s 500ms\"",
        "idle = \"off\"",
        "keepalive = \"1m\"",
        "drain = \"5s\"",
    ] {
        assert!(lines.contains(&expected), "{expected}: {text}");
    }
}

#[test]
fn a_value_set_in_code_is_checked_like_one_in_a_file() {
    let size = "expected a size from 1 byte to 1 GiB such as 65536 or \"64 KiB\"";
    let keepalive = "expected \"off\" or whole seconds from \"1s\" to \"32767s\"";
    let duration = "expected a duration up to a year such as \"1500ms\", \"10s\" or \"2m\"";
    let half = Duration::from_millis(500);
    for (error, expected) in [
        (
            invalid(|config| config.server.max_sessions = 0),
            "server.max_sessions: invalid value: integer `0`, expected a number of clients from 1 \
             to 1000000"
                .to_owned(),
        ),
        (
            invalid(|config| config.server.max_sessions = usize::MAX),
            format!(
                "server.max_sessions: invalid value: string \"{}\", expected a number of clients \
                 from 1 to 1000000",
                usize::MAX
            ),
        ),
        (
            invalid(|config| config.server.workers = 0),
            "server.workers: invalid value: integer `0`, expected a number of event loops from 1 \
             to 64"
                .to_owned(),
        ),
        (
            invalid(|config| config.limits.max_line = 0),
            format!("limits.max_line: invalid value: integer `0`, {size}"),
        ),
        (
            invalid(|config| config.limits.outbox = 2 << 30),
            format!("limits.outbox: invalid value: string \"2 GiB\", {size}"),
        ),
        (
            invalid(|config| config.timeouts.keepalive = Some(half)),
            format!("timeouts.keepalive: invalid value: string \"500ms\", {keepalive}"),
        ),
        (
            invalid(|config| config.timeouts.stall = Duration::ZERO),
            format!("timeouts.stall: invalid value: string \"0s\", {duration}"),
        ),
        (
            invalid(|config| config.limits.outbox = 65_600),
            "limits.outbox (65600 bytes) cannot hold a longest line (limits.max_line, 65536 \
             bytes): expected limits.outbox to be at least 65601"
                .to_owned(),
        ),
    ] {
        assert_eq!(error, expected);
    }
    for longest in [Duration::MAX, Duration::from_secs(366 * 24 * 60 * 60)] {
        let error = invalid(|config| config.timeouts.drain = longest);
        assert!(error.starts_with("timeouts.drain: ") && error.ends_with(duration), "{error}");
    }
}

#[test]
fn an_error_has_its_key_and_location_as_fields() {
    for (text, at, name) in [
        ("[server]\nport = -1", 2, "server.port"),
        ("[limits]\nmax_line = 9\noutbox = 70", 3, "limits.outbox"),
        ("\nlimits = 1", 2, "limits"),
        ("[server]\nport", 2, ""),
    ] {
        match Config::from_toml(text, "hub.toml") {
            Err(ConfigError::Invalid { location: Some(Location { file, line }), key, .. }) => {
                assert_eq!((&*file, line, &*key), ("hub.toml", at, name));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(
        Config { limits: Limits { outbox: 1, ..Limits::default() }, ..Config::default() }.validate(),
        Err(ConfigError::Invalid { location: None, key, .. }) if key == "limits.outbox"
    ));
}

#[test]
fn an_override_is_checked_and_the_file_is_not_named_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.toml");
    fs::write(&path, "server.max_sessions = 7").unwrap();
    let overrides = Overrides { max_sessions: Some(0), ..Overrides::default() };
    let error = Config::load(Some(&path), &overrides).unwrap_err().to_string();
    assert!(error.starts_with("server.max_sessions: invalid value: integer `0`"), "{error}");
}

#[test]
fn sizes_and_durations_may_have_units() {
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
fn overrides_take_precedence_over_the_file_and_the_file_over_the_defaults() {
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
fn an_error_names_file_line_and_key_and_what_was_expected() {
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
             such as \"0.0.0.0\", \"::\" or \"fe80::1%eth0\"",
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
            "[server]\ngreeting = \"off\"",
            "hub.toml:2: server.greeting: invalid type: string \"off\", expected a boolean",
        ),
        (
            "[lines]\nend = \"\\n\"",
            "hub.toml:2: lines.end: invalid value: string \"\\n\", expected \"lf\", \"cr\", \"nul\" or \"any\"",
        ),
        (
            "[lines]\nsend_end = \"any\"",
            "hub.toml:2: lines.send_end: invalid value: string \"any\", expected \"lf\", \"crlf\" or \"cr\"",
        ),
        (
            "[lines]\ngap = 50",
            "hub.toml:2: lines.gap: invalid value: integer `50`, expected \"off\" or a duration up to a year such as \"10s\" or \"2m\"",
        ),
        (
            "# a comment\n[server]\nprot = 1",
            "hub.toml:3: server.prot: unknown field `prot`, expected one of ",
        ),
        ("[sever]\nport = 1", "hub.toml:1: sever: unknown field `sever`, expected one of "),
    ] {
        // The names that end the last two grow with the options.
        let error = error(text);
        let error = error.split_inclusive("expected one of ").next().unwrap();
        assert_eq!(error, expected);
    }
}

#[test]
fn the_wait_for_a_slot_can_be_turned_off() {
    for (text, slot) in [("\"off\"", None), ("\"0s\"", None), ("\"2s\"", Some(2))] {
        let config = parsed(&format!("[timeouts]\nslot = {text}"));
        assert_eq!(config.timeouts.slot, slot.map(Duration::from_secs));
        config.validate().unwrap();
    }
}

#[test]
fn rejects_anything_but_a_table_where_a_table_is_expected() {
    for (text, expected) in [
        ("server = [5000, \"::\", 7, 2]", "1: server: invalid type: array, expected a table"),
        ("\nlimits = []", "2: limits: invalid type: array, expected a table"),
        ("\n[[server]]\nport = 1", "2: server: invalid type: array, expected a table"),
        ("timeouts = \"10s\"", "1: timeouts: invalid type: string, expected a table"),
        ("console = 1979-05-27", "1: console: invalid type: datetime, expected a table"),
    ] {
        assert_eq!(error(text), format!("hub.toml:{expected}"));
    }
    let written = Config::default().to_toml().unwrap();
    let sections = written.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    assert!(sections.eq(SECTIONS), "every section is checked");
    assert_eq!(parsed("server = { port = 1 }").server.port, 1);
    assert_eq!(parsed("server.port = 1").server.port, 1);
}

#[test]
fn an_error_in_the_syntax_names_file_and_line() {
    for (text, expected) in [
        ("[server]\nport = 1\nport = 2", "3: duplicate key"),
        ("[server]\n\n[server]", "3: duplicate key"),
        ("[server]\nbind = 0.0.0.0", "2: invalid float, expected nothing"),
        (
            "[timeouts] # all\nstall=10s # long",
            "2: string values must be quoted, expected literal string",
        ),
        ("[console]\nformat = text", "2: invalid boolean, expected `true`"),
        ("[server]\nport =", "2: string values must be quoted, expected literal string"),
        ("[server]\nbind = \"::", "2: invalid basic string, expected `\"`"),
        ("[server]\nport 4444", "2: key with no value, expected `=`"),
        ("[server", "1: unclosed table, expected `]`"),
        ("= 5", "1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"),
    ] {
        assert_eq!(error(text), format!("hub.toml:{expected}"));
    }
    assert!(error("\u{0}").starts_with("hub.toml:1: "));
}

#[test]
fn an_error_is_one_line_whatever_characters_the_key_has() {
    assert_eq!(
        error("[console]\n\"a\\nb\" = 1"),
        "hub.toml:2: console.a\\nb: unknown field `a\\nb`, expected one of `format`, `timestamps`, `commands`, `color`"
    );
}

#[test]
fn rejects_limits_that_cannot_work_together() {
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
    let crlf = "[lines]\nsend_end = \"crlf\"\n[limits]\noutbox = 65601";
    assert!(error(crlf).ends_with("expected limits.outbox to be at least 65602"));
}

#[test]
fn an_error_names_a_file_that_does_not_exist() {
    let error = Config::load(Some(Path::new("no/such.toml")), &Overrides::default()).unwrap_err();
    assert_eq!(error.to_string(), "no/such.toml: No such file or directory");
}
