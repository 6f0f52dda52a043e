//! Any packets and ticks, in any order, at any time, into an ear: each tick gives 20 ms, and the buffer's bounds hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_media::audio::ear::Ear;
use trunkline_media::codec::Codec;
use trunkline_media::jitter::Settings;
use trunkline_media::rtp::Packet;
use trunkline_media::time::Time;

const CODECS: [(&str, u32, u32, u8); 8] = [
    ("PCMU", 8000, 1, 0),
    ("PCMA", 8000, 1, 8),
    ("G722", 8000, 1, 9),
    ("L16", 16_000, 1, 96),
    ("L16", 48_000, 1, 97),
    ("opus", 48_000, 2, 111),
    ("CN", 8000, 1, 13),
    ("telephone-event", 8000, 1, 101),
];

fuzz_target!(|data: &[u8]| {
    let codecs: Vec<Codec> = CODECS
        .iter()
        .filter_map(|(name, rate, channels, payload_type)| Codec::new(name, *rate, *channels, *payload_type))
        .collect();
    let settings = Settings {
        packets: 20,
        ..Settings::default()
    };
    let mut ear = Ear::new(settings, 1);
    ear.configure(&codecs);
    let (mut now, mut out, mut frames) = (0u64, [0i16; 960], 0);
    let mut rest = data;
    // A record: how much time passes, which codec or a tick, how long a packet, the packet from its second byte on.
    while let Some((&[pass, what, length], tail)) = rest.split_first_chunk::<3>() {
        now += u64::from(pass) * 500;
        if what & 8 != 0 {
            now += 20_000;
            let heard = ear.frame(Time::from_micros(now), &mut out);
            assert!([160, 320, 960].contains(&heard.samples));
            frames += 1;
        }
        let (bytes, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        let mut datagram = vec![0x80];
        datagram.extend_from_slice(bytes);
        if let (Ok(packet), Some(codec)) = (Packet::parse(&datagram), codecs.get(usize::from(what & 7))) {
            // Many equal bytes stand for a long payload.
            let payload = if what & 0x80 != 0 {
                packet.payload.repeat(8)
            } else {
                packet.payload.to_vec()
            };
            ear.push(Time::from_micros(now), &packet.header, codec, &payload);
        }
        assert!(ear.statistics().buffer.held <= 20);
    }
    assert_eq!(ear.statistics().frames.iter().sum::<u64>(), frames);
});
