//! Cycles among steps.

/// Finds one cycle through each set of nodes that lie on cycles: the nodes in the order of their edges, beginning
/// with the lowest. `edges[n]` are the nodes that `n` waits for.
pub(crate) fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    for start in 0..edges.len() {
        if found.iter().any(|cycle| cycle.contains(&start)) {
            continue;
        }
        if let Some(cycle) = shortest(edges, start) {
            // A node that only reaches back to itself through a cycle already shown adds nothing.
            if !cycle.iter().any(|node| found.iter().any(|other| other.contains(node))) {
                found.push(cycle);
            }
        }
    }
    found
}

/// The shortest way from `start` back to it, by breadth-first search.
fn shortest(edges: &[Vec<usize>], start: usize) -> Option<Vec<usize>> {
    let mut from = vec![None; edges.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &next in &edges[node] {
            if next == start {
                let mut cycle = vec![node];
                while let Some(before) =
                    from[cycle[cycle.len() - 1]].filter(|_| cycle[cycle.len() - 1] != start)
                {
                    cycle.push(before);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if from[next].is_none() {
                from[next] = Some(node);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::cycles;

    #[test]
    fn finds_each_cycle_once() {
        let check = |edges: &[&[usize]], expect: &[&[usize]]| {
            let edges: Vec<Vec<usize>> = edges.iter().map(|list| list.to_vec()).collect();
            assert_eq!(cycles(&edges), expect, "{edges:?}");
        };
        check(&[&[], &[0], &[0, 1]], &[]);
        check(&[&[0]], &[&[0]]);
        check(&[&[1], &[2], &[0]], &[&[0, 1, 2]]);
        check(&[&[1], &[0], &[3], &[2]], &[&[0, 1], &[2, 3]]);
        check(&[&[1], &[2], &[1]], &[&[1, 2]]);
    }
}
