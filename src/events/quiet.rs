//! The quiet form of the client: only the responses on stdout, so that it can be used in a pipe.

use super::{
    ClientCloseReason, ClientEvent, Stamped,
    escape::push_escaped,
    render::{Page, Render, push_report},
    wording::one_line,
};
use crate::wire::lines::Lines;

/// Writes the responses to stdout, one per line, and problems to stderr: among them a refusal and the end
/// of a connection that the server closed.
#[derive(Debug)]
pub struct Responses {
    program: &'static str,
    /// The server's host as it was typed, and the port.
    server: String,
    /// Whether the server has closed the connection and no problem has reported that.
    closed: bool,
}

impl Responses {
    /// The responses of the server at `host` and `port` to `program`.
    pub fn new(program: &'static str, host: &str, port: u16) -> Self {
        Self { program, server: one_line(&format!("{host}:{port}")), closed: false }
    }
}

impl Render<ClientEvent> for Responses {
    fn render(&mut self, stamped: &Stamped<ClientEvent>, page: &mut Page) {
        let server = &self.server;
        let mut report = |what| push_report(self.program, &mut page.err, what);
        match &stamped.event {
            ClientEvent::Response { lines } => push_responses(lines, &mut page.out),
            ClientEvent::Rejected { text } => {
                report(format_args!("{server} refused the client: {}", one_line(text)));
            }
            ClientEvent::Problem(sentence) => {
                report(format_args!("{sentence}"));
                self.closed = false;
            }
            ClientEvent::Closed { reason } => self.closed = *reason == ClientCloseReason::Server,
            ClientEvent::Ended => {
                if self.closed {
                    report(format_args!("{server} closed the connection"));
                }
            }
            ClientEvent::Connected { .. }
            | ClientEvent::Entered { .. }
            | ClientEvent::InputEnded
            | ClientEvent::Sent { .. } => {}
        }
    }
}

fn push_responses(lines: &Lines, out: &mut Vec<u8>) {
    if lines.is_plain() {
        return out.extend_from_slice(lines.as_bytes());
    }
    for line in lines.iter() {
        push_escaped(line, false, out);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(events: impl IntoIterator<Item = ClientEvent>) -> (String, String) {
        let mut quiet = Responses::new("hub-client", "hub.test", 4444);
        let mut page = Page::default();
        for event in events {
            quiet.render(&event.into(), &mut page);
        }
        (String::from_utf8(page.out).unwrap(), String::from_utf8(page.err).unwrap())
    }

    fn closed(reason: ClientCloseReason) -> ClientEvent {
        ClientEvent::Closed { reason }
    }

    #[test]
    fn only_responses_are_printed_and_they_are_escaped() {
        let lines = |text| ClientEvent::Response { lines: Lines::one(text) };
        let entered = ClientEvent::Entered { lines: Lines::one("hello") };
        let left = closed(ClientCloseReason::Left);
        let printed =
            render([entered, lines("a\n\nb"), lines("\u{1b}[2J"), left, ClientEvent::Ended]);
        assert_eq!(printed, ("a\n\nb\n\\u{1b}[2J\n".to_owned(), String::new()));
    }

    #[test]
    fn a_refusal_is_reported_in_one_sentence() {
        let rejected = ClientEvent::Rejected { text: "Go\u{7} away".to_owned() };
        let (out, err) = render([rejected, ClientEvent::Ended]);
        assert_eq!(out, "");
        assert_eq!(err, "hub-client: hub.test:4444 refused the client: Go\\u{7} away\n");
    }

    #[test]
    fn a_closed_connection_is_reported_in_one_sentence() {
        let server = || closed(ClientCloseReason::Server);
        let (_, err) = render([server(), ClientEvent::Ended]);
        assert_eq!(err, "hub-client: hub.test:4444 closed the connection\n");
        // A client that reconnects reports each loss by itself.
        let report = ClientEvent::Problem("it closed; connecting again".to_owned());
        let (_, err) = render([server(), report, ClientEvent::Ended]);
        assert_eq!(err, "hub-client: it closed; connecting again\n");
    }
}
