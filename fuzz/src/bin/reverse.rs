//! The reversal equals the naive one by grapheme clusters, for a line and for a batch, and undoes
//! itself.

use std::process::ExitCode;

use fastrand::Rng;
use linehub::internals::{
    lines::Lines,
    reverse::{reverse, reverse_lines},
};
use linehub_fuzz::{Finding, NASTY, run};
use unicode_segmentation::UnicodeSegmentation;

fn main() -> ExitCode {
    run("reverse", NASTY, check)
}

fn naively(line: &str) -> String {
    line.graphemes(true).rev().collect()
}

fn check(input: &[u8], _: &mut Rng) -> Finding {
    let text = String::from_utf8_lossy(input);
    for line in text.split('\n') {
        let turned = naively(line);
        if reverse(line) != turned {
            return Err(format!("{line:?} gives {:?} and not {turned:?}", reverse(line)));
        }
        // Clusters that stand side by side for the first time may become one.
        let stay_apart = turned.graphemes(true).rev().eq(line.graphemes(true));
        if stay_apart && reverse(&turned) != line {
            return Err(format!("{line:?} twice reversed gives {:?}", reverse(&turned)));
        }
    }
    let lines = Lines::one(&text);
    let kept = lines.clone();
    let expected: Vec<_> = text.split('\n').map(naively).collect();
    for turned in [reverse_lines(lines.clone()), reverse_lines(lines.compact())] {
        if !turned.iter().eq(expected.iter().map(String::as_bytes)) {
            return Err("a batch is not reversed line by line".into());
        }
    }
    if lines != kept { Err("a shared batch was changed".into()) } else { Ok(()) }
}
