use std::f64::consts::TAU;
use std::io::Cursor;

use super::*;
use crate::codec::Codec;
use crate::coder::{Encoder, EncoderOptions};
use crate::g711::Law;

fn open(bytes: Vec<u8>) -> Result<Sound, Unplayable> {
    Sound::open(Box::new(Cursor::new(bytes)))
}

fn all(sound: &mut Sound) -> Vec<i16> {
    let mut samples = Vec::new();
    loop {
        let piece = sound.read(4000).unwrap();
        if piece.is_empty() {
            return samples;
        }
        samples.extend(piece);
    }
}

fn tone(rate: u32, frequency_hz: f64, count: usize) -> Vec<i16> {
    let step = TAU * frequency_hz / f64::from(rate);
    (0..count).map(|n| (8000.0 * (step * n as f64).sin()) as i16).collect()
}

/// What of a tone is missing or too much in the middle of samples, as a share of its peak.
fn difference(samples: &[i16], rate: u32, frequency_hz: f64) -> f64 {
    let wanted = tone(rate, frequency_hz, samples.len());
    let middle = samples.len() / 8..samples.len() * 7 / 8;
    let worst = middle.map(|n| (i32::from(samples[n]) - i32::from(wanted[n])).abs()).max();
    f64::from(worst.unwrap()) / 8000.0
}

fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
    for (name, content) in chunks {
        bytes.extend_from_slice(*name);
        bytes.extend_from_slice(&(content.len() as u32).to_le_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len() + content.len() % 2, 0);
    }
    bytes
}

fn format(tag: u16, channels: u16, rate: u32, sample_bytes: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(tag.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(channels * sample_bytes)).to_le_bytes());
    bytes.extend((channels * sample_bytes).to_le_bytes());
    bytes.extend((8 * sample_bytes).to_le_bytes());
    bytes
}

fn wav(tag: u16, channels: u16, rate: u32, sample_bytes: u16, data: &[u8]) -> Vec<u8> {
    riff(&[
        (b"fmt ", &format(tag, channels, rate, sample_bytes)),
        (b"LIST", b"odd"),
        (b"data", data),
    ])
}

#[test]
fn test_each_coding_of_wav_gives_the_samples_that_were_written() {
    let (least, most) = (i16::MIN, i16::MAX);
    let cases: [(u16, u16, Vec<u8>, Vec<i16>); 9] = [
        (1, 1, vec![0, 128, 255], vec![least, 0, 127 << 8]),
        (1, 2, vec![0, 0x80, 0x34, 0x12], vec![least, 0x1234]),
        (1, 3, vec![9, 0, 0x80, 9, 0x34, 0x12], vec![least, 0x1234]),
        (1, 4, vec![9, 9, 0, 0x80, 9, 9, 0x34, 0x12], vec![least, 0x1234]),
        (
            3,
            4,
            [-1.0f32, 0.5, 7.0].iter().flat_map(|value| value.to_le_bytes()).collect(),
            vec![least, 1 << 14, most],
        ),
        (3, 4, f32::NAN.to_le_bytes().to_vec(), vec![0]),
        (
            3,
            8,
            [-1.0f64, 0.5, 7.0].iter().flat_map(|value| value.to_le_bytes()).collect(),
            vec![least, 1 << 14, most],
        ),
        (6, 1, vec![0x55, 0xaa], vec![Law::A.decode(0x55), Law::A.decode(0xaa)]),
        (7, 1, vec![0x00, 0x80], vec![Law::Mu.decode(0x00), Law::Mu.decode(0x80)]),
    ];
    for (tag, sample_bytes, data, wanted) in cases {
        let mut sound = open(wav(tag, 1, 16_000, sample_bytes, &data)).unwrap();
        assert_eq!(
            (sound.rate(), all(&mut sound)),
            (16_000, wanted),
            "coding {tag}, {sample_bytes} bytes"
        );
    }
}

#[test]
fn test_channels_are_mixed_down_and_the_extensible_format_is_read() {
    let mut extensible = format(0xfffe, 2, 8000, 2);
    extensible.extend([22, 0, 16, 0, 3, 0, 0, 0, 1, 0]);
    extensible.extend([0; 14]);
    let data: Vec<u8> = [100i16, 300, -5, -7].iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let mut sound = open(riff(&[(b"fmt ", &extensible), (b"data", &data)])).unwrap();
    assert_eq!(all(&mut sound), [200, -6]);
}

#[test]
fn test_what_is_cut_off_is_played_as_far_as_it_goes() {
    let data: Vec<u8> = (0..100).collect();
    let mut bytes = wav(1, 1, 8000, 2, &data);
    bytes.truncate(bytes.len() - 51);
    assert_eq!(all(&mut open(bytes).unwrap()).len(), 24);
}

#[test]
fn test_what_is_no_audio_says_what_it_is() {
    let refused = |bytes: Vec<u8>| open(bytes).unwrap_err().to_string();
    assert_eq!(refused(b"no audio at all".to_vec()), "is no WAV, MP3, FLAC or Ogg Opus");
    assert_eq!(refused(Vec::new()), "is no WAV, MP3, FLAC or Ogg Opus");
    assert_eq!(refused(riff(&[])), "is damaged: it ends before its samples");
    assert_eq!(refused(riff(&[(b"data", b"")])), "is damaged: its samples come before their format");
    assert_eq!(refused(riff(&[(b"fmt ", b"short")])), "is damaged: its format is cut off");
    assert!(refused(wav(2, 1, 8000, 1, b"")).starts_with("is not played: WAV of another coding"));
    assert!(refused(wav(1, 0, 8000, 2, b"")).starts_with("is damaged"));
    assert!(refused(wav(1, 1, 37_800, 2, b"")).starts_with("has 37800 samples a second"));
    assert!(refused(b"fLaC\0\0\0".to_vec()).starts_with("is damaged"));
    assert!(refused(b"OggS\0\0\0".to_vec()).starts_with("is damaged"));
}

#[test]
fn test_the_rates_of_files_are_brought_to_those_of_calls_and_last_as_long() {
    for rate in convert::FILE_RATES {
        let data: Vec<u8> = tone(rate, 440.0, rate as usize)
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        let mut sound = open(wav(1, 1, rate, 2, &data)).unwrap();
        let samples = all(&mut sound);
        assert_eq!(samples.len(), sound.rate() as usize, "{rate}");
        // In place to half a sample, which of 440 Hz at 16 kHz is 0.09 of its peak.
        assert!(difference(&samples, sound.rate(), 440.0) < 0.12, "{rate}");
    }
}

#[test]
fn test_a_seek_goes_to_the_sample_and_beyond_the_end_to_the_end() {
    let data: Vec<u8> = (0..8000i16).flat_map(i16::to_le_bytes).collect();
    let mut sound = open(wav(1, 1, 8000, 2, &data)).unwrap();
    assert_eq!(sound.read(10).unwrap()[9], 9);
    sound.seek(0.5).unwrap();
    assert_eq!(sound.read(2).unwrap(), [4000, 4001]);
    sound.seek(100.0).unwrap();
    assert_eq!(sound.read(2).unwrap(), []);
    sound.seek(0.0).unwrap();
    assert_eq!(sound.read(2).unwrap(), [0, 1]);
}

// --- Ogg Opus, encoded here ------------------------------------------------------------------------------------------

fn ogg_checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| {
            sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    })
}

fn page(flags: u8, granule: u64, sequence: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let lacing: Vec<u8> = packets
        .iter()
        .flat_map(|packet| {
            let mut sizes = vec![255; packet.len() / 255];
            sizes.push((packet.len() % 255) as u8);
            sizes
        })
        .collect();
    let mut bytes = b"OggS\0".to_vec();
    bytes.push(flags);
    bytes.extend(granule.to_le_bytes());
    bytes.extend(7u32.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.push(lacing.len() as u8);
    bytes.extend(lacing);
    bytes.extend(packets.concat());
    let sum = ogg_checksum(&bytes);
    bytes[22..26].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A tone of so many seconds; the encoder's delay is skipped, the last page ends with the tone.
fn ogg_opus(seconds: u32) -> Vec<u8> {
    const PRE_SKIP: u16 = 312;
    let codec = Codec::new("opus", 48_000, 2, 96).unwrap();
    let mut encoder = Encoder::new(&codec, &EncoderOptions::default()).unwrap();
    let mut head = b"OpusHead\x01\x01".to_vec();
    head.extend(PRE_SKIP.to_le_bytes());
    head.extend(48_000u32.to_le_bytes());
    head.extend([0, 0, 0]);
    let mut bytes = page(2, 0, 0, &[head]);
    bytes.extend(page(0, 0, 1, &[b"OpusTags\0\0\0\0\0\0\0\0".to_vec()]));
    let mut pcm = tone(48_000, 440.0, 48_000 * seconds as usize);
    pcm.resize(pcm.len() + 960, 0);
    let packets: Vec<Vec<u8>> = pcm
        .chunks_exact(960)
        .map(|frame| {
            let mut out = [0; 1500];
            let length = encoder.encode(frame, &mut out);
            out[..length].to_vec()
        })
        .collect();
    let last = packets.len().div_ceil(25) - 1;
    let end = u64::from(48_000 * seconds) + u64::from(PRE_SKIP);
    for (number, packets) in packets.chunks(25).enumerate() {
        let granule = (number as u64 * 25 + packets.len() as u64) * 960;
        let (flags, granule) = if number == last { (4, end) } else { (0, granule) };
        bytes.extend(page(flags, granule, number as u32 + 2, packets));
    }
    bytes
}

#[test]
fn test_ogg_opus_is_as_long_as_what_was_encoded() {
    let mut sound = open(ogg_opus(3)).unwrap();
    let samples = all(&mut sound);
    assert_eq!((sound.rate(), samples.len()), (48_000, 144_000));
}

#[test]
fn test_a_seek_in_ogg_opus_goes_to_the_sample() {
    let mut sound = open(ogg_opus(5)).unwrap();
    let before = all(&mut sound);
    for place in [0usize, 30_000, 100_000, 200_000] {
        sound.seek(place as f64 / 48_000.0).unwrap();
        let after = all(&mut sound);
        assert_eq!(after.len(), before.len() - place);
        let worst = after
            .iter()
            .zip(&before[place..])
            .map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs())
            .max();
        assert!(worst.unwrap() < 400, "{worst:?} behind {place}");
    }
}

// --- FLAC, written here ----------------------------------------------------------------------------------------------

fn crc(width: u32, polynomial: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << (width - 8), |sum, _| {
            (sum << 1 ^ if sum >> (width - 1) & 1 == 1 { polynomial } else { 0 }) & ((1 << width) - 1)
        })
    })
}

/// Frames of 4096 samples as they are, 16 kHz mono 16 bits (RFC 9639 §9.2.5: verbatim).
fn flac(samples: &[i16]) -> Vec<u8> {
    let mut bytes = b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0".to_vec();
    let layout = 16_000u64 << 44 | 15 << 36 | samples.len() as u64;
    bytes.extend(layout.to_be_bytes());
    bytes.extend([0; 16]);
    for (number, block) in samples.chunks_exact(4096).enumerate() {
        let mut frame = vec![0xff, 0xf8, 0xc5, 0x08, number as u8];
        frame.push(crc(8, 7, &frame) as u8);
        frame.push(2);
        frame.extend(block.iter().flat_map(|sample| sample.to_be_bytes()));
        frame.extend((crc(16, 0x8005, &frame) as u16).to_be_bytes());
        bytes.extend(frame);
    }
    bytes
}

#[test]
fn test_flac_gives_the_samples_that_were_written_from_any_place_on() {
    let written = tone(16_000, 440.0, 4096 * 20);
    let mut sound = open(flac(&written)).unwrap();
    assert_eq!(sound.rate(), 16_000);
    assert!(all(&mut sound) == written);
    for place in [0, 5000, 70_000] {
        // A reader of its own each: one that was read to the end is not moved in.
        let mut sound = open(flac(&written)).unwrap();
        sound.seek(f64::from(place) / 16_000.0).unwrap();
        assert!(all(&mut sound) == written[place as usize..], "{place}");
    }
}

#[test]
fn test_metadata_of_flac_that_would_fill_the_memory_is_refused() {
    let mut bytes = b"fLaC".to_vec();
    bytes.extend([6, 0xff, 0xff, 0xff]);
    bytes.resize(bytes.len() + 0xff_ffff, 0);
    bytes.extend([0x86, 0, 0, 0]);
    assert!(open(bytes).unwrap_err().to_string().starts_with("is not played: FLAC with more"));
}

// --- MP3 -------------------------------------------------------------------------------------------------------------

/// Frames of silence, 128 kbit/s and 44.1 kHz.
fn silent_mp3(frames: usize) -> Vec<u8> {
    let mut frame = vec![0xff, 0xfb, 0x90, 0xc4];
    frame.resize(417, 0);
    frame.repeat(frames)
}

#[test]
fn test_mp3_is_found_behind_its_tag_and_some_junk() {
    let mut bytes = b"ID3\x04\0\0\0\0\x01\x00".to_vec();
    bytes.resize(bytes.len() + 128 + 300, 0);
    bytes.extend(silent_mp3(50));
    let samples = all(&mut open(bytes).unwrap());
    // 50 frames of 1152 at 44.1 kHz, at 48 kHz
    assert_eq!(samples.len(), 50 * 1152 * 160 / 147);
    assert!(samples.iter().all(|sample| *sample == 0));
}

#[test]
fn test_two_bytes_like_those_of_mp3_make_no_mp3() {
    let mut bytes = silent_mp3(1);
    bytes.extend([0; 1000]);
    assert!(matches!(open(bytes), Err(Unplayable::Unknown)));
}
