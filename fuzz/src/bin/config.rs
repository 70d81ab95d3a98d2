//! Reading a configuration file never panics. An error is one sentence that names an existing line. An
//! accepted configuration is the same after it has been written and read again.

use std::process::ExitCode;

use fastrand::Rng;
use linehub::Config;
use linehub_fuzz::{Finding, run};

const PIECES: &[&[u8]] = &[
    b"[server]\n",
    b"[limits]\n",
    b"[timeouts]\n",
    b"[console]\n",
    b"[server",
    b"[[server]]\n",
    b"\n",
    b"\r\n",
    b" ",
    b"port = ",
    b"bind = ",
    b"max_sessions = ",
    b"workers = ",
    b"max_line = ",
    b"outbox = ",
    b"stall = ",
    b"idle = ",
    b"keepalive = ",
    b"drain = ",
    b"format = ",
    b"server.port = ",
    b"limits = { max_line = 1 }\n",
    b"prot = ",
    b"0\n",
    b"1\n",
    b"-1\n",
    b"65535\n",
    b"65536\n",
    b"1000000\n",
    b"1000001\n",
    b"9223372036854775807\n",
    b"18446744073709551616\n",
    b"1e400\n",
    b"1.5\n",
    b"nan\n",
    b"true\n",
    b"0x10\n",
    b"[1]\n",
    b"{}\n",
    b"1979-05-27\n",
    b"\"::\"\n",
    b"\"0.0.0.0\"\n",
    b"\"localhost\"\n",
    b"\"off\"\n",
    b"\"10s\"\n",
    b"\"1500ms\"\n",
    b"\"0s\"\n",
    b"\"1year\"\n",
    b"\"99999999999999999999y\"\n",
    b"\"1h 30m\"\n",
    b"\"32767s\"\n",
    b"\"1.5s\"\n",
    b"\"\"\n",
    b"\"64 KiB\"\n",
    b"\"1 GiB\"\n",
    b"\"1 YiB\"\n",
    b"\"1.5MB\"\n",
    b"\"-1 B\"\n",
    b"\"99999999999 TiB\"\n",
    b"\"1\"\n",
    b"\"text\"\n",
    b"\"json\"\n",
    b"'''\n",
    b"\"\"\"",
    b"\"\\u0000\"\n",
    b"\"\\uD800\"\n",
    b"# comment\n",
    b"\xff",
    b"\xef\xbb\xbf",
    "\u{202e}".as_bytes(),
    "\"é\"\n".as_bytes(),
    b"=",
    b"\"",
    b"]",
    b".",
    b",",
];

const UNITS: &[&str] =
    &["", " ", "B", " KiB", " kb", " MiB", " GiB", "ns", "us", "ms", "s", "m", "h", "d", "y"];

fn main() -> ExitCode {
    run("config", PIECES, check)
}

/// Returns the input alone, or a valid file with the input in it, or a valid file with some values
/// replaced: random text alone seldom gets past the TOML parser.
fn make_file(input: &str, rng: &mut Rng) -> String {
    let method = rng.u8(..4);
    if method == 0 {
        return input.to_owned();
    }
    let valid = Config::default().to_toml().expect("the defaults are valid");
    let mut lines: Vec<_> = valid.lines().map(str::to_owned).collect();
    if method == 1 {
        let at = rng.usize(..lines.len());
        lines.splice(at..at + rng.usize(..2), [input.to_owned()]);
        return lines.join("\n");
    }
    for line in &mut lines {
        if let Some((key, _)) = line.split_once(" = ")
            && rng.u8(..6) == 0
        {
            let first = input.lines().next().unwrap_or_default();
            *line = match rng.u8(..8) {
                0 => format!("{key} = {first}"),
                1 => format!("{key} = \"{first}\""),
                2 => format!("{key} = {}", rng.i64(..)),
                3 => format!("{key} = \"{}{}\"", rng.u32(..), rng.choice(UNITS).unwrap_or(&"")),
                4 => String::new(),
                _ => {
                    let piece = rng.choice(PIECES).copied().unwrap_or_default();
                    format!("{key} = {}", String::from_utf8_lossy(piece).trim_end())
                }
            };
        }
    }
    lines.join("\n")
}

fn check(input: &[u8], rng: &mut Rng) -> Finding {
    let text = make_file(&String::from_utf8_lossy(input), rng);
    match Config::from_toml(&text, "hub.toml") {
        Ok(config) => {
            let written = config.to_toml().map_err(|error| error.to_string())?;
            match Config::from_toml(&written, "hub.toml") {
                Ok(again) if again == config => Ok(()),
                Ok(_) => Err(format!("differs after it was written and read again: {written}")),
                Err(error) => Err(format!("invalid after it was written: {error}: {written}")),
            }
        }
        Err(error) => {
            let sentence = error.to_string();
            let number = sentence.strip_prefix("hub.toml:").and_then(|rest| rest.split_once(": "));
            let Some((number, problem)) = number else {
                return Err(format!("the error names no line: {sentence:?}"));
            };
            let lines = 1 + text.matches('\n').count();
            if !number.parse().is_ok_and(|number| (1..=lines).contains(&number)) {
                return Err(format!("the error names a line that does not exist: {sentence:?}"));
            }
            if problem.is_empty() || sentence.contains('\n') {
                return Err(format!("the error is not one sentence: {sentence:?}"));
            }
            Ok(())
        }
    }
}
