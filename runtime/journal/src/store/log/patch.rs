//! A value of which most stays as it was: what of it does not.
//!
//! What stays keeps its place: a patch says of every byte either what it is from now on, or that it is what it was. So it
//! does no harm where the value is ahead of the record, as that of an index may be: each byte is, in the end, what the last
//! record that names it says, and one that none of them names has never changed.

/// Fewer bytes than these are not worth leaving out.
const LEAST: usize = 32;

/// How a value differs from the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Patch<'a> {
    /// What it begins with.
    pub(in crate::store) head: &'a [u8],
    /// How many bytes behind that are as they were.
    pub(in crate::store) kept: usize,
    /// What is behind those.
    pub(in crate::store) tail: &'a [u8],
}

impl<'a> Patch<'a> {
    /// What has to be said of a value where the one before it is known; none where that is nearly everything.
    pub(in crate::store) fn between(before: &[u8], value: &'a [u8]) -> Option<Self> {
        let (mut longest, mut from) = (0..0, 0);
        let common = before.len().min(value.len());
        for at in 0..=common {
            if at == common || before[at] != value[at] {
                if at - from > longest.len() {
                    longest = from..at;
                }
                from = at + 1;
            }
        }
        let (head, tail) = (&value[..longest.start], &value[longest.end..]);
        (longest.len() >= LEAST).then_some(Self { head, kept: longest.len(), tail })
    }

    /// The value. Where the one before it has too few bytes it is not the one that was meant, and later records say so.
    pub(in crate::store) fn apply(&self, before: &[u8]) -> Vec<u8> {
        let end = self.head.len() + self.kept;
        let mut out = Vec::with_capacity(end + self.tail.len());
        out.extend_from_slice(self.head);
        out.extend_from_slice(before.get(out.len()..end.min(before.len())).unwrap_or_default());
        out.resize(end, 0);
        out.extend_from_slice(self.tail);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_stays_in_its_place_is_left_out() {
        let (before, value) = (
            b"head-1 and forty bytes that never change...1",
            b"head-2 and forty bytes that never change...22",
        );
        let patch = Patch::between(before, value).unwrap();
        assert_eq!(patch, Patch { head: b"head-2", kept: 37, tail: b"22" });
        assert_eq!(patch.apply(before), value);
        // What has moved has not stayed.
        assert_eq!(Patch::between(&before[1..], value), None);
        assert_eq!(Patch::between(b"", b""), None);
    }

    /// A value, or the next one: another, or the same with some bytes changed.
    fn values() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let change =
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..120), any::<prop::sample::Index>());
        prop::collection::vec(change, 1..12).prop_map(|changes| {
            let mut out: Vec<Vec<u8>> = Vec::new();
            for (is_new, bytes, at) in changes {
                let mut value = out.last().cloned().unwrap_or_default();
                if is_new || value.is_empty() {
                    value = bytes;
                } else {
                    let at = at.index(value.len());
                    let few = &bytes[..bytes.len() % 7];
                    value.truncate(value.len() - bytes.len() % 3 % value.len());
                    value.resize(value.len().max(at + few.len()), 7);
                    value[at..][..few.len()].copy_from_slice(few);
                }
                out.push(value);
            }
            out
        })
    }

    proptest! {
        /// Every record is taken in once more, by an index that has any number of them already.
        #[test]
        fn a_value_that_is_ahead_comes_to_the_same(values in values(), ahead: prop::sample::Index) {
            let mut value = values[ahead.index(values.len())].clone();
            for pair in values.windows(2) {
                value = match Patch::between(&pair[0], &pair[1]) {
                    Some(patch) => {
                        prop_assert_eq!(&patch.apply(&pair[0]), &pair[1]);
                        patch.apply(&value)
                    }
                    None => pair[1].clone(),
                };
            }
            if values.len() > 1 {
                prop_assert_eq!(&value, values.last().unwrap());
            }
        }
    }
}
