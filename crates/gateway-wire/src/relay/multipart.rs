//! Multipart forms that pass on while they arrive, however the network cut them.
//!
//! A form is read up to its field `model`, which decides on its way, and then written again with the
//! name that its provider knows: as the first field, so that no other of that name is believed.

use bytes::{Bytes, BytesMut};
use gateway_core::{GatewayError, Result};
use memchr::memmem;

/// The most bytes of the head of a part.
const MAX_PART_HEAD: usize = 16 << 10;
/// The most bytes of a boundary: <https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1>.
const MAX_BOUNDARY: usize = 70;

/// Returns the boundary that a content type names, if it is that of a form.
pub fn form_boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    let is_valid = |byte: u8| byte.is_ascii_graphic() && byte != b'"';
    let is_short = (1..=MAX_BOUNDARY).contains(&boundary.len());
    (is_short && boundary.bytes().all(is_valid)).then_some(boundary)
}

/// A step of a form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum FormStep {
    /// A part begins: its head, from the end of the line before it on, and the name of its field.
    Part { head: Bytes, name: String },
    /// Content of the part, which begins with the end of the blank line.
    Content(Bytes),
    /// The part has ended.
    PartEnd,
    /// The form has ended.
    End,
}

/// Splits a form into its steps. Bytes that are still ambiguous are buffered: at most the head of a
/// part, or a delimiter.
#[derive(Debug)]
pub(super) struct FormScanner {
    /// The line before each part, and the line end before that.
    delimiter: Vec<u8>,
    held: BytesMut,
    place: FormPlace,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum FormPlace {
    /// Before the first part.
    Preamble,
    /// Behind a delimiter.
    Delimiter,
    /// In the head of a part.
    Head,
    /// In the content of a part.
    Content,
    /// Behind the last part.
    End,
}

impl FormScanner {
    pub(super) fn new(boundary: &str) -> Self {
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        // The first delimiter has no line before it.
        Self { delimiter, held: BytesMut::from(&b"\r\n"[..]), place: FormPlace::Preamble }
    }

    /// Reads the next bytes, and hands the steps that are complete with them to `take`.
    ///
    /// # Errors
    ///
    /// If they are no form.
    pub(super) fn push(&mut self, bytes: &[u8], mut take: impl FnMut(FormStep)) -> Result<()> {
        if self.place == FormPlace::End {
            return Ok(());
        }
        self.held.extend_from_slice(bytes);
        while self.step(&mut take)? {}
        Ok(())
    }

    /// Whether the form has ended.
    pub(super) fn is_ended(&self) -> bool {
        self.place == FormPlace::End
    }

    /// Takes a step; false if more bytes are needed for it.
    fn step(&mut self, take: &mut impl FnMut(FormStep)) -> Result<bool> {
        match self.place {
            FormPlace::Preamble | FormPlace::Content => Ok(self.read_content(take)),
            FormPlace::Delimiter => self.read_delimiter(take),
            FormPlace::Head => self.read_head(take),
            FormPlace::End => {
                self.held.clear();
                Ok(false)
            }
        }
    }

    /// Reads up to the next delimiter, or all that cannot belong to one.
    fn read_content(&mut self, take: &mut impl FnMut(FormStep)) -> bool {
        let is_part = self.place == FormPlace::Content;
        let found = memmem::find(&self.held, &self.delimiter);
        let safe = self.held.len().saturating_sub(self.delimiter.len() - 1);
        let content = self.held.split_to(found.unwrap_or(safe));
        if is_part && !content.is_empty() {
            take(FormStep::Content(content.freeze()));
        }
        if found.is_none() {
            return false;
        }
        drop(self.held.split_to(self.delimiter.len()));
        if is_part {
            take(FormStep::PartEnd);
        }
        self.place = FormPlace::Delimiter;
        true
    }

    /// Reads what follows a delimiter: the end of its line, or of the form.
    fn read_delimiter(&mut self, take: &mut impl FnMut(FormStep)) -> Result<bool> {
        let Some(next) = self.held.first_chunk::<2>() else { return Ok(false) };
        match next {
            b"\r\n" => self.place = FormPlace::Head,
            b"--" => {
                self.place = FormPlace::End;
                take(FormStep::End);
                return Ok(true);
            }
            _ => return Err(malformed("a delimiter of the form is malformed")),
        }
        // The line end stays: a head may be empty, and then its blank line follows at once.
        Ok(true)
    }

    fn read_head(&mut self, take: &mut impl FnMut(FormStep)) -> Result<bool> {
        let Some(end) = memmem::find(&self.held, b"\r\n\r\n") else {
            if self.held.len() > MAX_PART_HEAD {
                return Err(malformed("the head of a part of the form is too long"));
            }
            return Ok(false);
        };
        // The end of the blank line stays: it may be that of a delimiter, if there is no content.
        let head = self.held.split_to(end + 2).freeze();
        let name = field_name(&head).unwrap_or_default();
        take(FormStep::Part { head, name });
        self.place = FormPlace::Content;
        Ok(true)
    }
}

/// Returns the name of the field of a part with this head.
fn field_name(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.to_owned())
    })?;
    let mut parameters = disposition.split(';').skip(1);
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("name").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// Returns the error of a form that cannot be read.
pub(super) fn malformed(message: &'static str) -> GatewayError {
    GatewayError::new(gateway_core::ErrorKind::InvalidRequest, message).with_code("invalid_body")
}

/// Writes a form again while it arrives, with `model` as its first field in the place of any other of
/// that name.
#[derive(Debug)]
pub struct FormRewriter {
    scanner: FormScanner,
    /// The line before each part.
    delimiter: Bytes,
    /// The first field, until it is written.
    model: Option<Bytes>,
    /// Whether the part is left out.
    is_left_out: bool,
}

impl FormRewriter {
    /// Creates a writer of a form with this boundary.
    pub fn new(boundary: &str, model: &str) -> Self {
        let first = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}"
        );
        Self {
            scanner: FormScanner::new(boundary),
            delimiter: format!("\r\n--{boundary}").into(),
            model: Some(first.into()),
            is_left_out: false,
        }
    }

    /// Reads the next bytes, and returns the pieces that are written for them.
    ///
    /// # Errors
    ///
    /// If they are no form.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Bytes>> {
        let mut pieces: Vec<Bytes> = self.model.take().into_iter().collect();
        let (delimiter, is_left_out) = (&self.delimiter, &mut self.is_left_out);
        self.scanner.push(bytes, |step| match step {
            FormStep::Part { head, name } => {
                *is_left_out = name == "model";
                if !*is_left_out {
                    pieces.extend([delimiter.clone(), head]);
                }
            }
            FormStep::Content(content) if !*is_left_out => pieces.push(content),
            FormStep::Content(_) | FormStep::PartEnd => {}
            FormStep::End => pieces.extend([delimiter.clone(), Bytes::from_static(b"--\r\n")]),
        })?;
        Ok(pieces)
    }

    /// Checks that the form, of which nothing more comes, has ended.
    ///
    /// # Errors
    ///
    /// If it has not.
    pub fn finish(&self) -> Result<()> {
        if self.scanner.is_ended() { Ok(()) } else { Err(malformed("the form is incomplete")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A form whose content resembles its delimiter.
    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\
        Content-Type: audio/mpeg\r\n\r\n\r\n-bits\r\n--\r\n-\r\n--b\r\n\
        Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\n\
        content-disposition: form-data; name=language\r\n\r\n\r\n--b--\r\n";

    /// The form as it is written again for the model `m`, the same wherever it is cut.
    #[track_caller]
    fn check(form: &str, expected: std::result::Result<&str, &str>) {
        for size in 1..=form.len().max(1) {
            let mut rewriter = FormRewriter::new("b", "m");
            let mut written = Vec::new();
            let done = form.as_bytes().chunks(size).try_for_each(|piece| {
                written.extend(rewriter.push(piece)?.concat());
                Ok::<(), GatewayError>(())
            });
            let done = done.and_then(|()| rewriter.finish());
            let written = String::from_utf8(written).unwrap();
            let shown = done.map(|()| written.as_str()).map_err(|error| error.message().to_owned());
            assert_eq!(shown, expected.map_err(str::to_owned), "{size}");
        }
    }

    #[test]
    fn model_becomes_the_first_field_and_the_only_one_of_its_name() {
        let expected = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\
            Content-Type: audio/mpeg\r\n\r\n\r\n-bits\r\n--\r\n-\r\n--b\r\n\
            content-disposition: form-data; name=language\r\n\r\n\r\n--b--\r\n";
        check(FORM, Ok(expected));
        let twice = FORM.replace("name=language", "name=\"model\"");
        let (before, _) = expected.split_once("content-disposition").unwrap();
        let before = before.strip_suffix("\r\n--b\r\n").unwrap();
        check(&twice, Ok(&format!("{before}\r\n--b--\r\n")));
        let preamble = format!("preamble\r\n{FORM}epilogue");
        check(&preamble, Ok(expected));
    }

    #[test]
    fn part_without_content_hides_no_other() {
        let form = "--b\r\nX: y\r\n\r\n--b\r\nContent-Disposition: form-data; name=model\r\n\r\nx\r\n--b--";
        let first = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm";
        check(form, Ok(&format!("{first}\r\n--b\r\nX: y\r\n\r\n--b--\r\n")));
    }

    #[test]
    fn form_that_is_none_is_refused() {
        check("", Err("the form is incomplete"));
        check("--b\r\nContent-Disposition: form-data", Err("the form is incomplete"));
        check(FORM.strip_suffix("--b--\r\n").unwrap(), Err("the form is incomplete"));
        check(&FORM.replace("-bits", "--bits"), Err("a delimiter of the form is malformed"));
        check("--bx\r\n", Err("a delimiter of the form is malformed"));
        let long = format!("--b\r\n{}", "x".repeat(2 * MAX_PART_HEAD));
        let mut rewriter = FormRewriter::new("b", "m");
        assert!(rewriter.push(long.as_bytes()).is_err());
    }

    #[test]
    fn boundary_is_read_of_a_content_type() {
        for (content_type, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a'b\"", Some("a'b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/mixed; boundary=abc", None),
            ("application/json", None),
            ("multipart/form-data; boundary=a b", None),
        ] {
            assert_eq!(form_boundary(content_type), expected, "{content_type}");
        }
    }
}
