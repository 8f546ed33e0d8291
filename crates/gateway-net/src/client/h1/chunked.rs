//! The grammar of a chunked body.

use super::error::InvalidResponse;

/// The bound on all chunk extensions of a body, in bytes.
const MAX_EXTENSION_BYTES: u32 = 16 << 10;
/// The bound on the trailer section of a body, in bytes.
const MAX_TRAILER_BYTES: usize = 16 << 10;
/// The bound on the number of trailer fields.
const MAX_TRAILERS: usize = 100;

/// The parser of a chunked body, between two reads.
#[derive(Debug)]
pub(super) struct ChunkParser {
    state: ChunkState,
    extension_bytes: u32,
    trailers: Vec<u8>,
}

/// The position in the grammar.
#[derive(Clone, Copy, Debug)]
enum ChunkState {
    /// The first digit of a chunk's size is next.
    SizeStart,
    /// More digits may come.
    Size(u64),
    /// White space after the digits.
    SizeSpace(u64),
    /// A chunk extension, which is ignored.
    Extension(u64),
    /// The LF of the size line.
    SizeLf(u64),
    /// The remaining bytes of the chunk.
    Data(u64),
    DataCr,
    DataLf,
    /// The start of a line after the last chunk: a trailer field, or the end.
    TrailerStart,
    /// Within a trailer field.
    Trailer,
    /// The LF of a trailer field.
    TrailerLf,
    /// The LF of the empty line that ends the body.
    EndLf,
    End,
}

impl ChunkParser {
    pub(super) const fn new() -> Self {
        Self { state: ChunkState::SizeStart, extension_bytes: 0, trailers: Vec::new() }
    }

    /// Takes `input`: the data in it, the number of bytes consumed, and whether the body has ended
    /// or why it cannot be read on.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
    ) -> (Vec<u8>, usize, Result<bool, InvalidResponse>) {
        let mut data = Vec::new();
        let mut at = 0;
        while let Some((&byte, _)) = input.get(at..).and_then(<[u8]>::split_first) {
            if let ChunkState::Data(left) = self.state {
                let rest = input.get(at..).unwrap_or_default();
                at += self.take_data(left, rest, &mut data);
                continue;
            }
            at += 1;
            match self.step(byte) {
                Ok(ChunkState::End) => return (data, at, Ok(true)),
                Ok(state) => self.state = state,
                Err(error) => return (data, at, Err(error)),
            }
        }
        (data, at, Ok(false))
    }

    /// Moves what `rest` has of a chunk to `data`, and returns how much that is.
    fn take_data(&mut self, left: u64, rest: &[u8], data: &mut Vec<u8>) -> usize {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
        if data.capacity() == 0 {
            // Most reads bring one chunk, and then nothing is allocated in excess.
            let is_last = rest.len() - length <= 2;
            data.reserve_exact(if is_last { length } else { rest.len() });
        }
        data.extend_from_slice(rest.get(..length).unwrap_or_default());
        self.state = match left - length as u64 {
            0 => ChunkState::DataCr,
            left => ChunkState::Data(left),
        };
        length
    }

    /// The state after one byte of framing.
    fn step(&mut self, byte: u8) -> Result<ChunkState, InvalidResponse> {
        match self.state {
            ChunkState::SizeStart => Ok(ChunkState::Size(append_digit(0, byte)?)),
            ChunkState::Size(size) => match byte {
                b'\t' | b' ' | b';' | b'\r' => after_size(size, byte),
                _ => Ok(ChunkState::Size(append_digit(size, byte)?)),
            },
            ChunkState::SizeSpace(size) => after_size(size, byte),
            ChunkState::Extension(size) => self.skip_extension(size, byte),
            ChunkState::SizeLf(size) => match (byte, size) {
                (b'\n', 0) => Ok(ChunkState::TrailerStart),
                (b'\n', size) => Ok(ChunkState::Data(size)),
                _ => Err(InvalidResponse::ChunkSize),
            },
            ChunkState::DataCr if byte == b'\r' => Ok(ChunkState::DataLf),
            ChunkState::DataLf if byte == b'\n' => Ok(ChunkState::SizeStart),
            ChunkState::DataCr | ChunkState::DataLf => Err(InvalidResponse::ChunkEnd),
            ChunkState::TrailerStart if byte == b'\r' => Ok(ChunkState::EndLf),
            ChunkState::EndLf if byte == b'\n' => self.check_trailers(),
            ChunkState::TrailerStart
            | ChunkState::Trailer
            | ChunkState::TrailerLf
            | ChunkState::EndLf => self.keep_trailer(byte),
            ChunkState::Data(_) | ChunkState::End => Ok(self.state),
        }
    }

    fn skip_extension(&mut self, size: u64, byte: u8) -> Result<ChunkState, InvalidResponse> {
        match byte {
            b'\r' => return Ok(ChunkState::SizeLf(size)),
            // Whoever looks for the LF alone would see another chunk.
            b'\n' => return Err(InvalidResponse::ChunkSize),
            _ => self.extension_bytes += 1,
        }
        if self.extension_bytes >= MAX_EXTENSION_BYTES {
            return Err(InvalidResponse::ExtensionsTooLong);
        }
        Ok(ChunkState::Extension(size))
    }

    fn keep_trailer(&mut self, byte: u8) -> Result<ChunkState, InvalidResponse> {
        let next = match (self.state, byte) {
            (ChunkState::TrailerLf, b'\n') => ChunkState::TrailerStart,
            (ChunkState::TrailerLf | ChunkState::EndLf, _) => {
                return Err(InvalidResponse::Trailers);
            }
            (ChunkState::Trailer, b'\r') => ChunkState::TrailerLf,
            _ => ChunkState::Trailer,
        };
        self.trailers.push(byte);
        if self.trailers.len() >= MAX_TRAILER_BYTES {
            return Err(InvalidResponse::Trailers);
        }
        Ok(next)
    }

    /// Checks the grammar of trailer fields, whose content is ignored.
    fn check_trailers(&mut self) -> Result<ChunkState, InvalidResponse> {
        if self.trailers.is_empty() {
            return Ok(ChunkState::End);
        }
        let mut trailers = std::mem::take(&mut self.trailers);
        trailers.extend_from_slice(b"\r\n");
        let mut headers = [httparse::EMPTY_HEADER; MAX_TRAILERS];
        match httparse::parse_headers(&trailers, &mut headers) {
            Ok(httparse::Status::Complete(_)) => Ok(ChunkState::End),
            Ok(httparse::Status::Partial) | Err(_) => Err(InvalidResponse::Trailers),
        }
    }
}

/// The state after the digits of a size.
fn after_size(size: u64, byte: u8) -> Result<ChunkState, InvalidResponse> {
    match byte {
        b'\t' | b' ' => Ok(ChunkState::SizeSpace(size)),
        b';' => Ok(ChunkState::Extension(size)),
        b'\r' => Ok(ChunkState::SizeLf(size)),
        _ => Err(InvalidResponse::ChunkSize),
    }
}

fn append_digit(size: u64, byte: u8) -> Result<u64, InvalidResponse> {
    let digit = char::from(byte).to_digit(16).ok_or(InvalidResponse::ChunkSize)?;
    let size = size.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
    size.ok_or(InvalidResponse::ChunkSize)
}
