//! Any datagrams from anybody at any time to a leg that hears, speaks and is linked: every tick gives 20 ms, a stranger is never answered.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use trunkline_media::audio::Pcm;
use trunkline_media::codec::Codec;
use trunkline_media::leg::{BUFFER_LENGTH, Configuration, Leg, Socket};
use trunkline_media::time::{Time, WallClock};

const CODECS: [(&str, u32, u32, u8); 6] = [
    ("PCMU", 8000, 1, 0),
    ("G722", 8000, 1, 9),
    ("opus", 48_000, 2, 111),
    ("L16", 16_000, 1, 96),
    ("CN", 8000, 1, 13),
    ("telephone-event", 8000, 1, 101),
];

const fn address(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 4000)
}

fn leg(number: u8) -> Leg {
    let codecs: Vec<Codec> = CODECS
        .iter()
        .filter_map(|(name, rate, channels, payload_type)| Codec::new(name, *rate, *channels, *payload_type))
        .collect();
    let mut leg = Leg::new(u64::from(number), WallClock::default());
    let plan = Configuration {
        remote_rtp: Some(address(number)),
        remote_rtcp: Some(address(number)),
        sends: true,
        receives: true,
        receive_codecs: codecs.clone(),
        send_codecs: codecs,
        ..Configuration::default()
    };
    leg.configure(Time::ZERO, &plan);
    leg
}

fuzz_target!(|data: &[u8]| {
    let (mut near, mut far) = (leg(1), leg(2));
    near.set_ear(true);
    far.set_mouth(Time::ZERO, true);
    let (mut buffer, mut frame) = ([0; BUFFER_LENGTH], Pcm::silence(8000));
    let mut now_us = 0;
    let mut rest = data;
    // A record: how much time passes, from whom and to which socket or a tick, how long the datagram, the datagram.
    while let Some((&[pass, what, length], tail)) = rest.split_first_chunk::<3>() {
        now_us += u64::from(pass) * 500;
        let now = Time::from_micros(now_us);
        let (datagram, tail) = tail.split_at(usize::from(length).min(tail.len()));
        rest = tail;
        buffer[..datagram.len()].copy_from_slice(datagram);
        let socket = if what & 1 == 0 { Socket::Rtp } else { Socket::Rtcp };
        let source = address(if what & 2 == 0 { 1 } else { 9 });
        if let Some(passed) = near.receive(now, socket, source, &mut buffer[..datagram.len()])
            && let Some(sent) = far.relay(now, 1, &passed, &mut buffer)
        {
            assert_eq!(sent.to, address(2));
        }
        if what & 4 != 0 {
            near.hear(now, &mut frame);
            assert_eq!(frame.samples().len(), frame.rate() as usize / 50);
            far.speak(now, &frame);
            while let Some(sent) = far.utter(now, &mut buffer) {
                assert_eq!(sent.to, address(2));
            }
        }
        while let Some(sent) = near.poll(now, &mut buffer) {
            assert_eq!(sent.to, address(1));
        }
        while near.take_event().is_some() {}
    }
    let _ = (near.heard(Time::from_micros(now_us)), near.statistics());
});
