//! Random choices that a seed repeats.

use std::time::{SystemTime, UNIX_EPOCH};

/// The seed of this run: the variable `SEED`, else a new one. It is printed, for a run that failed to be repeated: the
/// choices are the same then, though what happens at the same time is not.
///
/// # Panics
/// When `SEED` is no number.
pub fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    let given = std::env::var("SEED").ok();
    let seed = given.map_or_else(now, |text| text.parse().expect("SEED is a number"));
    eprintln!("seed: {seed}, again with SEED={seed}");
    seed
}

/// How many rounds a test has: `usual`, or as many as the variable `ROUNDS` says, which `cargo xtask test --soak` sets.
///
/// # Panics
/// When `ROUNDS` is no number.
pub fn rounds(usual: usize) -> usize {
    std::env::var("ROUNDS").map_or(usual, |text| text.parse().expect("ROUNDS is a number"))
}

/// A stream of numbers that look random: `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own, for a thread.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of `choices`, of which there is one.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Whether something that happens in `percent` of all cases happens now.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
