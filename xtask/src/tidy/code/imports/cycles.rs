//! Strongly connected components of a directed graph.

use std::collections::BTreeSet;

/// Returns the groups of two or more nodes of which each reaches every other, nodes ascending.
///
/// The graph is given by the successors of each node.
pub(super) fn cycles(edges: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let reach: Vec<BTreeSet<usize>> = (0..edges.len()).map(|node| reachable(edges, node)).collect();
    let connected = |a: usize, b: usize| {
        reach.get(a).is_some_and(|it| it.contains(&b))
            && reach.get(b).is_some_and(|it| it.contains(&a))
    };
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for node in 0..edges.len() {
        if seen.contains(&node) {
            continue;
        }
        let group: Vec<usize> =
            (0..edges.len()).filter(|&other| other == node || connected(node, other)).collect();
        seen.extend(group.iter().copied());
        if group.len() > 1 {
            found.push(group);
        }
    }
    found
}

/// Returns the nodes that a walk from `start` comes to.
fn reachable(edges: &[BTreeSet<usize>], start: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next = vec![start];
    while let Some(node) = next.pop() {
        for &successor in edges.get(node).into_iter().flatten() {
            if reached.insert(successor) {
                next.push(successor);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::cycles;
    use std::collections::BTreeSet;

    fn check(edges: &[&[usize]], expected: &[&[usize]]) {
        let edges: Vec<BTreeSet<usize>> =
            edges.iter().map(|successors| successors.iter().copied().collect()).collect();
        assert_eq!(cycles(&edges), expected);
    }

    #[test]
    fn chain_has_no_cycle() {
        check(&[&[1], &[2], &[]], &[]);
    }

    #[test]
    fn cycles_are_found_apart() {
        check(&[&[1], &[0, 2], &[3], &[4], &[2]], &[&[0, 1], &[2, 3, 4]]);
    }
}
