//! Signatures that were used, for as long as they would be good: in shared data, so that no other worker takes one again.
//!
//! Shared data never frees a key, so there is a fixed number of buckets of a few entries each. A signature is as good as
//! random to whoever does not hold the secret: its first half is the entry, a part of its second chooses the bucket.

use tidegate_filter_api::{Cas, Host, HostError};

/// A table of signatures.
#[derive(Debug)]
pub(super) struct Seen {
    buckets: u64,
    ways: usize,
}

/// Whether a signature was there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seeing {
    First,
    Again,
    /// All entries of its bucket are good still.
    Full,
}

const WAYS: u64 = 16;
const ENTRY: usize = 24;
/// In front of each bucket: what is read back is checked before it is believed.
const MAGIC: &[u8; 4] = b"tga1";
const MOST_ATTEMPTS: usize = 64;

impl Seen {
    /// A table of at most `max` signatures.
    pub(super) fn new(max: u64) -> Self {
        let ways = max.clamp(1, WAYS);
        Self { buckets: (max / ways).max(1), ways: usize::try_from(ways).unwrap_or(1) }
    }

    /// Notes the signature until second `expires`, in one atomic step against all other workers.
    pub(super) fn see(
        &self,
        prefix: &[u8],
        signature: &[u8; 32],
        expires: u64,
        now: u64,
        host: &dyn Host,
    ) -> Result<Seeing, HostError> {
        let (digest, rest) = signature.split_at(16);
        let choice = rest.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let key = [prefix, &(choice % self.buckets).to_le_bytes()].concat();
        let entry = [digest, &expires.to_le_bytes()].concat();
        for _ in 0..MOST_ATTEMPTS {
            let (entries, version) = read(&key, host)?;
            let mut good: Vec<&[u8]> =
                entries.chunks_exact(ENTRY).filter(|entry| expiry(entry) >= now).collect();
            if good.iter().any(|entry| entry.starts_with(digest)) {
                return Ok(Seeing::Again);
            }
            if good.len() >= self.ways {
                return Ok(Seeing::Full);
            }
            good.push(&entry);
            let bucket = [MAGIC.as_slice(), &good.concat()].concat();
            match host.set_shared(&key, &bucket, version) {
                Ok(()) => return Ok(Seeing::First),
                Err(HostError::CasMismatch) => {}
                Err(error) => return Err(error),
            }
        }
        Err(HostError::CasMismatch)
    }
}

fn read(key: &[u8], host: &dyn Host) -> Result<(Vec<u8>, Option<Cas>), HostError> {
    let Some(value) = host.shared(key)? else { return Ok((Vec::new(), None)) };
    let entries = value.bytes.strip_prefix(MAGIC).filter(|entries| entries.len() % ENTRY == 0);
    Ok((entries.unwrap_or_default().to_vec(), Some(value.cas)))
}

fn expiry(entry: &[u8]) -> u64 {
    entry.last_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
