//! From the sampling rate of a file to one of calls, sample for sample in place: what was in the file for a second lasts a second.

use std::collections::VecDeque;

use crate::codec::PCM_RATES;
use crate::resample::Resampler;

/// The rates that are played, in Hz. Not any number is: a filter between two that share no factor would be long.
pub(super) const FILE_RATES: [u32; 13] = [
    8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000,
];

/// The rate of calls at which a file of this rate is played; `None` when it is not.
pub(super) fn rate_of_calls(rate: u32) -> Option<u32> {
    let above = PCM_RATES.into_iter().find(|own| *own >= rate);
    FILE_RATES.contains(&rate).then(|| above.unwrap_or(48_000))
}

/// Converts one stream.
#[derive(Debug)]
pub(super) struct Converter {
    resampler: Resampler,
    from: u64,
    to: u64,
    block: usize,
    waiting: Vec<i16>,
    out: Vec<i16>,
    /// Samples that come out before the first one that went in.
    early: usize,
    taken: u64,
    given: u64,
}

impl Converter {
    /// `None` where there is nothing to convert.
    pub(super) fn new(from: u32, to: u32) -> Option<Self> {
        let block = (from as usize / 50).next_multiple_of(Resampler::step(from, to));
        let resampler = (from != to).then(|| Resampler::of_files(from, to, block))?;
        let early = resampler.delay().as_secs_f64() * f64::from(to);
        Some(Converter {
            resampler,
            from: u64::from(from),
            to: u64::from(to),
            block,
            waiting: Vec::new(),
            out: vec![0; block * to as usize / from as usize],
            early: early.round() as usize,
            taken: 0,
            given: 0,
        })
    }

    /// Convert samples; some of them come out with the next ones.
    pub(super) fn convert(&mut self, pcm: &[i16], out: &mut VecDeque<i16>) {
        self.taken += pcm.len() as u64;
        self.feed(pcm, out);
    }

    /// Nothing more comes: have out what is still inside.
    pub(super) fn end(&mut self, out: &mut VecDeque<i16>) {
        let due = self.taken * self.to / self.from;
        let silence = vec![0; self.block];
        while self.given < due {
            self.feed(&silence, out);
        }
        for _ in due..self.given {
            out.pop_back();
        }
        self.given = due;
    }

    fn feed(&mut self, pcm: &[i16], out: &mut VecDeque<i16>) {
        self.waiting.extend_from_slice(pcm);
        let blocks = self.waiting.chunks_exact(self.block);
        let done = self.waiting.len() - blocks.remainder().len();
        for block in blocks {
            let count = self.resampler.process(block, &mut self.out);
            let early = self.early.min(count);
            self.early -= early;
            let fresh = self.out.get(early..count).unwrap_or_default();
            self.given += fresh.len() as u64;
            out.extend(fresh);
        }
        self.waiting.drain(..done);
    }
}
