use super::*;
use crate::g711::Law;
use crate::random::Random;
use crate::tone::Tone;

/// "Hello?" of 0.9 s by `espeak-ng -v en -s 150`, brought to 8 kHz µ-law.
const HELLO: &[u8] = include_bytes!("hello.ulaw");

/// The changes that a listener tells of samples of 8 kHz, with the frame at which each began.
fn changes(samples: &[i16]) -> Vec<(Sound, u64, Change)> {
    let mut listener = Listener::default();
    let mut found = Vec::new();
    let (frames, _) = samples.as_chunks::<160>();
    for (n, samples) in frames.iter().enumerate() {
        let mut frame = Pcm::silence(8000);
        frame.samples_mut().copy_from_slice(samples);
        if let Some(change) = listener.hear(&frame) {
            found.push((change.sound, n as u64 + 1 - change.age, change));
        }
    }
    found
}

fn kinds(samples: &[i16]) -> Vec<Sound> {
    changes(samples).iter().map(|(sound, ..)| *sound).collect()
}

fn coded(samples: &[i16]) -> Vec<i16> {
    samples.iter().map(|sample| Law::Mu.decode(Law::Mu.encode(*sample))).collect()
}

fn tone(frequency_hz: f64, level_dbm0: f64, ms: usize) -> Vec<i16> {
    let mut samples = vec![0; ms * 8];
    Tone::new(frequency_hz, level_dbm0).fill(&mut samples);
    samples
}

fn silence(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

fn hello() -> Vec<i16> {
    HELLO.iter().map(|code| Law::Mu.decode(*code)).collect()
}

#[test]
fn test_a_tone_is_told_with_frequency_level_begin_and_end() {
    for (frequency, level) in [
        (350.0, -20.0),
        (440.0, -10.0),
        (1000.0, -16.0),
        (1100.0, -30.0),
        (2100.0, -13.0),
        (3000.0, -25.0),
    ] {
        let told = changes(&coded(&[silence(400), tone(frequency, level, 500), silence(400)].concat()));
        assert_eq!(
            told.iter().map(|each| each.0).collect::<Vec<_>>(),
            [Sound::Tone, Sound::Silence],
            "{frequency}"
        );
        assert!((told[0].2.frequency_hz - frequency).abs() < 4.0, "{told:?}");
        assert!(told[0].1.abs_diff(20) <= 2 && told[1].1.abs_diff(45) <= 2, "{told:?}");
        assert!((told[1].2.ended_dbm0 - level).abs() < 1.0, "{told:?}");
        assert_eq!(told[0].2.ended_dbm0, f64::NEG_INFINITY);
    }
}

#[test]
fn test_a_tone_below_hearing_is_silence_and_a_short_one_is_no_tone() {
    assert_eq!(kinds(&tone(1000.0, -55.0, 1000)), []);
    assert!(!kinds(&[silence(400), tone(1000.0, -10.0, 60), silence(400)].concat()).contains(&Sound::Tone));
}

#[test]
fn test_phase_reversals_do_not_end_an_answer_tone() {
    let mut samples = tone(2100.0, -12.0, 2000);
    // ITU-T V.8: every 450 ms.
    for (n, sample) in samples.iter_mut().enumerate() {
        if n / 3600 % 2 == 1 {
            *sample = -*sample;
        }
    }
    let told = changes(&coded(&[silence(200), samples, silence(300)].concat()));
    assert_eq!(told.iter().map(|each| each.0).collect::<Vec<_>>(), [Sound::Tone, Sound::Silence]);
}

#[test]
fn test_two_tones_and_noise_are_no_tone() {
    let mut random = Random::new(3);
    let dial: Vec<i16> = tone(350.0, -13.0, 1000)
        .iter()
        .zip(tone(440.0, -13.0, 1000))
        .map(|(a, b)| a + b)
        .collect();
    let noise: Vec<i16> = (0..8000).map(|_| i16::try_from(random.below(8000)).unwrap() - 4000).collect();
    for samples in [dial, noise] {
        assert!(!kinds(&samples).contains(&Sound::Tone));
    }
}

#[test]
fn test_speech_is_voice_from_its_begin_to_its_end() {
    let speech = hello();
    let frames = speech.len() as u64 / 160;
    let told = changes(&[silence(1000), speech, silence(1000)].concat());
    let voice: Vec<_> = told.iter().filter(|each| each.0 == Sound::Voice).collect();
    assert_eq!(voice.len(), 1, "{told:?}");
    assert!(!told.iter().any(|each| each.0 == Sound::Tone), "{told:?}");
    let end = told.last().unwrap();
    assert_eq!(end.0, Sound::Silence);
    // The file begins and ends with a little silence of its own.
    assert!((50..60).contains(&voice[0].1), "{told:?}");
    assert!(end.1 > voice[0].1 + 12 && end.1 <= 50 + frames + 8, "{told:?}");
    assert!((-35.0..0.0).contains(&end.2.ended_dbm0), "{told:?}");
}

#[test]
fn test_a_click_is_no_voice() {
    let mut samples = silence(2000);
    samples[8000..8080].fill(9000);
    assert!(!kinds(&samples).contains(&Sound::Voice));
}

#[test]
fn test_a_change_of_rate_is_heard_through() {
    let mut listener = Listener::default();
    let mut told = Vec::new();
    for n in 0..60u32 {
        let mut frame = Pcm::silence(if n < 30 { 8000 } else { 48_000 });
        let rate = f64::from(frame.rate());
        let first = f64::from(n) * rate / 50.0;
        for (k, sample) in frame.samples_mut().iter_mut().enumerate() {
            *sample = (8000.0 * ((first + k as f64) / rate * 1000.0 * std::f64::consts::TAU).sin()) as i16;
        }
        told.extend(listener.hear(&frame));
        assert!((listener.level_dbm0() - (3.14 + 20.0 * (8000.0f64 / 32_768.0).log10())).abs() < 0.1);
    }
    assert_eq!(told.iter().map(|change| change.sound).collect::<Vec<_>>(), [Sound::Tone]);
    assert_eq!(listener.sound(), Sound::Tone);
}
