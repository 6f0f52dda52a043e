//! Recordings are read back: pages by their checksums, Opus by libopus, to the sample.

use std::f64::consts::TAU;

use super::ogg::checksum;
use super::*;

/// A tone at a rate, its peak 8000.
fn tone(frequency: f64, rate: u32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|n| ((TAU * frequency * n as f64 / f64::from(rate)).sin() * 8000.0) as i16)
        .collect()
}

/// The peak of a tone among samples of 48 kHz.
fn level(samples: &[i16], frequency: f64) -> f64 {
    let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, sample)| {
        let angle = TAU * frequency * n as f64 / 48_000.0;
        (re + f64::from(*sample) * angle.cos(), im + f64::from(*sample) * angle.sin())
    });
    2.0 * f64::hypot(re, im) / samples.len() as f64
}

struct Page {
    flags: u8,
    position: u64,
    packets: Vec<Vec<u8>>,
}

/// Every whole page of a file; a checksum or a number that is wrong panics.
fn pages(mut file: &[u8]) -> Vec<Page> {
    let mut found = Vec::new();
    while file.len() >= 27 {
        assert_eq!(&file[..5], b"OggS\0");
        let segments = usize::from(file[26]);
        let lengths = &file[27..27 + segments];
        let size = 27 + segments + lengths.iter().map(|length| usize::from(*length)).sum::<usize>();
        if size > file.len() {
            break;
        }
        let mut plain = file[..size].to_vec();
        plain[22..26].fill(0);
        assert_eq!(u32::from_le_bytes(file[22..26].try_into().unwrap()), checksum(&plain));
        assert_eq!(u32::from_le_bytes(file[14..18].try_into().unwrap()), 77);
        assert_eq!(u32::from_le_bytes(file[18..22].try_into().unwrap()), found.len() as u32);
        let (mut packets, mut packet, mut at) = (Vec::new(), Vec::new(), 27 + segments);
        for length in lengths.iter().map(|length| usize::from(*length)) {
            packet.extend_from_slice(&file[at..at + length]);
            at += length;
            if length < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        assert!(packet.is_empty());
        found.push(Page {
            flags: file[5],
            position: u64::from_le_bytes(file[6..14].try_into().unwrap()),
            packets,
        });
        file = &file[size..];
    }
    found
}

/// Both channels of a file at 48 kHz, without what RFC 7845 §4.2 and §4.4 have cut off at its ends.
fn decoded(file: &[u8]) -> (Vec<i16>, Vec<i16>) {
    let pages = pages(file);
    let head = &pages[0].packets[0];
    assert_eq!(&head[..9], b"OpusHead\x01");
    assert_eq!(&pages[1].packets[0][..8], b"OpusTags");
    let pre_skip = usize::from(u16::from_le_bytes(head[10..12].try_into().unwrap()));
    let mut decoder = ::opus::Decoder::new(48_000, ::opus::Channels::Stereo).unwrap();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut out = [0; 2 * 5760];
    for packet in pages[2..].iter().flat_map(|page| &page.packets) {
        let count = decoder.decode(packet, &mut out, false).unwrap();
        left.extend(out[..2 * count].iter().step_by(2));
        right.extend(out[1..2 * count].iter().step_by(2));
    }
    let end = usize::try_from(pages.last().unwrap().position).unwrap();
    (left[pre_skip..end].to_vec(), right[pre_skip..end].to_vec())
}

/// A file of two tones, given in pieces of so many samples.
fn recorded(rate: u32, stereo: bool, samples: usize, piece: usize) -> Vec<u8> {
    let mut encoder = RecordingEncoder::new(Encoding::Opus, rate, stereo, 77).unwrap();
    let (left, right) = (tone(500.0, rate, samples), tone(1200.0, rate, samples));
    let mut file = Vec::new();
    encoder.begin(&mut file);
    for (left, right) in left.chunks(piece).zip(right.chunks(piece)) {
        encoder.encode(left, right, &mut file);
    }
    encoder.end(&mut file);
    file
}

#[test]
fn test_the_checksum_is_that_of_ogg() {
    // CRC-32 of POSIX without its final inversion.
    assert_eq!(checksum(b"123456789"), 0x89a1_897f);
}

#[test]
fn test_opus_ends_at_the_sample_where_the_recording_did() {
    for (rate, samples, piece) in [
        (8000, 16_000, 1600),
        (8000, 8001, 333),
        (48_000, 100_000, 9600),
        (16_000, 0, 1),
        (24_000, 1, 1),
    ] {
        let (left, _) = decoded(&recorded(rate, true, samples, piece));
        assert_eq!(left.len(), samples * 48_000 / rate as usize, "{rate} {samples} {piece}");
    }
}

#[test]
fn test_opus_keeps_two_parties_apart_and_mixes_them_into_one() {
    let (left, right) = decoded(&recorded(16_000, true, 48_000, 3200));
    let own = |samples: &[i16], frequency| level(&samples[48_000..96_000], frequency);
    assert!((own(&left, 500.0) / 8000.0 - 1.0).abs() < 0.1);
    assert!((own(&right, 1200.0) / 8000.0 - 1.0).abs() < 0.1);
    // 26 dB below the other party
    assert!(own(&left, 1200.0) < 400.0);
    assert!(own(&right, 500.0) < 400.0);
    let (mixed, _) = decoded(&recorded(16_000, false, 48_000, 3200));
    assert!((own(&mixed, 500.0) / 8000.0 - 1.0).abs() < 0.1);
    assert!((own(&mixed, 1200.0) / 8000.0 - 1.0).abs() < 0.1);
}

#[test]
fn test_positions_grow_and_only_the_first_and_last_page_are_marked() {
    let file = recorded(8000, false, 40_000, 1600);
    let pages = pages(&file);
    assert_eq!(pages.iter().filter(|page| page.flags == ogg::FIRST).count(), 1);
    assert_eq!((pages[0].flags, pages.last().unwrap().flags), (ogg::FIRST, ogg::LAST));
    assert!(pages[2..].windows(2).all(|pair| pair[0].position < pair[1].position));
    // a page a piece of 200 ms, and the end
    assert_eq!(pages.len(), 2 + 25 + 1);
    assert!(pages[2..27].iter().zip(1..).all(|(page, n)| page.position == 9600 * n));
}

#[test]
fn test_a_page_never_holds_more_than_a_second() {
    // ten seconds that a disk was too slow for
    let file = recorded(8000, true, 80_000, 80_000);
    let pages = pages(&file);
    assert!(pages.iter().all(|page| page.packets.len() <= 50));
    assert_eq!(decoded(&file).0.len(), 480_000);
}

#[test]
fn test_a_file_that_was_cut_off_is_whole_up_to_its_last_page() {
    let file = recorded(8000, true, 16_000, 1600);
    let whole = pages(&file).len();
    let cut = pages(&file[..file.len() - 1]);
    assert_eq!(cut.len(), whole - 1);
    assert_eq!(cut.last().unwrap().position, 96_000);
}

#[test]
fn test_pcm_and_g711_are_interleaved_or_mixed_with_a_limit() {
    let (left, right) = ([1000, 30_000, 5], [-200, 30_000]);
    let written = |name, stereo| {
        let mut encoder = RecordingEncoder::new(Encoding::named(name).unwrap(), 8000, stereo, 1).unwrap();
        let mut out = Vec::new();
        encoder.begin(&mut out);
        encoder.encode(&left, &right, &mut out);
        encoder.end(&mut out);
        out
    };
    let pcm = |samples: &[i16]| samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>();
    assert_eq!(written("pcm", true), pcm(&[1000, -200, 30_000, 30_000]));
    assert_eq!(written("pcm", false), pcm(&[800, 32_767]));
    assert_eq!(
        written("ulaw", true),
        [1000, -200, 30_000, 30_000].map(|sample| Law::Mu.encode(sample))
    );
    assert_eq!(written("alaw", false), [800, 32_767].map(|sample| Law::A.encode(sample)));
    assert!(Encoding::named("mp3").is_none());
    assert!(RecordingEncoder::new(Encoding::Opus, 32_000, false, 1).is_none());
}
