//! G.711: µ-law and A-law, bit exact with the ITU's Software Tool Library (G.191), over 16-bit PCM.
//!
//! Sixteen-bit samples carry 14-bit µ-law values in their upper 14 bits and 13-bit A-law values in their upper 13. Negative samples are
//! folded by one's complement, as in G.191. The leg decodes for the tone detector and encodes tones.

/// Which of the two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// PCMU, payload type 0.
    Mu,
    /// PCMA, payload type 8.
    A,
}

impl Law {
    /// Encode one 16-bit sample.
    #[must_use]
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Law::Mu => encode_mu(sample),
            Law::A => encode_a(sample),
        }
    }

    /// Decode one byte to a 16-bit sample.
    #[must_use]
    pub fn decode(self, code: u8) -> i16 {
        // The table has an entry for every byte.
        self.table().get(usize::from(code)).copied().unwrap_or(0)
    }

    /// The decoded value of every code.
    #[must_use]
    pub const fn table(self) -> &'static [i16; 256] {
        match self {
            Law::Mu => &MU_TABLE,
            Law::A => &A_TABLE,
        }
    }
}

/// The bias that makes µ-law's segments start at powers of two, in 14-bit units.
const MU_BIAS: u16 = 33;
/// The largest biased magnitude.
const MU_CLIP: u16 = 0x1fff;

const MU_TABLE: [i16; 256] = table(Law::Mu);
const A_TABLE: [i16; 256] = table(Law::A);

const fn table(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = match law {
            Law::Mu => decode_mu(code as u8),
            Law::A => decode_a(code as u8),
        };
        code += 1;
    }
    table
}

const fn magnitude(sample: i16) -> u16 {
    if sample < 0 { (!sample) as u16 } else { sample as u16 }
}

const fn encode_mu(sample: i16) -> u8 {
    let biased = (magnitude(sample) >> 2) + MU_BIAS;
    let biased = if biased > MU_CLIP { MU_CLIP } else { biased };
    // 33..=0x1fff: the highest bit is bit 5 to 12, so that the segment is 0 to 7.
    let segment = 10 - biased.leading_zeros() as u8;
    let step = (biased >> (segment + 1) & 0x0f) as u8;
    let code = !(segment << 4 | step);
    if sample < 0 { code & 0x7f } else { code | 0x80 }
}

const fn decode_mu(code: u8) -> i16 {
    let inverted = !code;
    let segment = inverted >> 4 & 0x07;
    let step = (inverted & 0x0f) as i16;
    let value = ((step << 1 | 33) << segment) - 33;
    let sample = value << 2;
    if code & 0x80 == 0 { -sample } else { sample }
}

const fn encode_a(sample: i16) -> u8 {
    let value = magnitude(sample) >> 4;
    let code = if value < 32 {
        // The first two segments have the same step.
        value as u8
    } else {
        let segment = 12 - value.leading_zeros() as u8;
        segment << 4 | (value >> (segment - 1) & 0x0f) as u8
    };
    let signed = if sample < 0 { code } else { code | 0x80 };
    signed ^ 0x55
}

const fn decode_a(code: u8) -> i16 {
    let plain = code ^ 0x55;
    let segment = plain >> 4 & 0x07;
    let step = (plain & 0x0f) as i16;
    let half = (step << 4) + 8;
    let sample = if segment == 0 { half } else { (half + 0x100) << (segment - 1) };
    if plain & 0x80 == 0 { -sample } else { sample }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decision values of one sign after tables 1a and 2a of the recommendation: segment by segment, a start and a step.
    fn decisions(segments: &[(u32, u32)]) -> Vec<u32> {
        segments
            .iter()
            .flat_map(|(start, step)| (0..16).map(move |n| start + n * step))
            .collect()
    }

    fn a_decisions() -> Vec<u32> {
        // In units of 2/4096 of full scale: 12-bit magnitudes.
        decisions(&[(0, 1), (16, 1), (32, 2), (64, 4), (128, 8), (256, 16), (512, 32), (1024, 64)])
    }

    fn mu_decisions() -> Vec<u32> {
        // Table 2a: 0, 1, 3, 5 … 31, 35 … 95, 103 …: the first interval is half as wide.
        let mut starts: Vec<(u32, u32)> = Vec::new();
        let mut start = 31;
        for segment in 1..8 {
            starts.push((start, 1 << (segment + 1)));
            start += 16 << (segment + 1);
        }
        let mut values: Vec<u32> = std::iter::once(0).chain((0..15).map(|n| 1 + 2 * n)).collect();
        values.extend(decisions(&starts));
        values
    }

    fn interval(values: &[u32], magnitude: u32) -> u8 {
        u8::try_from(values.partition_point(|value| *value <= magnitude) - 1).unwrap()
    }

    #[test]
    fn test_every_sample_falls_into_the_interval_of_the_recommendation() {
        let (mu, a) = (mu_decisions(), a_decisions());
        for sample in i16::MIN..=i16::MAX {
            let folded = u32::from(if sample < 0 { !sample } else { sample }.unsigned_abs());
            let sign = if sample < 0 { 0 } else { 0x80 };
            assert_eq!(encode_mu(sample), (!interval(&mu, folded >> 2) & 0x7f) | sign, "µ {sample}");
            assert_eq!(encode_a(sample), (interval(&a, folded >> 4) | sign) ^ 0x55, "A {sample}");
        }
    }

    #[test]
    fn test_outputs_lie_in_the_middle_of_their_interval() {
        let (mut mu, mut a) = (mu_decisions(), a_decisions());
        mu.push(8159);
        a.push(2048);
        for code in 0..128u8 {
            let n = usize::from(code);
            let a_middle = i32::try_from((a[n] + a[n + 1]) * 8).unwrap();
            assert_eq!(i32::from(decode_a((code | 0x80) ^ 0x55)), a_middle);
            assert_eq!(i32::from(decode_a(code ^ 0x55)), -a_middle);
            let mu_middle = if code == 0 {
                0
            } else {
                i32::try_from((mu[n] + mu[n + 1]) * 2).unwrap()
            };
            assert_eq!(i32::from(decode_mu(!code)), mu_middle);
            assert_eq!(i32::from(decode_mu(!code & 0x7f)), -mu_middle);
        }
    }

    #[test]
    fn test_corner_codes_have_their_known_values() {
        assert_eq!([0x00, 0x80, 0x7f, 0xff].map(|code| Law::Mu.decode(code)), [-32124, 32124, 0, 0]);
        assert_eq!([0x2a, 0xaa, 0x55, 0xd5].map(|code| Law::A.decode(code)), [-32256, 32256, -8, 8]);
        assert_eq!(
            [0, 1000, -1000, 32767, -32768].map(|sample| Law::Mu.encode(sample)),
            [0xff, 0xce, 0x4e, 0x80, 0x00]
        );
        assert_eq!(
            [0, 1000, -1000, 32767, -32768].map(|sample| Law::A.encode(sample)),
            [0xd5, 0xfa, 0x7a, 0xaa, 0x2a]
        );
    }

    #[test]
    fn test_a_code_survives_decoding_and_encoding() {
        for code in 0..=255u8 {
            assert_eq!(Law::A.encode(Law::A.decode(code)), code);
            // µ-law has two zeros; one's complement folds both to the positive one.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(code)), expected);
        }
    }
}
