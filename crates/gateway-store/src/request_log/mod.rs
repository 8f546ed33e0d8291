//! The request log in segments, as all backends keep it.
//!
//! A batch of requests is one segment: a line of JSON for each request, and an index that shows
//! whether a segment may hold requests of a tenant or of an id. A search reads indexes, and the lines
//! only of segments that may match.

mod page_reader;
mod segment;

pub(crate) use self::{
    page_reader::{BATCH_DELAY, PageReader},
    segment::{Segment, SegmentName},
};
