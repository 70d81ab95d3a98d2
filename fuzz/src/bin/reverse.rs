//! The reversal equals a naive reversal by grapheme clusters, for a line and for a batch, and reversing
//! twice gives the original.

use std::process::ExitCode;

use fastrand::Rng;
use linehub::internals::{lines::Lines, reverse::reverse_lines};
use linehub_fuzz::{Finding, NASTY, run};
use unicode_segmentation::UnicodeSegmentation;

fn main() -> ExitCode {
    run("reverse", NASTY, check)
}

fn reverse_naively(line: &str) -> String {
    line.graphemes(true).rev().collect()
}

/// One line, reversed as the program does it.
fn reverse(line: &str) -> String {
    let reversed = reverse_lines(Lines::one(line));
    let mut text = String::from_utf8_lossy(reversed.as_bytes()).into_owned();
    text.pop();
    text
}

fn check(input: &[u8], _: &mut Rng) -> Finding {
    let text = String::from_utf8_lossy(input);
    for line in text.split('\n') {
        let reversed = reverse_naively(line);
        if reverse(line) != reversed {
            return Err(format!("{line:?} gives {:?} instead of {reversed:?}", reverse(line)));
        }
        // Reversing can put clusters side by side that then join into one.
        let clusters_stay_separate = reversed.graphemes(true).rev().eq(line.graphemes(true));
        if clusters_stay_separate && reverse(&reversed) != line {
            return Err(format!("{line:?} twice reversed gives {:?}", reverse(&reversed)));
        }
    }
    let lines = Lines::one(&text);
    let copy = lines.clone();
    let expected: Vec<_> = text.split('\n').map(reverse_naively).collect();
    for reversed in [reverse_lines(lines.clone()), reverse_lines(lines.compact())] {
        if !reversed.iter().eq(expected.iter().map(String::as_bytes)) {
            return Err("the batch is not reversed line by line".into());
        }
    }
    if lines != copy { Err("reversing changed a shared batch".into()) } else { Ok(()) }
}
