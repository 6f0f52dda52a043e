//! L16: uncompressed 16-bit samples in network byte order (RFC 3551 §4.5.11).

use super::BadPayload;

/// 20 ms at 48,000 Hz: longer payloads have no room in a packet.
const LONGEST_PAYLOAD: u32 = 1_920;

/// The longest packet at this rate, in whole tens of milliseconds.
pub(super) fn longest_packet_ms(rate: u32) -> u32 {
    let bytes_in_10_ms = rate / 100 * 2;
    LONGEST_PAYLOAD.checked_div(bytes_in_10_ms).unwrap_or(1).max(1) * 10
}

/// Samples of a payload; a payload of odd length is refused.
pub(super) fn decode(payload: &[u8], out: &mut [i16]) -> Result<usize, BadPayload> {
    let (pairs, rest) = payload.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(BadPayload);
    }
    let out = out.get_mut(..pairs.len()).ok_or(BadPayload)?;
    for (sample, pair) in out.iter_mut().zip(pairs) {
        *sample = i16::from_be_bytes(*pair);
    }
    Ok(pairs.len())
}

/// Bytes of the samples; 0 when they do not fit.
pub(super) fn encode(pcm: &[i16], out: &mut [u8]) -> usize {
    let (pairs, _) = out.as_chunks_mut::<2>();
    let Some(pairs) = pairs.get_mut(..pcm.len()) else { return 0 };
    for (pair, sample) in pairs.iter_mut().zip(pcm) {
        *pair = sample.to_be_bytes();
    }
    pcm.len() * 2
}
