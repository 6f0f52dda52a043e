//! Any payloads, in any order, to each decoder and to comfort noise: lost ones between them are recovered or concealed. Nothing may write
//! more than it says or more than there is room for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_media::codec::Codec;
use trunkline_media::coder::comfort::Noise;
use trunkline_media::coder::{Decoder, EncoderOptions, MAX_SAMPLES};

const CODECS: [(&str, u32, u32); 6] = [
    ("opus", 48_000, 2),
    ("G722", 8000, 1),
    ("PCMU", 8000, 1),
    ("PCMA", 8000, 1),
    ("L16", 8000, 1),
    ("L16", 48_000, 1),
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let _ = EncoderOptions::default().for_peer(&String::from_utf8_lossy(rest));
    let (mut noise, mut hiss) = (Noise::new(u64::from(*choice)), [0; 160]);
    let Some(&(name, clock_rate, channels)) = CODECS.get(usize::from(*choice) % CODECS.len()) else {
        return;
    };
    let Some(mut decoder) = Codec::new(name, clock_rate, channels, 96).and_then(|codec| Decoder::new(&codec)) else {
        return;
    };
    let mut out = [0; MAX_SAMPLES];
    let mut left = rest;
    // Each payload has its length in front, and in the length's top bit whether the one before it was lost.
    while let Some((length, after)) = left.split_first() {
        let (payload, next) = after.split_at(after.len().min(usize::from(length & 0x7f)));
        if length & 0x80 != 0 {
            let samples = usize::from(*length) * 40;
            let repeated = decoder
                .recover(payload, samples, &mut out)
                .or_else(|| decoder.conceal(samples, &mut out));
            assert!(repeated.is_none_or(|count| count == samples));
        }
        let room = MAX_SAMPLES >> (length & 0x03);
        if let Some(out) = out.get_mut(..room) {
            let written = decoder.decode(payload, out).ok();
            assert!(written.is_none_or(|count| count <= room));
        }
        noise.follow(payload);
        noise.generate(&mut hiss);
        left = next;
    }
});
