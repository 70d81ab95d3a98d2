//! However a byte stream is split into reads, the decoder finds the same lines and the same over-long
//! lines, and they equal those of a slow reference implementation.

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
    line_reader::{Buffers, LineReader},
    lines::{Decoded, LineDecoder},
};
use linehub_fuzz::{Finding, NASTY, run};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::codec::Decoder;

fn main() -> ExitCode {
    run("lines", NASTY, check)
}

#[derive(Debug, PartialEq)]
enum Found {
    Line(Vec<u8>),
    Discarded(usize),
}

fn check(input: &[u8], rng: &mut Rng) -> Finding {
    let max_line = *rng.choice(&[1, 2, 3, 7, 20, 64, 1000, 4096, 65536]).unwrap_or(&1);
    let max_batch = *rng.choice(&[1, 10, 100, 5000, 65536]).unwrap_or(&1);
    let expected = reference(input, max_line);
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
    if read_stream(decoder(), reads, rng)? != expected {
        return Err(format!("LineReader, max_line {max_line}, max_batch {max_batch}"));
    }
    Ok(())
}

/// The reference: reads one byte at a time.
fn reference(input: &[u8], max_line: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut line = Vec::new();
    let mut end = |line: &[u8]| {
        found.push(if line.len() > max_line {
            Found::Discarded(line.len())
        } else {
            Found::Line(String::from_utf8_lossy(line).into_owned().into_bytes())
        });
    };
    for &byte in input {
        if byte == b'\n' {
            end(line.strip_suffix(b"\r").unwrap_or(&line));
            line.clear();
        } else {
            line.push(byte);
        }
    }
    if !line.is_empty() {
        end(&line);
    }
    found
}

/// Appends what was decoded to `found`, and checks the batch.
fn collect(decoded: Decoded, found: &mut Vec<Found>) -> Finding {
    match decoded {
        Decoded::Discarded(bytes) => found.push(Found::Discarded(bytes)),
        Decoded::Lines(lines) => {
            let bytes = lines.as_bytes();
            if bytes.last() != Some(&b'\n') {
                return Err("the batch does not end in LF".into());
            }
            let plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\n'));
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

/// Decodes the reads with a LineReader, over a stream that is not always ready.
fn read_stream(
    decoder: LineDecoder,
    reads: Vec<&[u8]>,
    rng: &mut Rng,
) -> Result<Vec<Found>, String> {
    let mut stream = Stream { reads: reads.into_iter().map(<[u8]>::to_vec).collect(), rng };
    stream.reads.reverse();
    let mut reader = LineReader::new(decoder, Buffers::new(3));
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
