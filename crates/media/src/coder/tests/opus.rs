//! Opus judged by what is heard: signal over noise, with and without loss, and what its options do.

use super::super::signals::{noise, signal_to_noise_db, sine, speech};
use super::super::{Decoder, Encoder, EncoderOptions, MAX_SAMPLES};
use crate::codec::Codec;

const FRAME: usize = 960;
/// libopus looks 6.5 ms ahead at 48 kHz.
const DELAY: usize = 312;

fn codec() -> Codec {
    Codec::new("opus", 48_000, 2, 111).unwrap()
}

fn encoder(options: &EncoderOptions) -> Encoder {
    Encoder::new(&codec(), options).unwrap()
}

fn decoder() -> Decoder {
    Decoder::new(&codec()).unwrap()
}

fn packets(options: &EncoderOptions, pcm: &[i16]) -> Vec<Vec<u8>> {
    let (mut encoder, mut out) = (encoder(options), [0; 1500]);
    let frames = pcm.chunks_exact(FRAME);
    frames
        .map(|frame| {
            let count = encoder.encode(frame, &mut out);
            out[..count].to_vec()
        })
        .collect()
}

fn decoded(packets: &[Vec<u8>]) -> Vec<i16> {
    let (mut decoder, mut out) = (decoder(), [0; MAX_SAMPLES]);
    let mut heard = Vec::new();
    for packet in packets {
        let count = decoder.decode(packet, &mut out).unwrap();
        heard.extend_from_slice(&out[..count]);
    }
    heard
}

fn bitrate(bitrate: u32) -> EncoderOptions {
    EncoderOptions {
        bitrate: Some(bitrate),
        ..EncoderOptions::default()
    }
}

fn power(pcm: &[i16]) -> f64 {
    let sum: f64 = pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    sum / pcm.len() as f64
}

/// The best ratio over delays, and where it is: libopus's high-pass filter turns the phase of the low tones, most at low rates.
fn best_ratio_db(sent: &[i16], heard: &[i16]) -> (f64, usize) {
    // The start and, as far as it is delayed, the end are no part of it.
    let (sent, heard) = (&sent[9600..sent.len() - 4800], &heard[9600..]);
    let ratios = (DELAY - 80..DELAY + 80).map(|delay| (signal_to_noise_db(sent, heard, delay), delay));
    ratios.fold((f64::MIN, 0), |best, this| if this.0 > best.0 { this } else { best })
}

#[test]
fn test_tones_and_speech_are_heard_as_they_were_sent() {
    let speech = speech(48_000, 240_000);
    for (name, pcm, rate, least_db) in [
        ("440 Hz", sine(48_000, 440.0, 10_000.0, 96_000), 24_000, 25.0),
        ("2500 Hz", sine(48_000, 2500.0, 10_000.0, 96_000), 24_000, 25.0),
        ("speech", speech.clone(), 24_000, 6.5),
        ("speech", speech.clone(), 64_000, 8.5),
        ("speech", speech, 96_000, 12.5),
    ] {
        let heard = decoded(&packets(&bitrate(rate), &pcm));
        let (ratio, delay) = best_ratio_db(&pcm, &heard);
        println!("{name} at {rate} bit/s: {ratio:.1} dB at a delay of {delay}");
        assert!(ratio > least_db, "{name}: {ratio:.1} dB");
        assert!(name != "speech" || delay.abs_diff(DELAY) < 10, "{name}: {delay}");
    }
}

#[test]
fn test_every_packet_time_is_coded_and_others_are_not() {
    let (mut encoder, mut decoder) = (encoder(&bitrate(24_000)), decoder());
    let (pcm, mut bytes, mut heard) = (speech(48_000, 5760), [0; 1500], [0; MAX_SAMPLES]);
    for samples in [480, 960, 1920, 2880, 3840, 4800, 5760] {
        let count = encoder.encode(&pcm[..samples], &mut bytes);
        assert!(count > 3);
        assert_eq!(decoder.decode(&bytes[..count], &mut heard), Ok(samples));
    }
    assert_eq!(encoder.encode(&pcm[..1000], &mut bytes), 0);
    assert_eq!(encoder.encode(&[], &mut bytes), 0);
    assert_eq!(encoder.encode(&pcm[..960], &mut []), 0);
}

#[test]
fn test_the_average_bitrate_is_kept() {
    let pcm = speech(48_000, 480_000);
    for rate in [12_000, 24_000, 48_000] {
        let bytes: usize = packets(&bitrate(rate), &pcm).iter().map(Vec::len).sum();
        let measured = bytes as f64 * 8.0 / 10.0;
        println!("asked {rate}, got {measured:.0} bit/s");
        assert!(measured < f64::from(rate) * 1.1, "asked {rate}, got {measured}");
    }
}

/// Every fifth packet is lost; what the decoder is then asked for.
fn with_loss(packets: &[Vec<u8>], may_recover: bool) -> (Vec<i16>, usize) {
    let (mut decoder, mut out) = (decoder(), [0; MAX_SAMPLES]);
    let (mut heard, mut recovered) = (Vec::new(), 0);
    for (n, packet) in packets.iter().enumerate() {
        let count = if n % 5 == 4 {
            let next = packets.get(n + 1).map_or(&[][..], Vec::as_slice);
            let repeated = if may_recover {
                decoder.recover(next, FRAME, &mut out)
            } else {
                None
            };
            recovered += usize::from(repeated.is_some());
            repeated.or_else(|| decoder.conceal(FRAME, &mut out)).unwrap()
        } else {
            decoder.decode(packet, &mut out).unwrap()
        };
        assert_eq!(count, FRAME);
        heard.extend_from_slice(&out[..count]);
    }
    (heard, recovered)
}

#[test]
fn test_lost_packets_come_back_out_of_the_next_ones() {
    let pcm = speech(48_000, 480_000);
    let options = EncoderOptions {
        fec: true,
        expected_loss_percent: 20,
        ..bitrate(32_000)
    };
    let packets = packets(&options, &pcm);
    let (whole, _) = best_ratio_db(&pcm, &decoded(&packets));
    let (concealed, _) = with_loss(&packets, false);
    let (repeated, recovered) = with_loss(&packets, true);
    let (concealed, _) = best_ratio_db(&pcm, &concealed);
    let (repeated, _) = best_ratio_db(&pcm, &repeated);
    println!("no loss {whole:.1} dB; one in five lost: concealed {concealed:.1} dB, {recovered} of 100 recovered {repeated:.1} dB");
    assert!(recovered > 50, "{recovered}");
    assert!(
        repeated > concealed + 1.5 && whole > repeated,
        "{concealed:.1} {repeated:.1} {whole:.1}"
    );
}

#[test]
fn test_nothing_is_recovered_out_of_packets_without_fec() {
    let pcm = speech(48_000, 96_000);
    assert_eq!(with_loss(&packets(&bitrate(32_000), &pcm), true).1, 0);
    let unasked = EncoderOptions {
        fec: true,
        expected_loss_percent: 0,
        ..bitrate(32_000)
    };
    assert_eq!(with_loss(&packets(&unasked, &pcm), true).1, 0);
    // more loss is reported later
    let (mut encoder, mut out) = (encoder(&unasked), [0; 1500]);
    encoder.expect_loss(20);
    let later: Vec<Vec<u8>> = pcm
        .chunks_exact(FRAME)
        .map(|frame| {
            let count = encoder.encode(frame, &mut out);
            out[..count].to_vec()
        })
        .collect();
    assert!(with_loss(&later, true).1 > 5);
}

#[test]
fn test_concealment_goes_on_and_fades() {
    let tone = sine(48_000, 300.0, 10_000.0, 48_000);
    let (mut decoder, mut out) = (decoder(), [0; MAX_SAMPLES]);
    assert_eq!(decoder.conceal(FRAME, &mut out), Some(FRAME));
    assert_eq!(out[..FRAME], [0; FRAME]);
    for packet in packets(&bitrate(24_000), &tone) {
        decoder.decode(&packet, &mut out).unwrap();
    }
    let heard = power(&out[..FRAME]);
    decoder.conceal(FRAME, &mut out);
    assert!(power(&out[..FRAME]) > heard / 10.0);
    // to the comfort noise that libopus has learned, here of a tone and so louder than of speech
    for _ in 0..50 {
        decoder.conceal(FRAME, &mut out);
    }
    assert!(power(&out[..FRAME]) < heard / 10.0);
    assert_eq!(decoder.conceal(100, &mut out), None);
    assert_eq!(decoder.conceal(0, &mut out), None);
    assert_eq!(decoder.conceal(FRAME, &mut [0; 10]), None);
}

#[test]
fn test_silence_is_hardly_sent_with_dtx_and_speech_comes_back() {
    let options = EncoderOptions {
        dtx: true,
        ..bitrate(24_000)
    };
    let mut pcm = speech(48_000, 48_000);
    pcm.extend(noise(1, 13, 144_000));
    pcm.extend(speech(48_000, 48_000));
    let packets = packets(&options, &pcm);
    let sent = packets.iter().filter(|packet| !packet.is_empty()).count();
    let quiet = packets[80..200].iter().filter(|packet| !packet.is_empty()).count();
    println!("{sent} of {} packets sent, {quiet} of 120 in the silence", packets.len());
    assert!(quiet < 12, "{quiet}");
    assert!(packets[200..].iter().filter(|packet| !packet.is_empty()).count() > 25);
    // what was not sent is heard as the noise that went before
    let heard = decoded(&packets);
    assert_eq!(heard.len(), pcm.len());
    assert!(power(&heard[100_000..180_000]) < power(&pcm[..48_000]) / 100.0);
    let (back, _) = best_ratio_db(&pcm[190_000..], &heard[190_000..]);
    assert!(back > 5.0, "{back:.1}");
}

#[test]
fn test_packets_of_up_to_two_bytes_are_silence() {
    let (mut decoder, mut out) = (decoder(), [1; MAX_SAMPLES]);
    for (packet, samples) in [(&[][..], 960), (&[0x08], 960), (&[0x09], 1920), (&[0x08, 0], 960), (&[0xf8], 960)] {
        assert_eq!(decoder.decode(packet, &mut out), Ok(samples), "{packet:x?}");
        assert!(out[..samples].iter().all(|sample| sample.abs() < 10), "{packet:x?}");
    }
}

#[test]
fn test_a_stereo_peer_is_mixed_down() {
    let tone = sine(48_000, 800.0, 8000.0, 48_000);
    let stereo: Vec<i16> = tone.iter().flat_map(|sample| [*sample, *sample]).collect();
    let mut encoder = ::opus::Encoder::new(48_000, ::opus::Channels::Stereo, ::opus::Application::Audio).unwrap();
    let packets: Vec<Vec<u8>> = stereo
        .chunks_exact(2 * FRAME)
        .map(|frame| encoder.encode_vec(frame, 1500).unwrap())
        .collect();
    let heard = decoded(&packets);
    assert_eq!(heard.len(), tone.len());
    let (ratio, _) = best_ratio_db(&tone, &heard);
    assert!(ratio > 15.0, "{ratio:.1} dB");
}

#[test]
fn test_a_peer_that_plays_8_khz_is_sent_no_more() {
    let tone = sine(48_000, 6000.0, 10_000.0, 96_000);
    let narrow = EncoderOptions {
        max_playback_rate: 8000,
        ..bitrate(32_000)
    };
    let heard = |options: &EncoderOptions| power(&decoded(&packets(options, &tone))[48_000..]);
    assert!(heard(&narrow) < heard(&bitrate(32_000)) / 1000.0);
}

#[test]
fn test_options_follow_the_peers_fmtp() {
    let options =
        EncoderOptions::default().for_peer("minptime=10; useinbandfec=1;USEDTX=1;maxaveragebitrate=20000;maxplaybackrate=16000;cbr=1");
    let expected = EncoderOptions {
        bitrate: Some(20_000),
        fec: true,
        dtx: true,
        constant_bitrate: true,
        max_playback_rate: 16_000,
        ..EncoderOptions::default()
    };
    assert_eq!(options, expected);
    // ours is lower than theirs, and what is no number says nothing
    let ours = bitrate(16_000);
    assert_eq!(ours.for_peer("maxaveragebitrate=20000;usedtx=x;useinbandfec;;=;stereo=1"), ours);
}
