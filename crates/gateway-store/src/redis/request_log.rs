//! The log of requests in Redis: a bounded number of the newest, in segments.

use super::{
    RedisStore, reply,
    script::{self, integer},
};
use crate::{
    clock::millis,
    request_log::{PageReader, Segment, SegmentName},
};
use async_trait::async_trait;
use bytes::Bytes;
use fred::types::Value;
use gateway_core::state::{
    RequestLogBatch, RequestLogPage, RequestLogQuery, RequestLogStore, StoreError,
};

/// The number of indexes that are read at once.
const SCAN: usize = 256;

/// The number of segments that one search reads the indexes of.
const SEARCHED: usize = 16 * SCAN;

/// The number of segments whose lines are read at once.
const READ: usize = 8;

#[async_trait]
impl RequestLogStore for RedisStore {
    async fn append(&self, batch: &RequestLogBatch) -> Result<(), StoreError> {
        let segment = Segment::encode(batch);
        let limits = self.link.limits.request_log;
        let arguments = vec![
            text(segment.name).into(),
            Bytes::from(segment.index.clone()).into(),
            Bytes::from(segment.lines.clone()).into(),
            integer(segment.rows()).into(),
            integer(limits.requests).into(),
            text(SegmentName { at: self.oldest_logged(), writer: 0 }).into(),
            integer(millis(limits.ttl)).into(),
        ];
        self.link
            .call(&script::REQUEST_LOG_APPEND, self.log_keys().to_vec(), arguments)
            .await
            .map(drop)
    }

    async fn search(&self, query: &RequestLogQuery) -> Result<RequestLogPage, StoreError> {
        let oldest = self.oldest_logged();
        let mut reader = PageReader::new(query, oldest);
        let (mut newest, mut searched) = (reader.newest(), 0);
        loop {
            let found = self.indexes(newest, oldest).await?;
            let is_last = found.len() < SCAN;
            if let Some((last, _)) = found.last() {
                newest = last.older();
            }
            if self.read_segments(&mut reader, found).await? || is_last {
                return Ok(reader.finished());
            }
            searched += SCAN;
            if searched >= SEARCHED {
                return Ok(reader.interrupted(newest));
            }
        }
    }
}

impl RedisStore {
    /// The indexes of the segment `newest` and of older ones, the newest first.
    async fn indexes(
        &self,
        newest: SegmentName,
        oldest: u64,
    ) -> Result<Vec<(SegmentName, Bytes)>, StoreError> {
        let [order, indexes, ..] = self.log_keys();
        let last = SegmentName { at: oldest, writer: 0 };
        let arguments = vec![text(newest).into(), text(last).into(), integer(SCAN as u64).into()];
        let keys = vec![order, indexes];
        let found = self.link.call(&script::REQUEST_LOG_INDEXES, keys, arguments).await?;
        let mut found = reply::list(found)?.into_iter();
        let mut pairs = Vec::new();
        while let (Some(name), Some(index)) = (found.next(), found.next()) {
            let name = read(&reply::text(&name)?).ok_or_else(reply::unreadable)?;
            pairs.push((name, reply::bytes(index)?));
        }
        Ok(pairs)
    }

    /// Reads the lines of segments that may match; returns whether the page is full.
    async fn read_segments(
        &self,
        reader: &mut PageReader<'_>,
        found: Vec<(SegmentName, Bytes)>,
    ) -> Result<bool, StoreError> {
        let candidates = found.into_iter().map(|(name, index)| {
            let rows = reader.candidates(name, &index);
            (name, rows)
        });
        let candidates: Vec<_> = candidates.filter(|(_, rows)| !rows.is_empty()).collect();
        let [_, _, lines, _] = self.log_keys();
        for segments in candidates.chunks(READ) {
            let names: Vec<Value> = segments.iter().map(|(name, _)| text(*name).into()).collect();
            let keys = vec![lines.clone()];
            let found = self.link.call(&script::REQUEST_LOG_LINES, keys, names).await?;
            for ((name, rows), lines) in segments.iter().zip(reply::list(found)?) {
                if reader.read(*name, rows, &reply::bytes(lines)?)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn oldest_logged(&self) -> u64 {
        self.clock.now().saturating_sub(millis(self.link.limits.request_log.ttl))
    }

    fn log_keys(&self) -> [String; 4] {
        ["o", "i", "l", "n"].map(|letter| format!("{}g:{{requests}}:{letter}", self.link.prefix))
    }
}

/// The name of a segment as Redis keeps it: texts are ordered as names are.
fn text(SegmentName { at, writer }: SegmentName) -> String {
    format!("{at:016x}{writer:08x}")
}

fn read(text: &str) -> Option<SegmentName> {
    let (at, writer) = text.split_at_checked(16)?;
    let at = u64::from_str_radix(at, 16).ok()?;
    Some(SegmentName { at, writer: u32::from_str_radix(writer, 16).ok()? })
}
