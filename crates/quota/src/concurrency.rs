//! How many requests of a key may be under way at once.
//!
//! A request takes a lease and gives it back at its end. An end may never come (the worker's VM traps, and with it goes
//! all memory of the request), so leases expire. They are counted by the slice of time in which they were taken: a state
//! of fixed size, whatever the maximum.

/// At most so many at once, each for so long at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// So many.
    pub max: u32,
    /// A quarter of the time after which a lease expires, in nanoseconds.
    slice: u64,
}

/// The leases of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leases {
    /// The number of the newest slice: time divided by the slice's length.
    newest: u64,
    /// How many were taken in it and in those before it, newest first.
    counts: [u32; SLICES],
}

/// A lease, by the slice in which it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease(u64);

/// The newest, and the four in which no lease has expired yet: a lease lasts for `expire` at least, and at most a quarter
/// longer.
const SLICES: usize = 5;

impl Concurrency {
    /// `max` at once; a lease expires after `expire` nanoseconds, or up to a quarter later.
    pub fn new(max: u32, expire: u64) -> Self {
        Self { max, slice: expire.div_ceil(4).max(1) }
    }

    /// The leases that have not expired at `now`.
    pub fn current(&self, leases: Leases, now: u64) -> Leases {
        let slice = now / self.slice;
        let ahead = leases.newest.saturating_sub(slice);
        if ahead >= SLICES as u64 {
            // The clock went far back. The leases stay, and expire by the clock as it is now.
            let mut counts = [0; SLICES];
            if let Some(newest) = counts.first_mut() {
                *newest = leases.in_use();
            }
            return Leases { newest: slice, counts };
        }
        let Some(passed) = slice.checked_sub(leases.newest) else { return leases };
        let mut counts = [0; SLICES];
        let kept = counts.iter_mut().skip(usize::try_from(passed).unwrap_or(SLICES));
        kept.zip(leases.counts).for_each(|(kept, count)| *kept = count);
        Leases { newest: slice, counts }
    }

    /// Takes a lease of `leases`, which are current, if there is one left.
    pub fn take(&self, mut leases: Leases) -> Option<(Leases, Lease)> {
        if leases.in_use() >= self.max {
            return None;
        }
        let newest = leases.counts.first_mut()?;
        *newest = newest.checked_add(1)?;
        Some((leases, Lease(leases.newest)))
    }

    /// Gives a lease back. One that has expired is not missed.
    pub fn give_back(&self, mut leases: Leases, lease: Lease) -> Leases {
        let place = match leases.newest.checked_sub(lease.0) {
            Some(age) => usize::try_from(age).ok().and_then(|age| leases.counts.get_mut(age)),
            // Taken before the clock went back: it has been among the others since.
            None => leases.counts.iter_mut().rev().find(|count| **count > 0),
        };
        if let Some(count) = place {
            *count = count.saturating_sub(1);
        }
        leases
    }
}

impl Leases {
    /// The size of the serialised form.
    pub const SIZE: usize = size_of::<u64>() + SLICES * size_of::<u32>();

    /// How many have been taken and not given back.
    pub fn in_use(&self) -> u32 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Reads the serialised form.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (newest, counts) = bytes.split_first_chunk()?;
        let mut leases = Self { newest: u64::from_le_bytes(*newest), counts: [0; SLICES] };
        let words = counts.as_chunks().0;
        leases.counts.iter_mut().zip(words).for_each(|(count, word)| *count = u32::from_le_bytes(*word));
        Some(leases)
    }

    /// Writes the serialised form over as many bytes.
    pub fn write(&self, to: &mut [u8]) {
        let Some((newest, counts)) = to.split_first_chunk_mut() else { return };
        *newest = self.newest.to_le_bytes();
        let words = counts.as_chunks_mut().0.iter_mut();
        words.zip(self.counts).for_each(|(word, count)| *word = count.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
