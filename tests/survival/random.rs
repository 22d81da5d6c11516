//! Reproducible random choices: all randomness of a test comes from one printed seed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::store;

/// Random numbers (`SplitMix64`), for many threads.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn coin(&self) -> bool {
        self.below(2) == 0
    }
}

/// Returns the seed in `MOONCAST_SEED`, or else a new one.
pub(crate) fn seed() -> u64 {
    std::env::var("MOONCAST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random)
}

/// Returns the number of kills in the short version of a test. On a server each death is detected after a delay.
pub(crate) fn deaths(on_files: usize) -> usize {
    if store::server().is_some() { on_files.div_ceil(2) } else { on_files }
}

/// Whether the long versions are requested (`tests/soak`).
pub(crate) fn soak() -> bool {
    std::env::var_os("MOONCAST_SOAK").is_some()
}
