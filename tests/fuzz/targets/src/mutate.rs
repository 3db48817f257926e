//! Mutations of seeds: the same ones in every run.

/// Longest input: what is longer says nothing new and takes long.
const LONGEST: usize = 4096;

/// Pieces that readers treat in a way of their own, whatever they read.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"'",
    b"*",
    b"/",
    b"../",
    b"%2e%2e",
    b"[",
    b"[[",
    b"{",
    b"}",
    b"((((((((((((((((",
    b"))))))))))))))))",
    b"-1",
    b"0",
    b"9223372036854775808",
    b"1e308",
    b"0.1",
    b"null",
    b" AND ",
    b" OR NOT ",
    b"--",
    b"/*",
    b";",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xc0\x80",
    "\u{feff}".as_bytes(),
    "\u{202e}".as_bytes(),
    "é".as_bytes(),
    "\u{1f469}\u{200d}\u{1f52c}".as_bytes(),
];

/// Makes inputs of seeds.
pub struct Mutator<'a> {
    seeds: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutator<'a> {
    /// A mutator of these seeds; of one empty one if there are none.
    #[must_use]
    pub const fn new(seeds: &'a [Vec<u8>]) -> Self {
        Self { seeds, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// The next input: a seed with up to eight things done to it.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.seed();
        for _ in 0..=self.below(8) {
            self.mutate(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn seed(&mut self) -> Vec<u8> {
        match self.seeds.len() {
            0 => Vec::new(),
            some => self.seeds[self.below(some)].clone(),
        }
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] ^= 1 << self.below(8);
            }
            1 if !input.is_empty() => {
                let at = self.below(input.len());
                input[at] = u8::try_from(self.below(256)).expect("a byte");
            }
            2 => {
                let piece = PIECES[self.below(PIECES.len())];
                input.splice(at..at, piece.iter().copied());
            }
            // A piece goes, or stands twice.
            3 | 4 if !input.is_empty() => {
                let end = at + self.below(input.len() - at + 1).min(32);
                let piece: Vec<u8> = input[at..end].to_vec();
                if self.below(2) == 0 {
                    input.drain(at..end);
                } else {
                    input.splice(at..at, piece);
                }
            }
            // The end of another seed.
            5 => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => input.truncate(at),
        }
    }

    /// A number below `end`, which is not 0; xorshift64* (Vigna, 2016).
    fn below(&mut self, end: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let drawn = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).expect("31 bits are a size") % end
    }
}
