//! A stream of server-sent events as one JSON array, for callers that did not ask for events.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use gateway_wire::sse;

/// The data of `events`, each piece of which holds whole events, as the elements of an array.
pub(super) fn of_events(
    events: impl Stream<Item = Bytes> + Send + 'static,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let pieces = events.map(Some).chain(futures_util::stream::once(async { None }));
    pieces.scan(false, |has_begun, piece| {
        let written = match piece {
            Some(piece) => elements(&piece, has_begun),
            None if *has_begun => Bytes::from_static(b"\n]\n"),
            None => Bytes::from_static(b"[]\n"),
        };
        async move { Some(written) }
    })
}

/// The events of `piece` as further elements; a comment becomes white space.
fn elements(piece: &[u8], has_begun: &mut bool) -> Bytes {
    let mut out = Vec::with_capacity(piece.len());
    for event in sse::events(piece).filter(|event| !event.data.is_empty()) {
        out.extend_from_slice(if *has_begun { b",\n" } else { b"[" });
        *has_begun = true;
        out.extend_from_slice(event.data.as_bytes());
    }
    if out.is_empty() {
        out.push(b'\n');
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, stream};

    #[track_caller]
    fn check(pieces: &[&'static str], expected: &str) {
        let pieces: Vec<_> = pieces.iter().map(|it| Bytes::from_static(it.as_bytes())).collect();
        let written: Vec<_> = of_events(stream::iter(pieces)).collect().now_or_never().unwrap();
        assert_eq!(String::from_utf8(written.concat()).unwrap(), expected);
    }

    #[test]
    fn events_become_elements_of_an_array() {
        check(&[], "[]\n");
        check(&["data: {\"a\":1}\n\n"], "[{\"a\":1}\n]\n");
        check(&["data: 1\n\ndata: 2\n\n", "data: 3\n\n"], "[1,\n2,\n3\n]\n");
    }

    #[test]
    fn comments_become_white_space() {
        check(&[": keep-alive\n\n", "data: 1\n\n", ": keep-alive\n\n"], "\n[1\n\n]\n");
        check(&[": x\n\ndata: 1\n\n"], "[1\n]\n");
    }
}
