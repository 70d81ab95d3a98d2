//! A progress line on stderr: how much the client has sent, and in the end how much was received.

use std::time::Duration;

use bytesize::ByteSize;
use tokio::time::Instant;

use super::{
    ClientCloseReason, ClientEvent, Stamped,
    render::{Page, Render, push_fmt},
};

/// The least time between two updates.
const INTERVAL: Duration = Duration::from_millis(250);

/// Renders with another renderer, and keeps a line about the progress at the end of stderr, which must
/// be a terminal.
pub struct Progress {
    inner: Box<dyn Render<ClientEvent>>,
    program: &'static str,
    /// When the client connected first.
    start: Option<Instant>,
    updated: Option<Instant>,
    lines: usize,
    bytes: u64,
    /// The lines that were sent on this connection.
    on_connection: usize,
    /// The lines that the hub has received for certain.
    received: usize,
    /// The columns that the line takes up on the screen.
    width: usize,
}

impl Progress {
    /// Shows the progress of `program` below what `inner` writes to stderr.
    pub fn new(program: &'static str, inner: Box<dyn Render<ClientEvent>>) -> Self {
        let (start, updated) = (None, None);
        let (lines, bytes, on_connection, received, width) = (0, 0, 0, 0, 0);
        Self { inner, program, start, updated, lines, bytes, on_connection, received, width }
    }

    fn count(&mut self, event: &ClientEvent, now: Instant) {
        match event {
            ClientEvent::Connected { .. } => {
                self.start = self.start.or(Some(now));
                self.on_connection = 0;
            }
            ClientEvent::Sent { lines, bytes } => {
                self.lines += lines;
                self.bytes += *bytes as u64;
                self.on_connection += lines;
            }
            ClientEvent::Closed { reason: ClientCloseReason::Left } => {
                self.received = self.on_connection;
            }
            _ => {}
        }
    }

    /// Writes over the line, or over as much as remains of it.
    fn redraw(&mut self, text: &str, err: &mut Vec<u8>) {
        push_fmt(err, format_args!("\r{text:0$}", self.width));
        self.width = text.len();
    }

    fn erase(&mut self, err: &mut Vec<u8>) {
        if self.width > 0 {
            self.redraw("", err);
            err.push(b'\r');
        }
    }

    fn text(&self, start: Instant, now: Instant) -> String {
        let millis = now.duration_since(start).as_millis().max(1);
        let rate = u128::from(self.bytes) * 1000 / millis;
        let rate = ByteSize::b(u64::try_from(rate).unwrap_or(u64::MAX));
        format!("lines sent: {}, {}, {rate}/s", self.lines, ByteSize::b(self.bytes))
    }
}

impl Render<ClientEvent> for Progress {
    fn render(&mut self, stamped: &Stamped<ClientEvent>, page: &mut Page) {
        let now = Instant::now();
        self.count(&stamped.event, now);
        let before = page.err.len();
        self.inner.render(stamped, page);
        let report = page.err.split_off(before);
        let Some(start) = self.start else { return page.err.extend(report) };
        let ended = matches!(stamped.event, ClientEvent::Ended);
        if ended || !report.is_empty() {
            self.erase(&mut page.err);
            page.err.extend(report);
        }
        let is_due = self.updated.is_none_or(|updated| now - updated >= INTERVAL);
        if ended {
            let (program, received, lines) = (self.program, self.received, self.lines);
            let what = format_args!("lines sent: {lines}; received by the hub: {received}\n");
            push_fmt(&mut page.err, format_args!("{program}: {what}"));
        } else if self.lines > 0 && is_due {
            self.updated = Some(now);
            let text = self.text(start, now);
            self.redraw(&text, &mut page.err);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::events::ClientTranscript;

    fn connected() -> ClientEvent {
        let address = "127.0.0.1:4444".parse().unwrap();
        ClientEvent::Connected {
            host: "hub".to_owned(),
            port: 4444,
            server: address,
            local: address,
        }
    }

    fn sent(lines: usize) -> ClientEvent {
        ClientEvent::Sent { lines, bytes: 1024 * lines }
    }

    /// What the event adds to stderr.
    fn after(progress: &mut Progress, event: ClientEvent) -> String {
        let mut page = Page::default();
        progress.render(&event.into(), &mut page);
        String::from_utf8(page.err).unwrap()
    }

    fn progress() -> Progress {
        Progress::new("hub-client", Box::new(ClientTranscript::new("hub-client", false)))
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_updated_a_few_times_a_second_and_reports_stay_above_it() {
        let mut progress = progress();
        assert_eq!(after(&mut progress, connected()), "");
        advance(Duration::from_secs(1)).await;
        let line = "lines sent: 1, 1.0 KiB, 1.0 KiB/s";
        assert_eq!(after(&mut progress, sent(1)), format!("\r{line}"));
        assert_eq!(after(&mut progress, sent(1)), "");
        let blank = " ".repeat(line.len());
        let problem = ClientEvent::Problem("a problem".to_owned());
        let report = after(&mut progress, problem);
        assert_eq!(report, format!("\r{blank}\rhub-client: a problem\n"));
        advance(Duration::from_secs(1)).await;
        assert_eq!(after(&mut progress, sent(2)), "\rlines sent: 4, 4.0 KiB, 2.0 KiB/s");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_says_how_many_lines_were_received() {
        let mut progress = progress();
        // The lines of a lost connection are not confirmed.
        for (lines, reason) in [(2, ClientCloseReason::Lost), (3, ClientCloseReason::Left)] {
            after(&mut progress, connected());
            after(&mut progress, sent(lines));
            after(&mut progress, ClientEvent::Closed { reason });
        }
        let end = after(&mut progress, ClientEvent::Ended);
        assert!(end.ends_with("\rhub-client: lines sent: 5; received by the hub: 3\n"));
    }

    #[test]
    fn a_client_that_was_never_connected_has_no_progress() {
        assert_eq!(after(&mut progress(), ClientEvent::Ended), "");
    }
}
