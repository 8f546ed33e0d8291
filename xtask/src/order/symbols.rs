//! The symbols of a program, and an order for them.

use crate::workspace::Workspace;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use xshell::cmd;

/// The functions of a program by their mangled names, with their addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct SymbolTable(BTreeMap<String, u64>);

/// Functions in the order of their use.
#[derive(Clone, Debug, Default)]
pub(super) struct SymbolOrder {
    names: Vec<String>,
    seen: BTreeSet<String>,
}

impl SymbolTable {
    /// Reads the symbols of a program.
    pub(super) fn of(workspace: &Workspace, program: &Path) -> anyhow::Result<Self> {
        let listed = cmd!(workspace.shell, "nm --defined-only {program}").quiet().read()?;
        Ok(Self::parse(&listed))
    }

    /// Parses the output of `nm`: an address, a kind and a name in each line.
    fn parse(listed: &str) -> Self {
        let symbols = listed.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let is_function = matches!(words.next()?, "t" | "T" | "w" | "W");
            is_function.then_some((words.next()?.to_owned(), address))
        });
        Self(symbols.collect())
    }

    /// Returns the number of functions.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the share, of 1, of the functions in `order` that follow their predecessor in the program.
    /// Functions that were folded into one address count as in order.
    pub(super) fn share_in_order(&self, order: &SymbolOrder) -> f64 {
        let addresses: Vec<u64> =
            order.names.iter().filter_map(|name| self.0.get(name)).copied().collect();
        let pairs = addresses.windows(2);
        let all = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
        let kept = pairs.filter(|pair| pair.first() <= pair.last()).count();
        let kept = u32::try_from(kept).unwrap_or(u32::MAX);
        if all == 0 { 0.0 } else { f64::from(kept) / f64::from(all) }
    }
}

impl SymbolOrder {
    /// Adds the functions of a profile that were not seen before.
    pub(super) fn add(&mut self, known: &SymbolTable, profile: &str) {
        for line in profile.lines() {
            let name = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn="));
            // `(12) name'2`: the number, and how deep a recursion was.
            let Some((_, name)) = name.and_then(|name| name.split_once(' ')) else { continue };
            let name = name.split('\'').next().unwrap_or(name);
            if known.0.contains_key(name) && self.seen.insert(name.to_owned()) {
                self.names.push(name.to_owned());
            }
        }
    }

    /// Returns the number of functions in the order.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Returns the content of the file for the linker: one name a line.
    pub(super) fn text(&self) -> String {
        self.names.join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::{SymbolOrder, SymbolTable};

    const LISTED: &str = "0000000000000010 t a\n0000000000000020 T b\n0000000000000030 W c\n\
                          0000000000000040 d data\n                 U missing\n";

    fn order(profile: &str) -> SymbolOrder {
        let mut order = SymbolOrder::default();
        order.add(&SymbolTable::parse(LISTED), profile);
        order
    }

    #[test]
    fn functions_of_a_profile_are_ordered_once() {
        let order =
            order("fn=(1) c\n1 2\ncfn=(2) a'2\ncfn=(3) other\nfn=(2)\nfn=(4) c\nfn=(5) data\n");
        assert_eq!(order.text(), "c\na\n");
    }

    #[test]
    fn share_in_order_counts_steps_forward() {
        let table = SymbolTable::parse(LISTED);
        assert!(
            (table.share_in_order(&order("fn=(1) a\nfn=(2) b\nfn=(3) c\n")) - 1.0).abs() < 1e-9
        );
        assert!(
            (table.share_in_order(&order("fn=(1) b\nfn=(2) a\nfn=(3) c\n")) - 0.5).abs() < 1e-9
        );
        assert!(table.share_in_order(&order("")).abs() < 1e-9);
    }
}
