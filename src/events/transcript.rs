//! The transcript: the text format of both programs.

use std::{fmt, net::SocketAddr};

use super::{
    ClientCloseReason, ClientEvent, CloseReason, Colors, DiscardReason, ServerEvent, SessionInfo,
    Stamped,
    escape::{escape, push_escaped},
    render::{Page, Render, push_fmt},
    time::rfc3339_millis,
};
use crate::{
    address::{Zoned, zoned_ip},
    wire::{greeting::TOO_MANY_CLIENTS, lines::Lines},
};

/// The server's prompt, at a terminal and in the transcript.
pub const SERVER_PROMPT: &str = "> Enter message to send to all clients : ";

/// The client's prompt. Both at a terminal and in the transcript, an empty row stands above it.
pub const CLIENT_PROMPT: &str = "\n> Enter string : ";

/// The server's transcript.
pub struct ServerTranscript {
    /// The name that a line on stderr begins with.
    pub program: &'static str,
    /// Whether a line editor already shows what the operator types.
    pub at_terminal: bool,
    /// Whether each line starts with its time.
    pub timestamps: bool,
    /// Which outputs have colors.
    pub colors: Colors,
    /// The token that is appended to the address of the web console. Set it only for a terminal.
    pub token: Option<String>,
}

/// Without the token, which must get into no log.
impl fmt::Debug for ServerTranscript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTranscript").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Render<ServerEvent> for ServerTranscript {
    fn render(&mut self, stamped: &Stamped<ServerEvent>, page: &mut Page) {
        if !self.timestamps {
            return self.render_event(stamped, page);
        }
        let before = page.out.len();
        self.render_event(stamped, page);
        let lines = page.out.split_off(before);
        let time = rfc3339_millis(stamped.time);
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            push_fmt(&mut page.out, format_args!("{time} "));
            page.out.extend_from_slice(line);
        }
    }
}

impl ServerTranscript {
    /// The transcript of `program`, without timestamps and colors.
    pub fn new(program: &'static str, at_terminal: bool) -> Self {
        Self { program, at_terminal, timestamps: false, colors: Colors::default(), token: None }
    }

    fn render_event(&self, stamped: &Stamped<ServerEvent>, page: &mut Page) {
        let out = &mut page.out;
        let mut report = |problem| self.colors.push_problem(self.program, &mut page.err, problem);
        let prefix = |session| self.colors.prefix(session);
        match &stamped.event {
            ServerEvent::Bound { address } => {
                let (ip, port) = (zoned_ip(*address), address.port());
                push_fmt(out, format_args!("> Server bound to IP : {ip} and PORT : {port}\n"));
            }
            ServerEvent::Admin { address } => self.push_admin(*address, out),
            ServerEvent::Connected { session, .. } => {
                push_fmt(out, format_args!("> New connection {}\n", prefix(session)));
            }
            ServerEvent::Message { session, lines } => {
                let prefix = format!("> {} Client message = ", prefix(session));
                push_lines(out, prefix.as_bytes(), lines, Origin::Peer);
            }
            ServerEvent::Broadcast { lines, by_http, .. } => {
                if let Some(origin) = self.printed_origin(*by_http) {
                    push_lines(out, SERVER_PROMPT.as_bytes(), lines, origin);
                }
            }
            ServerEvent::Told { session, lines, by_http } => {
                if let Some(origin) = self.printed_origin(*by_http) {
                    let prefix = format!("> {} Message to client = ", prefix(session));
                    push_lines(out, prefix.as_bytes(), lines, origin);
                }
            }
            ServerEvent::Listing(text) => out.extend_from_slice(text.as_bytes()),
            ServerEvent::Disconnected { session, reason, .. } => {
                let prefix = prefix(session);
                push_fmt(out, format_args!("> Closing connection for client {prefix}...\n"));
                if let Some(problem) = close_problem(session, *reason) {
                    report(format_args!("{problem}"));
                }
            }
            ServerEvent::Rejected { peer } => {
                report(format_args!("refused {}: {TOO_MANY_CLIENTS}", Zoned(*peer)));
            }
            ServerEvent::Discarded { session, reason, bytes } => {
                let why = discard_problem(*reason);
                report(format_args!("discarded a line of {bytes} bytes from {session}: {why}"));
            }
            ServerEvent::Problem(sentence) => report(format_args!("{sentence}")),
            ServerEvent::Stopped => {}
        }
    }
}

impl ServerTranscript {
    /// Where lines to clients come from, if they are printed: the editor shows what is typed there.
    fn printed_origin(&self, by_http: bool) -> Option<Origin> {
        match by_http {
            true => Some(Origin::Http),
            false => (!self.at_terminal).then_some(Origin::Stdin),
        }
    }

    /// Appends the address to open in a browser.
    fn push_admin(&self, address: SocketAddr, out: &mut Vec<u8>) {
        push_fmt(out, format_args!("> Web console at http://{}/", Zoned(address)));
        if let Some(token) = &self.token {
            push_fmt(out, format_args!("#token={token}"));
        }
        out.push(b'\n');
    }
}

/// Why a session ended, unless it ended as planned.
fn close_problem(session: &SessionInfo, reason: CloseReason) -> Option<String> {
    match reason {
        CloseReason::Left | CloseReason::Shutdown | CloseReason::Kicked => None,
        CloseReason::Lost => Some(format!("lost {session}: the connection broke")),
        CloseReason::Stalled => Some(format!(
            "closed {session}: it stopped reading (outbox full for longer than timeouts.stall)"
        )),
        CloseReason::Idle => {
            Some(format!("closed {session}: it sent nothing for longer than timeouts.idle"))
        }
    }
}

fn discard_problem(reason: DiscardReason) -> &'static str {
    match reason {
        DiscardReason::TooLong => "it is longer than limits.max_line",
        DiscardReason::ConnectionLost => "the connection was lost before its end",
        DiscardReason::Unfinished => "the session was closed before its end",
    }
}

/// The client's transcript. Without a terminal it also contains the prompts and what is entered.
#[derive(Debug)]
pub struct ClientTranscript {
    program: &'static str,
    at_terminal: bool,
    colors: Colors,
    /// Whether the last thing printed is a prompt.
    prompting: bool,
    /// Whether the input has ended, so that no prompt is needed any more.
    input_ended: bool,
    /// Whether the server has answered, so that there is something to close.
    answered: bool,
}

impl ClientTranscript {
    /// The transcript of `program`. `at_terminal`: a line editor already shows the prompt and what
    /// is entered.
    pub fn new(program: &'static str, at_terminal: bool) -> Self {
        let colors = Colors::default();
        Self { program, at_terminal, colors, prompting: false, input_ended: false, answered: false }
    }

    /// Which outputs have colors.
    #[must_use]
    pub fn colors(mut self, colors: Colors) -> Self {
        self.colors = colors;
        self
    }

    fn push_prompt(&mut self, out: &mut Vec<u8>) {
        if !self.at_terminal && !self.input_ended {
            out.extend_from_slice(CLIENT_PROMPT.as_bytes());
            self.prompting = true;
        }
    }

    /// Ends the row of a prompt, so that what follows begins on a new line.
    fn end_prompt(&mut self, out: &mut Vec<u8>) {
        if self.prompting {
            out.push(b'\n');
            self.prompting = false;
        }
    }

    fn push_entered(&mut self, lines: &Lines, out: &mut Vec<u8>) {
        for line in lines.iter_with_ends() {
            if !self.prompting {
                out.extend_from_slice(CLIENT_PROMPT.as_bytes());
            }
            out.extend_from_slice(line);
            self.prompting = false;
        }
    }

    fn push_responses(&mut self, lines: &Lines, out: &mut Vec<u8>) {
        for line in lines.iter() {
            self.end_prompt(out);
            out.extend_from_slice(b"> Server response : ");
            push_escaped(line, lines.is_plain(), out);
            out.push(b'\n');
            self.push_prompt(out);
        }
    }
}

impl Render<ClientEvent> for ClientTranscript {
    fn render(&mut self, stamped: &Stamped<ClientEvent>, page: &mut Page) {
        let out = &mut page.out;
        match &stamped.event {
            ClientEvent::Connected { host, port, .. } => {
                self.answered = true;
                let connected = "> Connected to server IP = ";
                push_fmt(out, format_args!("{connected}{host} and PORT = {port}\n"));
                self.push_prompt(out);
            }
            ClientEvent::Entered { lines } => {
                if !self.at_terminal {
                    self.push_entered(lines, out);
                }
            }
            ClientEvent::InputEnded => self.input_ended = true,
            ClientEvent::Response { lines } => self.push_responses(lines, out),
            ClientEvent::Rejected { text } => {
                self.answered = true;
                self.end_prompt(out);
                out.extend_from_slice(b"> ");
                escape(text, out);
                out.push(b'\n');
            }
            ClientEvent::Closed { reason } => {
                self.end_prompt(out);
                if *reason != ClientCloseReason::Left {
                    out.extend_from_slice(b"> Server closed the connection\n");
                }
            }
            ClientEvent::Ended => {
                if self.answered {
                    self.end_prompt(out);
                    out.extend_from_slice(b"> Closing client...\n");
                }
            }
            ClientEvent::Sent { .. } => {}
            ClientEvent::Problem(sentence) => {
                let problem = format_args!("{sentence}");
                self.colors.push_problem(self.program, &mut page.err, problem);
            }
        }
    }
}

/// Where lines come from. Only the program's own stdin is printed unescaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Stdin,
    Peer,
    Http,
}

/// Appends each line of the batch after the prefix.
fn push_lines(out: &mut Vec<u8>, prefix: &[u8], lines: &Lines, origin: Origin) {
    out.reserve(2 * lines.len());
    let as_is = lines.is_plain() || origin == Origin::Stdin;
    if as_is {
        for line in lines.iter_with_ends() {
            out.extend_from_slice(prefix);
            out.extend_from_slice(line);
        }
        return;
    }
    for line in lines.iter() {
        out.extend_from_slice(prefix);
        push_escaped(line, false, out);
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
