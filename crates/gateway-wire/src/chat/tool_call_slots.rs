//! Which tool call an addition belongs to.

/// The tool calls of one choice, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Known>);

#[derive(Debug)]
struct Known {
    /// The number that the upstream gave it.
    index: Option<u64>,
    id: String,
    named: bool,
}

/// Where an addition belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// Which call, counted from 0 in the order of their beginning.
    pub(super) at: u32,
    /// The call begins with this addition.
    pub(super) begins: bool,
    /// The name has not been told before.
    pub(super) wants_name: bool,
}

/// More calls than any model makes in one answer.
const MAX_CALLS: usize = 4096;

impl Calls {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Places an addition by what the upstream says of it, which may be little: some upstreams
    /// count wrongly, some do not count, some repeat the id in every addition. `None` means that
    /// there are absurdly many.
    pub(super) fn place(&mut self, index: Option<u64>, id: &str, name: &str) -> Option<Place> {
        let fits = |known: &Known| id.is_empty() || known.id.is_empty() || known.id == id;
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
        Some(Place { at: u32::try_from(at).ok()?, begins: found.is_none(), wants_name })
    }

    /// Begins a call that is told in one piece.
    pub(super) fn begin(&mut self, index: Option<u64>, id: &str) -> Option<Place> {
        let at = u32::try_from(self.0.len()).ok()?;
        if self.0.len() >= MAX_CALLS {
            return None;
        }
        self.0.push(Known { index, id: id.to_owned(), named: false });
        Some(Place { at, begins: true, wants_name: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places additions, each an index (`-` for none) and perhaps an id; a `+` begins a call.
    #[track_caller]
    fn check(additions: &[(&str, &str)], expected: &str) {
        let mut calls = Calls::default();
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
    fn as_the_standard_says() {
        check(&[("0", "a"), ("0", ""), ("1", "b"), ("1", ""), ("0", "")], "0+ 0 1+ 1 0");
    }

    #[test]
    fn ids_in_every_addition() {
        check(&[("0", "a"), ("0", "a"), ("1", "b"), ("1", "b")], "0+ 0 1+ 1");
    }

    #[test]
    fn every_call_has_the_same_index() {
        check(&[("0", "a"), ("0", ""), ("0", "b"), ("0", "")], "0+ 0 1+ 1");
    }

    #[test]
    fn no_index_at_all() {
        check(&[("-", "a"), ("-", ""), ("-", "b"), ("-", "a")], "0+ 0 1+ 0");
        check(&[("-", ""), ("-", "")], "0+ 0");
    }

    #[test]
    fn counted_from_one_or_with_gaps() {
        check(&[("1", "a"), ("3", "b"), ("1", ""), ("3", "")], "0+ 1+ 0 1");
    }

    #[test]
    fn there_is_an_end() {
        let mut calls = Calls::default();
        assert!((0..MAX_CALLS as u64).all(|index| calls.place(Some(index), "", "").is_some()));
        assert_eq!(calls.place(Some(1 << 40), "", ""), None);
    }
}
