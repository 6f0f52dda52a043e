//! Speech is not taken for digits: sentences that espeak-ng speaks in several languages and voices, coded by G.711.
//!
//! espeak-ng (Debian's package, which `tests/interop/install` installs) makes the corpus. Without it this test says that it was skipped; with
//! `TRUNKLINE_REQUIRE_INTEROP=1` that is a failure. What it shows holds for this corpus, no more.
#![allow(clippy::unwrap_used)] // a test may fail

use std::f64::consts::PI;
use std::process::Command;

use trunkline_media::g711::Law;
use trunkline_media::inband::{Detector, tones};

/// What espeak-ng writes.
const RATE: f64 = 22_050.0;
/// Speech is at about -16 dBm0 on the line when its root mean square is this.
const LOUDNESS: f64 = 3600.0;
/// The first two lists of the Harvard sentences (IEEE 1969), and words with many nasals, vowels and numbers, in four languages.
const TEXTS: [(&str, &str); 5] = [
    (
        "en-us",
        "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well. \
         These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of lemons makes fine punch. \
         The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage. Four hours of steady work faced us. \
         A large size in stockings is hard to sell.",
    ),
    (
        "en-gb",
        "The boy was there when the sun rose. A rod is used to catch pink salmon. The source of the huge river is the clear spring. \
         Kick the ball straight and follow through. Help the woman get back to her feet. A pot of tea helps to pass the evening. \
         Smoky fires lack flame and heat. The soft cushion broke the man's fall. The salt breeze came across from the sea. \
         The girl at the booth sold fifty bonds.",
    ),
    (
        "de",
        "Heute ist schönes Frühlingswetter. Die Sonne lacht am blauen Himmel. Am Zaune steht eine Regentonne. Der gelbe Küchenofen sorgt für \
         Wärme. Ihr könnt eure Koffer im Zuge lassen. Vierundzwanzig, siebenundneunzig, dreihundertelf, null, acht, fünf. Wir wohnen am \
         Meer, neben der alten Mühle.",
    ),
    (
        "fr",
        "Le petit chat dort sur le fauteuil. Une lune immense monte au dessus de la mer. Quatre-vingt-dix-sept, soixante et onze, zéro, huit. \
         Mon oncle a mangé un bon pain rond. Où allez-vous demain matin, monsieur? La rue est longue et la maison est loin.",
    ),
    (
        "es",
        "El perro corre por la calle mayor. Mañana por la mañana iremos al mercado. Cero, uno, dos, tres, cuatro, cinco, seis, siete, ocho, \
         nueve. La luna ilumina la montaña y el mar. Mi hermano vive en un barrio antiguo de la ciudad.",
    ),
];
const VARIANTS: [&str; 5] = ["", "+m3", "+m7", "+f2", "+f4"];
const PITCHES: [&str; 3] = ["25", "50", "80"];

/// The samples that espeak-ng speaks; `None` where there is none.
fn speak(voice: &str, pitch: &str, text: &str) -> Option<Vec<i16>> {
    let out = Command::new("espeak-ng")
        .args(["--stdout", "-v", voice, "-p", pitch, text])
        .output();
    let Ok(out) = out else {
        assert_ne!(std::env::var("TRUNKLINE_REQUIRE_INTEROP").as_deref(), Ok("1"), "no espeak-ng");
        eprintln!("skipped: no espeak-ng on this machine (see tests/interop/install)");
        return None;
    };
    assert!(out.status.success(), "{voice}");
    let (header, body) = out.stdout.split_at(44);
    assert_eq!(u32::from_le_bytes(header[24..28].try_into().unwrap()), RATE as u32);
    Some(body.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
}

/// The samples at 8 kHz, band-limited as a telephone's, and at a speaker's usual level.
fn on_the_line(speech: &[i16]) -> Vec<i16> {
    const HALF: i64 = 24;
    let (step, cutoff) = (RATE / 8000.0, 3400.0 / RATE * 2.0);
    let count = (speech.len() as f64 / step) as usize;
    let narrow: Vec<f64> = (0..count)
        .map(|n| {
            let centre = n as f64 * step;
            let first = centre.floor() as i64 - HALF;
            (first..=first + 2 * HALF)
                .filter_map(|at| {
                    let sample = speech.get(usize::try_from(at).ok()?)?;
                    let x = at as f64 - centre;
                    let sinc = if x.abs() < 1e-9 {
                        cutoff
                    } else {
                        (PI * cutoff * x).sin() / (PI * x)
                    };
                    let window = 0.5 + 0.5 * (PI * x / (HALF + 1) as f64).cos();
                    Some(f64::from(*sample) * sinc * window)
                })
                .sum()
        })
        .collect();
    let power = narrow.iter().map(|sample| sample * sample).sum::<f64>() / narrow.len().max(1) as f64;
    let gain = LOUDNESS / power.sqrt().max(1.0);
    narrow.iter().map(|sample| (sample * gain) as i16).collect()
}

fn digits(samples: &[i16], law: Law) -> String {
    let mut detector = Detector::default();
    let mut found = String::new();
    for frame in samples.chunks(160) {
        let coded: Vec<i16> = frame.iter().map(|sample| law.decode(law.encode(*sample))).collect();
        detector.feed(&coded);
        found.extend(std::iter::from_fn(|| detector.take()).map(|press| press.digit));
    }
    found
}

#[test]
fn test_speech_of_espeak_is_taken_for_no_digit() {
    let (mut samples, mut taken) = (0, String::new());
    for (language, text) in TEXTS {
        for variant in VARIANTS {
            for pitch in PITCHES {
                let Some(speech) = speak(&format!("{language}{variant}"), pitch, text) else {
                    return;
                };
                let mut line = on_the_line(&speech);
                samples += line.len();
                taken += &digits(&line, Law::A);
                // A digit behind it is heard, so that the corpus went through a detector that works.
                line.extend(tones("5", 60, 60));
                assert!(digits(&line, Law::Mu).ends_with('5'));
            }
        }
    }
    let minutes = samples as f64 / 8000.0 / 60.0;
    println!("talk-off: {} digits in {minutes:.1} minutes of speech", taken.len());
    assert!(minutes > 20.0, "{minutes}");
    assert_eq!(taken, "");
}
