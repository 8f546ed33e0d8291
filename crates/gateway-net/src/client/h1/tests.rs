//! The grammar of responses, at every cut.

use super::*;
use proptest::prelude::*;
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(3);

/// Returns the decoded response of `pieces` followed by the end of the connection, as `STATUS BODY`
/// and the error, if any.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, is_head: bool) -> String {
    let mut parser = HeadParser::new(is_head, LIMIT);
    let now = Instant::now();
    let mut parsed: Option<ParsedHead> = None;
    let (mut body, mut excess) = (Vec::new(), 0);
    for piece in pieces {
        let mut piece = piece;
        if parsed.is_none() {
            match parser.push(piece, now) {
                Ok(Some((head, used))) => {
                    parsed = Some(head);
                    piece = &piece[used..];
                }
                Ok(None) => continue,
                Err(error) => return format!("{error:?}"),
            }
        }
        let decoder = &mut parsed.as_mut().unwrap().body;
        let (data, used) = decoder.decode(piece);
        assert!(data.len() <= used, "data comes from what is consumed");
        body.extend_from_slice(&data);
        excess += piece.len() - used;
    }
    let Some(mut head) = parsed else { return "closed".to_owned() };
    let announced = head.body.remaining();
    head.body.finish();
    let end = match head.body.error() {
        Some(error) => format!(" {error:?}"),
        None if excess > 0 => " excess".to_owned(),
        None if head.keep_alive && announced == Some(0) => " kept".to_owned(),
        None => String::new(),
    };
    format!("{} {}{end}", head.head.status.as_u16(), String::from_utf8_lossy(&body))
}

/// Decodes `response` whole, cut at each position, and byte by byte.
#[track_caller]
fn check(response: &str, expected: &str) {
    let bytes = response.as_bytes();
    assert_eq!(decode([bytes], false), expected, "{response:?}");
    for cut in 0..=bytes.len() {
        let (one, two) = bytes.split_at(cut);
        assert_eq!(decode([one, two], false), expected, "{response:?} cut at {cut}");
    }
    assert_eq!(decode(bytes.chunks(1), false), expected, "{response:?} byte by byte");
}

fn head(lines: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n")
}

#[test]
fn body_of_announced_length_keeps_the_connection() {
    check(&(head("Content-Length: 5\r\n") + "hello"), "200 hello kept");
    check(&head("content-length: 0\r\n"), "200  kept");
    check(&(head("content-length: 5, 5\r\nContent-Length:5\r\n") + "hello"), "200 hello kept");
    check(&(head("content-length: 5\r\n") + "hell"), "200 hell Incomplete");
}

#[test]
fn body_of_chunks_keeps_the_connection() {
    let chunked = head("Transfer-Encoding: Chunked\r\n");
    check(
        &(chunked.clone() + "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n"),
        "200 abc0123456789 kept",
    );
    check(&(chunked.clone() + "3 ;a=\"b\"\r\nabc\r\n2 \t\r\nde\r\n0;x\r\n\r\n"), "200 abcde kept");
    check(&(chunked.clone() + "1\r\na\r\n0\r\nx: y\r\nz: \r\n\r\n"), "200 a kept");
    check(&(chunked.clone() + "3\r\nabc\r\n"), "200 abc Incomplete");
    check(&(chunked.clone() + "3\r\nabc\r\n0\r\n"), "200 abc Incomplete");
    check(&(chunked + "3\r\nab"), "200 ab Incomplete");
}

#[test]
fn malformed_chunk_fails_after_earlier_chunks() {
    let chunked = head("transfer-encoding: chunked\r\n");
    for (bad, error) in [
        ("x\r\n", "ChunkSize"),
        ("\r\n", "ChunkSize"),
        (" 3\r\n", "ChunkSize"),
        ("3\nabc", "ChunkSize"),
        ("3 4\r\n", "ChunkSize"),
        ("-1\r\n", "ChunkSize"),
        ("3;a\nb\r\n", "ChunkSize"),
        ("10000000000000000\r\n", "ChunkSize"),
        ("3\r\nabcd\r\n", "ChunkEnd"),
        ("3\r\nabc\n", "ChunkEnd"),
        ("0\r\nno colon\r\n\r\n", "Trailers"),
        ("0\r\na: b\n\r\n", "Incomplete"),
        ("0\r\n\rx", "Trailers"),
    ] {
        let data = if bad.contains("abc\n") || bad.contains("abcd") { "okabc" } else { "ok" };
        check(&format!("{chunked}2\r\nok\r\n{bad}"), &format!("200 {data} {error}"));
    }
}

#[test]
fn endless_extensions_and_trailers_are_refused() {
    let chunked = head("transfer-encoding: chunked\r\n");
    let long = "x".repeat(17 << 10);
    let one = |rest: &str| decode([(chunked.clone() + rest).as_bytes()], false);
    assert_eq!(one(&format!("1;{long}\r\n")), "200  ExtensionsTooLong");
    assert_eq!(one(&format!("0\r\na: {long}\r\n\r\n")), "200  Trailers");
    assert_eq!(one(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(101))), "200  Trailers");
    assert_eq!(one(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(100))), "200  kept");
}

#[test]
fn body_without_a_length_ends_with_the_connection() {
    check(&(head("") + "all of it"), "200 all of it");
    check(&(head("connection: keep-alive\r\n") + "all"), "200 all");
}

#[test]
fn some_responses_have_no_body() {
    for status in ["204 No Content", "304 Not Modified"] {
        let code = &status[..3];
        check(&format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\n"), &format!("{code}  kept"));
        check(&format!("HTTP/1.1 {status}\r\n\r\nx"), &format!("{code}  excess"));
    }
    assert_eq!(decode([head("content-length: 5\r\n").as_bytes()], true), "200  kept");
    assert_eq!(decode([head("transfer-encoding: chunked\r\n").as_bytes()], true), "200  kept");
}

#[test]
fn connection_reuse_follows_response_head() {
    let with = |version: &str, line: &str| {
        format!("HTTP/{version} 200 OK\r\n{line}content-length: 1\r\n\r\nx")
    };
    check(&with("1.1", ""), "200 x kept");
    check(&with("1.1", "Connection: Close\r\n"), "200 x");
    check(&with("1.1", "connection: keep-alive\r\nconnection: foo, close\r\n"), "200 x");
    check(&with("1.0", ""), "200 x");
    check(&with("1.0", "connection: Keep-Alive\r\n"), "200 x kept");
}

#[test]
fn bytes_after_the_end_are_noticed() {
    check(&(head("content-length: 1\r\n") + "xy"), "200 x excess");
    check(&(head("transfer-encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\ny"), "200 x excess");
}

#[test]
fn response_with_two_ends_is_refused() {
    check(&head("content-length: 1\r\ntransfer-encoding: chunked\r\n"), "ConflictingLength");
    check(&head("transfer-encoding: chunked\r\nCONTENT-LENGTH:1\r\n"), "ConflictingLength");
    check(&head("content-length: 1\r\ncontent-length: 2\r\n"), "ContentLength");
    for length in
        ["-1", "+1", "1x", "", "1,", "0x1", "99999999999999999999", "18446744073709551615"]
    {
        check(&head(&format!("content-length: {length}\r\n")), "ContentLength");
    }
    for coding in ["gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked", ""] {
        check(&head(&format!("transfer-encoding: {coding}\r\n")), "TransferEncoding");
    }
    check(
        &head("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
        "TransferEncoding",
    );
    let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    check(old, "TransferEncoding");
}

#[test]
fn malformed_head_is_refused() {
    for bad in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na : c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: \x01\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
    ] {
        check(bad, "Head");
    }
    check("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", "200  kept");
    check("HTTP/1.1 200 OK\ncontent-length: 2\na: b\n\nhi", "200 hi kept");
    check("HTTP/1.1 200 O", "closed");
    check("", "closed");
}

#[test]
fn interim_responses_are_passed_over_up_to_a_bound() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    let last = head("content-length: 2\r\n") + "hi";
    check(&format!("HTTP/1.1 100 Continue\r\n\r\n{hints}{last}"), "200 hi kept");
    check(hints, "closed");
    check("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", "SwitchedProtocols");
    let many = |count| decode([(hints.repeat(count) + &last).as_bytes()], false);
    assert_eq!(many(100), "200 hi kept");
    assert_eq!(many(101), "TooManyInterim");
    let all = hints.repeat(100) + &last;
    assert_eq!(decode(all.as_bytes().chunks(7), false), "200 hi kept");
}

#[test]
fn head_has_bounds() {
    let fields = |count: usize| head(&("a: b\r\n".repeat(count) + "content-length: 0\r\n"));
    assert_eq!(decode([fields(99).as_bytes()], false), "200  kept");
    assert_eq!(decode([fields(100).as_bytes()], false), "HeadTooLong");
    let long = |size: usize| head(&format!("content-length: 0\r\na: {}\r\n", "x".repeat(size)));
    assert_eq!(decode([long(60 << 10).as_bytes()], false), "200  kept");
    for size in [64 << 10, 200 << 10] {
        assert_eq!(decode([long(size).as_bytes()], false), "HeadTooLong");
        assert_eq!(decode(long(size).as_bytes().chunks(8 << 10), false), "HeadTooLong");
    }
}

/// The piece, of those that come one a second, with which it is too late.
fn late(pieces: &[&str]) -> Option<usize> {
    let mut parser = HeadParser::new(false, LIMIT);
    let mut now = Instant::now();
    pieces.iter().position(|piece| {
        now += Duration::from_secs(1);
        parser.push(piece.as_bytes(), now).err() == Some(InvalidResponse::HeadTooSlow)
    })
}

#[test]
fn each_head_has_a_deadline_from_its_first_byte() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    assert_eq!(late(&["HTTP/1.1 200 OK\r\n", "a", ":", "b", "b", "\r\n\r\n"]), Some(4));
    assert_eq!(late(&["HTTP/1.1 200 OK\r\n", "a: b\r\n", "c: d\r\n", "\r\n"]), None);
    assert_eq!(late(&["H", "T", "T", "P", "/"]), Some(4));
    assert_eq!(late(&[hints; 50]), None);
    assert_eq!(
        late(&[hints, "HTTP/1.1 200 OK\n", "a: b\n", "a: b\n", "a: b\n", "a: b\n"]),
        Some(5)
    );
    // The end of one head and the start of the next come together.
    let across = format!("{}HT", &hints[8..]);
    assert_eq!(late(&["HTTP/1.1", &across, "T", "P", "/", "1"]), Some(5));
}

proptest! {
    #[test]
    fn chunked_body_is_the_same_however_it_is_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        cuts in prop::collection::vec(1_usize..50, 1..60),
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let (mut decoder, mut data, mut rest) = (BodyDecoder::chunked(), Vec::new(), &wire[..]);
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            let (came, used) = decoder.decode(piece);
            prop_assert_eq!(used, piece.len());
            data.extend_from_slice(&came);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(decoder.is_end());
        prop_assert_eq!(data, chunks.concat());
    }

    #[test]
    fn whatever_comes_is_the_same_in_two_parts(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        start in prop::sample::select(vec![
            "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        ]),
        cut in 0.0..1.0,
    ) {
        let all = [start.as_bytes(), &bytes].concat();
        #[expect(
            clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "a position within a few hundred bytes"
        )]
        let (one, two) = all.split_at((all.len() as f64 * cut) as usize);
        prop_assert_eq!(decode([one, two], false), decode([&*all], false));
    }
}
