//! A page of the request log, gathered segment by segment, from the newest to the oldest.

use super::{SegmentName, segment};
use gateway_core::state::{
    LoggedRequest, RequestLogCursor, RequestLogPage, RequestLogQuery, StoreError,
};

/// The time by which a batch may be later than its requests, with a margin, in milliseconds.
pub(crate) const BATCH_DELAY: u64 = 60_000;

/// A page in the making.
#[derive(Debug)]
pub(crate) struct PageReader<'a> {
    query: &'a RequestLogQuery,
    /// The time before which nothing is read, in milliseconds since 1970.
    oldest: u64,
    page: RequestLogPage,
}

impl<'a> PageReader<'a> {
    /// An empty page for `query`, of requests since `oldest`.
    pub(crate) fn new(query: &'a RequestLogQuery, oldest: u64) -> Self {
        let oldest = oldest.max(query.from.unwrap_or_default());
        Self { query, oldest, page: RequestLogPage::default() }
    }

    /// Returns the name of the newest segment that the page may come from.
    pub(crate) fn newest(&self) -> SegmentName {
        let before = self.query.before.unwrap_or(RequestLogCursor {
            at: u64::MAX,
            writer: u32::MAX,
            row: u32::MAX,
        });
        let last = self.query.to.map_or(u64::MAX, |to| to.saturating_add(BATCH_DELAY));
        if before.at > last {
            return SegmentName { at: last, writer: u32::MAX };
        }
        SegmentName { at: before.at, writer: before.writer }
    }

    /// Whether the page holds nothing of the segment `name`, nor of older ones.
    pub(crate) const fn is_beyond(&self, name: SegmentName) -> bool {
        name.at < self.oldest
    }

    /// Returns the rows of a segment whose lines have to be read, newest first.
    pub(crate) fn candidates(&self, name: SegmentName, index: &[u8]) -> Vec<u32> {
        let (id, tenant) = (self.query.id.as_deref(), self.query.tenant.as_deref());
        let mut rows = segment::candidates(index, id, tenant);
        rows.retain(|row| self.query.before.is_none_or(|before| name.cursor(*row) < before));
        rows
    }

    /// Adds what the query selects of these `rows`; returns whether the page is full.
    pub(crate) fn read(
        &mut self,
        name: SegmentName,
        rows: &[u32],
        lines: &[u8],
    ) -> Result<bool, StoreError> {
        let lines: Vec<_> = lines.split(|byte| *byte == b'\n').collect();
        for row in rows {
            let Some(line) = usize::try_from(*row).ok().and_then(|row| lines.get(row)) else {
                continue;
            };
            let request: LoggedRequest = serde_json::from_slice(line)
                .map_err(|error| StoreError::corrupt("request log", error.to_string()))?;
            if request.at < self.oldest || !self.query.selects(&request) {
                continue;
            }
            let cursor = name.cursor(*row);
            self.page.requests.push((cursor, request));
            if self.page.requests.len() >= self.query.limit {
                self.page.next = Some(cursor);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The page, although there may be more in the segment `next` and in older ones.
    pub(crate) fn interrupted(mut self, next: SegmentName) -> RequestLogPage {
        self.page.next = Some(next.cursor(u32::MAX));
        self.page
    }

    /// The page, which is full or the last one.
    pub(crate) fn finished(self) -> RequestLogPage {
        self.page
    }
}

impl SegmentName {
    const fn cursor(self, row: u32) -> RequestLogCursor {
        RequestLogCursor { at: self.at, writer: self.writer, row }
    }
}
