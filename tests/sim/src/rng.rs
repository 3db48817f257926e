//! Randomness that follows from a seed.

/// A small generator (SplitMix64, Steele et al. 2014): the same seed gives the same numbers on every machine.
///
/// ```
/// use wflo_sim::Rng;
/// let (mut one, mut other) = (Rng::new(7), Rng::new(7));
/// assert_eq!(one.draw(), other.draw());
/// assert!(one.below(3) < 3);
/// ```
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts at a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own for `purpose`, so that drawing for one thing does not move another.
    #[must_use]
    pub fn fork(&self, purpose: u64) -> Self {
        let mut rng = Self(self.0 ^ purpose.wrapping_mul(0xa076_1d64_78bd_642f));
        rng.draw();
        Self(rng.draw())
    }

    /// The next number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..most`; 0 for none.
    pub const fn below(&mut self, most: u64) -> u64 {
        if most == 0 { 0 } else { self.draw() % most }
    }

    /// One of `from..=to`.
    pub const fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True in `n` of 100 cases.
    pub const fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    /// One of them.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = usize::try_from(self.below(from.len() as u64)).expect("it is less than a length");
        from[at].clone()
    }
}
