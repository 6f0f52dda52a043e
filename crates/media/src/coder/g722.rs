//! G.722 at 64 kbit/s (mode 1): 16 kHz audio in two sub-bands of ADPCM, six bits for the lower and two for the upper.
//!
//! After Recommendation ITU-T G.722 (09/2012), whose block names stand at the code; bit exact with libspandsp (`tests/oracle.rs`). A byte is
//! two samples. Coder and decoder together delay by 22 samples (1.4 ms).

use super::BadPayload;

/// Coefficients of the quadrature mirror filter (table 11): the first twelve, the rest are these mirrored.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Decision levels of the lower band's 60-level quantizer (table 14, LL6), the upper ends of the intervals.
const DECISIONS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980,
    2195, 2557, 2919,
];

/// Outputs of the 6-bit inverse quantizer of the lower band by code (tables 15 and 17); the four codes that are never sent come first.
#[rustfmt::skip]
const OUTPUTS_6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
    -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
    24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// Outputs of the 4-bit inverse quantizer, which adapts the lower band (table 18).
const OUTPUTS_4: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
];

/// Outputs of the upper band's inverse quantizer (table 20).
const OUTPUTS_2: [i32; 4] = [-7408, -1616, 7408, 1616];

/// Log scale factor multipliers of the lower band by 4-bit code (tables 18 and 22: WL of the magnitude).
const STEPS_4: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// Log scale factor multipliers of the upper band by code (WH of the magnitude).
const STEPS_2: [i32; 4] = [798, -214, 798, -214];

/// Antilogarithms (table 21, ILB).
const ANTILOG: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025, 3091, 3158, 3228,
    3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// The upper band's decision level (table 19).
const UPPER_DECISION: i32 = 564;

/// What the receiver's limiters let through (LIMIT, §6.2.1.6).
const LOWEST: i32 = -16_384;
const HIGHEST: i32 = 16_383;

const fn saturate(value: i32) -> i32 {
    if value > 32_767 {
        32_767
    } else if value < -32_768 {
        -32_768
    } else {
        value
    }
}

/// A table's entry; every index is masked to its table's length.
fn entry<const N: usize>(table: &[i32; N], index: usize) -> i32 {
    table.get(index).copied().unwrap_or(0)
}

/// The parts of a quantizer that differ between the two bands.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// The highest log scale factor.
    limit: i32,
    /// The exponent of the smallest linear one.
    exponent: i32,
}

const LOWER: Scale = Scale {
    limit: 18_432,
    exponent: 8,
};
const UPPER: Scale = Scale {
    limit: 22_528,
    exponent: 10,
};

/// One sub-band's predictor and quantizer scale: the same in coder and decoder.
#[derive(Clone, Debug)]
struct Band {
    scale: Scale,
    /// Log and linear scale factor (NB, DET).
    log_factor: i32,
    factor: i32,
    /// Prediction of the signal (S), and its share of the zeros (SZ).
    predicted: i32,
    predicted_zeros: i32,
    /// The last two reconstructed signals (R), newest first.
    reconstructed: [i32; 2],
    /// The last two partly reconstructed signals (P), newest first.
    partial: [i32; 2],
    /// Pole coefficients (A).
    poles: [i32; 2],
    /// The last six differences (D), newest first, and their coefficients (B).
    differences: [i32; 6],
    zeros: [i32; 6],
}

impl Band {
    const fn new(scale: Scale, factor: i32) -> Self {
        Band {
            scale,
            log_factor: 0,
            factor,
            predicted: 0,
            predicted_zeros: 0,
            reconstructed: [0; 2],
            partial: [0; 2],
            poles: [0; 2],
            differences: [0; 6],
            zeros: [0; 6],
        }
    }

    /// Follow a code: its quantized difference's table value and its step (INVQ, LOGSC, SCALE, then the predictor).
    fn follow(&mut self, output: i32, step: i32) {
        let difference = (self.factor * output) >> 15;
        self.log_factor = (((self.log_factor * 127) >> 7) + step).clamp(0, self.scale.limit);
        let mantissa = entry(&ANTILOG, (self.log_factor >> 6 & 31) as usize);
        let shift = self.scale.exponent - (self.log_factor >> 11);
        let linear = if shift < 0 { mantissa << -shift } else { mantissa >> shift };
        self.factor = linear << 2;
        self.predict(difference);
    }

    /// Adapt the predictor by a quantized difference and predict the next sample (block 4).
    fn predict(&mut self, difference: i32) {
        // RECONS, PARREC
        let reconstructed = saturate(self.predicted + difference);
        let partial = saturate(self.predicted_zeros + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);
        // DELAYA
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];
        let [d1, d2, d3, d4, d5, _] = self.differences;
        self.differences = [difference, d1, d2, d3, d4, d5];
        // FILTEP, FILTEZ, PREDIC
        let filter = |coefficient: &i32, value: &i32| (coefficient * saturate(value + value)) >> 15;
        let poles: i32 = self.poles.iter().zip(&self.reconstructed).map(|(a, r)| filter(a, r)).sum();
        let zeros: i32 = self.zeros.iter().zip(&self.differences).map(|(b, d)| filter(b, d)).sum();
        self.predicted_zeros = saturate(zeros);
        self.predicted = saturate(saturate(poles) + self.predicted_zeros);
    }

    fn adapt_poles(&mut self, partial: i32) {
        let [a1, a2] = self.poles;
        let same_sign = self.partial.map(|earlier| (earlier < 0) == (partial < 0));
        // UPPOL2
        let four_times = saturate(a1 << 2);
        let leaning = if same_sign[0] { saturate(-four_times) } else { four_times };
        let pull = if same_sign[1] { 128 } else { -128 };
        let second = ((leaning >> 7) + pull + ((a2 * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1
        let pull = if same_sign[0] { 192 } else { -192 };
        let bound = 15_360 - second;
        let first = saturate(pull + ((a1 * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// UPZERO
    fn adapt_zeros(&mut self, difference: i32) {
        let gain = if difference == 0 { 0 } else { 128 };
        for (zero, earlier) in self.zeros.iter_mut().zip(&self.differences) {
            let pull = if (*earlier < 0) == (difference < 0) { gain } else { -gain };
            *zero = saturate(pull + ((*zero * 32_640) >> 15));
        }
    }
}

/// The twenty-four samples that the quadrature mirror filters look at, twice in a row so that twelve pairs always lie together.
#[derive(Clone, Debug)]
struct History {
    pairs: [[i32; 2]; 24],
    oldest: usize,
}

impl History {
    const fn new() -> Self {
        History {
            pairs: [[0; 2]; 24],
            oldest: 0,
        }
    }

    /// Take the newest pair in; the sums over the firsts and, with the filter mirrored, over the seconds.
    fn filter(&mut self, pair: [i32; 2]) -> [i32; 2] {
        for copy in [self.oldest, self.oldest + 12] {
            if let Some(place) = self.pairs.get_mut(copy) {
                *place = pair;
            }
        }
        self.oldest = (self.oldest + 1) % 12;
        let window = self.pairs.get(self.oldest..).unwrap_or_default();
        let taps = QMF.iter().zip(QMF.iter().rev());
        taps.zip(window).fold([0, 0], |sums, ((forward, mirrored), pair)| {
            [sums[0] + forward * pair[0], sums[1] + mirrored * pair[1]]
        })
    }
}

/// Both bands and the filter that joins or splits them.
#[derive(Clone, Debug)]
struct State {
    lower: Band,
    upper: Band,
    history: History,
}

impl State {
    const fn new() -> Self {
        State {
            lower: Band::new(LOWER, 32),
            upper: Band::new(UPPER, 8),
            history: History::new(),
        }
    }

    /// Adapt both bands to a sent byte (the lower one by its upper four bits, so that a decoder of fewer bits follows too).
    fn follow(&mut self, code: u8) {
        let four = usize::from(code >> 2 & 0x0f);
        let two = usize::from(code >> 6);
        self.lower.follow(entry(&OUTPUTS_4, four), entry(&STEPS_4, four));
        self.upper.follow(entry(&OUTPUTS_2, two), entry(&STEPS_2, two));
    }
}

/// Bytes to samples.
#[derive(Clone, Debug)]
pub(super) struct Decoder(State);

impl Decoder {
    pub(super) const fn new() -> Self {
        Decoder(State::new())
    }

    pub(super) fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, BadPayload> {
        let (pairs, _) = out.as_chunks_mut::<2>();
        let pairs = pairs.get_mut(..payload.len()).ok_or(BadPayload)?;
        for (pair, code) in pairs.iter_mut().zip(payload) {
            *pair = self.decode_byte(*code);
        }
        Ok(payload.len() * 2)
    }

    fn decode_byte(&mut self, code: u8) -> [i16; 2] {
        let State { lower, upper, .. } = &self.0;
        // INVQBL, INVQAH, LIMIT: heard are all six bits
        let low = ((lower.factor * entry(&OUTPUTS_6, usize::from(code & 0x3f))) >> 15) + lower.predicted;
        let high = ((upper.factor * entry(&OUTPUTS_2, usize::from(code >> 6))) >> 15) + upper.predicted;
        let low = low.clamp(LOWEST, HIGHEST);
        let high = high.clamp(LOWEST, HIGHEST);
        self.0.follow(code);
        // RECA, RECB, ACCUMC, ACCUMD: one bit up from 15-bit signals
        let [second, first] = self.0.history.filter([low + high, low - high]);
        [first, second].map(|sum| saturate(sum >> 11) as i16)
    }
}

/// Samples to bytes.
#[derive(Clone, Debug)]
pub(super) struct Encoder(State);

impl Encoder {
    pub(super) const fn new() -> Self {
        Encoder(State::new())
    }

    /// Two samples a byte; a last odd sample is left out. 0 when the bytes do not fit.
    pub(super) fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> usize {
        let (pairs, _) = pcm.as_chunks::<2>();
        let Some(out) = out.get_mut(..pairs.len()) else { return 0 };
        for (code, pair) in out.iter_mut().zip(pairs) {
            *code = self.encode_pair(*pair);
        }
        pairs.len()
    }

    fn encode_pair(&mut self, pair: [i16; 2]) -> u8 {
        let [odd, even] = self.0.history.filter(pair.map(i32::from));
        // LOWT, HIGHT: one bit down to 15-bit signals
        let low = (even + odd) >> 14;
        let high = (even - odd) >> 14;
        let code = self.quantize_upper(high) << 6 | self.quantize_lower(low);
        self.0.follow(code);
        code
    }

    /// SUBTRA, QUANTL
    fn quantize_lower(&self, sample: i32) -> u8 {
        let Band { predicted, factor, .. } = self.0.lower;
        let error = saturate(sample - predicted);
        let magnitude = if error < 0 { !error } else { error };
        let level = DECISIONS.partition_point(|decision| (decision * factor) >> 12 <= magnitude) as u8;
        // table 16: 61 down to 32 for errors from zero up, 63, 62 and 31 down to 4 for those below
        match (error < 0, level) {
            (false, _) => 61 - level,
            (true, 0 | 1) => 63 - level,
            (true, _) => 33 - level,
        }
    }

    /// SUBTRA, QUANTH
    fn quantize_upper(&self, sample: i32) -> u8 {
        let Band { predicted, factor, .. } = self.0.upper;
        let error = saturate(sample - predicted);
        let magnitude = if error < 0 { !error } else { error };
        let is_large = magnitude >= (UPPER_DECISION * factor) >> 12;
        match (error < 0, is_large) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        }
    }
}
