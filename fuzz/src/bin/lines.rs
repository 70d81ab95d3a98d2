//! However a byte stream is split into reads, the decoder and the reader find the same lines and the
//! same over-long lines, and they equal those of a slow reference implementation: with every kind of
//! line end, and with and without telnet commands.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    process::ExitCode,
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use fastrand::Rng;
use linehub::internals::{
    framing::{Framing, LineEnd},
    line_reader::{Buffers, LineReader},
    lines::{Decoded, LineDecoder},
};
use linehub_fuzz::{Finding, NASTY, run};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::codec::Decoder;

/// Telnet commands, whole and in parts.
const TELNET: &[&[u8]] = &[
    b"\xff\xfd\x06",
    b"\xff\xfb\x18",
    b"\xff\xfc\n",
    b"\xff\xfe\r",
    b"\xff\xf4",
    b"\xff\xff",
    b"\xff\xfa",
    b"\xff\xf0",
    b"\xff\xfa\x18\0xterm\xff\xff\n\xff\xf0",
    b"\xff\xfd",
    b"\xc3\xff\xa9",
];

fn main() -> ExitCode {
    run("lines", &[NASTY, TELNET].concat(), check)
}

#[derive(Debug, PartialEq)]
enum Found {
    Line(Vec<u8>),
    Discarded(usize),
}

fn check(input: &[u8], rng: &mut Rng) -> Finding {
    let max_line = *rng.choice(&[1, 2, 3, 7, 20, 64, 1000, 4096, 65536]).unwrap_or(&1);
    let max_batch = *rng.choice(&[1, 10, 100, 5000, 65536]).unwrap_or(&1);
    let expected = reference(input, LineEnd::Lf, max_line);
    let decoder = || LineDecoder::with_batch(max_line, max_batch);

    if decode_reads(decoder(), &[input], max_line)? != expected {
        return Err(format!("one read, max_line {max_line}, max_batch {max_batch}"));
    }
    let mut reads = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let most = *rng.choice(&[1, 2, 5, 100, 70_000]).unwrap_or(&1);
        let (read, after) = rest.split_at(rng.usize(1..=most).min(rest.len()));
        reads.push(read);
        rest = after;
    }
    if decode_reads(decoder(), &reads, max_line)? != expected {
        let sizes: Vec<_> = reads.iter().map(|read| read.len()).collect();
        return Err(format!("reads {sizes:?}, max_line {max_line}, max_batch {max_batch}"));
    }
    let ends = [LineEnd::Lf, LineEnd::Cr, LineEnd::Nul, LineEnd::Any];
    let end = *rng.choice(&ends).unwrap_or(&LineEnd::Lf);
    let framing = Framing { end, telnet: rng.bool(), ..Framing::default() };
    let text = if framing.telnet { without_telnet(input) } else { input.to_vec() };
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let reader = LineReader::new(decoder(), Buffers::new(3)).framed(&framing);
    if read_stream(reader, reads, rng)? != reference(text, end, max_line) {
        return Err(format!("{framing:?}, max_line {max_line}, max_batch {max_batch}"));
    }
    Ok(())
}

/// The reference: finds one line end at a time.
fn reference(mut input: &[u8], line_end: LineEnd, max_line: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut line = Vec::new();
    let mut end = |line: &mut Vec<u8>| {
        found.push(if line.len() > max_line {
            Found::Discarded(line.len())
        } else {
            Found::Line(String::from_utf8_lossy(line).into_owned().into_bytes())
        });
        line.clear();
    };
    while let [first, after @ ..] = input {
        match end_at_start(input, line_end) {
            0 => {
                line.push(*first);
                input = after;
            }
            len => {
                end(&mut line);
                input = &input[len..];
            }
        }
    }
    if !line.is_empty() {
        end(&mut line);
    }
    found
}

/// The length of the line end at the start of the input, or 0.
fn end_at_start(input: &[u8], line_end: LineEnd) -> usize {
    match (line_end, input) {
        (LineEnd::Lf, [b'\r', b'\n', ..]) => 2,
        (LineEnd::Lf, [b'\n', ..]) => 1,
        (LineEnd::Nul, [0, ..]) => 1,
        (LineEnd::Cr, [b'\r', b'\n', ..]) => 2,
        (LineEnd::Cr, [b'\r', ..]) => 1,
        (LineEnd::Any, [b'\r', b'\n' | 0, ..] | [b'\n', b'\r', ..]) => 2,
        (LineEnd::Any, [b'\r' | b'\n' | 0, ..]) => 1,
        _ => 0,
    }
}

/// The input without telnet commands.
fn without_telnet(mut input: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    loop {
        input = match input {
            [] | [0xff] | [0xff, 0xfb..=0xfe] => return text,
            [0xff, 0xff, rest @ ..] => {
                text.push(0xff);
                rest
            }
            [0xff, 0xfb..=0xfe, _, rest @ ..] => rest,
            [0xff, 0xfa, rest @ ..] => &rest[subnegotiation_len(rest)..],
            [0xff, 0xf0..=0xf9, rest @ ..] => rest,
            [byte, rest @ ..] => {
                text.push(*byte);
                rest
            }
        }
    }
}

/// The length of what belongs to the subnegotiation.
fn subnegotiation_len(input: &[u8]) -> usize {
    let mut len = 0;
    while len < input.len().min(512) {
        len += match input[len..] {
            [0xff, 0xf0, ..] => return (len + 2).min(512),
            [0xff, _, ..] => 2,
            _ => 1,
        };
    }
    len.min(512).min(input.len())
}

/// Appends what was decoded to `found`, and checks the batch.
fn collect(decoded: Decoded, found: &mut Vec<Found>) -> Finding {
    match decoded {
        Decoded::Discarded(bytes) => found.push(Found::Discarded(bytes)),
        Decoded::Lines(lines) => {
            let bytes = lines.as_bytes();
            if bytes.last() != Some(&lines.end()) {
                return Err("the batch does not end with a line end".into());
            }
            if lines.end() != b'\n' && !bytes.contains(&b'\n') {
                return Err(format!("the line end is {} without need", lines.end()));
            }
            let plain = lines.end() == b'\n'
                && bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n'));
            if lines.is_plain() != plain {
                return Err(format!("is_plain returns {}, not {plain}", lines.is_plain()));
            }
            found.extend(lines.iter().map(|line| Found::Line(line.to_vec())));
        }
    }
    Ok(())
}

/// Decodes the reads with the codec.
fn decode_reads(
    mut decoder: LineDecoder,
    reads: &[&[u8]],
    max_line: usize,
) -> Result<Vec<Found>, String> {
    let mut buf = BytesMut::new();
    let mut found = Vec::new();
    for read in reads {
        buf.extend_from_slice(read);
        while let Some(decoded) = decoder.decode(&mut buf).map_err(|error| error.to_string())? {
            collect(decoded, &mut found)?;
        }
        if buf.len() > max_line + 1 {
            return Err(format!(
                "the decoder keeps {} bytes, though max_line is {max_line}",
                buf.len()
            ));
        }
    }
    while let Some(decoded) = decoder.decode_eof(&mut buf).map_err(|error| error.to_string())? {
        collect(decoded, &mut found)?;
    }
    Ok(found)
}

/// Reads the lines with this reader, over a stream that is not always ready.
fn read_stream(
    mut reader: LineReader,
    reads: Vec<&[u8]>,
    rng: &mut Rng,
) -> Result<Vec<Found>, String> {
    let mut stream = Stream { reads: reads.into_iter().map(<[u8]>::to_vec).collect(), rng };
    stream.reads.reverse();
    let mut cx = Context::from_waker(Waker::noop());
    let (mut found, mut leases) = (Vec::new(), VecDeque::new());
    loop {
        match reader.poll_next(&mut stream, &mut cx) {
            Poll::Pending => {}
            Poll::Ready(Err(error)) => return Err(error.to_string()),
            Poll::Ready(Ok(None)) => return Ok(found),
            Poll::Ready(Ok(Some(decoded))) => {
                if let Decoded::Lines(lines) = &decoded {
                    leases.push_back(reader.lease(lines));
                }
                collect(decoded, &mut found)?;
                // Like the Console, free batches in order, some later than others.
                while leases.len() > usize::from(stream.rng.u8(..3)) {
                    leases.pop_front();
                }
            }
        }
    }
}

/// A stream that returns the given reads, and is sometimes not ready.
struct Stream<'a> {
    /// In reverse order: the next one is the last.
    reads: Vec<Vec<u8>>,
    rng: &'a mut Rng,
}

impl AsyncRead for Stream<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rng.u8(..4) == 0 {
            return Poll::Pending;
        }
        if let Some(mut read) = self.reads.pop() {
            let rest = read.split_off(read.len().min(buf.remaining()));
            buf.put_slice(&read);
            if !rest.is_empty() {
                self.reads.push(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}
