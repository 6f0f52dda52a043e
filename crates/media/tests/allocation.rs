//! After an ear is configured, neither packets nor ticks allocate. A test of its own: it replaces the allocator of its process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use trunkline_media::audio::ear::{Ear, Sort};
use trunkline_media::codec::Codec;
use trunkline_media::random::Random;
use trunkline_media::rtp::Header;
use trunkline_media::time::Time;

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

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn test_packets_and_ticks_allocate_nothing() {
    let codecs = [
        Codec::new("PCMA", 8000, 1, 8).unwrap(),
        Codec::new("L16", 16_000, 1, 97).unwrap(),
        Codec::new("G722", 8000, 1, 9).unwrap(),
        Codec::new("opus", 48_000, 2, 111).unwrap(),
        Codec::new("CN", 8000, 1, 13).unwrap(),
        Codec::new("telephone-event", 8000, 1, 101).unwrap(),
    ];
    let mut ear = Ear::default();
    // The codecs that this build can decode.
    ear.configure(&codecs);
    let known: Vec<Codec> = codecs
        .into_iter()
        .filter(|codec| !codec.kind.is_audio() || trunkline_media::coder::Decoder::new(codec).is_some())
        .collect();
    let (mut random, mut out, payload) = (Random::new(1), [0i16; 960], [0x55u8; 640]);
    let mut kinds = [0; 4];
    let before = ALLOCATIONS.get();
    for n in 0..20_000u64 {
        // Spells of each codec; losses, duplicates, reordering, another source, outages.
        let codec = known[(n / 100) as usize % known.len()];
        let header = Header {
            marker: false,
            payload_type: codec.payload_type,
            sequence: (n as u16).wrapping_sub(u16::from(random.below(50) == 0)),
            timestamp: (n as u32).wrapping_mul(codec.clock_rate / 50),
            ssrc: (n / 3000) as u32,
        };
        let now = n * 20_000 + random.below(40_000);
        if random.below(10) > 0 && n % 2000 > 60 {
            let length = if codec.clock_rate == 16_000 { 640 } else { 160 };
            ear.push(Time::from_micros(now), &header, &codec, &payload[..length]);
        }
        let heard = ear.frame(Time::from_micros(n * 20_000 + 40_000), &mut out);
        kinds[heard.kind as usize] += 1;
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    for kind in [Sort::Voice, Sort::Concealed, Sort::Noise, Sort::Nothing] {
        assert!(kinds[kind as usize] > 0, "{kinds:?}");
    }
    let statistics = ear.statistics().buffer;
    assert!(
        statistics.lost > 0 && statistics.restarts > 0 && statistics.removals > 0,
        "{statistics:?}"
    );
}
