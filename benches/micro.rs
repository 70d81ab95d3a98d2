//! Micro-benchmarks of the work per line: splitting the stream, reversing, printing.
//!
//! `cargo bench --bench micro` prints bytes per second for a full batch: 64 KiB of 64-byte lines. The
//! ratio of two rows shows how much slower another kind of text is than ASCII.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set up its input may panic")]

use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use linehub::events::{Json, Page, Render, ServerTranscript};
use linehub::internals::lines::{BATCH, Decoded, LineDecoder, Lines};
use linehub::internals::reverse::reverse_lines;
use linehub::{ServerEvent, SessionInfo, Stamped};
use tokio_util::codec::Decoder;

const LINE: usize = 64;
const MAX_LINE: usize = 64 * 1024;

fn main() {
    divan::main();
}

/// The kinds of text in the lines.
#[derive(Debug)]
enum Text {
    Ascii,
    Latin,
    Cjk,
    Emoji,
    /// Only characters that must be escaped: the worst that a client can send.
    Escapes,
}

const TEXTS: [Text; 5] = [Text::Ascii, Text::Latin, Text::Cjk, Text::Emoji, Text::Escapes];

impl Text {
    fn piece(&self) -> &'static str {
        match self {
            Self::Ascii => "Line 1 sending to server. ",
            Self::Latin => "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. ",
            Self::Cjk => "サーバーに送る一行目。服务器收到的第一行。",
            Self::Emoji => "👍🏽👩‍👩‍👧🇩🇪🙂❤️",
            Self::Escapes => "\u{1b}\u{202e}\u{7f}\u{85}",
        }
    }

    /// A batch of whole lines of up to 64 bytes each.
    fn batch(&self) -> Vec<u8> {
        let mut line = String::new();
        for character in self.piece().chars().cycle() {
            if line.len() + character.len_utf8() >= LINE {
                break;
            }
            line.push(character);
        }
        line.push('\n');
        line.repeat(BATCH / line.len()).into_bytes()
    }
}

fn decode(mut stream: BytesMut) -> Decoded {
    // Large enough to return everything as one batch, CRs included.
    LineDecoder::with_batch(MAX_LINE, 2 * BATCH).decode(&mut stream).unwrap().unwrap()
}

fn lines(text: &Text) -> Lines {
    match decode(BytesMut::from(&text.batch()[..])) {
        Decoded::Lines(lines) => lines,
        Decoded::Discarded(_) => Lines::one(""),
    }
}

/// Splits a full read into lines: finds the line ends and checks that the text is UTF-8.
#[divan::bench(args = &TEXTS)]
fn split_a_stream(bencher: Bencher, text: &Text) {
    let stream = text.batch();
    bencher
        .counter(BytesCount::of_slice(&stream))
        .with_inputs(|| BytesMut::from(&stream[..]))
        .bench_values(|stream| decode(black_box(stream)));
}

/// The same with lines that end with CR LF, whose CRs are dropped.
#[divan::bench]
fn split_a_stream_with_cr_lf(bencher: Bencher) {
    let stream = String::from_utf8(Text::Ascii.batch()).unwrap().replace('\n', "\r\n");
    bencher
        .counter(BytesCount::of_str(&stream))
        .with_inputs(|| BytesMut::from(stream.as_bytes()))
        .bench_values(|stream| decode(black_box(stream)));
}

/// Reverses every line of a batch whose buffer is not shared.
#[divan::bench(args = &TEXTS)]
fn reverse_a_batch(bencher: Bencher, text: &Text) {
    bencher
        .counter(BytesCount::new(text.batch().len()))
        .with_inputs(|| lines(text))
        .bench_values(|lines| reverse_lines(black_box(lines)));
}

/// Prints a batch as text: a prefix for every line, and escapes where necessary.
#[divan::bench(args = &TEXTS)]
fn print_as_text(bencher: Bencher, text: &Text) {
    print(
        bencher,
        text,
        ServerTranscript {
            program: "hub-server",
            at_terminal: false,
            timestamps: false,
            token: None,
        },
    );
}

/// Prints a batch as JSON objects.
#[divan::bench(args = &TEXTS)]
fn print_as_json(bencher: Bencher, text: &Text) {
    print(bencher, text, Json { program: "hub-server" });
}

fn print(bencher: Bencher, text: &Text, mut renderer: impl Render<ServerEvent>) {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 13442));
    let session = SessionInfo { id: 1, name: None, peer };
    let lines = lines(text);
    let length = lines.len();
    let event = Stamped::from(ServerEvent::Message { session, lines });
    let mut page = Page::default();
    bencher.counter(BytesCount::new(length)).bench_local(|| {
        page.out.clear();
        renderer.render(black_box(&event), &mut page);
        black_box(&mut page);
    });
}
