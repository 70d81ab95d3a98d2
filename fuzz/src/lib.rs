//! Fuzzing on the stable toolchain: builds inputs from hand-picked pieces, mutates them, and gives
//! them to a check until the time is up. There is no coverage feedback: the pieces are chosen so that
//! they reach the difficult cases.

#![allow(clippy::disallowed_methods, reason = "a fuzz target measures real time")]

use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::{Duration, Instant},
};

use fastrand::Rng;

/// An input that takes longer than this is a finding.
const SLOW: Duration = Duration::from_secs(10);

/// Pieces of text that are known to cause trouble.
pub const NASTY: &[&[u8]] = &[
    b"",
    b"\n",
    b"\r",
    b"\r\n",
    b"\r\r\n",
    b"\n\r",
    b"\r\n\r\n",
    b"\n\n\n",
    b"\0",
    b"\t",
    b"\x0b",
    b"\x7f",
    b"plain text",
    b"> [127.0.0.1:1] Client message = x",
    b"exit\n",
    b"a\rb",
    b"ab\r\r",
    // Invalid UTF-8: stray bytes, truncated and overlong sequences, surrogates, too large code points.
    b"\xff",
    b"\xfe\xff",
    b"\x80",
    b"\xc3",
    b"\xc3\n",
    b"\xe2\x82",
    b"\xe2\x82\r\n",
    b"\xf0\x9f\x91",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xf0\x9f\xff\x8d",
    // Combining marks, joiners, variation selectors, skin tones, flags, keycaps, tags.
    "e\u{301}".as_bytes(),
    "\u{301}\u{301}\u{301}".as_bytes(),
    "a\u{300}\u{316}\u{34f}".as_bytes(),
    "👍🏽".as_bytes(),
    "🏽".as_bytes(),
    "👩‍👩‍👧".as_bytes(),
    "\u{200d}".as_bytes(),
    "\u{fe0f}".as_bytes(),
    "🇩🇪🇫🇷".as_bytes(),
    "🇩".as_bytes(),
    "1️⃣".as_bytes(),
    "🏴\u{e0067}\u{e0062}\u{e007f}".as_bytes(),
    // Scripts with special cluster rules: Hangul, Devanagari, Thai, Arabic prepend, Tamil.
    "\u{1100}\u{1161}\u{11a8}".as_bytes(),
    "한국어".as_bytes(),
    "क्षि".as_bytes(),
    "\u{94d}".as_bytes(),
    "ใจดี".as_bytes(),
    "\u{600}1".as_bytes(),
    "நி".as_bytes(),
    "\u{ac00}\u{11a8}".as_bytes(),
    // Text that moves the cursor, forges lines or reorders characters.
    b"\x1b[2J\x1b[H",
    b"\x1b]0;title\x07",
    b"\x1b",
    "\u{9b}31m".as_bytes(),
    "\u{85}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{2029}".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{2066}x\u{2069}".as_bytes(),
    "\u{61c}\u{200e}\u{200f}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\\u{1b}".as_bytes(),
    b"\\",
    b"\\n",
    "\u{10ffff}".as_bytes(),
    "\u{e000}".as_bytes(),
    "\u{fffd}".as_bytes(),
    "\u{cc}\u{2ff}\u{300}".as_bytes(),
];

/// The result of a check: an error describes what is wrong.
pub type Finding = Result<(), String>;

/// Gives random inputs to `check` for as long as the arguments say, or replays one from a file. The
/// random numbers that a check gets depend only on the input, so a replay repeats the finding.
pub fn run(target: &str, pieces: &[&[u8]], check: fn(&[u8], &mut Rng) -> Finding) -> ExitCode {
    let (mut seconds, mut seed) = (60, fastrand::u64(..1_000_000));
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--seed" {
            seed = args.next().and_then(|seed| seed.parse().ok()).expect("--seed needs a number");
        } else if let Ok(number) = arg.parse() {
            seconds = number;
        } else {
            let input = fs::read(&arg).expect("usage: [SECONDS] [--seed N] | FILE");
            return match run_check(check, &input) {
                Ok(()) => {
                    println!("{target}: {arg}: no finding");
                    ExitCode::SUCCESS
                }
                Err(finding) => {
                    println!("{target}: {arg}: {finding}");
                    ExitCode::FAILURE
                }
            };
        }
    }
    println!("{target}: {seconds} seconds, seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let (start, mut inputs, mut input) = (Instant::now(), 0_u64, Vec::new());
    while start.elapsed() < Duration::from_secs(seconds) {
        make_input(pieces, &mut rng, &mut input);
        if let Err(finding) = run_check(check, &input) {
            let file = format!("artifacts/{target}-{seed}-{inputs}");
            fs::create_dir_all("artifacts").expect("cannot create artifacts/");
            fs::write(&file, &input).expect("cannot write the input to a file");
            println!("{target}: {finding}\n{target}: the input is in {file}");
            return ExitCode::FAILURE;
        }
        inputs += 1;
    }
    println!("{target}: {inputs} inputs, {seconds} seconds, no finding");
    ExitCode::SUCCESS
}

/// Runs the check on one input. A panic and a slow check are findings, too.
fn run_check(check: fn(&[u8], &mut Rng) -> Finding, input: &[u8]) -> Finding {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let start = Instant::now();
    let checked = catch_unwind(AssertUnwindSafe(|| check(input, &mut Rng::with_seed(hash))));
    checked.unwrap_or_else(|_| Err("panicked".to_owned()))?;
    if start.elapsed() > SLOW { Err("slow".to_owned()) } else { Ok(()) }
}

/// Builds the next input: joins pieces, then mutates them. One input in 64 is large.
fn make_input(pieces: &[&[u8]], rng: &mut Rng, input: &mut Vec<u8>) {
    input.clear();
    let max_len = if rng.u8(..64) == 0 { 200_000 } else { 1 << rng.u8(1..11) };
    while input.len() < max_len && rng.u8(..32) > 0 {
        let piece = rng.choice(pieces).copied().unwrap_or_default();
        match rng.u8(..16) {
            0 => input.extend((0..rng.usize(..16)).map(|_| rng.u8(..))),
            1 => input.extend((0..rng.usize(..64)).map(|_| rng.u8(b' '..=b'~'))),
            2 => input.extend(rng.char(..).encode_utf8(&mut [0; 4]).bytes()),
            3 => {
                let times = rng.usize(1..=1 + max_len / (1 + piece.len()));
                input.extend(piece.iter().cycle().take(piece.len() * times));
            }
            _ => input.extend(piece),
        }
    }
    for _ in 0..rng.u8(..4) {
        if input.is_empty() {
            return;
        }
        let at = rng.usize(..input.len());
        match rng.u8(..6) {
            0 => input[at] ^= 1 << rng.u8(..8),
            1 => input[at] = rng.u8(..),
            2 => input.truncate(at),
            3 => drop(input.drain(at..input.len().min(at + rng.usize(..8)))),
            4 => {
                let piece = rng.choice(pieces).copied().unwrap_or_default();
                input.splice(at..at, piece.iter().copied());
            }
            _ => input.insert(at, rng.u8(..)),
        }
    }
}
