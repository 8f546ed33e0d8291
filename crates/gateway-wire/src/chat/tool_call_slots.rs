//! Assigns streamed tool-call deltas to tool calls.

/// The tool calls of one choice, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct ToolCallSlots(Vec<ToolCallSlot>);

#[derive(Debug)]
struct ToolCallSlot {
    /// The number that the upstream gave it.
    index: Option<u64>,
    id: String,
    named: bool,
}

/// The tool call that a delta belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SlotPosition {
    /// The position of the call, counted from 0 in order of first appearance.
    pub(super) at: u32,
    /// The call begins with this addition.
    pub(super) begins: bool,
    /// The name of the call has not been emitted yet.
    pub(super) wants_name: bool,
}

/// More calls than any model makes in one response.
const MAX_CALLS: usize = 4096;

impl ToolCallSlots {
    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Places an addition by what the upstream says of it, which may be little: some upstreams
    /// count wrongly, some do not count, some repeat the id in every addition. `None` means that
    /// there are absurdly many.
    pub(super) fn place(
        &mut self,
        index: Option<u64>,
        id: &str,
        name: &str,
    ) -> Option<SlotPosition> {
        let fits = |known: &ToolCallSlot| id.is_empty() || known.id.is_empty() || known.id == id;
        let found = match index {
            Some(_) => self.0.iter().rposition(|it| it.index == index && fits(it)),
            None if id.is_empty() => self.0.len().checked_sub(1),
            None => self.0.iter().rposition(|it| it.id == id),
        };
        let at = found.unwrap_or(self.0.len());
        if found.is_none() {
            self.begin(index, id)?;
        }
        let known = self.0.get_mut(at)?;
        if known.id.is_empty() {
            id.clone_into(&mut known.id);
        }
        let wants_name = !known.named && !name.is_empty();
        known.named |= wants_name;
        Some(SlotPosition { at: u32::try_from(at).ok()?, begins: found.is_none(), wants_name })
    }

    /// Opens a slot for a call that arrives in one piece.
    pub(super) fn begin(&mut self, index: Option<u64>, id: &str) -> Option<SlotPosition> {
        let at = u32::try_from(self.0.len()).ok()?;
        if self.0.len() >= MAX_CALLS {
            return None;
        }
        self.0.push(ToolCallSlot { index, id: id.to_owned(), named: false });
        Some(SlotPosition { at, begins: true, wants_name: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places additions, each an index (`-` for none) and perhaps an id; a `+` begins a call.
    #[track_caller]
    fn check(additions: &[(&str, &str)], expected: &str) {
        let mut calls = ToolCallSlots::default();
        let placed: Vec<_> = additions
            .iter()
            .map(|(index, id)| {
                let place = calls.place(index.parse().ok(), id, "n").unwrap();
                format!("{}{}", place.at, if place.begins { "+" } else { "" })
            })
            .collect();
        assert_eq!(placed.join(" "), expected, "{additions:?}");
    }

    #[test]
    fn standard_indexes_map_to_slots() {
        check(&[("0", "a"), ("0", ""), ("1", "b"), ("1", ""), ("0", "")], "0+ 0 1+ 1 0");
    }

    #[test]
    fn repeated_ids_map_to_the_same_slot() {
        check(&[("0", "a"), ("0", "a"), ("1", "b"), ("1", "b")], "0+ 0 1+ 1");
    }

    #[test]
    fn repeated_index_with_new_id_opens_slot() {
        check(&[("0", "a"), ("0", ""), ("0", "b"), ("0", "")], "0+ 0 1+ 1");
    }

    #[test]
    fn missing_index_continues_last_slot() {
        check(&[("-", "a"), ("-", ""), ("-", "b"), ("-", "a")], "0+ 0 1+ 0");
        check(&[("-", ""), ("-", "")], "0+ 0");
    }

    #[test]
    fn sparse_indexes_map_to_dense_slots() {
        check(&[("1", "a"), ("3", "b"), ("1", ""), ("3", "")], "0+ 1+ 0 1");
    }

    #[test]
    fn slot_count_is_bounded() {
        let mut calls = ToolCallSlots::default();
        assert!((0..MAX_CALLS as u64).all(|index| calls.place(Some(index), "", "").is_some()));
        assert_eq!(calls.place(Some(1 << 40), "", ""), None);
    }
}
