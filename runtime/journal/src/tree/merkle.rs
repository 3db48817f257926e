//! Merkle trees as RFC 6962 hashes them: a list that only grows, and short proofs of what is in it.
//!
//! The hashes are those of RFC 6962, section 2.1; the proofs are made and checked by the algorithms of RFC 9162,
//! sections 2.1.3 and 2.1.4, which say the same in a form that is easier to get right.

use wflo_model::Digest;

/// What a leaf's hash begins with, so that no leaf can be taken for a node.
const LEAF: &[u8] = &[0];
/// What a node's hash begins with.
const NODE: &[u8] = &[1];

/// The hash of a leaf.
pub(crate) fn leaf_hash(entry: &[u8]) -> Digest {
    sha256(&[LEAF, entry])
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    sha256(&[NODE, left.as_bytes(), right.as_bytes()])
}

fn sha256(parts: &[&[u8]]) -> Digest {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    Digest::from_bytes(hash.finalize().into())
}

/// The right edge of a tree: the roots of the whole subtrees that it is made of, the largest first. All that is needed
/// to go on with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edge {
    size: u64,
    peaks: Vec<Digest>,
}

impl Edge {
    /// The edge of a tree of that size; none if that many peaks are not those of one.
    pub(crate) fn new(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (u64::from(size.count_ones()) == peaks.len() as u64).then_some(Self { size, peaks })
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Adds the hash of a leaf.
    pub(crate) fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("there is a peak for every one in the size");
            hash = node_hash(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        // The hash of no leaves is that of nothing at all.
        let Some(&last) = peaks.next() else { return sha256(&[]) };
        peaks.fold(last, |right, left| node_hash(left, &right))
    }
}

/// The root of a tree of these leaves.
pub(crate) fn root(leaves: &[Digest]) -> Digest {
    let mut edge = Edge::default();
    leaves.iter().for_each(|leaf| edge.push(*leaf));
    edge.root()
}

/// Where a tree of so many leaves, at least two, is cut in two: the largest power of two below their number.
const fn cut(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

/// The proof that leaf `index` is in the tree of these leaves: the hashes beside its path, from the leaf up.
pub(crate) fn inclusion(index: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(cut(leaves.len()));
    let (mut path, beside) = if index < left.len() {
        (inclusion(index, left), root(right))
    } else {
        (inclusion(index - left.len(), right), root(left))
    };
    path.push(beside);
    path
}

/// The proof that the tree of these leaves goes on from the tree of the first `old` of them, from the bottom up.
pub(crate) fn consistency(old: usize, leaves: &[Digest]) -> Vec<Digest> {
    fn below(old: usize, leaves: &[Digest], is_whole: bool) -> Vec<Digest> {
        if old == leaves.len() {
            return if is_whole { Vec::new() } else { vec![root(leaves)] };
        }
        let (left, right) = leaves.split_at(cut(leaves.len()));
        let (mut path, beside) = if old <= left.len() {
            (below(old, left, is_whole), root(right))
        } else {
            (below(old - left.len(), right, false), root(left))
        };
        path.push(beside);
        path
    }
    if old == 0 || old >= leaves.len() { Vec::new() } else { below(old, leaves, true) }
}

/// Whether the proof shows that a leaf of that hash is leaf `index` of a tree of that size and root.
pub(crate) fn is_included(leaf: Digest, index: u64, size: u64, path: &[Digest], root: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(beside, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the proof shows that the tree of size and root `new` goes on from the tree `old`.
pub(crate) fn is_consistent(old: (u64, &Digest), new: (u64, &Digest), path: &[Digest]) -> bool {
    let ((old_size, old_root), (size, root)) = (old, new);
    if old_size > size {
        return false;
    }
    if old_size == size {
        return old_root == root && path.is_empty();
    }
    // Every tree goes on from that of no leaves, whose root is known.
    if old_size == 0 {
        return path.is_empty() && *old_root == Edge::default().root();
    }
    let mut path = path.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(&first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (first, first);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            from_old = node_hash(beside, &from_old);
            from_new = node_hash(beside, &from_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node_hash(&from_new, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    /// The definition, as RFC 6962 writes it.
    fn defined(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => sha256(&[]),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(cut(leaves.len()));
                node_hash(&defined(left), &defined(right))
            }
        }
    }

    /// The vectors of the reference implementation, certificate-transparency's `merkle_tree_test`.
    #[test]
    fn roots_are_those_of_the_reference() {
        let entries: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let expect = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut edge = Edge::default();
        assert_eq!(edge.root().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (entry, expect) in entries.iter().zip(expect) {
            edge.push(leaf_hash(entry));
            assert_eq!(edge.root().hex(), expect);
        }
    }

    #[test]
    fn an_edge_is_what_its_size_says() {
        let mut edge = Edge::default();
        leaves(11).into_iter().for_each(|leaf| edge.push(leaf));
        assert_eq!(Edge::new(11, edge.peaks().to_vec()), Some(edge.clone()));
        assert_eq!(Edge::new(12, edge.peaks().to_vec()), None);
    }

    #[test]
    fn every_proof_of_small_trees_holds_and_no_other() {
        let leaves = leaves(20);
        for size in 1..=leaves.len() {
            let (tree, root) = (&leaves[..size], defined(&leaves[..size]));
            assert_eq!(super::root(tree), root);
            for index in 0..size {
                let path = inclusion(index, tree);
                let holds =
                    |at: usize, size: usize| is_included(leaves[index], at as u64, size as u64, &path, &root);
                assert!(holds(index, size), "leaf {index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert!(!holds(other, size), "leaf {index} of {size} at {other}");
                }
                assert!(!is_included(leaves[(index + 1) % 20], index as u64, size as u64, &path, &root));
            }
            for old in 0..=size {
                let path = consistency(old, tree);
                let old_root = defined(&leaves[..old]);
                let new = (size as u64, &root);
                assert!(is_consistent((old as u64, &old_root), new, &path), "{old} to {size}");
                for other in (0..=size).filter(|other| *other != old) {
                    let other = (other as u64, &old_root);
                    assert!(!is_consistent(other, new, &path), "{old} to {size} as {}", other.0);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_changed_proof_proves_nothing(
            size in 2_usize..300, index: prop::sample::Index, place: prop::sample::Index, bit in 0..256_usize,
        ) {
            let leaves = leaves(size);
            let root = root(&leaves);
            prop_assert_eq!(root, defined(&leaves));
            let flip = |path: &[Digest], place: usize| {
                let mut path = path.to_vec();
                let mut bytes = *path[place].as_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                path[place] = Digest::from_bytes(bytes);
                path
            };
            let index = index.index(size);
            let path = inclusion(index, &leaves);
            let included = |path: &[Digest]| is_included(leaves[index], index as u64, size as u64, path, &root);
            prop_assert!(included(&path));
            prop_assert!(!included(&flip(&path, place.index(path.len()))));
            prop_assert!(!included(&path[1..]));
            prop_assert!(!included(&[&path[..], &path[..1]].concat()));

            let old = index.max(1);
            let old_root = super::root(&leaves[..old]);
            let path = consistency(old, &leaves);
            let consistent = |path: &[Digest]| is_consistent((old as u64, &old_root), (size as u64, &root), path);
            prop_assert!(consistent(&path));
            if !path.is_empty() {
                prop_assert!(!consistent(&flip(&path, place.index(path.len()))));
                prop_assert!(!consistent(&path[..path.len() - 1]));
            }
        }
    }
}
