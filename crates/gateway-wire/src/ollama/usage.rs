//! Token counts of Ollama.

use crate::token_count::{CountReader, LenientCount};
use gateway_core::Usage;

/// Converts the counts of prompt and response; that of a cached prompt may be missing.
pub(super) fn usage(read: Option<LenientCount>, written: Option<LenientCount>) -> Option<Usage> {
    read.or(written)?;
    let mut reading = CountReader::default();
    let (input, output) = (reading.count(read), reading.count(written));
    Some(Usage { input, output, is_odd: reading.is_odd, ..Usage::default() })
}
