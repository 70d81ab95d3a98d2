//! Escaped text contains nothing that is unsafe to print, and safe text is unchanged. No client can
//! forge a line of either transcript.

use std::process::ExitCode;

use fastrand::Rng;
use linehub::{
    ClientEvent, Lines, ServerEvent, SessionInfo,
    events::{ClientTranscript, Page, Render, ServerTranscript},
    internals::escape,
};
use linehub_fuzz::{Finding, NASTY, run};

fn main() -> ExitCode {
    run("escape", NASTY, check)
}

/// The characters that must be escaped, written independently of the implementation.
fn is_unsafe(character: char) -> bool {
    match u32::from(character) {
        0x09 => false,
        0x00..=0x1f | 0x7f | 0x80..=0x9f => true,
        0x61c | 0x200e | 0x200f | 0x2028 | 0x2029 => true,
        0x202a..=0x202e | 0x2066..=0x2069 => true,
        _ => false,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if is_unsafe(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

fn check(input: &[u8], _: &mut Rng) -> Finding {
    let text = String::from_utf8_lossy(input);
    let mut out = Vec::new();
    escape(&text, &mut out);
    let out = String::from_utf8(out).map_err(|_| "not UTF-8")?;
    if let Some(character) = out.chars().find(|&character| is_unsafe(character)) {
        return Err(format!("{character:?} is not escaped"));
    }
    if out != escaped(&text) {
        return Err(format!("{text:?} is escaped as {out:?}"));
    }
    if !text.contains(is_unsafe) && out != text {
        return Err("safe text was changed".into());
    }

    let lines = Lines::one(&text);
    let peer = "127.0.0.1:13442".parse().map_err(|_| "invalid address")?;
    let session = SessionInfo { id: 1, name: None, peer };
    let mut page = Page::default();
    let mut transcript = ServerTranscript::new("hub-server", false);
    transcript.render(&ServerEvent::Message { session, lines: lines.clone() }.into(), &mut page);
    let prefix = "> [127.0.0.1:13442] Client message = ";
    check_page(&page, prefix, &text)?;

    let mut page = Page::default();
    let mut transcript = ClientTranscript::new("hub-client", true);
    transcript.render(&ClientEvent::Response { lines }.into(), &mut page);
    check_page(&page, "> Server response : ", &text)
}

/// Checks that each line of the text is printed as exactly one line after the prefix.
fn check_page(page: &Page, prefix: &str, text: &str) -> Finding {
    let expected: String =
        text.split('\n').map(|line| format!("{prefix}{}\n", escaped(line))).collect();
    if page.out != expected.as_bytes() || !page.err.is_empty() {
        return Err(format!("{text:?} is printed as {:?}", String::from_utf8_lossy(&page.out)));
    }
    Ok(())
}
