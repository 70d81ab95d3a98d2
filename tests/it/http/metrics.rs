//! Metrics: complete, exact, and in a format that Prometheus accepts.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use super::web::{SECRET, Web};
use crate::support::{Peer, skipped, wait_until};

/// The samples of a page, by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(sample).collect()
}

#[test]
fn the_values_are_what_was_sent() {
    let web = Web::with_config(
        "[server]\nmax_sessions = 2\n[limits]\nmax_line = 100\n[timeouts]\nslot = \"off\"\n",
    );
    let text = web.get("/metrics").body;
    for reason in ["left", "lost", "stalled", "idle", "shutdown", "kicked"] {
        let sample = format!("linehub_disconnections_total{{reason=\"{reason}\"}} 0\n");
        assert!(text.contains(&sample), "{sample}");
    }
    let (mut one, mut two) = (web.hub.peer(), web.hub.peer());
    assert!(Peer::connect(web.hub.address).rest().starts_with("421 "));
    one.send(format!("a\r\nb\n{}\n", "x".repeat(101)));
    web.hub.program.out.find("Client message = b");
    web.post("/api/v1/broadcast", "to\nall\n");
    assert_eq!((two.line(), two.line()), ("to".to_owned(), "all".to_owned()));
    assert_eq!(two.leave(), "");
    web.hub.program.out.find("Closing connection");
    let answer = web.get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = samples(&answer.body);
    for (name, value) in [
        ("linehub_sessions", 1.0),
        ("linehub_clients", 1.0),
        ("linehub_sessions_max", 2.0),
        ("linehub_connections_total{result=\"admitted\"}", 2.0),
        ("linehub_connections_total{result=\"full\"}", 1.0),
        ("linehub_connections_total{result=\"denied\"}", 0.0),
        ("linehub_connections_total{result=\"handshake\"}", 0.0),
        ("linehub_disconnections_total{reason=\"left\"}", 1.0),
        ("linehub_lines_total{direction=\"in\"}", 2.0),
        ("linehub_lines_total{direction=\"out\"}", 4.0),
        ("linehub_bytes_total{direction=\"in\"}", 5.0),
        ("linehub_bytes_total{direction=\"out\"}", 14.0),
        ("linehub_discarded_lines_total", 1.0),
        ("linehub_queued_bytes", 0.0),
        ("linehub_stalled_sessions", 0.0),
        ("linehub_broadcast_seconds_count", 2.0),
        ("linehub_broadcast_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("linehub_log_lost_events_total", 0.0),
        ("linehub_feed_lost_events_total", 0.0),
        (concat!("linehub_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}");
    }
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"]
    {
        assert!(samples[name] > 0.0, "{name}");
    }
    assert!(samples.contains_key("process_cpu_seconds_total"));
}

#[test]
fn events_that_are_not_in_the_log_are_counted() {
    let mut web = Web::with_config("[log]\nfile = \"/dev/full\"\n");
    web.hub.program.enter("one");
    web.hub.program.out.find("one");
    let report = web.hub.program.err.next();
    assert!(report.contains("No space left on device"), "{report}");
    // What was printed so far: listening, the admin side, and the broadcast.
    let lost = wait_until("a count of lost events", || {
        let lost = samples(&web.get("/metrics").body)["linehub_log_lost_events_total"];
        (lost >= 3.0).then_some(lost)
    });
    assert!(lost <= 4.0, "{lost}");
}

#[test]
fn promtool_has_no_complaints() {
    let web = Web::start();
    let page = web.get("/metrics").body;
    let check = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut check) = check else { return skipped("there is no promtool") };
    check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn they_are_open_if_the_configuration_says_so() {
    let web = Web::with_config("[admin]\nopen_metrics = true\n");
    assert_eq!(web.send_raw("GET /metrics", "Host: localhost\r\n", b"").status, 200);
    let foreign = "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n";
    web.send_raw("GET /metrics", foreign, b"").failed(403);
    web.send_raw("GET /api/v1/server", "Host: localhost\r\n", b"").failed(401);
    let headers = format!("Host: localhost\r\nAuthorization: Bearer {SECRET}\r\n");
    assert_eq!(web.send_raw("GET /metrics", &headers, b"").status, 200);
}
