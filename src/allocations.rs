//! Counts the allocations of each thread, for programs that make [`Counting`] their allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// The system's allocator with a counter for each thread.
pub struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands every call to the system's allocator unchanged. The counter is constant-initialised and needs no
// destructor, so that it allocates nothing itself and outlives the thread's other values.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Allocations of this thread while `work` runs.
///
/// # Panics
/// If the program's allocator is not [`Counting`]: 0 would be a lie.
pub fn count(work: impl FnOnce()) -> u64 {
    let counted = |work: &mut dyn FnMut()| {
        let before = COUNT.with(Cell::get);
        work();
        COUNT.with(Cell::get) - before
    };
    let probe = counted(&mut || drop(black_box(Box::new(0u8))));
    assert_eq!(probe, 1, "allocations are not counted in this program");
    let mut work = Some(work);
    counted(&mut || work.take().into_iter().for_each(|work| work()))
}
