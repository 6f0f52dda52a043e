//! Any bytes, as a file that is played: opened, read, moved in and read again. WAV, which is read here, may not panic. The decoders that
//! are not ours may, and the engine holds that; like everything else they may neither hang nor take more memory than a file is worth.
#![no_main]

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use libfuzzer_sys::fuzz_target;
use trunkline_media::codec::PCM_RATES;
use trunkline_media::sound::Sound;

fn play(data: &[u8]) {
    let Ok(mut sound) = Sound::open(Box::new(Cursor::new(data.to_vec()))) else {
        return;
    };
    assert!(PCM_RATES.contains(&sound.rate()));
    for seconds in [0.0, 0.25, 1e12, 0.0] {
        // No more than what a few kilobytes of silence may stand for.
        for _ in 0..50 {
            match sound.read(24_000) {
                Ok(samples) if samples.is_empty() => break,
                Ok(samples) => assert!(samples.len() <= 24_000),
                Err(_) => return,
            }
        }
        if sound.seek(seconds).is_err() {
            return;
        }
    }
}

fuzz_target!(
    init: set_hook(Box::new(|panic| eprintln!("{panic}"))),
    |data: &[u8]| {
        if data.starts_with(b"RIFF") {
            play(data);
        } else {
            let _ = catch_unwind(AssertUnwindSafe(|| play(data)));
        }
    }
);
