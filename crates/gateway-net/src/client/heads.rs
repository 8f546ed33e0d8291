//! Heads of answers that would not end, or of which the answer would have two ends: the client reads
//! on for as long as something comes, and of two lengths picks one.

use std::{error::Error, fmt, time::Duration};
use tokio::time::Instant;

/// How many answers may come before the one that counts.
const MAX_INTERIM: u32 = 100;

/// What every head begins with.
const VERSION: &[u8] = b"HTTP/1.";

/// How lines begin that say where an answer ends, and a bit for each. Whoever goes by the one sees
/// another answer than whoever goes by the other, and another after it.
const ENDS: [End; 2] = [(b"content-length:", 1), (b"transfer-encoding:", 2)];
const BOTH: u8 = 3;

type End = (&'static [u8], u8);

/// What comes over one connection of HTTP/1, seen by how far its next head has come.
///
/// What does not begin like a head is left to the client, which knows better.
#[derive(Debug)]
pub(super) struct Heads {
    limit: Duration,
    interim: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A body, or what nobody asked for.
    Elsewhere,
    /// The next byte is the first of a head.
    Awaited,
    Within(Head),
}

#[derive(Debug)]
struct Head {
    since: Instant,
    /// Its first bytes, as far as the status.
    opening: [u8; 12],
    length: usize,
    /// How much is on its last line so far.
    line: usize,
    /// With which of [`ENDS`] its last line may yet begin.
    end: Option<End>,
    /// Which of them it has.
    ends: u8,
}

/// No answer is to be had from what comes.
#[derive(Debug)]
pub(super) enum Unsound {
    /// A head came too slowly, or too many before the one that counts.
    Endless,
    /// The answer would have two ends.
    TwoEnds,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Endless => "the head of the answer does not end",
            Self::TwoEnds => "the answer has a length and comes in chunks",
        })
    }
}

impl Error for Unsound {}

impl Heads {
    /// A head takes no longer than `limit` from its first byte to its last.
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, interim: 0, state: State::Elsewhere }
    }

    /// Something was asked: a head comes next.
    pub(super) const fn asked(&mut self) {
        self.interim = 0;
        self.state = State::Awaited;
    }

    /// Whether a head is to come, or not yet whole.
    pub(super) const fn expect_one(&self) -> bool {
        !matches!(self.state, State::Elsewhere)
    }

    /// These bytes came.
    ///
    /// # Errors
    ///
    /// If that to which they belong does not end, or has two ends.
    pub(super) fn came(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Unsound> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if matches!(self.state, State::Awaited) {
                self.state = State::Within(Head::new(now));
            }
            let State::Within(head) = &mut self.state else { return Ok(()) };
            bytes = rest;
            if !head.push(byte) {
                self.state = State::Elsewhere;
            } else if head.is_whole(byte) {
                if head.ends == BOTH {
                    return Err(Unsound::TwoEnds);
                }
                self.state = if head.is_interim() { State::Awaited } else { State::Elsewhere };
                self.count()?;
            } else {
                bytes = head.pass_line(rest);
            }
        }
        match &self.state {
            State::Within(head) if now.duration_since(head.since) > self.limit => {
                Err(Unsound::Endless)
            }
            State::Within(_) | State::Awaited | State::Elsewhere => Ok(()),
        }
    }

    /// Counts the head that has just ended, if another is to come.
    const fn count(&mut self) -> Result<(), Unsound> {
        if matches!(self.state, State::Awaited) {
            self.interim += 1;
        }
        if self.interim > MAX_INTERIM { Err(Unsound::Endless) } else { Ok(()) }
    }
}

impl Head {
    const fn new(since: Instant) -> Self {
        Self { since, opening: [0; 12], length: 0, line: 0, end: None, ends: 0 }
    }

    /// Takes its next byte; whether it is one of a head.
    fn push(&mut self, byte: u8) -> bool {
        if let Some(place) = self.opening.get_mut(self.length) {
            *place = byte;
        }
        let fits = VERSION.get(self.length).is_none_or(|&expected| expected == byte);
        self.length += 1;
        fits
    }

    /// Passes what of its line is in `bytes` once its status is known and the line says nothing of
    /// ends, and gives what comes then.
    fn pass_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.length < self.opening.len() || self.line == 0 || self.end.is_some() {
            return bytes;
        }
        bytes.split_at(memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())).1
    }

    /// Whether `byte`, its last so far, ends it.
    fn is_whole(&mut self, byte: u8) -> bool {
        let was_empty = self.line == 0;
        self.look_for_end(byte.to_ascii_lowercase());
        self.line = match byte {
            b'\n' => 0,
            b'\r' => self.line,
            _ => self.line + 1,
        };
        byte == b'\n' && was_empty
    }

    /// Looks at the next byte of its last line for what says where the answer ends.
    fn look_for_end(&mut self, byte: u8) {
        if self.line == 0 {
            self.end = ENDS.into_iter().find(|(name, _)| name.first() == Some(&byte));
        }
        let Some((name, bit)) = self.end else { return };
        let is_last = self.line + 1 == name.len();
        if name.get(self.line) != Some(&byte) {
            self.end = None;
        } else if is_last {
            self.end = None;
            self.ends |= bit;
        }
    }

    /// Whether another follows it, as one does unless the protocol is changed.
    const fn is_interim(&self) -> bool {
        matches!(self.opening, [.., b' ', b'1', tens, ones] if tens != b'0' || ones != b'1')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    const FINAL: &str = "HTTP/1.1 200 OK\r\na: b\r\n\r\n";

    /// How many of `pieces` come, one a second, before it is too much.
    fn check(pieces: &[&str], expected: Option<usize>) {
        let mut heads = Heads::new(LIMIT);
        heads.asked();
        let mut now = Instant::now();
        let refused = pieces.iter().position(|piece| {
            now += Duration::from_secs(1);
            heads.came(piece.as_bytes(), now).is_err()
        });
        assert_eq!(refused, expected, "{pieces:?}");
    }

    #[test]
    fn a_body_may_take_its_time() {
        let body = ["x\r\n"; 50];
        check(&[&[FINAL], body.as_slice()].concat(), None);
        check(&[&[HINTS, HINTS, FINAL], body.as_slice()].concat(), None);
        check(&[&["HTTP/1.1 101 Switching\r\n\r\n"], body.as_slice()].concat(), None);
    }

    #[test]
    fn a_head_may_not() {
        check(&["HTTP/1.1 200 OK\r\n", "a: b\r\n", "a: b\r\n", "\r\n", "body", "body"], None);
        check(&["HTTP/1.1 200 OK\r\n", "a", "b", "c", "d", "e"], Some(4));
        check(&[HINTS, "HTTP/1.1 200 OK\n", "a: b\n", "a: b\n", "a: b\n", "a: b\n"], Some(5));
        check(&["H", "T", "T", "P", "/"], Some(4));
    }

    #[test]
    fn an_answer_has_one_end() {
        let head = |lines: &[&str]| format!("HTTP/1.1 200 OK\r\n{}\r\n\r\n", lines.join("\r\n"));
        let (length, chunks) = ("Content-Length: 5", "transfer-encoding:chunked");
        let not = "x-content-length: 5";
        for lines in
            [[length, "a: b"], [chunks, "a: b"], [chunks, not], [chunks, "a: content-length: 5"]]
        {
            check(&[&head(&lines), "body"], None);
        }
        check(&[&head(&[length, chunks])], Some(0));
        check(&[&head(&[chunks, "a: b", "CONTENT-LENGTH:5"])], Some(0));
        let (mut heads, now) = (Heads::new(LIMIT), Instant::now());
        heads.asked();
        let all = head(&[length, "content-type: x", chunks]);
        let refused = all.bytes().position(|byte| heads.came(&[byte], now).is_err());
        assert_eq!(refused, Some(all.len() - 1), "byte by byte");
        // Each head is one of its own.
        check(&[&head(&[length]).replace("200", "103"), &head(&[chunks])], None);
    }

    #[test]
    fn what_is_no_head_is_somebody_elses_business() {
        for other in ["SSH-2.0\r\n", "\r\n", "{\"a\":", "HTTP/3.0 200 OK\r\n", "HTTX"] {
            check(&[[other].as_slice(), &["x"; 10]].concat(), None);
        }
    }

    #[test]
    fn a_hundred_words_may_come_before_the_answer() {
        let many = vec![HINTS; 100];
        check(&[many.as_slice(), &[FINAL]].concat(), None);
        check(&[many.as_slice(), &[HINTS]].concat(), Some(100));
        check(&[&HINTS.repeat(101)], Some(0));
    }

    #[test]
    fn each_question_begins_anew() {
        let (mut heads, now) = (Heads::new(LIMIT), Instant::now());
        for _ in 0..50 {
            heads.asked();
            assert!(heads.came([HINTS, HINTS, HINTS, FINAL].concat().as_bytes(), now).is_ok());
        }
    }

    #[test]
    fn it_is_the_same_byte_by_byte() {
        let all = [HINTS, HINTS, FINAL, "body"].concat();
        let (mut heads, now) = (Heads::new(LIMIT), Instant::now());
        heads.asked();
        for byte in all.as_bytes() {
            assert!(heads.came(&[*byte], now).is_ok());
        }
        assert!(matches!(heads.state, State::Elsewhere), "{heads:?}");
        assert_eq!(heads.interim, 2);
    }
}
