//! The codec: splitting, discarding, and independence of how the stream is split into reads.

use proptest::prelude::*;
use tokio_util::codec::Decoder;

use super::*;

/// What the decoder returns for a stream that arrives in these reads.
fn decode_all(max_line: usize, reads: &[&[u8]]) -> Vec<Decoded> {
    decode_with(LineDecoder::new(max_line), reads)
}

fn decode_with(mut decoder: LineDecoder, reads: &[&[u8]]) -> Vec<Decoded> {
    let mut buf = BytesMut::new();
    let mut all = Vec::new();
    for read in reads {
        buf.extend_from_slice(read);
        while let Some(decoded) = decoder.decode(&mut buf).unwrap() {
            all.push(decoded);
        }
    }
    while let Some(decoded) = decoder.decode_eof(&mut buf).unwrap() {
        all.push(decoded);
    }
    all
}

/// The same, as single lines, or as the length of a discarded line.
fn flat(max_line: usize, reads: &[&[u8]]) -> Vec<Result<String, usize>> {
    flattened(decode_all(max_line, reads))
}

fn flattened(decoded: Vec<Decoded>) -> Vec<Result<String, usize>> {
    let mut all = Vec::new();
    for decoded in decoded {
        match decoded {
            Decoded::Lines(lines) => {
                assert_eq!(lines.as_bytes().last(), Some(&lines.end()));
                let text = |line: &[u8]| Ok(String::from_utf8(line.to_vec()).unwrap());
                all.extend(lines.iter().map(text));
            }
            Decoded::Discarded(bytes) => all.push(Err(bytes)),
        }
    }
    all
}

fn line(text: &str) -> Result<String, usize> {
    Ok(text.to_owned())
}

#[test]
fn a_read_of_many_lines_is_one_batch() {
    let decoded = decode_all(80, &[b"one\ntwo\n\nthree\n"]);
    let [Decoded::Lines(lines)] = &decoded[..] else { panic!("{decoded:?}") };
    assert_eq!(lines.as_bytes(), &b"one\ntwo\n\nthree\n"[..]);
    assert!(lines.is_plain());
}

#[test]
fn drops_a_cr_before_lf_and_keeps_any_other() {
    assert_eq!(
        flat(80, &[b"one\r\ntw\ro\r\r\n\r\nend\r"]),
        [line("one"), line("tw\ro\r"), line(""), line("end\r")]
    );
}

#[test]
fn the_last_line_needs_no_lf() {
    assert_eq!(flat(80, &[b"one\nla", b"st"]), [line("one"), line("last")]);
    assert_eq!(flat(80, &[b"one\n"]), [line("one")]);
    assert_eq!(flat(80, &[]), []);
}

#[test]
fn a_line_of_exactly_the_limit_passes_and_one_byte_more_is_discarded() {
    assert_eq!(
        flat(4, &[b"four\n12345\r\nfour\r\n12345"]),
        [line("four"), Err(5), line("four"), Err(5)]
    );
}

#[test]
fn counts_a_discarded_line_across_reads_without_its_line_end() {
    assert_eq!(
        flat(3, &[b"ab\n1234", b"5678", b"9\r", b"\nok\n"]),
        [line("ab"), Err(9), line("ok")]
    );
}

#[test]
fn an_endless_line_is_not_buffered() {
    let mut decoder = LineDecoder::new(10);
    let mut buf = BytesMut::new();
    for _ in 0..1000 {
        buf.extend_from_slice(&[b'x'; 1000]);
        assert_eq!(decoder.decode(&mut buf).unwrap(), None);
        assert!(buf.is_empty());
    }
    buf.extend_from_slice(b"\n");
    assert_eq!(decoder.decode(&mut buf).unwrap(), Some(Decoded::Discarded(1_000_000)));
}

#[test]
fn invalid_utf8_becomes_replacement_characters() {
    assert_eq!(
        flat(80, &[b"a\xffb\xe2\x82\nc\0\x1b\n"]),
        [line("a\u{fffd}b\u{fffd}"), line("c\0\u{1b}")]
    );
}

#[test]
fn a_batch_never_exceeds_its_limit() {
    let mut decoder = LineDecoder::with_batch(4, 8);
    let mut buf = BytesMut::from(&b"1\n2\n3\n4\n5\n6\n"[..]);
    let first = decoder.decode(&mut buf).unwrap();
    assert_eq!(first, Some(Decoded::Lines(Lines::new(BytesMut::from(&b"1\n2\n3\n4\n"[..])))));
    let second = decoder.decode(&mut buf).unwrap();
    assert_eq!(second, Some(Decoded::Lines(Lines::new(BytesMut::from(&b"5\n6\n"[..])))));
}

#[test]
fn with_nul_as_the_line_end_cr_and_lf_are_data() {
    let decoder = LineDecoder::new(4).ended_by(0);
    let decoded = decode_with(decoder, &[b"a\nb\0c\r\0\r\n\x00123\r", b"\0", b"12345", b"\0last"]);
    let lines = [line("a\nb"), line("c\r"), line("\r\n"), line("123\r"), Err(5), line("last")];
    assert_eq!(flattened(decoded), lines);
}

#[test]
fn lines_without_an_lf_are_ended_by_lf_whatever_ended_them_before() {
    let decoded = decode_with(LineDecoder::new(80).ended_by(0), &[b"one\0two\0"]);
    assert_eq!(decoded, [Decoded::Lines(Lines::one("one\ntwo"))]);
    let decoded = decode_with(LineDecoder::new(80).ended_by(CR), &[b"one\r\xff\r"]);
    assert_eq!(decoded, [Decoded::Lines(Lines::one("one\n\u{fffd}"))]);
}

#[test]
fn a_batch_with_an_lf_in_a_line_is_never_plain() {
    let decoded = decode_with(LineDecoder::new(80).ended_by(CR), &[b"one\rt\nwo\r"]);
    let [Decoded::Lines(lines)] = &decoded[..] else { panic!("{decoded:?}") };
    assert!(!lines.is_plain());
    assert_eq!(lines.end(), CR);
    assert!(lines.iter().eq([&b"one"[..], b"t\nwo"]));
    let (first, rest) = lines.split_first();
    assert_eq!(first, "one");
    assert!(rest.is_some_and(|rest| rest.iter().eq([b"t\nwo"])));
}

#[test]
fn a_line_that_is_ended_early_does_not_get_another_end() {
    for (rest, expected) in [
        (&b"\nb\n"[..], vec![line("b")]),
        (b"\r\nb\n", vec![line("b")]),
        (b"\n\nb\n", vec![line(""), line("b")]),
        (b"\rb\n", vec![line("\rb")]),
        (b"b\n\n", vec![line("b"), line("")]),
        (b"\r", vec![line("\r")]),
        (b"\n", vec![]),
    ] {
        let mut decoder = LineDecoder::new(3);
        let mut buf = BytesMut::from(&b"abc"[..]);
        assert_eq!(decoder.decode(&mut buf).unwrap(), None);
        assert_eq!(decoder.end_line(&mut buf), Some(Decoded::Lines(Lines::one("abc"))));
        assert_eq!(decoder.end_line(&mut buf), None);
        let single: Vec<&[u8]> = rest.chunks(1).collect();
        assert_eq!(flattened(decode_with(decoder, &single)), expected);
    }
}

#[test]
fn an_overlong_line_can_be_ended_early() {
    let mut decoder = LineDecoder::new(3);
    let mut buf = BytesMut::from(&b"abcdef"[..]);
    assert_eq!(decoder.decode(&mut buf).unwrap(), None);
    assert_eq!(decoder.partial_len(&buf), 6);
    assert_eq!(decoder.end_line(&mut buf), Some(Decoded::Discarded(6)));
    assert_eq!(flattened(decode_with(decoder, &[b"\r", b"\nab\n"])), [line("ab")]);
}

#[test]
fn up_to_stops_at_the_first_line_equal_to_the_word() {
    let lines = Lines::one("a\nexit\nb\nexit");
    assert_eq!(lines.up_to("exit"), Some((Lines::one("a\nexit"), Some(Lines::one("a")))));
    assert_eq!(Lines::one("exit").up_to("exit"), Some((Lines::one("exit"), None)));
    assert_eq!(lines.up_to("quit"), None);
}

#[test]
fn splits_off_the_first_line() {
    let (first, rest) = Lines::one("220 ready\n\nb").split_first();
    assert_eq!((&first[..], rest), (&b"220 ready"[..], Some(Lines::one("\nb"))));
    assert_eq!(Lines::one("").split_first(), (Bytes::new(), None));
}

proptest! {
    #[test]
    fn any_split_into_reads_gives_the_same_lines(
        stream in proptest::collection::vec(
            prop_oneof![Just(LF), Just(CR), Just(b'a'), Just(0xc3), Just(0xa9), any::<u8>()],
            0..200,
        ),
        splits in proptest::collection::vec(0usize..200, 0..10),
        max_line in 1usize..12,
    ) {
        let mut splits: Vec<usize> = splits.into_iter().map(|at| at.min(stream.len())).collect();
        splits.extend([0, stream.len()]);
        splits.sort_unstable();
        let reads: Vec<&[u8]> = splits.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
        prop_assert_eq!(flat(max_line, &reads), flat(max_line, &[&stream]));
    }

    #[test]
    fn plain_means_printable_ascii_tabs_and_lf(text in any::<Vec<u8>>()) {
        let slow = text.iter().all(|&b| matches!(b, b' '..=b'~' | b'\t' | LF));
        prop_assert_eq!(is_plain(&text), slow);
    }
}
