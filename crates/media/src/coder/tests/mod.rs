use proptest::prelude::*;

use super::*;

mod opus;

fn codec(name: &str, clock_rate: u32) -> Codec {
    Codec::new(name, clock_rate, 1, 96).unwrap()
}

fn pair(name: &str, clock_rate: u32) -> (Encoder, Decoder) {
    let codec = codec(name, clock_rate);
    (
        Encoder::new(&codec, &EncoderOptions::default()).unwrap(),
        Decoder::new(&codec).unwrap(),
    )
}

#[test]
fn test_what_is_relayed_or_no_voice_has_no_coder() {
    for (name, rate) in [("G729", 8000), ("telephone-event", 8000), ("CN", 8000), ("L16", 44_100)] {
        let codec = codec(name, rate);
        assert!(Decoder::new(&codec).is_none(), "{name}");
        assert!(Encoder::new(&codec, &EncoderOptions::default()).is_none(), "{name}");
    }
}

#[test]
fn test_g711_is_a_byte_a_sample_at_8_khz() {
    for (name, silence) in [("PCMU", 0xff), ("PCMA", 0xd5)] {
        let (mut encoder, mut decoder) = pair(name, 8000);
        assert_eq!((encoder.sample_rate(), decoder.sample_rate()), (8000, 8000));
        let (mut bytes, mut pcm) = ([0; 160], [1; MAX_SAMPLES]);
        assert_eq!(encoder.encode(&[0; 160], &mut bytes), 160);
        assert_eq!(bytes, [silence; 160], "{name}");
        assert_eq!(decoder.decode(&bytes, &mut pcm), Ok(160));
        assert!(pcm.iter().take(160).all(|sample| sample.abs() <= 8));
    }
}

#[test]
fn test_l16_keeps_every_sample_at_each_rate() {
    for rate in [8000, 16_000, 24_000, 32_000, 48_000] {
        let (mut encoder, mut decoder) = pair("L16", rate);
        assert_eq!((encoder.sample_rate(), decoder.sample_rate()), (rate, rate));
        let (mut bytes, mut pcm) = ([0; 8], [0; 4]);
        assert_eq!(encoder.encode(&[1, -2, i16::MAX, i16::MIN], &mut bytes), 8);
        assert_eq!(bytes, [0, 1, 0xff, 0xfe, 0x7f, 0xff, 0x80, 0]);
        assert_eq!(decoder.decode(&bytes, &mut pcm), Ok(4));
        assert_eq!(pcm, [1, -2, i16::MAX, i16::MIN]);
    }
}

#[test]
fn test_g722_is_16_khz_at_a_clock_of_8000() {
    let (mut encoder, mut decoder) = pair("G722", 8000);
    assert_eq!((encoder.sample_rate(), decoder.sample_rate()), (16_000, 16_000));
    let (mut bytes, mut pcm) = ([0; 160], [0; MAX_SAMPLES]);
    assert_eq!(encoder.encode(&[0; 320], &mut bytes), 160);
    assert_eq!(decoder.decode(&bytes, &mut pcm), Ok(320));
}

/// Full scale swings past the scale's ends between the filters; the sum stops there instead of wrapping around.
#[test]
fn test_g722_keeps_a_loud_tone_without_wrapping_around() {
    let (mut encoder, mut decoder) = pair("G722", 8000);
    let tone: Vec<i16> = (0..3200).map(|n| (32_767.0 * (f64::from(n) * 0.2).sin()) as i16).collect();
    let (mut bytes, mut pcm) = ([0; 1600], [0; MAX_SAMPLES]);
    assert_eq!(encoder.encode(&tone, &mut bytes), 1600);
    assert_eq!(decoder.decode(&bytes, &mut pcm), Ok(3200));
    let delayed = pcm[22..3200].iter().zip(&tone);
    let worst = delayed
        .skip(200)
        .map(|(heard, sent)| (i32::from(*heard) - i32::from(*sent)).abs())
        .max();
    assert!(worst < Some(4000), "{worst:?}");
}

#[test]
fn test_half_a_sample_is_a_bad_payload() {
    let (_, mut decoder) = pair("L16", 16_000);
    assert_eq!(decoder.decode(&[1, 2, 3], &mut [0; 8]), Err(BadPayload));
}

#[test]
fn test_what_does_not_fit_is_refused() {
    for name in ["PCMU", "L16", "G722"] {
        let (mut encoder, mut decoder) = pair(name, 8000);
        assert_eq!(decoder.decode(&[0; 20], &mut [0; 9]), Err(BadPayload), "{name}");
        assert_eq!(encoder.encode(&[0; 40], &mut [0; 19]), 0, "{name}");
    }
}

#[test]
fn test_waveform_codecs_leave_concealment_to_others() {
    for name in ["PCMU", "L16", "G722"] {
        let (_, mut decoder) = pair(name, 8000);
        assert_eq!(decoder.conceal(160, &mut [0; 160]), None);
        assert_eq!(decoder.recover(&[0; 160], 160, &mut [0; 160]), None);
    }
}

const CODECS: [(&str, u32, u32); 6] = [
    ("PCMU", 8000, 1),
    ("PCMA", 8000, 1),
    ("G722", 8000, 1),
    ("L16", 8000, 1),
    ("L16", 48_000, 1),
    ("opus", 48_000, 2),
];

proptest! {
    #[test]
    fn test_any_payloads_are_survived_and_no_more_is_written_than_said(
        which in 0..CODECS.len(),
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
        room in 0..=MAX_SAMPLES,
    ) {
        let (name, clock_rate, channels) = CODECS[which];
        let mut decoder = Decoder::new(&Codec::new(name, clock_rate, channels, 96).unwrap()).unwrap();
        for payload in payloads {
            let mut out = vec![0; room];
            if let Some(count) = decoder.recover(&payload, 960, &mut out) {
                prop_assert_eq!(count, 960);
            }
            if let Ok(count) = decoder.decode(&payload, &mut out) {
                prop_assert!(count <= room);
            }
            prop_assert!(decoder.conceal(480, &mut out).is_none_or(|count| count == 480 && room >= 480));
        }
    }

    #[test]
    fn test_any_samples_are_as_many_after_the_way(
        which in 0..CODECS.len(),
        pcm in proptest::collection::vec(any::<i16>(), 960),
    ) {
        let (name, clock_rate, channels) = CODECS[which];
        let codec = Codec::new(name, clock_rate, channels, 96).unwrap();
        let mut encoder = Encoder::new(&codec, &EncoderOptions::default()).unwrap();
        let mut decoder = Decoder::new(&codec).unwrap();
        let (mut bytes, mut out) = ([0; 2000], [0; MAX_SAMPLES]);
        let count = encoder.encode(&pcm, &mut bytes);
        prop_assert_eq!(decoder.decode(&bytes[..count], &mut out), Ok(960));
    }

    #[test]
    fn test_l16_and_coded_g711_come_through_unchanged(pcm in proptest::collection::vec(any::<i16>(), 0..300)) {
        let (mut bytes, mut out, mut again) = ([0; 600], [0; MAX_SAMPLES], [0; MAX_SAMPLES]);
        for (name, is_lossless) in [("L16", true), ("PCMA", false), ("PCMU", false)] {
            let (mut encoder, mut decoder) = pair(name, 8000);
            let count = encoder.encode(&pcm, &mut bytes);
            prop_assert_eq!(decoder.decode(&bytes[..count], &mut out), Ok(pcm.len()));
            if is_lossless {
                prop_assert_eq!(&out[..pcm.len()], &pcm[..]);
            }
            // What was coded once is coded again without loss.
            let count = encoder.encode(&out[..pcm.len()], &mut bytes);
            prop_assert_eq!(decoder.decode(&bytes[..count], &mut again), Ok(pcm.len()));
            prop_assert_eq!(&out[..pcm.len()], &again[..pcm.len()]);
        }
    }
}
