//! The period of a signal, by normalized cross-correlation: what concealment repeats and stretching takes out or puts in.

/// Mean power below this is silence: -50 dBov.
const QUIET: f32 = 32_768.0 * 32_768.0 * 1e-5;
/// The least energy that a correlation is divided by, a sample: what rounding makes of silence.
const FLOOR: f32 = 4.0;

/// How far apart two like pieces of a signal lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Period {
    /// In samples.
    pub(crate) length: usize,
    /// 1 for a signal that repeats itself, 0 for one that does not.
    pub(crate) likeness: f32,
}

/// Likeness of the `width` samples from `a` to those from `b`, by every `step`th of them; -1 beyond the signal's end.
fn likeness(samples: &[i16], a: usize, b: usize, width: usize, step: usize) -> f32 {
    let (Some(a), Some(b)) = (samples.get(a..a + width), samples.get(b..b + width)) else {
        return -1.0;
    };
    let (mut cross, mut power_a, mut power_b, mut count) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
    for (x, y) in a.iter().zip(b).step_by(step.max(1)) {
        let (x, y) = (f32::from(*x), f32::from(*y));
        cross += x * y;
        power_a += x * x;
        power_b += y * y;
        count += 1.0;
    }
    let floor = FLOOR * count.max(1.0);
    cross / (power_a.max(floor) * power_b.max(floor)).sqrt()
}

/// The lag from `least` to `most` at which `score(lag)` is highest: coarse by `stride`, then every lag around the best.
fn search(least: usize, most: usize, stride: usize, score: impl Fn(usize) -> f32) -> Period {
    let best = |lags: &mut dyn Iterator<Item = usize>| {
        lags.map(|length| Period {
            length,
            likeness: score(length),
        })
        .fold(None, |best: Option<Period>, next| match best {
            Some(best) if best.likeness >= next.likeness => Some(best),
            _ => Some(next),
        })
    };
    let nothing = Period {
        length: least,
        likeness: 0.0,
    };
    let coarse = best(&mut (least..=most).step_by(stride.max(1))).unwrap_or(nothing);
    let from = coarse.length.saturating_sub(stride).max(least);
    let to = (coarse.length + stride).min(most);
    best(&mut (from..=to)).unwrap_or(coarse)
}

/// The period of the end of a signal: its last 20 ms against what lies 5 to 15 ms before (G.711 Appendix I.2.2).
pub(crate) fn of_end(samples: &[i16], sample_rate: u32) -> Period {
    let scale = (sample_rate / 8000).max(1) as usize;
    let width = (160 * scale).min(samples.len());
    let end = samples.len() - width;
    search(40 * scale, 120 * scale, 2 * scale, |lag| {
        end.checked_sub(lag)
            .map_or(-1.0, |before| likeness(samples, end, before, width, scale))
    })
}

/// The period of the beginning of a signal, from 2.5 ms to `most` samples and no more than half of the signal.
pub(crate) fn of_start(samples: &[i16], sample_rate: u32, most: usize) -> Option<Period> {
    let scale = (sample_rate / 8000).max(1) as usize;
    let (least, most) = (20 * scale, most.min(samples.len() / 2));
    if most < least {
        return None;
    }
    let width = (samples.len() - most).min(80 * scale);
    Some(search(least, most, scale, |lag| likeness(samples, 0, lag, width, scale)))
}

/// Whether nobody would hear what happens here.
pub(crate) fn is_quiet(samples: &[i16]) -> bool {
    let energy: f32 = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum();
    energy <= QUIET * samples.len() as f32
}

/// A sample of 16 bits.
pub(crate) const fn sample(value: f32) -> i16 {
    // `as` saturates, and makes zero of what is no number.
    value as i16
}

/// From one value to another, `place` steps of `length` on the way.
pub(crate) fn fade(from: f32, to: f32, place: usize, length: usize) -> f32 {
    from + (to - from) * (place + 1) as f32 / (length + 1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    fn sine(frequency_hz: f64, samples: usize) -> Vec<i16> {
        let mut pcm = vec![0; samples];
        Tone::new(frequency_hz, -10.0).fill(&mut pcm);
        pcm
    }

    #[test]
    fn test_the_period_of_a_sine_is_a_multiple_of_its_own() {
        let period = of_end(&sine(100.0, 390), 8000);
        assert_eq!(period.length, 80);
        assert!(period.likeness > 0.999);
        let period = of_start(&sine(200.0, 320), 8000, 120).unwrap();
        assert!(period.length.is_multiple_of(40) && period.likeness > 0.999, "{period:?}");
    }

    #[test]
    fn test_a_short_signal_has_no_period() {
        assert_eq!(of_start(&[1; 30], 8000, 120), None);
        assert_eq!(of_end(&[], 8000).length, 40);
    }

    #[test]
    fn test_quiet_is_below_minus_50_dbov() {
        assert!(is_quiet(&[100; 160]) && !is_quiet(&[110; 160]));
    }
}
