//! How loud the members of a room are, and which of them is the one who speaks.
//!
//! A level is the power of what a member says, quick to rise and slow to fall. The speaker changes only when another was clearly louder for
//! a while, and there is none only after a pause, so that neither a cough nor the gap between two words changes it.

use super::Pcm;

/// The power of a sine of full scale, and its level in dBm0 ([`crate::tone::FULL_SCALE_DBM0`]).
const FULL_POWER: f32 = 32_768.0 * 32_768.0 / 2.0;
/// What silence is called, in dBm0.
const FLOOR_DBM0: f32 = -90.0;
/// How much of the way to a louder, or to a quieter frame the level goes at each tick.
const ATTACK: f32 = 0.5;
const RELEASE: f32 = 0.15;
/// Nobody begins to speak below this power: -40 dBm0.
const BEGIN: f32 = 26_100.0;
/// Who speaks has stopped below this one: -50 dBm0.
const END: f32 = 2_610.0;
/// Another has to be louder by so much: 6 dB.
const MARGIN: f32 = 4.0;
/// For so many ticks of 20 ms: 200 ms.
const LEAD_TICKS: u32 = 10;
/// After so many ticks of quiet nobody speaks: 1 s.
const PAUSE_TICKS: u32 = 50;

/// How loud a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    power: f32,
}

impl Level {
    /// It says this; `None` for nothing.
    pub fn take(&mut self, frame: Option<&Pcm>) {
        let power = frame.map_or(0.0, power);
        let step = if power > self.power { ATTACK } else { RELEASE };
        self.power += (power - self.power) * step;
    }

    /// The mean square of its samples.
    #[must_use]
    pub const fn power(&self) -> f32 {
        self.power
    }

    /// In dBm0, as of a sine of that power; -90 for silence.
    #[must_use]
    pub fn dbm0(&self) -> f32 {
        let decibels = 10.0 * (self.power / FULL_POWER).log10() + crate::tone::FULL_SCALE_DBM0 as f32;
        if decibels.is_finite() {
            decibels.max(FLOOR_DBM0)
        } else {
            FLOOR_DBM0
        }
    }
}

fn power(frame: &Pcm) -> f32 {
    let samples = frame.samples();
    let sum: i64 = samples
        .iter()
        .map(|sample| i64::from(i32::from(*sample) * i32::from(*sample)))
        .sum();
    sum as f32 / samples.len().max(1) as f32
}

/// Who speaks in a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speaker {
    current: Option<u64>,
    rival: Option<u64>,
    lead: u32,
    quiet: u32,
}

impl Speaker {
    /// Who speaks, by its number.
    #[must_use]
    pub const fn current(&self) -> Option<u64> {
        self.current
    }

    /// 20 ms pass, with these powers of those who are heard.
    pub fn tick(&mut self, powers: impl Iterator<Item = (u64, f32)>) {
        let (mut own, mut loudest) = (0.0, (None, 0.0));
        for (number, power) in powers {
            if self.current == Some(number) {
                own = power;
            } else if power > loudest.1 {
                loudest = (Some(number), power);
            }
        }
        self.challenge(loudest.0.filter(|_| loudest.1 >= BEGIN && loudest.1 >= own * MARGIN));
        self.pause(own);
    }

    /// This one is clearly the loudest now.
    fn challenge(&mut self, rival: Option<u64>) {
        self.lead = if rival.is_some() && rival == self.rival { self.lead + 1 } else { 1 };
        self.rival = rival;
        if rival.is_some() && self.lead >= LEAD_TICKS {
            (self.current, self.rival, self.quiet) = (rival, None, 0);
        }
    }

    fn pause(&mut self, own: f32) {
        self.quiet = if own < END { self.quiet.saturating_add(1) } else { 0 };
        if self.quiet > PAUSE_TICKS {
            self.current = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: f32 = 1e6;

    fn after(speaker: &mut Speaker, ticks: u32, powers: &[(u64, f32)]) -> Option<u64> {
        for _ in 0..ticks {
            speaker.tick(powers.iter().copied());
        }
        speaker.current()
    }

    #[test]
    fn test_a_level_is_the_power_of_a_sine_and_falls_slowly() {
        let mut frame = Pcm::silence(8000);
        crate::tone::Tone::new(1000.0, -20.0).fill(frame.samples_mut());
        let mut level = Level::default();
        assert_eq!(level.dbm0(), -90.0);
        for _ in 0..20 {
            level.take(Some(&frame));
        }
        assert!((level.dbm0() + 20.0).abs() < 0.1, "{}", level.dbm0());
        level.take(None);
        assert!((-21.0..-20.5).contains(&level.dbm0()), "{}", level.dbm0());
    }

    #[test]
    fn test_who_is_heard_for_a_while_is_the_speaker_and_a_cough_is_not() {
        let mut speaker = Speaker::default();
        assert_eq!(after(&mut speaker, 9, &[(1, LOUD), (2, 0.0)]), None);
        assert_eq!(after(&mut speaker, 1, &[(1, LOUD), (2, 0.0)]), Some(1));
        assert_eq!(after(&mut speaker, 9, &[(1, 0.0), (2, LOUD)]), Some(1));
        assert_eq!(after(&mut speaker, 9, &[(1, LOUD), (2, LOUD)]), Some(1));
        assert_eq!(after(&mut speaker, 9, &[(1, 0.0), (2, LOUD)]), Some(1));
        assert_eq!(after(&mut speaker, 1, &[(1, 0.0), (2, LOUD)]), Some(2));
    }

    #[test]
    fn test_another_has_to_be_clearly_louder() {
        let mut speaker = Speaker::default();
        after(&mut speaker, 10, &[(1, LOUD), (2, 0.0)]);
        assert_eq!(after(&mut speaker, 500, &[(1, LOUD), (2, LOUD * 3.9)]), Some(1));
        assert_eq!(after(&mut speaker, 10, &[(1, LOUD), (2, LOUD * 4.1)]), Some(2));
    }

    #[test]
    fn test_after_a_pause_nobody_speaks_and_neither_does_who_is_gone() {
        let mut speaker = Speaker::default();
        after(&mut speaker, 20, &[(1, LOUD)]);
        assert_eq!(after(&mut speaker, 50, &[(1, 0.0)]), Some(1));
        assert_eq!(after(&mut speaker, 1, &[(1, 0.0)]), None);
        after(&mut speaker, 20, &[(1, LOUD)]);
        assert_eq!(after(&mut speaker, 51, &[]), None);
    }

    #[test]
    fn test_noise_below_speech_makes_nobody_the_speaker() {
        assert_eq!(after(&mut Speaker::default(), 500, &[(1, BEGIN - 100.0), (2, 10.0)]), None);
    }
}
