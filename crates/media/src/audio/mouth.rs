//! What a leg says: frames are brought to the codec's rate, gathered to the agreed packet time and encoded.
//!
//! The leg numbers and sends the packets ([`crate::leg`]), so that tones, digits, relayed frames and these make one stream. RFC 3550 §5.1
//! (the marker), RFC 3551 §4.1 (silence).

use super::feed::Feed;
use super::hush::{Hush, Verdict};
use super::{FRAMES_PER_S, MAX_FRAME_SAMPLES, Pcm};
use crate::codec::Codec;
use crate::coder::Encoder;

/// The shortest and the longest packet time that is sent, and what is meant where nothing was agreed.
const PTIME_MS: std::ops::RangeInclusive<u32> = 10..=120;
const DEFAULT_PTIME_MS: u32 = 20;
/// A packet of 120 ms at 48 kHz, and a frame.
const PENDING_SAMPLES: usize = 6 * MAX_FRAME_SAMPLES + MAX_FRAME_SAMPLES;

/// A packet's worth of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// How it is encoded; comfort noise in place of what says nothing.
    pub codec: Codec,
    /// How long it lasts, in units of the codec's RTP clock.
    pub units: u32,
    /// Bytes of payload; zero when nothing is to be sent this time (the codec's DTX, or background that was told as comfort noise).
    pub length: usize,
}

/// The sending end of a leg's audio.
#[derive(Debug)]
pub struct Mouth {
    speech: Option<Speech>,
    ptime_ms: u32,
    pending: Box<[i16; PENDING_SAMPLES]>,
    filled: usize,
}

#[derive(Debug)]
struct Speech {
    codec: Codec,
    encoder: Encoder,
    feed: Feed,
    /// Where the peer agreed to comfort noise.
    hush: Option<Hush>,
}

impl Default for Mouth {
    fn default() -> Self {
        Mouth {
            speech: None,
            ptime_ms: DEFAULT_PTIME_MS,
            pending: Box::new([0; PENDING_SAMPLES]),
            filled: 0,
        }
    }
}

impl Mouth {
    /// Speak the first of these codecs that can be encoded, in packets of `ptime_ms` (0 for 20 ms; tens between 10 and 120), or of the next shorter time that the
    /// codec has. A codec that is spoken already goes on undisturbed.
    pub fn configure(&mut self, codecs: &[Codec], ptime_ms: u32) {
        self.speak_one_of(codecs);
        let wanted = if ptime_ms == 0 {
            DEFAULT_PTIME_MS
        } else {
            (ptime_ms - ptime_ms % 10).clamp(*PTIME_MS.start(), *PTIME_MS.end())
        };
        self.ptime_ms = self.speech.as_ref().map_or(wanted, |speech| speech.encoder.packet_ms(wanted));
    }

    fn speak_one_of(&mut self, codecs: &[Codec]) {
        for codec in codecs {
            if let Some(speech) = self.speech.as_mut().filter(|speech| speech.codec == *codec) {
                let hush = Hush::new(codecs, speech.encoder.sample_rate());
                if speech.hush.as_ref().map(|hush| hush.codec) != hush.as_ref().map(|hush| hush.codec) {
                    speech.hush = hush;
                }
                return;
            }
            if let Some(encoder) = Encoder::new(codec, &codec.wishes) {
                self.filled = 0;
                self.speech = Some(Speech {
                    codec: *codec,
                    feed: Feed::to(encoder.sample_rate()),
                    hush: Hush::new(codecs, encoder.sample_rate()),
                    encoder,
                });
                return;
            }
        }
        self.speech = None;
    }

    /// The rate of what it says, in Hz; 8000 where it can say nothing.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.speech.as_ref().map_or(8000, |speech| speech.encoder.sample_rate())
    }

    /// Say these 20 ms next.
    pub fn take(&mut self, frame: &Pcm) {
        let Some(speech) = &mut self.speech else { return };
        let samples = speech.feed.bring(frame).samples();
        // Never full while packets are taken each tick; what does not fit is lost.
        if let Some(free) = self.pending.get_mut(self.filled..self.filled + samples.len()) {
            free.copy_from_slice(samples);
            self.filled += samples.len();
        }
        if let Some(hush) = &mut speech.hush {
            hush.hear(samples);
        }
    }

    /// Forget what was not sent yet.
    pub fn clear(&mut self) {
        self.filled = 0;
        if let Some(hush) = self.speech.as_mut().and_then(|speech| speech.hush.as_mut()) {
            hush.speak();
        }
    }

    /// Write the payload of the next packet; `None` until its time is full.
    pub fn packet(&mut self, out: &mut [u8]) -> Option<Utterance> {
        let Speech { codec, encoder, hush, .. } = self.speech.as_mut()?;
        let rate = encoder.sample_rate();
        let length = (rate / 1000 * self.ptime_ms) as usize;
        if length == 0 || self.filled < length {
            return None;
        }
        let frames = (self.filled as u32).div_ceil((rate / FRAMES_PER_S).max(1));
        let (codec, units) = (*codec, codec.clock_rate / 1000 * self.ptime_ms);
        let (codec, length_out) = match hush.as_mut().map(|hush| (hush.judge(frames), hush)) {
            Some((Verdict::Tell, hush)) => (hush.codec, hush.tell(out)),
            Some((Verdict::Hush, _)) => (codec, 0),
            Some((Verdict::Send, _)) | None => (codec, encoder.encode(self.pending.get(..length)?, out)),
        };
        self.pending.copy_within(length..self.filled, 0);
        self.filled -= length;
        Some(Utterance {
            codec,
            units,
            length: length_out,
        })
    }

    /// What a frame lasts, in units of the spoken codec's RTP clock.
    #[must_use]
    pub fn frame_units(&self) -> u32 {
        self.speech.as_ref().map_or(8000, |speech| speech.codec.clock_rate) / FRAMES_PER_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leg::BUFFER_LENGTH;
    use crate::rtp::HEADER_LENGTH;

    fn codec(name: &str, rate: u32) -> Codec {
        Codec::new(name, rate, 1, 96).unwrap()
    }

    fn say(mouth: &mut Mouth, frames: usize) -> Vec<usize> {
        let mut out = [0; 1500];
        let mut lengths = Vec::new();
        for _ in 0..frames {
            mouth.take(&Pcm::silence(8000));
            while let Some(packet) = mouth.packet(&mut out) {
                lengths.push(packet.length);
            }
        }
        lengths
    }

    #[test]
    fn test_packets_have_the_agreed_time() {
        for (ptime_ms, lengths) in [(0, vec![160; 6]), (10, vec![80; 12]), (30, vec![240; 4]), (120, vec![960])] {
            let mut mouth = Mouth::default();
            mouth.configure(&[codec("PCMA", 8000)], ptime_ms);
            assert_eq!(say(&mut mouth, 6), lengths, "{ptime_ms}");
        }
    }

    #[test]
    fn test_a_codec_that_has_no_packets_of_the_agreed_time_takes_the_next_shorter_one() {
        let cases: [(&str, u32, u32, u32); 9] = [
            ("opus", 48_000, 30, 20),
            ("opus", 48_000, 50, 40),
            ("opus", 48_000, 60, 60),
            ("opus", 48_000, 110, 100),
            ("opus", 48_000, 120, 120),
            ("L16", 8_000, 120, 120),
            ("L16", 16_000, 120, 60),
            ("L16", 32_000, 40, 30),
            ("L16", 48_000, 40, 20),
        ];
        for (name, rate, agreed_ms, said_ms) in cases {
            let mut mouth = Mouth::default();
            let channels = if name == "opus" { 2 } else { 1 };
            mouth.configure(&[Codec::new(name, rate, channels, 96).unwrap()], agreed_ms);
            let (mut out, mut sent) = ([0; BUFFER_LENGTH - HEADER_LENGTH], Vec::new());
            // the time of twelve packets, and of the resampler
            for _ in 0..(12 * said_ms).div_ceil(20) + 1 {
                mouth.take(&Pcm::silence(8000));
                while let Some(packet) = mouth.packet(&mut out) {
                    assert!(packet.length > 0, "{name}/{rate} at {agreed_ms}");
                    sent.push(packet.units);
                }
            }
            assert_eq!(sent[..12], [rate / 1000 * said_ms; 12], "{name}/{rate} at {agreed_ms}");
        }
    }

    #[test]
    fn test_the_first_codec_that_can_be_encoded_is_spoken() {
        let mut mouth = Mouth::default();
        mouth.configure(
            &[
                codec("G729", 8000),
                codec("telephone-event", 8000),
                codec("L16", 16_000),
                codec("PCMU", 8000),
            ],
            20,
        );
        assert_eq!((mouth.rate(), mouth.frame_units()), (16_000, 320));
        assert_eq!(say(&mut mouth, 1), [640]);
        mouth.configure(&[codec("G729", 8000)], 20);
        assert!(say(&mut mouth, 3).is_empty());
    }

    /// Say frames of a sine of this amplitude; what was sent, as (is it comfort noise, bytes).
    fn hum(mouth: &mut Mouth, amplitude: f64, frames: usize) -> Vec<(bool, usize)> {
        let (mut out, mut sent) = ([0; 1500], Vec::new());
        for _ in 0..frames {
            let mut frame = Pcm::silence(8000);
            for (n, sample) in frame.samples_mut().iter_mut().enumerate() {
                *sample = (amplitude * (n as f64 * std::f64::consts::TAU / 16.0).sin()) as i16;
            }
            mouth.take(&frame);
            while let Some(packet) = mouth.packet(&mut out) {
                sent.push((packet.codec.kind == crate::codec::Kind::ComfortNoise, packet.length));
            }
        }
        sent
    }

    const NOISE: (bool, usize) = (true, crate::coder::comfort::PAYLOAD_LENGTH);
    const NOTHING: (bool, usize) = (false, 0);

    fn hushing(ptime_ms: u32) -> Mouth {
        let mut mouth = Mouth::default();
        let noise = Codec::new("CN", 8000, 1, 13).unwrap();
        mouth.configure(&[codec("PCMA", 8000), codec("telephone-event", 8000), noise], ptime_ms);
        mouth
    }

    #[test]
    fn test_silence_is_told_as_comfort_noise_and_then_nothing_is_sent_until_something_is_to_be_heard() {
        let mut mouth = hushing(20);
        assert_eq!(hum(&mut mouth, 1000.0, 3), [(false, 160); 3]);
        let sent = hum(&mut mouth, 10.0, 10 + 1 + 50 + 20);
        assert_eq!(sent[..10], [(false, 160); 10]);
        assert_eq!(sent[10], NOISE);
        assert_eq!(sent[11..60], [NOTHING; 49]);
        // after a second it is told again
        assert_eq!(sent[60], NOISE);
        assert_eq!(sent[61..], [NOTHING; 20]);
        // the frame that is heard is whole
        assert_eq!(hum(&mut mouth, 1000.0, 2), [(false, 160); 2]);
        assert_eq!(hum(&mut mouth, 10.0, 11)[9..], [(false, 160), NOISE]);
    }

    #[test]
    fn test_another_background_is_told_at_once_and_a_loud_one_is_sent_as_it_is() {
        let mut mouth = hushing(20);
        hum(&mut mouth, 4.0, 30);
        let changed = hum(&mut mouth, 40.0, 20);
        assert!(changed.contains(&NOISE) && !changed.contains(&(false, 160)), "{changed:?}");
        // -50 dBov
        assert_eq!(hum(&mut mouth, 150.0, 50), [(false, 160); 50]);
    }

    #[test]
    fn test_only_whole_packets_of_silence_are_left_out() {
        let mut mouth = hushing(60);
        hum(&mut mouth, 1000.0, 2);
        let sent = hum(&mut mouth, 0.0, 16);
        assert_eq!(sent[..4], [(false, 480); 4]);
        assert_eq!(sent[4..], [NOISE, NOTHING]);
        // one frame to be heard among three
        hum(&mut mouth, 0.0, 1);
        hum(&mut mouth, 1000.0, 1);
        assert_eq!(hum(&mut mouth, 0.0, 1), [(false, 480)]);
    }

    #[test]
    fn test_nothing_is_left_out_for_a_peer_that_did_not_agree_to_comfort_noise_of_the_codecs_clock() {
        let mut mouth = Mouth::default();
        mouth.configure(&[codec("PCMA", 8000)], 20);
        assert_eq!(hum(&mut mouth, 0.0, 50), [(false, 160); 50]);
        mouth.configure(&[codec("L16", 16_000), Codec::new("CN", 8000, 1, 13).unwrap()], 20);
        assert_eq!(hum(&mut mouth, 0.0, 50), [(false, 640); 50]);
    }

    #[test]
    fn test_opus_is_encoded_as_the_peer_asks_and_anew_when_it_asks_otherwise() {
        let opus = |fmtp: &str| Codec::new("opus", 48_000, 2, 111).unwrap().wished(fmtp);
        let mut mouth = Mouth::default();
        let mut bytes = |fmtp: &str| {
            mouth.configure(&[opus(fmtp)], 20);
            let sent = hum(&mut mouth, 8000.0, 100);
            sent[50..].iter().map(|(_, length)| length).sum::<usize>()
        };
        let (free, least) = (bytes(""), bytes("maxaveragebitrate=6000"));
        assert!(least < free / 2 && (least * 8) < 9000, "{least} of {free} bytes a second");
        mouth.configure(&[opus("usedtx=1")], 20);
        let silent = hum(&mut mouth, 0.0, 100);
        assert!(silent.iter().filter(|sent| **sent == NOTHING).count() > 50, "{silent:?}");
        mouth.configure(&[opus("cbr=1;maxaveragebitrate=24000")], 20);
        let constant = hum(&mut mouth, 3000.0, 20);
        assert!(constant.iter().all(|sent| *sent == (false, 60)), "{constant:?}");
    }

    #[test]
    fn test_the_same_codec_goes_on_undisturbed() {
        let mut mouth = Mouth::default();
        mouth.configure(&[codec("PCMU", 8000)], 60);
        assert!(say(&mut mouth, 2).is_empty());
        mouth.configure(&[codec("PCMU", 8000)], 60);
        assert_eq!(say(&mut mouth, 1), [480]);
    }
}
