//! Counts heap allocations of the thread that runs a test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts. A test program installs it:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: tidegate_testkit::allocations::Counting = tidegate_testkit::allocations::Counting;
/// let (numbers, count) = tidegate_testkit::allocations::count(|| vec![1, 2, 3]);
/// assert_eq!((numbers.len(), count), (3, 1));
/// ```
#[derive(Debug)]
pub struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static PAUSED: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, nothing is counted on its thread.
pub(crate) struct Uncounted(());

impl Uncounted {
    pub(crate) fn begin() -> Self {
        PAUSED.set(PAUSED.get() + 1);
        Self(())
    }
}

impl Drop for Uncounted {
    fn drop(&mut self) {
        PAUSED.set(PAUSED.get() - 1);
    }
}

/// Runs `work` and returns how often it asked for memory: new or more. What a fake host allocates to answer a call is not
/// counted: that is the host's.
pub fn count<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = COUNT.get();
    let result = work();
    (result, COUNT.get() - before)
}

fn note() {
    // A thread that ends has no counter any more, and nobody asks it.
    let _ = PAUSED.try_with(|paused| {
        if paused.get() == 0 {
            let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        }
    });
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its nature")]
// SAFETY: all work is the system allocator's, under the caller's own guarantees.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        unsafe { System.realloc(pointer, layout, size) }
    }
}
