//! The transcript: what both programs say in format `text`, and what is escaped in it.

use std::{io::Write, net::SocketAddr};

use crate::{
    events::{CloseReason, ClosedBy, Event, Stamped, write_json},
    wire::{greeting::REFUSAL, lines::Lines},
};

/// What a program says: bytes for its stdout and bytes for its stderr.
#[derive(Debug, Default)]
pub struct Page {
    /// For stdout.
    pub out: Vec<u8>,
    /// For stderr: one line for each mishap.
    pub err: Vec<u8>,
}

/// Renders events, in the order in which they happened.
pub trait Renderer: Send {
    /// Adds what there is to say about the event to the page.
    fn render(&mut self, event: &Stamped, page: &mut Page);
}

/// The server's prompt, at a terminal and in the transcript.
pub const SERVER_PROMPT: &str = "> Enter message to send to all clients : ";

/// The client's prompt. At a terminal as in the transcript an empty row stands above it.
pub const CLIENT_PROMPT: &str = "\n> Enter string : ";

/// One JSON object a line on stdout; stderr has what JSON has no event for.
#[derive(Debug)]
pub struct Json {
    /// What a line on stderr begins with.
    pub program: &'static str,
}

impl Renderer for Json {
    fn render(&mut self, stamped: &Stamped, page: &mut Page) {
        if let Event::Problem(sentence) = &stamped.event {
            report(self.program, &mut page.err, format_args!("{sentence}"));
        }
        // Writing to memory does not fail, and every event can be written.
        let _ = write_json(stamped, &mut page.out);
    }
}

/// The server's transcript.
#[derive(Debug)]
pub struct ServerTranscript {
    /// What a line on stderr begins with.
    pub program: &'static str,
    /// Whether a line editor shows what the operator types, with its prompt.
    pub at_terminal: bool,
}

impl Renderer for ServerTranscript {
    fn render(&mut self, stamped: &Stamped, page: &mut Page) {
        let out = &mut page.out;
        let mut report = |what| report(self.program, &mut page.err, what);
        match &stamped.event {
            Event::Bound { address } => {
                let (ip, port) = (address.ip(), address.port());
                say(out, format_args!("> Server bound to IP : {ip} and PORT : {port}\n"));
            }
            Event::Connected { peer, .. } => say(out, format_args!("> New connection [{peer}]\n")),
            Event::Message { peer, lines } => push_lines(out, &message_prefix(*peer), lines, true),
            Event::Broadcast { .. } if self.at_terminal => {}
            Event::Broadcast { lines, .. } => {
                push_lines(out, SERVER_PROMPT.as_bytes(), lines, false);
            }
            Event::Disconnected { peer, reason, .. } => {
                say(out, format_args!("> Closing connection for client [{peer}]...\n"));
                match reason {
                    CloseReason::Left | CloseReason::Shutdown => {}
                    CloseReason::Lost => report(format_args!("lost {peer}: the connection broke")),
                    CloseReason::Stalled => report(format_args!(
                        "let {peer} go: it does not read, and what waits for it has had no room \
                         for longer than timeouts.stall"
                    )),
                    CloseReason::Idle => report(format_args!(
                        "let {peer} go: it has sent nothing for longer than timeouts.idle"
                    )),
                }
            }
            Event::Rejected { peer } => report(format_args!("refused {peer}: too many clients")),
            Event::Discarded { peer, bytes } => report(format_args!(
                "discarded a line of {bytes} bytes from {peer}: it is longer than limits.max_line"
            )),
            Event::Problem(sentence) => report(format_args!("{sentence}")),
            // The other events are the client's.
            _ => {}
        }
    }
}

fn message_prefix(peer: SocketAddr) -> Vec<u8> {
    format!("> [{peer}] Client message = ").into_bytes()
}

/// The client's transcript. Over a pipe it also writes the prompt and what is entered behind it.
#[derive(Debug)]
pub struct ClientTranscript {
    program: &'static str,
    at_terminal: bool,
    /// Whether a prompt stands with nothing behind it yet.
    prompting: bool,
    /// Whether there will be no more input, so that no prompt is due.
    input_ended: bool,
}

impl ClientTranscript {
    /// The transcript of `program`. `at_terminal`: a line editor shows the prompt and what is
    /// entered.
    pub fn new(program: &'static str, at_terminal: bool) -> Self {
        Self { program, at_terminal, prompting: false, input_ended: false }
    }

    fn prompt(&mut self, out: &mut Vec<u8>) {
        if !self.at_terminal && !self.input_ended {
            out.extend_from_slice(CLIENT_PROMPT.as_bytes());
            self.prompting = true;
        }
    }

    /// What comes while the prompt stands begins on a new line.
    fn leave_prompt(&mut self, out: &mut Vec<u8>) {
        if self.prompting {
            out.push(b'\n');
            self.prompting = false;
        }
    }

    fn entered(&mut self, lines: &Lines, out: &mut Vec<u8>) {
        for line in lines.iter() {
            if !self.prompting {
                out.extend_from_slice(CLIENT_PROMPT.as_bytes());
            }
            out.extend_from_slice(line);
            out.push(b'\n');
            self.prompting = false;
        }
    }

    fn responses(&mut self, lines: &Lines, out: &mut Vec<u8>) {
        for line in lines.iter() {
            self.leave_prompt(out);
            out.extend_from_slice(b"> Server response : ");
            push_safe(line, lines.is_plain(), out);
            out.push(b'\n');
            self.prompt(out);
        }
    }
}

impl Renderer for ClientTranscript {
    fn render(&mut self, stamped: &Stamped, page: &mut Page) {
        let out = &mut page.out;
        match &stamped.event {
            Event::Greeted { host, port, .. } => {
                let connected = "> Connected to server IP = ";
                say(out, format_args!("{connected}{host} and PORT = {port}\n"));
                self.prompt(out);
            }
            Event::Entered { lines } if !self.at_terminal => self.entered(lines, out),
            Event::InputEnded => self.input_ended = true,
            Event::Response { lines } => self.responses(lines, out),
            Event::Refused => say(out, format_args!("> {REFUSAL}\n> Closing client...\n")),
            Event::Closed { reason } => {
                self.leave_prompt(out);
                if *reason != ClosedBy::Left {
                    out.extend_from_slice(b"> Server closed the connection\n");
                }
                out.extend_from_slice(b"> Closing client...\n");
            }
            Event::Problem(sentence) => {
                report(self.program, &mut page.err, format_args!("{sentence}"));
            }
            // The other events are the server's.
            _ => {}
        }
    }
}

fn say(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(what);
}

fn report(program: &str, err: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    say(err, format_args!("{program}: {what}\n"));
}

/// Each line of the batch behind the prefix. Lines of the other side are made safe to print.
fn push_lines(out: &mut Vec<u8>, prefix: &[u8], lines: &Lines, foreign: bool) {
    out.reserve(2 * lines.len());
    let safe = lines.is_plain() || !foreign;
    for line in lines.iter_with_ends() {
        out.extend_from_slice(prefix);
        if safe {
            out.extend_from_slice(line);
        } else {
            push_safe(line.strip_suffix(b"\n").unwrap_or(line), false, out);
            out.push(b'\n');
        }
    }
}

/// One line, with what is unsafe to print escaped unless it is known to be safe.
fn push_safe(line: &[u8], safe: bool, out: &mut Vec<u8>) {
    if safe {
        out.extend_from_slice(line);
    } else {
        escape(&String::from_utf8_lossy(line), out);
    }
}

/// Writes the text with every character escaped that could do more than be seen, as
/// [`char::escape_default`] does: `\u{1b}`, `\r`.
///
/// These are the control characters but tab (they move the cursor and reprogram the terminal),
/// the line and paragraph separators (they forge lines) and the bidirectional controls of UAX #9
/// (they reorder what stands around them).
pub fn escape(text: &str, out: &mut Vec<u8>) {
    let mut clean = 0;
    for (at, character) in text.char_indices().filter(|&(_, character)| is_unsafe(character)) {
        out.extend_from_slice(text.get(clean..at).unwrap_or_default().as_bytes());
        say(out, format_args!("{}", character.escape_default()));
        clean = at + character.len_utf8();
    }
    out.extend_from_slice(text.get(clean..).unwrap_or_default().as_bytes());
}

fn is_unsafe(character: char) -> bool {
    match character {
        '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' => true,
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => character.is_control(),
    }
}

#[cfg(test)]
mod tests;
