//! How long a sound is on its way through the server, for every pair of codecs: from the moment when it is said until the packet leaves that says
//! it, in the time of the stream. `cargo test -p trunkline-media --test delay -- --nocapture` prints the table.
//!
//! A packet is counted from its first sample on, so that the 20 ms which a phone gathers are in the delay. Packets arrive 1 ms after a tick, the
//! worst moment. Beyond the depth of the jitter buffer there may be 80 ms.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may fail

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use trunkline_media::audio::Pcm;
use trunkline_media::audio::room::{Part, Room};
use trunkline_media::codec::Codec;
use trunkline_media::coder::{Decoder, Encoder, EncoderOptions, MAX_SAMPLES};
use trunkline_media::leg::{BUFFER_LENGTH, Configuration, Leg, Socket};
use trunkline_media::rtp::{HEADER_LENGTH, Header, Packet};
use trunkline_media::time::{Time, WallClock};

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);
const CODECS: [(&str, u32, u32); 8] = [
    ("PCMU", 8000, 1),
    ("PCMA", 8000, 1),
    ("G722", 8000, 1),
    ("opus", 48_000, 2),
    ("L16", 8000, 1),
    ("L16", 16_000, 1),
    ("L16", 24_000, 1),
    ("L16", 32_000, 1),
];
/// Two seconds, and where the click is in them: long after the buffer has found its depth, in the middle of a packet.
const PACKETS: u32 = 100;
const CLICK_MS: f64 = 1510.0;
const LATE_MS: u64 = 1;
const MOST_MS: f64 = 80.0;

fn leg(seed: u64, codec: Codec) -> Leg {
    let mut leg = Leg::new(seed, WallClock::default());
    leg.configure(
        Time::ZERO,
        &Configuration {
            remote_rtp: Some(PEER),
            sends: true,
            receives: true,
            receive_codecs: vec![codec],
            send_codecs: vec![codec],
            ..Configuration::default()
        },
    );
    leg.set_ear(true);
    leg.set_mouth(Time::ZERO, true);
    leg
}

/// A click: 1 kHz under a bell of 3 ms, at what is a time in ms of the stream.
fn click(rate: u32, sample: u32) -> i16 {
    let ms = f64::from(sample) * 1000.0 / f64::from(rate) - CLICK_MS;
    (12_000.0 * (-ms * ms / 9.0).exp() * (std::f64::consts::TAU * ms).cos()) as i16
}

/// Where the power of a click lies, in ms.
fn middle_ms(samples: &[i16], rate: u32) -> f64 {
    let (mut power, mut moment) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let square = f64::from(*sample).powi(2);
        (power, moment) = (power + square, moment + square * n as f64);
    }
    assert!(power > 1e8, "nothing was heard");
    moment / power * 1000.0 / f64::from(rate)
}

/// The delay of a click, and the depth of the buffer, in ms.
fn delay_ms(from: Codec, to: Codec) -> (f64, f64) {
    let (mut here, mut there) = (leg(1, from), leg(2, to));
    let mut members = [Room::member(1, Part::default()), Room::member(2, Part::default())];
    let mut encoder = Encoder::new(&from, &EncoderOptions::default()).unwrap();
    let mut decoder = Decoder::new(&to).unwrap();
    let (mut room, mut buffer, mut frame) = (Room::default(), [0; BUFFER_LENGTH], Pcm::silence(8000));
    let (mut heard, mut began_ms) = (Vec::new(), None);
    let (mut pcm, length) = ([0; MAX_SAMPLES], encoder.sample_rate() / 50);
    for n in 0..PACKETS {
        // the tick at which the packet's last sample was just said
        let tick_ms = u64::from(n + 1) * 20;
        let samples: Vec<i16> = (n * length..(n + 1) * length).map(|at| click(encoder.sample_rate(), at)).collect();
        let now = Time::from_micros(tick_ms * 1000);
        for (leg, member) in [&mut here, &mut there].into_iter().zip(&mut members) {
            leg.hear(now, &mut frame);
            room.say(member, Some(&frame));
        }
        room.hear(&members[1], std::iter::empty(), &mut frame);
        there.speak(now, &frame);
        while let Some(out) = there.utter(now, &mut buffer) {
            began_ms.get_or_insert(tick_ms);
            let packet = Packet::parse(&buffer[out.range]).unwrap();
            let count = decoder.decode(packet.payload, &mut pcm).unwrap();
            heard.extend_from_slice(&pcm[..count]);
        }
        room.begin();
        let header = Header {
            marker: n == 0,
            payload_type: from.payload_type,
            sequence: n as u16,
            timestamp: n * (from.clock_rate / 50),
            ssrc: 7,
        };
        buffer[..HEADER_LENGTH].copy_from_slice(&header.bytes());
        let bytes = encoder.encode(&samples, &mut buffer[HEADER_LENGTH..]);
        let arrives = Time::from_micros((tick_ms + LATE_MS) * 1000);
        let _ = here.receive(arrives, Socket::Rtp, PEER, &mut buffer[..HEADER_LENGTH + bytes]);
    }
    let at_ms = middle_ms(&heard, decoder.sample_rate()) + began_ms.unwrap() as f64;
    (at_ms - CLICK_MS, here.statistics().buffer_ms.unwrap())
}

#[test]
fn test_the_delay_of_each_pair_is_at_most_80_ms_beyond_the_jitter_buffer() {
    let codecs = CODECS.map(|(name, rate, channels)| Codec::new(name, rate, channels, 96).unwrap());
    for (talker, from) in CODECS.iter().zip(codecs) {
        for (listener, to) in CODECS.iter().zip(codecs) {
            let (delay, depth) = delay_ms(from, to);
            let name = |codec: &(&str, u32, u32)| format!("{}/{}", codec.0, codec.1);
            println!(
                "{:>12} to {:<12} {delay:6.1} ms, of them {depth:.0} ms of buffer",
                name(talker),
                name(listener)
            );
            assert!(delay - depth <= MOST_MS, "{talker:?} {listener:?}: {delay} {depth}");
            assert!(delay > depth, "{talker:?} {listener:?}: {delay} {depth}");
        }
    }
}
