//! Time stretching in small steps: one period put in or taken out by overlap-add, so that the pitch stays and nothing clicks.

use crate::pitch::{self, Period, fade, sample};

/// Below this likeness a stretch would be heard.
const LIKE: f32 = 0.7;

/// Where the beginning of a signal may be stretched: the period to put in or take out, at most `most` samples. `None` where it would be
/// heard; `anyway` takes the best place there is.
#[must_use]
pub fn period(samples: &[i16], sample_rate: u32, most: usize, anyway: bool) -> Option<usize> {
    let Period { length, likeness } = pitch::of_start(samples, sample_rate, most)?;
    let used = samples.get(..2 * length)?;
    if pitch::is_quiet(used) {
        // Where nothing is to be heard, as much as may be.
        return Some(most.min(samples.len() / 2));
    }
    (anyway || likeness >= LIKE).then_some(length)
}

/// Take one period out of the first two: `samples` begins with the result, what lies behind it has moved up; says the new length.
pub fn remove(samples: &mut [i16], period: usize) -> usize {
    let length = samples.len();
    if period == 0 || 2 * period > length {
        return length;
    }
    for place in 0..period {
        blend(samples, place, place + period, place, period);
    }
    samples.copy_within(2 * period.., period);
    length - period
}

/// Put one period in behind the first: `samples` holds `length` and has room for `period` more; says the new length.
pub fn insert(samples: &mut [i16], length: usize, period: usize) -> usize {
    if period == 0 || 2 * period > length || length + period > samples.len() {
        return length;
    }
    samples.copy_within(period..length, 2 * period);
    // Now the first period, room, and the second period with all that follows: from the second's beginning back to the first's.
    for place in 0..period {
        let (Some(second), Some(first)) = (samples.get(2 * period + place), samples.get(place)) else {
            return length;
        };
        let value = sample(fade(f32::from(*second), f32::from(*first), place, period));
        if let Some(out) = samples.get_mut(period + place) {
            *out = value;
        }
    }
    length + period
}

/// Fade from the sample at `from` to that at `to`, written at `from`.
fn blend(samples: &mut [i16], from: usize, to: usize, place: usize, length: usize) {
    if let (Some(first), Some(second)) = (samples.get(from).copied(), samples.get(to).copied())
        && let Some(out) = samples.get_mut(from)
    {
        *out = sample(fade(f32::from(first), f32::from(second), place, length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    fn sine(frequency_hz: f64) -> Vec<i16> {
        let mut pcm = vec![0; 480];
        Tone::new(frequency_hz, -10.0).fill(&mut pcm);
        pcm
    }

    fn largest_step(pcm: &[i16]) -> u16 {
        pcm.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap()
    }

    #[test]
    fn test_a_sine_stays_a_sine_when_it_is_stretched() {
        for frequency_hz in [150.0, 210.0, 440.0, 1000.0] {
            let plain = sine(frequency_hz);
            let by = period(&plain[..320], 8000, 120, false).unwrap();
            let mut shorter = plain.clone();
            assert_eq!(remove(&mut shorter, by), 480 - by);
            let mut longer = plain.clone();
            longer.resize(600, 0);
            assert_eq!(insert(&mut longer, 480, by), 480 + by);
            let most = largest_step(&plain) * 11 / 10 + 2;
            assert!(largest_step(&shorter[..480 - by]) <= most, "{frequency_hz}");
            assert!(largest_step(&longer[..480 + by]) <= most, "{frequency_hz}");
        }
    }

    #[test]
    fn test_what_follows_is_kept() {
        let plain: Vec<i16> = (0..480).collect();
        let mut shorter = plain.clone();
        let length = remove(&mut shorter, 100);
        assert_eq!(shorter[100..length], plain[200..]);
        let mut longer = plain.clone();
        longer.resize(600, 0);
        let length = insert(&mut longer, 480, 100);
        assert_eq!((&longer[..100], &longer[200..length]), (&plain[..100], &plain[100..]));
    }

    #[test]
    fn test_noise_is_left_alone_and_silence_is_not() {
        let mut random = crate::random::Random::new(1);
        let noise: Vec<i16> = (0..320).map(|_| random.next_u16().cast_signed() / 2).collect();
        assert_eq!(period(&noise, 8000, 120, false), None);
        assert!(period(&noise, 8000, 120, true).is_some());
        assert_eq!(period(&[3; 320], 8000, 120, false), Some(120));
        assert_eq!(period(&[3; 320], 8000, 10, false), None);
    }

    #[test]
    fn test_a_stretch_that_does_not_fit_changes_nothing() {
        let mut pcm = [1, 2, 3, 4];
        assert_eq!((remove(&mut pcm, 3), insert(&mut pcm, 4, 2), remove(&mut pcm, 0)), (4, 4, 4));
        assert_eq!(pcm, [1, 2, 3, 4]);
    }
}
