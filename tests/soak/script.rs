//! The script: computes the text of every line from its author and number alone, so that a line can
//! be checked wherever it arrives without having been kept.

use std::io::Write;

use unicode_segmentation::UnicodeSegmentation;

/// The size of the text that lines take parts of.
const PROSE: usize = 64 * 1024;

/// Grapheme clusters of several bytes or characters. None of them combines with its neighbours.
const CLUSTERS: [&str; 12] =
    ["é", "e\u{301}", "👍🏽", "👩‍👩‍👧", "ß", "日", "本", "ж", "נ", "क्षि", "ใจ", "\u{1b}[31m"];

/// What kind of lines a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Lines as people and programs write them.
    Tidy,
    /// Invalid UTF-8, control characters, lines that are too long.
    Junk,
    /// One line without LF, of this many bytes.
    Endless(usize),
}

/// What the server must print for a client's line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The line was received: the text that the operator sees.
    Message(String),
    /// The line was too long: its length in bytes.
    Discarded(usize),
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub(crate) struct Script {
    seed: u64,
    max_line: usize,
    prose: Vec<u8>,
    noise: Vec<u8>,
}

impl Script {
    /// The script for this seed, and for a server with this limit of a line's length.
    pub(crate) fn new(seed: u64, max_line: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let prose = (0..PROSE).map(|_| rng.u8(b' '..=b'~')).collect();
        let noise = (0..PROSE).map(|_| rng.u8(..));
        let noise = noise.map(|byte| if byte == b'\n' { 0 } else { byte }).collect();
        Self { seed, max_line, prose, noise }
    }

    /// The seed that all random choices come from.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    fn rng(&self, author: u64, number: u64) -> fastrand::Rng {
        let mixed = author.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.rotate_left(32);
        fastrand::Rng::with_seed(self.seed ^ mixed)
    }

    /// Appends the operator's line of this number, with its LF, to `wire`.
    pub(crate) fn broadcast(&self, number: u64, wire: &mut Vec<u8>) {
        let mut rng = self.rng(u64::MAX, number);
        put(wire, format_args!("b{number} "));
        match rng.u8(..100) {
            0..5 => clusters(&mut rng, wire),
            5 => part(&self.prose, &mut rng, self.max_line / 2, wire),
            _ => part(&self.prose, &mut rng, 90, wire),
        }
        wire.push(b'\n');
    }

    /// Appends a line that is too long to be broadcast.
    pub(crate) fn too_long(&self, wire: &mut Vec<u8>) {
        wire.extend(std::iter::repeat_n(b'!', self.max_line + 1));
        wire.push(b'\n');
    }

    /// Appends the client's line of this number, with its LF or CR LF, to `wire`.
    pub(crate) fn line(&self, client: u64, number: u64, style: Style, wire: &mut Vec<u8>) {
        let mut rng = self.rng(client, number);
        if let Style::Endless(bytes) = style {
            wire.extend(self.noise.iter().cycle().take(bytes));
            wire.push(b'\n');
            return;
        }
        let start = wire.len();
        if rng.u8(..20) > 0 {
            put(wire, format_args!("c{client} {number} "));
            match (style, rng.u8(..20)) {
                (Style::Tidy, 0..3) => clusters(&mut rng, wire),
                (Style::Tidy, _) => part(&self.prose, &mut rng, 80, wire),
                (_, 0..10) => part(&self.noise, &mut rng, 200, wire),
                (_, 10) => part(&self.noise, &mut rng, 4 * self.max_line, wire),
                // Exactly as long as allowed, or one byte longer.
                (_, 11) => {
                    let rest = self.max_line - (wire.len() - start) + rng.usize(..2);
                    wire.extend(std::iter::repeat_n(b'x', rest));
                }
                _ => part(&self.prose, &mut rng, 80, wire),
            }
        }
        wire.extend_from_slice(if rng.u8(..10) == 0 { b"\r\n" } else { b"\n" });
    }

    /// What the server must print for that line. An `unfinished` line is ended by the end of the
    /// stream instead of LF.
    pub(crate) fn outcome(
        &self,
        client: u64,
        number: u64,
        style: Style,
        unfinished: bool,
    ) -> Outcome {
        let mut line = Vec::new();
        self.line(client, number, style, &mut line);
        line.pop();
        if !unfinished && line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > self.max_line {
            return Outcome::Discarded(line.len());
        }
        let line = String::from_utf8_lossy(&line);
        // The only cluster in ASCII is CR LF, and there is no LF here.
        let reversed = if line.is_ascii() {
            line.chars().rev().collect()
        } else {
            line.graphemes(true).rev().collect()
        };
        Outcome::Message(reversed)
    }
}

/// Appends a random part of `text`, shorter than `most` bytes.
fn part(text: &[u8], rng: &mut fastrand::Rng, most: usize, wire: &mut Vec<u8>) {
    let start = rng.usize(..text.len() - most);
    let (part, _) = text.split_at(start).1.split_at(rng.usize(..most));
    wire.extend_from_slice(part);
}

/// Appends random grapheme clusters.
fn clusters(rng: &mut fastrand::Rng, wire: &mut Vec<u8>) {
    for _ in 0..rng.u8(..20) {
        wire.extend(rng.choice(CLUSTERS).into_iter().flat_map(str::bytes));
    }
}

fn put(wire: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // Writing to a Vec does not fail.
    let _ = wire.write_fmt(what);
}
