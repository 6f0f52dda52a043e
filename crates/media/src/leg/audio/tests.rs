//! A leg whose audio is heard and said: one stream over every change, digits among it, nothing where nothing may be sent.

use super::*;
use crate::leg::{BUFFER_LENGTH, Configuration, Frame};
use crate::time::WallClock;

fn ms(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

fn leg(name: &str, payload_type: u8) -> Leg {
    let codecs = vec![
        Codec::new(name, 8000, 1, payload_type).unwrap(),
        Codec::new("telephone-event", 8000, 1, 101).unwrap(),
    ];
    let mut leg = Leg::new(5, WallClock::default());
    leg.configure(
        ms(0),
        &Configuration {
            remote_rtp: Some("192.0.2.1:4000".parse().unwrap()),
            sends: true,
            receives: true,
            receive_codecs: codecs.clone(),
            send_codecs: codecs,
            ..Configuration::default()
        },
    );
    leg
}

fn receive(leg: &mut Leg, now: Time, payload_type: u8, sequence: u16, payload: &[u8], buffer: &mut [u8]) -> Option<Frame> {
    let header = rtp::Header {
        marker: false,
        payload_type,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 77,
    };
    let data = [&header.bytes()[..], payload].concat();
    buffer[..data.len()].copy_from_slice(&data);
    leg.receive(now, Socket::Rtp, "192.0.2.1:4000".parse().unwrap(), &mut buffer[..data.len()])
}

fn header(out: Option<Datagram>, buffer: &[u8]) -> Option<rtp::Header> {
    Some(rtp::Packet::parse(&buffer[out?.range]).unwrap().header)
}

fn say(leg: &mut Leg, now: Time, value: i16) -> Option<(rtp::Header, Vec<u8>)> {
    let mut frame = Pcm::silence(8000);
    frame.samples_mut().fill(value);
    let mut buffer = [0; BUFFER_LENGTH];
    leg.speak(now, &frame);
    let out = leg.utter(now, &mut buffer)?;
    assert_eq!(leg.utter(now, &mut buffer), None);
    let packet = rtp::Packet::parse(&buffer[out.range]).unwrap();
    Some((packet.header, packet.payload.to_vec()))
}

#[test]
fn test_relayed_said_and_relayed_again_is_one_stream() {
    let (mut a, mut b) = (leg("PCMU", 0), leg("PCMU", 0));
    let mut buffer = [0; BUFFER_LENGTH];
    let relay = |a: &mut Leg, b: &mut Leg, now, sequence, buffer: &mut [u8]| {
        let frame = receive(a, now, 0, sequence, &[0xff; 160], buffer).unwrap();
        header(b.relay(now, 1, &frame, buffer), buffer)
    };
    let first = relay(&mut a, &mut b, ms(0), 1, &mut buffer).unwrap();
    b.set_mouth(ms(10), true);
    assert_eq!(relay(&mut a, &mut b, ms(20), 2, &mut buffer), None);
    let (said, payload) = say(&mut b, ms(20), 8000).unwrap();
    let (more, _) = say(&mut b, ms(40), 8000).unwrap();
    b.set_mouth(ms(50), false);
    let back = relay(&mut a, &mut b, ms(60), 4, &mut buffer).unwrap();
    assert_eq!(payload, [crate::g711::Law::Mu.encode(8000); 160]);
    assert_eq!([said.marker, more.marker, back.marker], [true, false, true]);
    for (n, header) in (1u16..).zip([said, more, back]) {
        assert_eq!((header.ssrc, header.sequence), (first.ssrc, first.sequence.wrapping_add(n)));
        assert_eq!(header.timestamp, first.timestamp.wrapping_add(u32::from(n) * 160));
    }
}

#[test]
fn test_what_is_said_in_one_law_is_heard_in_the_other() {
    let (mut a, mut b) = (leg("PCMU", 0), leg("PCMA", 8));
    a.set_ear(true);
    b.set_mouth(ms(0), true);
    let mut buffer = [0; BUFFER_LENGTH];
    let mut heard = Pcm::silence(8000);
    for n in 0..6u16 {
        let now = ms(20 * u64::from(n));
        let frame = receive(&mut a, now, 0, n, &[crate::g711::Law::Mu.encode(4000); 160], &mut buffer);
        assert!(frame.is_some_and(|frame| b.relay(now, 1, &frame, &mut buffer).is_none()));
        a.hear(now, &mut heard);
    }
    let (header, payload) = say(&mut b, ms(120), heard.samples()[7]).unwrap();
    assert_eq!(header.payload_type, 8);
    assert!((i32::from(crate::g711::Law::A.decode(payload[7])) - 4000).abs() < 200);
}

#[test]
fn test_while_a_digit_passes_the_mouth_is_shut_and_its_packets_keep_their_timestamp() {
    let (mut a, mut b) = (leg("PCMU", 0), leg("PCMA", 8));
    b.set_mouth(ms(0), true);
    let mut buffer = [0; BUFFER_LENGTH];
    let (before, _) = say(&mut b, ms(0), 100).unwrap();
    let mut sent = Vec::new();
    for n in 0..3u16 {
        let now = ms(20 + 20 * u64::from(n));
        let mut frame = receive(&mut a, now, 101, n, &[5, 10, 0, 160], &mut buffer).unwrap();
        frame.header.timestamp = 9000;
        sent.push(header(b.relay(now, 1, &frame, &mut buffer), &buffer).unwrap());
        assert_eq!(say(&mut b, now, 100), None);
    }
    let (after, _) = say(&mut b, ms(160), 100).unwrap();
    assert!(sent.iter().all(|header| header.timestamp == sent[0].timestamp));
    assert_eq!(sent[0].sequence, before.sequence.wrapping_add(1));
    assert_eq!(after.sequence, before.sequence.wrapping_add(4));
    assert!(after.marker && after.timestamp.wrapping_sub(before.timestamp) == 1280);
}

#[test]
fn test_silence_is_noise_without_a_marker_and_what_follows_it_begins_a_talkspurt() {
    let (pcmu, noise) = (Codec::new("PCMU", 8000, 1, 0).unwrap(), Codec::new("CN", 8000, 1, 13).unwrap());
    let plan = Configuration {
        remote_rtp: Some("192.0.2.1:4000".parse().unwrap()),
        sends: true,
        receives: true,
        receive_codecs: vec![pcmu, noise],
        send_codecs: vec![pcmu, noise],
        ..Configuration::default()
    };
    let (mut a, mut b) = (Leg::new(5, WallClock::default()), Leg::new(6, WallClock::default()));
    for leg in [&mut a, &mut b] {
        leg.configure(ms(0), &plan);
    }
    a.set_mouth(ms(0), true);
    b.set_ear(true);
    let (mut sent, mut heard, mut loudest) = (Vec::new(), Pcm::silence(8000), 0);
    for n in 0..100u64 {
        let (now, value) = (ms(20 * n), if (20..90).contains(&n) { 20 } else { 3000 });
        if let Some((header, payload)) = say(&mut a, now, value) {
            let mut data = [&header.bytes()[..], &payload].concat();
            let _ = b.receive(now, Socket::Rtp, "192.0.2.1:4000".parse().unwrap(), &mut data);
            sent.push(header);
        }
        b.hear(now, &mut heard);
        if (50..85).contains(&n) {
            loudest = loudest.max(heard.samples().iter().map(|sample| sample.abs()).max().unwrap());
        }
    }
    // 20 ms of each, and 200 ms of silence, are sent
    assert_eq!(sent.iter().filter(|header| header.payload_type == 0).count(), 40);
    let noises: Vec<_> = sent.iter().filter(|header| header.payload_type == 13).collect();
    assert!(
        (2..=4).contains(&noises.len()) && noises.iter().all(|header| !header.marker),
        "{noises:?}"
    );
    let markers: Vec<_> = sent
        .iter()
        .filter(|header| header.marker)
        .map(|header| header.timestamp - sent[0].timestamp)
        .collect();
    assert_eq!(markers, [0, 90 * 160]);
    assert!(sent.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    // the background goes on, as loud as it is
    assert!((20..200).contains(&loudest), "{loudest}");
}

#[test]
fn test_time_passes_while_nothing_may_be_sent() {
    let mut leg = leg("PCMA", 8);
    leg.set_mouth(ms(0), true);
    let (first, _) = say(&mut leg, ms(0), 100).unwrap();
    leg.stop(ms(10));
    assert_eq!(say(&mut leg, ms(20), 100), None);
    leg.sends = true;
    let (next, _) = say(&mut leg, ms(40), 100).unwrap();
    assert_eq!(next.timestamp, first.timestamp.wrapping_add(320));
    assert_eq!(next.sequence, first.sequence.wrapping_add(1));
}

#[test]
fn test_a_tone_is_said_in_the_place_of_what_is_given_and_silence_is_no_tone() {
    let mut leg = leg("PCMA", 8);
    leg.set_mouth(ms(0), true);
    leg.play_tone(ms(0), 0.0, -10.0);
    let code = crate::g711::Law::A.encode(100);
    assert_eq!(say(&mut leg, ms(0), 100).unwrap().1, [code; 160]);
    leg.play_tone(ms(0), 1000.0, -10.0);
    assert_ne!(say(&mut leg, ms(20), 100).unwrap().1, [code; 160]);
    let mut buffer = [0; BUFFER_LENGTH];
    assert_eq!(leg.poll(ms(40), &mut buffer).map(|out| out.socket), None);
}
