//! The request log, in a table that teams query: see the page on storage.

use super::{PostgresStore, errors, json_text, pool::TransactionKind};
use crate::{clock::millis, request_log::BATCH_DELAY};
use async_trait::async_trait;
use gateway_core::state::{
    LoggedRequest, RequestLogBatch, RequestLogCursor, RequestLogPage, RequestLogQuery,
    RequestLogStore, StoreError,
};
use tokio_postgres::Row;

/// The rows that are read at once.
const PAGE: usize = 512;

/// The rows that one search reads.
const SEARCHED: usize = 32 * PAGE;

const APPEND: &str = "INSERT INTO request_log (at, writer, row_number, details) \
     SELECT $1, $2, line.number - 1, line.text::jsonb \
     FROM unnest($3::text[]) WITH ORDINALITY AS line (text, number) ON CONFLICT DO NOTHING";
/// Counts rows, which also lets writers wait for one another.
pub(super) const COUNT: &str =
    "UPDATE request_log_size SET requests = greatest(requests + $1, 0) RETURNING requests";
const TRIM: &str = "DELETE FROM request_log WHERE (at, writer, row_number) IN \
     (SELECT at, writer, row_number FROM request_log ORDER BY at, writer, row_number LIMIT $1)";
const SEARCH: &str = "SELECT at, writer, row_number, details::text FROM request_log \
     WHERE (at, writer, row_number) < ($1, $2, $3) AND at >= $4 \
     AND ($5::text IS NULL OR id = $5) AND ($6::text IS NULL OR tenant = $6) \
     ORDER BY at DESC, writer DESC, row_number DESC LIMIT $7";

#[async_trait]
impl RequestLogStore for PostgresStore {
    async fn append(&self, batch: &RequestLogBatch) -> Result<(), StoreError> {
        let text = String::from_utf8_lossy(batch.rows.lines());
        let lines: Vec<_> = text.lines().map(json_text::without_nul).collect();
        let connection = self.pool.get().await?;
        // A crash of the server may lose the last second, which no promise to a caller rests on.
        connection.begin(TransactionKind::Visible).await?;
        let (at, writer) = (integer(batch.at), i64::from(batch.writer));
        let added = connection.execute(APPEND, &[&at, &writer, &lines]).await?;
        let rows = connection.query(COUNT, &[&integer(added)]).await?;
        let count: i64 = match rows.first() {
            Some(row) => row.try_get(0).map_err(errors::unreadable)?,
            None => 0,
        };
        let surplus = count - integer(self.limits.request_log.requests);
        if surplus > 0 {
            let removed = connection.execute(TRIM, &[&surplus]).await?;
            connection.execute(COUNT, &[&-integer(removed)]).await?;
        }
        connection.commit().await
    }

    async fn search(&self, query: &RequestLogQuery) -> Result<RequestLogPage, StoreError> {
        let connection = self.pool.get().await?;
        let now = connection.query("SELECT now_ms()", &[]).await?;
        let now: i64 = now.first().and_then(|row| row.try_get(0).ok()).unwrap_or_default();
        let ttl = integer(millis(self.limits.request_log.ttl));
        let oldest = now.saturating_sub(ttl).max(query.from.map_or(0, integer));
        let (mut page, mut before) = (RequestLogPage::default(), newest(query));
        let id = query.id.as_deref().map(json_text::name);
        let tenant = query.tenant.as_deref().map(json_text::name);
        for _ in 0..SEARCHED / PAGE {
            let place = (integer(before.at), i64::from(before.writer), i64::from(before.row));
            let limit = integer(PAGE as u64);
            let rows = connection
                .query(SEARCH, &[&place.0, &place.1, &place.2, &oldest, &id, &tenant, &limit])
                .await?;
            for row in &rows {
                let (cursor, request) = read(row)?;
                before = cursor;
                if integer(request.at) < oldest || !query.selects(&request) {
                    continue;
                }
                page.requests.push((cursor, request));
                if page.requests.len() >= query.limit {
                    page.next = Some(cursor);
                    return Ok(page);
                }
            }
            if rows.len() < PAGE {
                return Ok(page);
            }
        }
        page.next = Some(before);
        Ok(page)
    }
}

/// Returns the place before which the page begins.
fn newest(query: &RequestLogQuery) -> RequestLogCursor {
    let beyond = RequestLogCursor { at: u64::MAX, writer: u32::MAX, row: u32::MAX };
    let before = query.before.unwrap_or(beyond);
    let last = query.to.map_or(u64::MAX, |to| to.saturating_add(BATCH_DELAY));
    if before.at > last { RequestLogCursor { at: last, ..beyond } } else { before }
}

fn read(row: &Row) -> Result<(RequestLogCursor, LoggedRequest), StoreError> {
    let number =
        |column| -> Result<i64, StoreError> { row.try_get(column).map_err(errors::unreadable) };
    let small = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let (at, writer, place) = (number(0)?.unsigned_abs(), small(number(1)?), small(number(2)?));
    let cursor = RequestLogCursor { at, writer, row: place };
    let details: &str = row.try_get(3).map_err(errors::unreadable)?;
    let request = serde_json::from_str(details)
        .map_err(|error| StoreError::corrupt("request log", error.to_string()))?;
    Ok((cursor, request))
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
