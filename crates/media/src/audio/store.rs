//! Decoded audio that waits for its tick: what a packet held beyond one frame, and the place where time is stretched.

use crate::coder::MAX_SAMPLES;
use crate::stretch;

/// A packet of 120 ms at 48 kHz, behind what was left and what stretching put in.
const CAPACITY: usize = MAX_SAMPLES + 2560;

/// Samples at one rate, first in, first out.
#[derive(Debug)]
pub(super) struct Store {
    samples: Box<[i16]>,
    length: usize,
}

impl Store {
    pub(super) fn new() -> Self {
        Store {
            samples: vec![0; CAPACITY].into_boxed_slice(),
            length: 0,
        }
    }

    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// Put samples behind the others; what does not fit is cut off.
    pub(super) fn append(&mut self, pcm: &[i16]) {
        for (slot, sample) in self.samples.iter_mut().skip(self.length).zip(pcm) {
            *slot = *sample;
            self.length += 1;
        }
    }

    /// Fill `out` from the front; zeros where there is not enough.
    pub(super) fn take(&mut self, out: &mut [i16]) {
        let count = out.len().min(self.length);
        for (place, sample) in out.iter_mut().enumerate() {
            *sample = self.samples.get(place).copied().filter(|_| place < count).unwrap_or(0);
        }
        self.samples.copy_within(count..self.length, 0);
        self.length -= count;
    }

    fn held(&self) -> &[i16] {
        self.samples.get(..self.length).unwrap_or(&[])
    }

    /// Take out at most `most` samples; says how many.
    pub(super) fn remove(&mut self, sample_rate: u32, most: usize, anyway: bool) -> usize {
        let Some(period) = stretch::period(self.held(), sample_rate, most, anyway) else {
            return 0;
        };
        let before = self.length;
        if let Some(held) = self.samples.get_mut(..before) {
            self.length = stretch::remove(held, period);
        }
        before - self.length
    }

    /// Put in at most `most` samples; says how many.
    pub(super) fn insert(&mut self, sample_rate: u32, most: usize, anyway: bool) -> usize {
        let Some(period) = stretch::period(self.held(), sample_rate, most, anyway) else {
            return 0;
        };
        let before = self.length;
        self.length = stretch::insert(&mut self.samples, before, period);
        self.length - before
    }

    /// Bring what is held to another rate, by straight lines: it is less than a frame.
    pub(super) fn convert(&mut self, from: u32, to: u32) {
        const MOST: usize = 2048;
        let mut before = [0i16; MOST];
        let count = self.length.min(MOST);
        if let (Some(copy), Some(held)) = (before.get_mut(..count), self.samples.get(..count)) {
            copy.copy_from_slice(held);
        }
        let (from, to) = (from.max(1) as usize, to.max(1) as usize);
        let length = (count * to / from).min(MOST);
        for (place, slot) in self.samples.iter_mut().take(length).enumerate() {
            let (index, rest) = (place * from / to, place * from % to);
            let left = before.get(index).copied().map_or(0, i64::from);
            let right = before
                .get((index + 1).min(count.saturating_sub(1)))
                .copied()
                .map_or(left, i64::from);
            // Between two samples of sixteen bits.
            *slot = (left + (right - left) * rest as i64 / to as i64) as i16;
        }
        self.length = length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_samples_leave_in_the_order_they_came() {
        let mut store = Store::new();
        store.append(&[1, 2, 3]);
        store.append(&[4, 5]);
        let mut out = [0; 3];
        store.take(&mut out);
        assert_eq!((out, store.length()), ([1, 2, 3], 2));
        store.take(&mut out);
        assert_eq!((out, store.length()), ([4, 5, 0], 0));
    }

    #[test]
    fn test_more_than_fits_is_cut_off() {
        let mut store = Store::new();
        store.append(&[1; 2 * CAPACITY]);
        assert_eq!(store.length(), CAPACITY);
        assert_eq!(store.insert(8000, 120, true), 0);
    }

    #[test]
    fn test_what_is_left_changes_its_rate() {
        let mut store = Store::new();
        store.append(&[0, 100, 200, 300]);
        store.convert(8000, 16_000);
        let mut out = [0; 8];
        store.take(&mut out);
        assert_eq!(out, [0, 50, 100, 150, 200, 250, 300, 300]);
        store.append(&[0, 10, 20, 30, 40, 50]);
        store.convert(48_000, 16_000);
        assert_eq!(store.length(), 2);
    }
}
