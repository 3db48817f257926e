//! Takes secrets out of what comes piece by piece.

use std::sync::Arc;

use super::{Found, Scrubber};

/// A text on its way. It holds back as much as a form of a secret is long, less a byte, since the rest of one may be
/// still to come.
pub(crate) struct Stream {
    found: Option<Arc<Found>>,
    held: Vec<u8>,
}

impl Scrubber {
    /// Begins a text that comes piece by piece.
    pub(crate) fn stream(&self) -> Stream {
        Stream { found: self.0.clone(), held: Vec::new() }
    }
}

impl Stream {
    /// Takes the next piece and gives what can be told of by now, without secrets.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let Some(found) = self.found.clone() else { return piece.to_vec() };
        self.held.extend_from_slice(piece);
        let keeps = found.forms.max_pattern_len().saturating_sub(1);
        self.let_go(&found, self.held.len().saturating_sub(keeps))
    }

    /// What is left when all has come.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        match self.found.clone() {
            Some(found) => self.let_go(&found, self.held.len()),
            None => Vec::new(),
        }
    }

    /// Lets go of what is held up to `until`, and of a form that begins before it.
    fn let_go(&mut self, found: &Found, until: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(until);
        let mut from = 0;
        // What begins before `until` is here to its end, however long it is.
        for form in found.forms.find_iter(&self.held).take_while(|form| form.start() < until) {
            out.extend_from_slice(&self.held[from..form.start()]);
            out.extend_from_slice(found.marks[form.pattern()].as_bytes());
            from = form.end();
        }
        if from < until {
            out.extend_from_slice(&self.held[from..until]);
            from = until;
        }
        self.held.drain(..from);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Scrubber;

    #[test]
    fn a_secret_is_found_wherever_a_piece_ends() {
        let label = "stripe".parse().unwrap();
        let scrubber = Scrubber::new([(&label, "s3cret-value")].into_iter());
        let text = b"a s3cret-value, s3cret-valus3cret-value and s3cret-val".repeat(3);
        let whole = scrubber.text(std::str::from_utf8(&text).unwrap());
        assert!(whole.contains("[secret stripe]") && !whole.contains("s3cret-value"), "{whole}");
        for size in 1..text.len() {
            let mut stream = scrubber.stream();
            let mut out: Vec<u8> = text.chunks(size).flat_map(|piece| stream.push(piece)).collect();
            out.extend(stream.rest());
            assert_eq!(String::from_utf8(out).unwrap(), whole, "pieces of {size}");
        }
        let mut plain = Scrubber::default().stream();
        assert_eq!((plain.push(b"abc"), plain.rest()), (b"abc".to_vec(), vec![]));
    }
}
