//! Where MP3 begins: behind ID3v2 tags, at a frame that another one follows. What this finds, symphonia reads.
//!
//! ISO/IEC 11172-3 §2.4.2.3 and 13818-3 (the header of a frame), "ID3 tag version 2.4.0 - Main Structure" §3.1.

use std::io;

use super::input::Input;

/// How far a beginning is looked at, in bytes.
pub(super) const SEARCHED: usize = 16_384;
/// How far from the beginning the first frame may be.
const MAX_JUNK: usize = 4096;
/// Tags in front of it.
const MAX_TAGS: usize = 8;

const BIT_RATES_1: [usize; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BIT_RATES_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const RATES: [usize; 3] = [44_100, 48_000, 32_000];

/// Skip the ID3v2 tags in front of everything else.
pub(super) fn skip_tags(input: &mut Input) -> io::Result<()> {
    for _ in 0..MAX_TAGS {
        let Some(length) = tag_length(&input.peek(10)?) else { break };
        input.skip(length)?;
    }
    Ok(())
}

fn tag_length(head: &[u8]) -> Option<u64> {
    let [b'I', b'D', b'3', _, _, flags, size @ ..] = head else {
        return None;
    };
    if size.len() != 4 || size.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let length = size.iter().fold(0, |length, byte| length << 7 | u64::from(*byte));
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    Some(10 + length + footer)
}

/// The length in bytes of the Layer III frame that begins like this.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let [0xff, second, third, ..] = bytes else { return None };
    if second & 0xe0 != 0xe0 || second >> 1 & 3 != 1 {
        return None;
    }
    let (bit_rates, samples, divisor) = match second >> 3 & 3 {
        3 => (BIT_RATES_1, 144, 1),
        2 => (BIT_RATES_2, 72, 2),
        0 => (BIT_RATES_2, 72, 4),
        _ => return None,
    };
    let bit_rate = bit_rates.get(usize::from(third >> 4).checked_sub(1)?)?;
    let rate = RATES.get(usize::from(third >> 2 & 3))? / divisor;
    Some(samples * bit_rate * 1000 / rate + usize::from(third >> 1 & 1))
}

/// The place of the first frame that another one, or the end, follows.
pub(super) fn first_frame(head: &[u8]) -> Option<usize> {
    (0..head.len().min(MAX_JUNK)).find(|&at| {
        let rest = head.get(at..).unwrap_or_default();
        frame_length(rest).is_some_and(|length| match rest.get(length..) {
            Some([]) => true,
            Some(next) => frame_length(next).is_some(),
            None => false,
        })
    })
}
