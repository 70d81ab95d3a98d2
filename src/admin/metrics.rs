//! Metrics in the text format of Prometheus, version 0.0.4, from one snapshot.

use std::{
    fmt::{Display, Write},
    fs,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use axum::{extract::State, response::Response};

use super::{
    Admin,
    answers::{Failure, with_type},
};
use crate::actors::messages::Inspect;

/// Ticks of the kernel's clock for programs, which is the same everywhere (time(7)).
const TICKS: f64 = 100.0;

/// `GET /metrics`
pub(super) async fn metrics(State(admin): State<Arc<Admin>>) -> Result<Response, Failure> {
    let figures = admin.desk.inspect.send(Inspect).await?;
    let mut page = Page(String::new());
    let tally = &figures.tally;
    page.gauge("linehub_sessions", "Sessions, devices included.", figures.sessions);
    page.gauge("linehub_clients", "Sessions that are clients.", figures.clients);
    page.gauge("linehub_sessions_max", "The limit on clients.", figures.max_clients);
    let results =
        [("admitted", tally.admitted), ("full", tally.full), ("denied", 0), ("handshake", 0)];
    page.counters(
        "linehub_connections_total",
        "Clients by what became of them.",
        "result",
        results,
    );
    let ended = tally.ended().map(|(reason, count)| (reason.as_str(), count));
    page.counters(
        "linehub_disconnections_total",
        "Sessions that ended, by reason.",
        "reason",
        ended,
    );
    let lines = [("in", tally.lines_in), ("out", tally.lines_out)];
    page.counters(
        "linehub_lines_total",
        "Lines; out counts each for each session.",
        "direction",
        lines,
    );
    let bytes = [("in", tally.bytes_in), ("out", tally.bytes_out)];
    page.counters("linehub_bytes_total", "Bytes of lines with their ends.", "direction", bytes);
    page.counter("linehub_discarded_lines_total", "Lines that were discarded.", tally.discarded);
    page.gauge("linehub_queued_bytes", "Bytes that wait for clients.", figures.queued);
    page.gauge("linehub_stalled_sessions", "Sessions without room for a line.", figures.stalled);
    page.histogram(&admin);
    page.losses(&admin);
    page.build();
    page.process();
    Ok(with_type("text/plain; version=0.0.4; charset=utf-8", page.0))
}

/// Text that grows by one metric at a time.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.sample(name, "", value);
    }

    fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.head(name, "counter", help);
        for (value, count) in values {
            self.sample(name, &format!("{label}=\"{value}\""), count);
        }
    }

    fn histogram(&mut self, admin: &Admin) {
        let name = "linehub_broadcast_seconds";
        let help = "From reading the operator's batch until every outbox has it, for each line.";
        self.head(name, "histogram", help);
        let (buckets, count) = admin.latency.cumulative();
        let bucket = format!("{name}_bucket");
        for (bound, count) in buckets {
            self.sample(&bucket, &format!("le=\"{bound}\""), count);
        }
        self.sample(&bucket, "le=\"+Inf\"", count);
        self.sample(&format!("{name}_sum"), "", admin.latency.sum());
        self.sample(&format!("{name}_count"), "", count);
    }

    /// Events that somebody has missed.
    fn losses(&mut self, admin: &Admin) {
        let lost = admin.log_lost.load(Relaxed);
        self.counter("linehub_log_lost_events_total", "Events that are not in the log.", lost);
        let lost = admin.streams.lost();
        self.counter("linehub_feed_lost_events_total", "Events that readers have missed.", lost);
    }

    fn build(&mut self) {
        self.head("linehub_build_info", "gauge", "The version.");
        self.sample("linehub_build_info", &format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1);
    }

    /// What every process has. What /proc does not tell is left out.
    fn process(&mut self) {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name of the program, in parentheses, may contain anything.
        let fields: Vec<&str> =
            stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
        let field = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
        // Fields 14, 15 and 22 of proc(5); the first one here is 3.
        if let (Some(user), Some(system)) = (field(11), field(12)) {
            let help = "CPU time that was used.";
            self.counter("process_cpu_seconds_total", help, (user + system) / TICKS);
        }
        if let Some(resident) = value_after("/proc/self/status", "VmRSS:") {
            self.gauge("process_resident_memory_bytes", "Memory in use.", resident * 1024.0);
        }
        if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
            // One of them is for reading this.
            let open = descriptors.count().saturating_sub(1);
            self.gauge("process_open_fds", "Open file descriptors.", open);
        }
        if let (Some(start), Some(boot)) = (field(19), value_after("/proc/stat", "btime")) {
            let help = "When the process started, in seconds since 1970.";
            self.gauge("process_start_time_seconds", help, boot + start / TICKS);
        }
    }
}

/// The number after this word in a file of /proc.
fn value_after(file: &str, word: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
    rest.split_whitespace().next()?.parse().ok()
}
