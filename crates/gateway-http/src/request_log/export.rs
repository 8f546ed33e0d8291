//! The export of the request log, as a stream of lines.

use super::{csv, reader::unavailable, view};
use crate::reply;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use gateway_core::{
    BoxError,
    state::{LoggedRequest, RequestLogQuery},
};
use gateway_limits::RequestRecorder;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

/// The number of requests that are read at once.
const PAGE: usize = 500;

/// The format of an export.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ExportFormat {
    JsonLines,
    Csv,
}

/// The reply with all requests that `query` selects, newest first. Dropping its body ends the export;
/// a store that fails cuts it off.
pub(super) fn reply(
    log: RequestRecorder,
    mut query: RequestLogQuery,
    format: ExportFormat,
) -> Response<reply::Body> {
    query.limit = PAGE;
    let start = Some((log, query));
    let pages = stream::try_unfold(start, move |state| async move {
        let Some((log, mut query)) = state else { return Ok(None) };
        let page = log.search(&query).await.map_err(|error| BoxError::from(unavailable(error)))?;
        let requests = page.requests.into_iter().map(|(_, request)| request);
        let lines = Bytes::from(format.lines(requests));
        query.before = page.next;
        let rest = page.next.is_some().then_some((log, query));
        Ok(Some((lines, rest)))
    });
    let header = Bytes::from_static(format.header().as_bytes());
    let pieces = stream::once(async { Ok(header) }).chain(pages);
    let frames = pieces.filter(|piece| {
        let is_empty = piece.as_ref().is_ok_and(Bytes::is_empty);
        async move { !is_empty }
    });
    let body = StreamBody::new(frames.map(|piece| piece.map(Frame::data))).boxed_unsync();
    let mut reply = Response::new(body);
    let headers = reply.headers_mut();
    let (content_type, disposition) = format.headers();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

impl ExportFormat {
    const fn headers(self) -> (&'static str, &'static str) {
        match self {
            Self::JsonLines => ("application/x-ndjson", "attachment; filename=\"requests.jsonl\""),
            Self::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"requests.csv\""),
        }
    }

    const fn header(self) -> &'static str {
        match self {
            Self::JsonLines => "",
            Self::Csv => csv::HEADER,
        }
    }

    fn lines(self, requests: impl Iterator<Item = LoggedRequest>) -> String {
        let mut lines = String::new();
        for request in requests {
            match self {
                Self::Csv => csv::write(&request, &mut lines),
                Self::JsonLines => {
                    let view = view::request(request);
                    lines += &serde_json::to_string(&view).unwrap_or_default();
                    lines.push('\n');
                }
            }
        }
        lines
    }
}
