//! Which series all workers of the process have, and the bound on their number.
//!
//! Each worker has its own memory, and the bound is for all of them together. So a series that is new to a worker is
//! looked for among those that the workers share, and entered there while there is room. Once there is none, nothing is
//! entered any more: then a worker copies what is there, and asks no more.

use std::cell::{Cell, RefCell};
use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use tidegate_filter_api::{Host, HostError};

use super::table::Table;

/// The entries are spread over so many shared values: each is read and written whole.
const PAGES: u64 = 64;
/// Another worker may be faster; one that loses so often in a row gives up for now.
const ATTEMPTS: usize = 16;

/// Which series all workers of the process have.
#[derive(Debug)]
pub(crate) struct Registry {
    prefix: Vec<u8>,
    most: u64,
    /// Everything that is entered, once nothing is any more.
    complete: RefCell<Option<Table>>,
    /// How many entries there were when it was looked last.
    seen: Cell<usize>,
    /// How many this worker entered where the host shares no data.
    alone: Cell<u64>,
}

impl Registry {
    /// The registry of the plugin called `plugin` for metrics that `identity` tells from others: a changed set of
    /// metrics starts anew, an unchanged one finds itself again after a reload.
    pub(crate) fn new(plugin: &[u8], identity: &[u8], most: usize) -> Self {
        let mut hasher = SipHasher13::new();
        for part in [plugin, identity] {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        let mut prefix = b"tg.series/".to_vec();
        prefix.extend_from_slice(&hasher.finish128().as_bytes());
        Self {
            prefix,
            most: most as u64,
            complete: RefCell::new(None),
            seen: Cell::new(0),
            alone: Cell::new(0),
        }
    }

    /// Whether a metric may have a series under these values of its labels.
    pub(crate) fn admits(&self, metric: &str, values: &[u8], host: &dyn Host) -> bool {
        let mut hasher = SipHasher24::new();
        hasher.write(metric.as_bytes());
        hasher.write_u8(0);
        hasher.write(values);
        let entry = hasher.finish();
        if let Some(complete) = &*self.complete.borrow() {
            return complete.get(&entry.to_le_bytes()).is_some();
        }
        match self.enter(entry, host) {
            Ok(admitted) => admitted,
            Err(_) => {
                // Without shared data the bound is each worker's.
                let entered = self.alone.get();
                self.alone.set(entered.saturating_add(1));
                entered < self.most
            }
        }
    }

    fn enter(&self, entry: u64, host: &dyn Host) -> Result<bool, HostError> {
        let page = self.key(entry % PAGES);
        if holds(&read(&page, host)?.0, entry) {
            return Ok(true);
        }
        if !self.count(1, host)? {
            self.copy(host)?;
            let complete = self.complete.borrow();
            return Ok(complete.as_ref().is_some_and(|all| all.get(&entry.to_le_bytes()).is_some()));
        }
        for _ in 0..ATTEMPTS {
            let (mut bytes, cas) = read(&page, host)?;
            if holds(&bytes, entry) {
                // Another worker was faster.
                self.count(-1, host)?;
                return Ok(true);
            }
            bytes.extend_from_slice(&entry.to_le_bytes());
            match host.set_shared(&page, &bytes, cas) {
                Err(HostError::CasMismatch) => {}
                result => return result.map(|()| true),
            }
        }
        self.count(-1, host)?;
        Ok(false)
    }

    /// Adds to the number of entries; false if there is no room.
    fn count(&self, delta: i64, host: &dyn Host) -> Result<bool, HostError> {
        let key = self.key(PAGES);
        for _ in 0..ATTEMPTS {
            let (bytes, cas) = read(&key, host)?;
            let count = <[u8; 8]>::try_from(bytes.as_slice()).map_or(0, u64::from_le_bytes);
            if delta > 0 && count >= self.most {
                return Ok(false);
            }
            let changed = count.saturating_add_signed(delta).to_le_bytes();
            match host.set_shared(&key, &changed, cas) {
                Err(HostError::CasMismatch) => {}
                result => return result.map(|()| true),
            }
        }
        Ok(false)
    }

    /// Copies all entries, if there is really no room for more.
    fn copy(&self, host: &dyn Host) -> Result<(), HostError> {
        let (bytes, _) = read(&self.key(PAGES), host)?;
        if <[u8; 8]>::try_from(bytes.as_slice()).map_or(0, u64::from_le_bytes) < self.most {
            return Ok(());
        }
        let mut all = Table::new([0; 16]);
        for page in 0..PAGES {
            let (bytes, _) = read(&self.key(page), host)?;
            for entry in bytes.as_chunks::<8>().0 {
                all.insert(entry);
            }
        }
        // An entry that was counted and is not written yet is still to come, unless its worker trapped in between.
        if all.len() as u64 >= self.most || self.seen.replace(all.len()) == all.len() {
            *self.complete.borrow_mut() = Some(all);
        }
        Ok(())
    }

    fn key(&self, page: u64) -> Vec<u8> {
        let mut key = self.prefix.clone();
        key.extend_from_slice(&page.to_le_bytes());
        key
    }
}

type Versioned = (Vec<u8>, Option<tidegate_filter_api::Cas>);

fn read(key: &[u8], host: &dyn Host) -> Result<Versioned, HostError> {
    Ok(host.shared(key)?.map_or((Vec::new(), None), |value| (value.bytes, Some(value.cas))))
}

fn holds(page: &[u8], entry: u64) -> bool {
    page.as_chunks::<8>().0.contains(&entry.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use tidegate_testkit::fake::FakeHost;

    use super::*;

    fn name(index: usize) -> Vec<u8> {
        format!("series-{index}").into_bytes()
    }

    #[test]
    fn workers_share_one_bound() {
        let host = FakeHost::new();
        let workers = [(); 2].map(|()| Registry::new(b"plugin", b"metrics", 10));
        let admitted = |worker: &Registry, index| worker.admits("m", &name(index), &*host);
        assert!((0..10).all(|index| admitted(&workers[index % 2], index)));
        assert!((10..100).all(|index| !admitted(&workers[index % 2], index)));
        assert!((0..10).all(|index| admitted(&workers[0], index) && admitted(&workers[1], index)));
        let after_a_reload = Registry::new(b"plugin", b"metrics", 10);
        assert!(admitted(&after_a_reload, 3) && !admitted(&after_a_reload, 10));
    }

    #[test]
    fn once_full_nobody_asks_the_host_any_more() {
        let host = FakeHost::new();
        let registry = Registry::new(b"plugin", b"metrics", 2);
        assert!((0..2).all(|index| registry.admits("m", &name(index), &*host)));
        assert!(!registry.admits("m", &name(2), &*host));
        host.fail("shared", HostError::InternalFailure);
        assert!(!registry.admits("m", &name(3), &*host));
        assert!(registry.admits("m", &name(0), &*host));
    }

    #[test]
    fn shared_data_does_not_grow_with_what_is_asked_for() {
        let host = FakeHost::new();
        let registry = Registry::new(b"plugin", b"metrics", 10);
        assert_eq!((0..10_000).filter(|index| registry.admits("m", &name(*index), &*host)).count(), 10);
        let (keys, bytes) = host.shared_size();
        assert!(keys <= 11 && bytes < 1_000, "{keys} keys, {bytes} bytes");
    }

    #[test]
    fn without_shared_data_each_worker_has_a_bound_of_its_own() {
        let host = FakeHost::new();
        host.fail("shared", HostError::Unimplemented);
        let registry = Registry::new(b"plugin", b"metrics", 2);
        assert_eq!((0..10).filter(|index| registry.admits("m", &name(*index), &*host)).count(), 2);
    }

    #[test]
    fn what_others_wrote_there_does_no_harm() {
        let host = FakeHost::new();
        let registry = Registry::new(b"plugin", b"metrics", 2);
        assert!(registry.admits("m", &name(0), &*host));
        host.overwrite_shared(b"nonsense of somebody else");
        assert!((1..10).filter(|index| registry.admits("m", &name(*index), &*host)).count() < 10);
    }
}
