//! G.711 and G.722 give bit for bit what libspandsp gives, both ways.
//!
//! `spandsp.py` calls Debian's libspandsp2, which `tests/interop/install` installs. Without it these tests say that they were skipped; with
//! `TRUNKLINE_REQUIRE_INTEROP=1` that is a failure.
#![allow(clippy::unwrap_used)] // a test may fail

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use trunkline_media::codec::Codec;
use trunkline_media::coder::{Decoder, Encoder, EncoderOptions, MAX_SAMPLES};

#[path = "../src/coder/signals.rs"]
mod signals;

use signals::{noise, sine, speech};

const NO_LIBRARY: i32 = 77;

/// What libspandsp makes of the bytes; `None` where there is none.
fn spandsp(direction: &str, codec: &str, data: &[u8]) -> Option<Vec<u8>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spandsp.py");
    let mut python = Command::new("python3")
        .arg(script)
        .args([direction, codec])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(data).unwrap();
    let done = python.wait_with_output().unwrap();
    if done.status.code() == Some(NO_LIBRARY) {
        assert_ne!(std::env::var("TRUNKLINE_REQUIRE_INTEROP").as_deref(), Ok("1"), "no libspandsp2");
        eprintln!("skipped: no libspandsp2 on this machine (see tests/interop/install)");
        return None;
    }
    assert!(done.status.success());
    Some(done.stdout)
}

fn bytes_of(pcm: &[i16]) -> Vec<u8> {
    pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn codec(name: &str) -> Codec {
    Codec::new(name, 8000, 1, 96).unwrap()
}

/// The whole signal through our encoder, in packets of 20 ms.
fn encoded(name: &str, pcm: &[i16]) -> Vec<u8> {
    let mut encoder = Encoder::new(&codec(name), &EncoderOptions::default()).unwrap();
    let packet = usize::try_from(encoder.sample_rate() / 50).unwrap();
    let mut out = [0; 960];
    pcm.chunks(packet)
        .flat_map(|frame| {
            let count = encoder.encode(frame, &mut out);
            out[..count].to_vec()
        })
        .collect()
}

fn decoded(name: &str, data: &[u8]) -> Vec<i16> {
    let mut decoder = Decoder::new(&codec(name)).unwrap();
    let mut out = [0; MAX_SAMPLES];
    data.chunks(160)
        .flat_map(|payload| {
            let count = decoder.decode(payload, &mut out).unwrap();
            out[..count].to_vec()
        })
        .collect()
}

#[track_caller]
fn assert_same(codec: &str, name: &str, pcm: &[i16]) {
    let ours = encoded(codec, pcm);
    let Some(theirs) = spandsp("encode", codec, &bytes_of(pcm)) else {
        return;
    };
    let differing = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    assert_eq!((differing, ours.len()), (None, theirs.len()), "{codec} encodes {name}");
    assert_same_decoded(codec, name, &ours);
}

/// Equal, but where we stop at an end of the scale: there libspandsp 0.0.6 wraps around (G.722 §6.2.2 limits). The filter's output feeds
/// nothing back, so that the other samples still tell everything.
fn is_same(ours: i16, theirs: i16) -> bool {
    ours == theirs || ours == i16::MAX || ours == i16::MIN
}

#[track_caller]
fn assert_same_decoded(codec: &str, name: &str, data: &[u8]) {
    let ours = decoded(codec, data);
    let Some(theirs) = spandsp("decode", codec, data) else { return };
    let (theirs, _) = theirs.as_chunks::<2>();
    let differing = ours.iter().zip(theirs).position(|(a, b)| !is_same(*a, i16::from_le_bytes(*b)));
    assert_eq!((differing, ours.len()), (None, theirs.len()), "{codec} decodes {name}");
}

#[test]
fn test_a_law_is_the_same_for_every_sample_and_every_code() {
    let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let codes: Vec<u8> = (0..=255).collect();
    assert_same("pcma", "every sample", &samples);
    assert_same_decoded("pcma", "every code", &codes);
    assert_same_decoded("pcmu", "every code", &codes);
}

/// libspandsp folds negative µ-law samples by two's complement, G.191 (and we) by one's: its code for -n is ours for -n-1. That moves
/// the 127 samples that lie on a decision value, for which table 2b of G.711 names no side.
#[test]
fn test_mu_law_is_the_same_for_every_sample_but_for_the_folding() {
    let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let folded: Vec<i16> = samples
        .iter()
        .map(|sample| if *sample < 0 { sample.saturating_sub(1) } else { *sample })
        .collect();
    let Some(theirs) = spandsp("encode", "pcmu", &bytes_of(&samples)) else {
        return;
    };
    assert_eq!(encoded("pcmu", &folded), theirs);
    let differing = encoded("pcmu", &samples).iter().zip(&theirs).filter(|(a, b)| a != b).count();
    assert_eq!(differing, 127);
}

#[test]
fn test_g722_is_the_same_for_speech() {
    let speech = speech(16_000, 160_000);
    assert!(speech.iter().any(|sample| sample.unsigned_abs() > 8000));
    assert_same("g722", "speech", &speech);
}

#[test]
fn test_g722_is_the_same_for_noise_at_every_level() {
    let levels: Vec<i16> = (0..14).flat_map(|shift| noise(shift, shift, 8000)).collect();
    assert_same("g722", "noise", &levels);
}

#[test]
fn test_g722_is_the_same_for_tones_in_both_bands() {
    for amplitude in [30.0, 3000.0, 32_767.0] {
        let frequencies_hz = [50.0, 440.0, 1000.0, 3400.0, 4000.0, 5200.0, 7000.0, 7900.0];
        let tones: Vec<i16> = frequencies_hz.iter().flat_map(|hz| sine(16_000, *hz, amplitude, 4000)).collect();
        assert_same("g722", "tones", &tones);
    }
}

#[test]
fn test_g722_is_the_same_for_silence_and_full_scale() {
    assert_same("g722", "silence", &[0; 8000]);
    assert_same("g722", "the highest level", &[i16::MAX; 4000]);
    assert_same("g722", "the lowest level", &[i16::MIN; 4000]);
    let square = |period: usize| (0..4000).map(move |n| if (n / period).is_multiple_of(2) { i16::MAX } else { i16::MIN });
    let squares: Vec<i16> = [1, 2, 3, 8, 40, 400].into_iter().flat_map(square).collect();
    assert_same("g722", "square waves", &squares);
}

#[test]
fn test_g722_decodes_the_same_out_of_bytes_that_no_encoder_makes() {
    let mut bytes: Vec<u8> = noise(77, 0, 40_000).into_iter().flat_map(i16::to_be_bytes).collect();
    bytes.extend((0..=255).flat_map(|code| [code; 200]));
    assert_same_decoded("g722", "any bytes", &bytes);
}
