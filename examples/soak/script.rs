//! The script: what every line says, from its author and number alone, so that a line can be
//! checked wherever it arrives without having been kept.

use std::io::Write;

use unicode_segmentation::UnicodeSegmentation;

/// Text of which lines take parts.
const PROSE: usize = 64 * 1024;

/// Clusters of more than one byte or character that no neighbour combines with.
const CLUSTERS: [&str; 12] =
    ["é", "e\u{301}", "👍🏽", "👩‍👩‍👧", "ß", "日", "本", "ж", "נ", "क्षि", "ใจ", "\u{1b}[31m"];

/// What a client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Lines as people and programs write them.
    Tidy,
    /// Noise: invalid UTF-8, control characters, lines that are too long.
    Junk,
    /// One line without an end, of so many bytes.
    Endless(usize),
}

/// What the server must say of a client's line.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// That it came: the text as the operator sees it.
    Message(String),
    /// That it was too long: the length.
    Discarded(usize),
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Script {
    seed: u64,
    max_line: usize,
    prose: Vec<u8>,
    noise: Vec<u8>,
}

impl Script {
    /// The script of this seed for a server with this limit of a line's length.
    pub fn new(seed: u64, max_line: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let prose = (0..PROSE).map(|_| rng.u8(b' '..=b'~')).collect();
        let noise = (0..PROSE).map(|_| rng.u8(..));
        let noise = noise.map(|byte| if byte == b'\n' { 0 } else { byte }).collect();
        Self { seed, max_line, prose, noise }
    }

    /// Where all that is random comes from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    fn rng(&self, author: u64, number: u64) -> fastrand::Rng {
        let mixed = author.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.rotate_left(32);
        fastrand::Rng::with_seed(self.seed ^ mixed)
    }

    /// Adds the operator's line to `wire`, with its end.
    pub fn broadcast(&self, number: u64, wire: &mut Vec<u8>) {
        let mut rng = self.rng(u64::MAX, number);
        put(wire, format_args!("b{number} "));
        match rng.u8(..100) {
            0..5 => clusters(&mut rng, wire),
            5 => part(&self.prose, &mut rng, self.max_line / 2, wire),
            _ => part(&self.prose, &mut rng, 90, wire),
        }
        wire.push(b'\n');
    }

    /// A line of the operator that is too long to be sent.
    pub fn overlong(&self, wire: &mut Vec<u8>) {
        wire.extend(std::iter::repeat_n(b'!', self.max_line + 1));
        wire.push(b'\n');
    }

    /// Adds the client's line to `wire`, with its end.
    pub fn line(&self, client: u64, number: u64, style: Style, wire: &mut Vec<u8>) {
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
                // Exactly as long as allowed, or one more.
                (_, 11) => {
                    let rest = self.max_line - (wire.len() - start) + rng.usize(..2);
                    wire.extend(std::iter::repeat_n(b'x', rest));
                }
                _ => part(&self.prose, &mut rng, 80, wire),
            }
        }
        wire.extend_from_slice(if rng.u8(..10) == 0 { b"\r\n" } else { b"\n" });
    }

    /// What the server must say of that line. An `unfinished` one had no LF, but the end of the
    /// stream instead.
    pub fn outcome(&self, client: u64, number: u64, style: Style, unfinished: bool) -> Outcome {
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
        // CR LF is the only cluster in ASCII, and there is no LF here.
        let reversed = if line.is_ascii() {
            line.chars().rev().collect()
        } else {
            line.graphemes(true).rev().collect()
        };
        Outcome::Message(reversed)
    }
}

fn part(text: &[u8], rng: &mut fastrand::Rng, most: usize, wire: &mut Vec<u8>) {
    let start = rng.usize(..text.len() - most);
    wire.extend_from_slice(text.get(start..start + rng.usize(..most)).unwrap_or_default());
}

fn clusters(rng: &mut fastrand::Rng, wire: &mut Vec<u8>) {
    for _ in 0..rng.u8(..20) {
        wire.extend(rng.choice(CLUSTERS).unwrap_or_default().as_bytes());
    }
}

fn put(wire: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = wire.write_fmt(what);
}
