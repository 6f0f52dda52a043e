//! After construction no payload and no frame allocates, in any codec, resampler or noise (libopus, which is C, works on its stack).
#![allow(clippy::unwrap_used)] // a test may fail

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use trunkline_media::codec::{Codec, PCM_RATES};
use trunkline_media::coder::comfort::{Measurer, Noise};
use trunkline_media::coder::{Decoder, Encoder, EncoderOptions, MAX_SAMPLES};
use trunkline_media::resample::Resampler;

/// The system's allocator, counting what a thread asks of it.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    COUNT.with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on unchanged; the counter is a plain cell of the thread, whose use allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the pointer came from `System`, with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System`, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

#[test]
fn test_the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1);
}

#[test]
fn test_no_codec_allocates_for_a_payload_good_or_bad() {
    let opus = EncoderOptions {
        fec: true,
        dtx: true,
        ..EncoderOptions::default()
    };
    for (name, clock_rate, channels) in [
        ("PCMU", 8000, 1),
        ("PCMA", 8000, 1),
        ("G722", 8000, 1),
        ("L16", 16_000, 1),
        ("opus", 48_000, 2),
    ] {
        let codec = Codec::new(name, clock_rate, channels, 96).unwrap();
        let (mut encoder, mut decoder) = (Encoder::new(&codec, &opus).unwrap(), Decoder::new(&codec).unwrap());
        let samples = usize::try_from(encoder.sample_rate() / 50).unwrap();
        let (mut pcm, mut bytes, mut heard) = ([0_i16; 960], [0; 2000], [0; MAX_SAMPLES]);
        let mut seed = 1_u32;
        let made = allocations(|| {
            for round in 0..100 {
                for sample in &mut pcm[..samples] {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *sample = if round < 50 { (seed >> 18) as i16 } else { 0 };
                }
                let count = encoder.encode(&pcm[..samples], &mut bytes);
                let _ = decoder.decode(&bytes[..count], &mut heard);
                let _ = decoder.recover(&bytes[..count], samples, &mut heard);
                let _ = decoder.conceal(samples, &mut heard);
                let _ = decoder.decode(&bytes[..count / 2], &mut heard);
                let _ = decoder.decode(&[0xff, 0xff, 0xff], &mut heard);
                encoder.expect_loss(round);
            }
        });
        assert_eq!(made, 0, "{name}");
    }
}

#[test]
fn test_no_resampler_allocates_for_a_frame() {
    let (pcm, mut out) = ([1000_i16; 960], [0_i16; 960]);
    for (from, to) in PCM_RATES.into_iter().flat_map(|from| PCM_RATES.map(|to| (from, to))) {
        let mut resampler = Resampler::new(from, to).unwrap();
        let frame = &pcm[..usize::try_from(from / 50).unwrap()];
        assert_eq!(allocations(|| assert!(resampler.process(frame, &mut out) > 0)), 0, "{from} to {to}");
    }
}

#[test]
fn test_no_comfort_noise_allocates() {
    let (mut noise, mut measurer, mut frame) = (Noise::new(1), Measurer::default(), [0_i16; 960]);
    let made = allocations(|| {
        for level in 0..100 {
            noise.follow(&[level, 20, 200, 100]);
            noise.generate(&mut frame);
            measurer.hear(&frame);
            noise.follow(&measurer.payload());
        }
    });
    assert_eq!(made, 0);
}
