//! A listener takes no memory for a frame. A test of its own: it replaces the allocator of its process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use trunkline_media::audio::Pcm;
use trunkline_media::hearing::Listener;
use trunkline_media::random::Random;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator unchanged; counting touches a constant-initialized thread-local without drop.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn test_hearing_allocates_nothing_after_its_first_frame() {
    let mut listener = Listener::default();
    let (mut random, mut frame, mut before, mut changes) = (Random::new(1), Pcm::silence(8000), 0, 0);
    for n in 0..2000u32 {
        if n == 1 {
            before = ALLOCATIONS.get();
        }
        // Noise and silence in turn, so that there are changes to tell.
        let loud = n / 50 % 2 == 1;
        for sample in frame.samples_mut() {
            *sample = if loud { (random.below(16_000) as i32 - 8000) as i16 } else { 0 };
        }
        changes += u32::from(listener.hear(&frame).is_some());
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(changes > 20);
}
