//! Just enough of HTTP/1.1 to look at messages from outside, strictly: what is not well-formed is
//! seen as broken, never repaired.

/// The head of a message.
#[derive(Clone, Debug, Default)]
pub struct MessageHead {
    /// The first line of the head.
    pub line: String,
    /// Its headers as they were written, in order.
    pub headers: Vec<(String, String)>,
}

impl MessageHead {
    /// Takes a head off the front of `buffer`, once it is there whole.
    pub(crate) fn take(buffer: &mut Vec<u8>) -> Option<Self> {
        let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let text: Vec<_> = buffer.drain(..end + 4).collect();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.trim_end().split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Some(Self { line, headers: headers.collect() })
    }

    /// The value of the first header called `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The word at `index` of the first line.
    pub fn word(&self, index: usize) -> &str {
        self.line.split(' ').nth(index).unwrap_or_default()
    }

    /// Returns the delimitation of the body after this head; `otherwise` without length or
    /// encoding.
    pub(crate) fn body(&self, otherwise: Body) -> Body {
        if self.header("transfer-encoding").is_some_and(|it| it.ends_with("chunked")) {
            return Body::Chunked;
        }
        let length = self.header("content-length").and_then(|it| it.parse().ok());
        length.map_or(otherwise, Body::of_length)
    }
}

/// `headers` as they are written.
pub(crate) fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect()
}

/// The delimitation of a body, and its remaining length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    /// The remaining number of bytes.
    Length(usize),
    /// Chunks, the last of them empty.
    Chunked,
    /// Everything until the connection closes.
    UntilClose,
    /// It was there whole.
    Ended,
    /// Its chunks are malformed.
    Broken,
}

impl Body {
    const fn of_length(length: usize) -> Self {
        if length == 0 { Self::Ended } else { Self::Length(length) }
    }

    /// Moves what belongs to the body from `buffer` to `into`.
    pub(crate) fn take(&mut self, buffer: &mut Vec<u8>, into: &mut Vec<u8>) {
        match *self {
            Self::Length(left) => {
                let here = left.min(buffer.len());
                into.extend(buffer.drain(..here));
                *self = Self::of_length(left - here);
            }
            Self::UntilClose => into.append(buffer),
            Self::Chunked => while *self == Self::Chunked && self.take_chunk(buffer, into) {},
            Self::Ended | Self::Broken => {}
        }
    }

    /// Whether there was a whole chunk to take.
    fn take_chunk(&mut self, buffer: &mut Vec<u8>, into: &mut Vec<u8>) -> bool {
        let Some(line) = buffer.windows(2).position(|two| two == b"\r\n") else { return false };
        let size = String::from_utf8_lossy(&buffer[..line]).into_owned();
        let Ok(size) = usize::from_str_radix(&size, 16) else {
            *self = Self::Broken;
            return false;
        };
        let data = line + 2..line + 2 + size;
        let Some(end) = buffer.get(data.end..data.end + 2) else { return false };
        if end != b"\r\n" {
            *self = Self::Broken;
            return false;
        }
        into.extend(&buffer[data.clone()]);
        buffer.drain(..data.end + 2);
        if size == 0 {
            *self = Self::Ended;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of `message`, and how it ended.
    #[track_caller]
    fn check(message: &str, expected: &str, ended: Body) {
        let mut buffer = message.as_bytes().to_vec();
        let head = MessageHead::take(&mut buffer).unwrap();
        let (mut body, mut read) = (head.body(Body::UntilClose), Vec::new());
        body.take(&mut buffer, &mut read);
        assert_eq!((String::from_utf8(read).unwrap().as_str(), body), (expected, ended));
    }

    #[test]
    fn reads_lengths() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "ab", Body::Ended);
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", "ab", Body::Length(1));
        check("HTTP/1.1 200 OK\r\n\r\nab", "ab", Body::UntilClose);
    }

    #[test]
    fn reads_chunks() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{head}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), "abc", Body::Ended);
        check(&format!("{head}2\r\nab\r\n3\r\nc"), "ab", Body::Chunked);
        check(&format!("{head}2\r\nab\r\n0\r\n"), "ab", Body::Chunked);
        check(&format!("{head}2\r\nabc\r\n"), "", Body::Broken);
        check(&format!("{head}x\r\n"), "", Body::Broken);
    }
}
