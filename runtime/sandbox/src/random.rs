//! Randomness that is the same in every replay.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use wasmtime_wasi::WasiCtxBuilder;

/// Gives a guest its three sources of randomness: three streams of ChaCha20 under the attempt's seed, so that
/// drawing from one never shifts another.
pub(crate) fn seed(builder: &mut WasiCtxBuilder, seed: [u8; 32]) {
    let stream = |number| {
        let mut random = ChaCha20Rng::from_seed(seed);
        random.set_stream(number);
        random
    };
    let mut third = stream(2);
    let insecure_seed = (u128::from(third.next_u64()) << 64) | u128::from(third.next_u64());
    builder.secure_random(stream(0)).insecure_random(stream(1)).insecure_random_seed(insecure_seed);
}
