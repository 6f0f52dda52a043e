//! Two legs and their peers over no network at all.

use super::*;
use crate::protect::Protection;
use crate::rtcp;
use crate::srtp::{MasterKey, Suite};

const WALL: WallClock = WallClock::new(1_700_000_000_000_000);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ms(ms: u64) -> Time {
    Time::from_micros(ms * 1000)
}

fn codec(name: &str, payload_type: u8) -> Codec {
    Codec::new(name, 8000, 1, payload_type).unwrap()
}

/// A plan for a peer at `remote` who calls telephone-event by this payload type.
fn plan(remote: &str, events: u8) -> Configuration {
    let codecs = vec![codec("PCMU", 0), codec("PCMA", 8), codec("telephone-event", events)];
    Configuration {
        remote_rtp: Some(address(remote)),
        remote_rtcp: None,
        sends: true,
        receives: true,
        receive_codecs: codecs.clone(),
        send_codecs: codecs,
        learn_from: None,
        silence_timeout: Duration::ZERO,
        ptime_ms: 0,
        udptl: false,
        keys: None,
    }
}

fn leg(seed: u64, plan: &Configuration) -> Leg {
    let mut leg = Leg::new(seed, WALL);
    leg.configure(ms(0), plan);
    leg
}

fn packet(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = rtp::Header {
        marker: false,
        payload_type,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 77,
    };
    [&header.bytes()[..], payload].concat()
}

/// A packet through `from` and out of `to`; what its peer gets.
fn pass(from: &mut Leg, to: &mut Leg, now: Time, source: &str, data: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
    let mut buffer = [0; BUFFER_LENGTH];
    buffer[..data.len()].copy_from_slice(data);
    let frame = from.receive(now, Socket::Rtp, address(source), &mut buffer[..data.len()])?;
    let out = to.relay(now, 1, &frame, &mut buffer)?;
    assert_eq!(out.socket, Socket::Rtp);
    Some((out.to, buffer[out.range].to_vec()))
}

/// All that is due up to `until`, a millisecond at a time.
fn run(leg: &mut Leg, from: u64, until: u64) -> Vec<(u64, Datagram, Vec<u8>)> {
    let mut sent = Vec::new();
    let mut buffer = [0; BUFFER_LENGTH];
    for at in from..until {
        while let Some(out) = leg.poll(ms(at), &mut buffer) {
            let bytes = buffer[out.range.clone()].to_vec();
            sent.push((at, out, bytes));
        }
        assert!(leg.next_timeout().is_none_or(|next| next > ms(at)));
    }
    sent
}

fn is_rtp(sent: &(u64, Datagram, Vec<u8>)) -> bool {
    sent.1.socket == Socket::Rtp
}

#[test]
fn test_a_frame_crosses_with_mapped_payload_type_and_our_own_numbers() {
    let (mut a, mut b) = (leg(1, &plan("192.0.2.1:4000", 96)), leg(2, &plan("192.0.2.2:5000", 101)));
    let (to, data) = pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &packet(96, 10, &[1, 0, 0, 160])).unwrap();
    let out = rtp::Packet::parse(&data).unwrap();
    assert_eq!(
        (to, out.header.payload_type, out.payload),
        (address("192.0.2.2:5000"), 101, &[1, 0, 0, 160][..])
    );
    assert_ne!(out.header.ssrc, 77);
    assert_eq!(a.statistics().packets_received, 1);
    assert_eq!(b.statistics().packets_sent, 1);
    assert_eq!(a.take_event(), Some(Event::Latched(address("192.0.2.1:4000"))));
}

#[test]
fn test_csrcs_extension_and_padding_do_not_cross() {
    let (mut a, mut b) = (leg(1, &plan("192.0.2.1:4000", 96)), leg(2, &plan("192.0.2.2:5000", 101)));
    let mut data = packet(0, 10, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 5, 5, 5, 5, 42, 43, 0, 2]);
    data[0] = 0xb1;
    let (_, data) = pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &data).unwrap();
    assert_eq!((data[0], data.len(), &data[12..]), (0x80, 14, &[42, 43][..]));
}

#[test]
fn test_what_was_not_agreed_is_refused_and_counted() {
    let (mut a, mut b) = (leg(1, &plan("192.0.2.1:4000", 96)), leg(2, &plan("192.0.2.2:5000", 101)));
    assert_eq!(pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &packet(18, 1, &[0; 20])), None);
    assert_eq!(pass(&mut a, &mut b, ms(0), "192.0.2.9:4000", &packet(0, 1, &[0; 160])), None);
    assert_eq!(pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &[0x80]), None);
    assert_eq!(pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &[0; 20]), None);
    assert_eq!((a.statistics().packets_refused, a.statistics().packets_received), (4, 0));
    b.configure(
        ms(0),
        &Configuration {
            send_codecs: vec![codec("PCMA", 8)],
            ..plan("192.0.2.2:5000", 101)
        },
    );
    assert_eq!(pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &packet(0, 1, &[0; 160])), None);
    assert_eq!(b.statistics().packets_refused, 1);
}

#[test]
fn test_a_stranger_is_never_heard_and_hears_nothing_before_during_and_after() {
    let (mut a, mut b) = (leg(1, &plan("192.0.2.1:4000", 96)), leg(2, &plan("192.0.2.2:5000", 101)));
    let stranger = "192.0.2.66:4000";
    let hold = Configuration {
        sends: false,
        receives: false,
        ..plan("192.0.2.1:4000", 96)
    };
    let steps: [(Option<Configuration>, bool); 4] = [
        (None, false),
        (None, true),
        (Some(hold), false),
        (Some(plan("192.0.2.1:4000", 96)), true),
    ];
    let mut at = 0;
    for (change, real) in steps {
        if let Some(change) = change {
            a.configure(ms(at), &change);
        }
        for n in 0..200u16 {
            at += 5;
            assert_eq!(pass(&mut a, &mut b, ms(at), stranger, &packet(0, n, &[0; 160])), None);
            if real && n % 4 == 0 {
                assert!(pass(&mut a, &mut b, ms(at), "192.0.2.1:4000", &packet(0, n / 4, &[0; 160])).is_some());
            }
            if let Some((to, _)) = pass(&mut b, &mut a, ms(at), "192.0.2.2:5000", &packet(0, n, &[0; 160])) {
                assert_eq!(to, address("192.0.2.1:4000"));
            }
        }
    }
    assert_eq!(a.statistics().packets_refused, 800);
    assert_eq!(a.statistics().packets_received, 100);
}

#[test]
fn test_on_hold_nothing_passes_in_either_direction() {
    let (mut a, mut b) = (leg(1, &plan("192.0.2.1:4000", 96)), leg(2, &plan("192.0.2.2:5000", 101)));
    a.configure(
        ms(0),
        &Configuration {
            sends: false,
            receives: false,
            ..plan("192.0.2.1:4000", 96)
        },
    );
    assert_eq!(pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &packet(0, 1, &[0; 160])), None);
    assert_eq!(pass(&mut b, &mut a, ms(0), "192.0.2.2:5000", &packet(0, 1, &[0; 160])), None);
}

#[test]
fn test_silence_is_told_once_and_only_while_they_are_to_send() {
    let timeout = Duration::from_secs(2);
    let expects = Configuration {
        silence_timeout: timeout,
        ..plan("192.0.2.1:4000", 96)
    };
    let mut a = leg(1, &expects);
    let silent = |leg: &mut Leg, from, until| {
        run(leg, from, until);
        std::iter::from_fn(|| leg.take_event())
            .filter(|event| *event == Event::Silent)
            .count()
    };
    assert_eq!(silent(&mut a, 0, 2000), 0);
    assert_eq!(silent(&mut a, 2000, 9000), 1);
    let mut data = packet(0, 1, &[0; 160]);
    a.receive(ms(9000), Socket::Rtp, address("192.0.2.1:4000"), &mut data);
    // A refresh in between does not put it off.
    a.configure(ms(10_000), &expects);
    assert_eq!(silent(&mut a, 9000, 11_000), 0);
    assert_eq!(silent(&mut a, 11_000, 11_002), 1);
    a.configure(
        ms(12_000),
        &Configuration {
            receives: false,
            ..expects.clone()
        },
    );
    assert_eq!(silent(&mut a, 12_000, 20_000), 0);
    a.configure(ms(20_000), &expects);
    assert_eq!(silent(&mut a, 20_000, 21_999), 0);
    assert_eq!(silent(&mut a, 21_999, 22_001), 1);
}

#[test]
fn test_a_tone_is_sent_every_20_ms_without_gap_and_heard_as_it_is() {
    let mut a = leg(1, &plan("192.0.2.1:4000", 96));
    let mut b = leg(
        2,
        &Configuration {
            remote_rtp: Some(address("192.0.2.7:6000")),
            ..plan("192.0.2.7:6000", 96)
        },
    );
    a.play_tone(ms(0), 440.0, -10.0);
    b.listen();
    let sent: Vec<_> = run(&mut a, 0, 2000).into_iter().filter(is_rtp).collect();
    assert_eq!(
        sent.iter().map(|(at, ..)| *at).collect::<Vec<_>>(),
        (0..100).map(|n| n * 20).collect::<Vec<_>>()
    );
    for (at, _, mut data) in sent {
        b.receive(ms(at), Socket::Rtp, address("192.0.2.7:6000"), &mut data);
    }
    let heard = b.heard(ms(2000));
    assert!(
        (heard.tone.frequency_hz - 440.0).abs() < 1.0 && heard.tone.purity > 0.99,
        "{heard:?}"
    );
    assert!((heard.tone.level_dbm0 + 10.0).abs() < 0.2, "{heard:?}");
    assert_eq!((heard.gaps, heard.duration), (0, Duration::from_secs(2)));
    assert_eq!(b.statistics().jitter_ms, 0.0);
    a.stop_tone();
    assert!(!run(&mut a, 2000, 3000).iter().any(is_rtp));
}

#[test]
fn test_packets_that_are_late_are_caught_up_with() {
    let mut a = leg(1, &plan("192.0.2.1:4000", 96));
    a.play_tone(ms(0), 440.0, -10.0);
    run(&mut a, 0, 1);
    let sent: Vec<_> = run(&mut a, 200, 221).into_iter().filter(is_rtp).collect();
    assert_eq!(sent.len(), 11);
    let late = run(&mut a, 10_000, 10_001);
    assert_eq!(late.into_iter().filter(is_rtp).count(), 1);
}

#[test]
fn test_digits_interrupt_the_tone_and_each_is_heard_once() {
    let mut a = leg(1, &plan("192.0.2.1:4000", 96));
    let mut b = leg(2, &plan("192.0.2.7:6000", 96));
    a.play_tone(ms(0), 440.0, -10.0);
    a.send_digits(ms(0), "11#", Duration::from_millis(100));
    let sent: Vec<_> = run(&mut a, 0, 1500).into_iter().filter(is_rtp).collect();
    assert_eq!(sent.len(), 75);
    let mut sequences = Vec::new();
    for (at, _, mut data) in sent {
        sequences.push(rtp::Packet::parse(&data).unwrap().header.sequence);
        b.receive(ms(at), Socket::Rtp, address("192.0.2.7:6000"), &mut data);
    }
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    assert_eq!(b.heard(ms(1500)).digits, "11#");
}

#[test]
fn test_without_an_agreed_telephone_event_no_digit_is_sent() {
    let mut a = leg(
        1,
        &Configuration {
            send_codecs: vec![codec("PCMU", 0)],
            ..plan("192.0.2.1:4000", 96)
        },
    );
    a.send_digits(ms(0), "1", Duration::from_millis(100));
    assert!(!run(&mut a, 0, 500).iter().any(is_rtp));
}

#[test]
fn test_reports_are_our_own_and_round_trip_and_loss_are_read_from_theirs() {
    let (mut a, mut b) = (leg(1, &plan("192.0.2.2:5000", 96)), leg(2, &plan("192.0.2.1:4000", 96)));
    a.play_tone(ms(0), 440.0, -10.0);
    b.play_tone(ms(0), 440.0, -10.0);
    // A wire of 30 ms each way that loses every tenth packet from a to b.
    let mut wire: Vec<(u64, bool, Socket, Vec<u8>)> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for at in 0..30_000u64 {
        let (arrived, waiting) = wire.into_iter().partition(|(due, ..)| *due <= at);
        wire = waiting;
        let arrived: Vec<(u64, bool, Socket, Vec<u8>)> = arrived;
        for (_, to_b, socket, mut data) in arrived {
            let (leg, port) = if to_b { (&mut b, 4000) } else { (&mut a, 5000) };
            let port = if socket == Socket::Rtcp { port + 1 } else { port };
            let host = if to_b { "192.0.2.1" } else { "192.0.2.2" };
            leg.receive(ms(at), socket, address(&format!("{host}:{port}")), &mut data);
        }
        for (leg, to_b) in [(&mut a, true), (&mut b, false)] {
            let mut buffer = [0; BUFFER_LENGTH];
            while let Some(out) = leg.poll(ms(at), &mut buffer) {
                let data = buffer[out.range.clone()].to_vec();
                if out.socket == Socket::Rtcp {
                    assert_eq!(out.to.port() % 2, 1);
                    names.extend(rtcp::parse(&data).unwrap().packets().filter_map(|packet| match packet {
                        rtcp::Packet::SourceDescription { cname, .. } => Some(cname.to_vec()),
                        _ => None,
                    }));
                }
                if !(to_b && out.socket == Socket::Rtp && data[3] % 10 == 0) {
                    wire.push((at + 30, to_b, out.socket, data));
                }
            }
        }
    }
    let (a, b) = (a.statistics(), b.statistics());
    assert!((a.round_trip_ms.unwrap() - 60.0).abs() < 2.0, "{a:?}");
    assert!((b.round_trip_ms.unwrap() - 60.0).abs() < 2.0, "{b:?}");
    assert!(b.packets_lost > 130 && b.packets_lost < 160, "{b:?}");
    assert!(
        a.remote_packets_lost
            .is_some_and(|lost| lost > 80 && u64::from(lost) <= b.packets_lost),
        "{a:?}"
    );
    assert_eq!((a.packets_lost, b.remote_packets_lost), (0, Some(0)));
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| name.len() == 24));
}

#[test]
fn test_rtcp_of_a_stranger_is_refused_and_behind_nat_the_peers_is_learned_by_its_ssrc() {
    let nat = Configuration {
        learn_from: Some("192.0.2.1".parse().unwrap()),
        ..plan("10.0.0.5:4000", 96)
    };
    let mut a = leg(1, &nat);
    a.play_tone(ms(0), 440.0, -10.0);
    let mut data = packet(0, 1, &[0; 160]);
    a.receive(ms(0), Socket::Rtp, address("192.0.2.1:1024"), &mut data);
    let report = |ssrc| {
        let mut out = Vec::new();
        rtcp::write_report(&mut out, ssrc, None, &[]);
        out
    };
    a.receive(ms(1), Socket::Rtcp, address("192.0.2.9:2000"), &mut report(77));
    a.receive(ms(1), Socket::Rtcp, address("192.0.2.1:2000"), &mut report(78));
    assert_eq!(a.statistics().packets_refused, 2);
    assert!(run(&mut a, 0, 8000).iter().all(is_rtp));
    a.receive(ms(8000), Socket::Rtcp, address("192.0.2.1:3000"), &mut report(77));
    a.receive(ms(8001), Socket::Rtcp, address("192.0.2.1:2000"), &mut report(77));
    let reports: Vec<_> = run(&mut a, 8001, 17_000).into_iter().filter(|sent| !is_rtp(sent)).collect();
    assert!(!reports.is_empty() && reports.iter().all(|(_, out, _)| out.to == address("192.0.2.1:3000")));
}

#[test]
fn test_with_one_port_for_both_reports_go_from_the_rtp_socket() {
    let mux = Configuration {
        remote_rtcp: Some(address("192.0.2.1:4000")),
        ..plan("192.0.2.1:4000", 96)
    };
    let mut a = leg(1, &mux);
    let sent = run(&mut a, 0, 8000);
    assert!(
        !sent.is_empty()
            && sent
                .iter()
                .all(|(_, out, _)| out.to == address("192.0.2.1:4000") && out.socket == Socket::Rtp)
    );
    a.receive(ms(8000), Socket::Rtp, address("192.0.2.1:4000"), &mut sent[0].2.clone());
    assert_eq!(a.statistics().packets_refused, 0);
}

#[test]
fn test_a_leg_says_bye_only_if_it_ever_sent() {
    let mut a = leg(1, &plan("192.0.2.1:4000", 96));
    let mut buffer = [0; BUFFER_LENGTH];
    assert_eq!(a.farewell(ms(1), &mut buffer), None);
    a.play_tone(ms(1), 0.0, 0.0);
    assert!(a.poll(ms(1), &mut buffer).is_some());
    let out = a.farewell(ms(2), &mut buffer).unwrap();
    let compound = rtcp::parse(&buffer[out.range]).unwrap();
    assert!(matches!(compound.packets().last(), Some(rtcp::Packet::Goodbye { ssrc: Some(_) })));
}

#[test]
fn test_an_unconfigured_leg_hears_and_sends_nothing() {
    let mut a = Leg::new(1, WALL);
    let mut data = packet(0, 1, &[0; 160]);
    assert_eq!(a.receive(ms(0), Socket::Rtp, address("192.0.2.1:4000"), &mut data), None);
    a.play_tone(ms(0), 440.0, -10.0);
    assert!(run(&mut a, 0, 1000).is_empty());
    assert_eq!(a.statistics().packets_refused, 1);
}

#[test]
fn test_a_stopped_leg_is_silent_until_it_is_configured_again() {
    let (mut a, mut b) = (leg(1, &plan("192.0.2.1:4000", 96)), leg(2, &plan("192.0.2.2:5000", 101)));
    a.play_tone(ms(0), 440.0, -10.0);
    a.stop(ms(0));
    assert_eq!(pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &packet(0, 1, &[0; 160])), None);
    assert_eq!(pass(&mut b, &mut a, ms(0), "192.0.2.2:5000", &packet(0, 1, &[0; 160])), None);
    assert!(!run(&mut a, 0, 1000).iter().any(is_rtp));
    a.configure(ms(1000), &plan("192.0.2.1:4000", 96));
    assert!(pass(&mut a, &mut b, ms(1000), "192.0.2.1:4000", &packet(0, 2, &[0; 160])).is_some());
}

/// The keys of one side: what it receives with, and what it sends with.
fn keys(receive: u8, send: u8) -> Option<Keys> {
    let key = |fill| MasterKey::new(Suite::Aes128Sha1_80, &[fill; 30]).unwrap();
    Some(Keys {
        receive: key(receive),
        send: key(send),
    })
}

/// A leg whose peer is behind NAT and sends with key 1; it sends with key 2.
fn secure_leg(seed: u64) -> Leg {
    leg(
        seed,
        &Configuration {
            learn_from: Some("192.0.2.1".parse().unwrap()),
            keys: keys(1, 2),
            ..plan("10.0.0.1:4000", 96)
        },
    )
}

fn enciphered(by: &mut Protection, plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(BUFFER_LENGTH, 0);
    let range = by.protect(&mut buffer, 0..plain.len()).unwrap();
    buffer[range].to_vec()
}

fn protection(receive: u8, send: u8) -> Protection {
    let mut protection = Protection::Plain;
    protection.configure(keys(receive, send).as_ref());
    protection
}

#[test]
fn test_srtp_is_taken_off_one_leg_and_put_on_the_other() {
    let (mut a, mut b) = (secure_leg(1), leg(2, &plan("192.0.2.2:5000", 101)));
    let mut phone = protection(2, 1);
    let sent = enciphered(&mut phone, &packet(0, 10, b"speech"));
    let (_, data) = pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &sent).unwrap();
    assert_eq!(&data[12..], b"speech");
    let (to, mut data) = pass(&mut b, &mut a, ms(1), "192.0.2.2:5000", &packet(0, 1, b"answer")).unwrap();
    assert_eq!((to, data.len()), (address("192.0.2.1:4000"), 12 + 6 + 10));
    assert_ne!(&data[12..18], b"answer");
    let range = phone.unprotect(&mut data).unwrap();
    assert_eq!(&data[range][12..], b"answer");
}

#[test]
fn test_only_an_authentic_packet_latches() {
    let (mut a, mut b) = (secure_leg(1), leg(2, &plan("192.0.2.2:5000", 101)));
    let mut stranger = protection(2, 9);
    for data in [packet(0, 1, b"plain"), enciphered(&mut stranger, &packet(0, 2, b"wrong key"))] {
        assert_eq!(pass(&mut a, &mut b, ms(0), "192.0.2.1:666", &data), None);
    }
    assert_eq!(
        (a.take_event(), a.statistics().latched, a.statistics().packets_refused),
        (None, None, 2)
    );
    let mut phone = protection(2, 1);
    let sent = enciphered(&mut phone, &packet(0, 10, b"speech"));
    assert!(pass(&mut a, &mut b, ms(1), "192.0.2.1:4000", &sent).is_some());
    assert_eq!(a.take_event(), Some(Event::Latched(address("192.0.2.1:4000"))));
    // The same packet again, from where the stranger is, is a replay.
    assert_eq!(pass(&mut a, &mut b, ms(60_000), "192.0.2.1:666", &sent), None);
    assert_eq!(a.statistics().latched, Some(address("192.0.2.1:4000")));
}

#[test]
fn test_reports_are_srtcp_and_are_believed_only_when_authentic() {
    let mut a = leg(
        1,
        &Configuration {
            keys: keys(1, 2),
            ..plan("192.0.2.1:4000", 96)
        },
    );
    let mut phone = protection(2, 1);
    a.play_tone(ms(0), 440.0, -10.0);
    let sent = run(&mut a, 0, 10_000);
    let (mut speech, mut reports) = (0, 0);
    for (_, out, mut data) in sent {
        let rtcp = out.socket == Socket::Rtcp;
        let plain = if rtcp {
            phone.unprotect_rtcp(&mut data)
        } else {
            phone.unprotect(&mut data)
        };
        let plain = plain.unwrap();
        if rtcp {
            assert!(rtcp::parse(&data[plain]).is_ok());
            reports += 1;
        } else {
            assert_eq!(plain.len(), 172);
            speech += 1;
        }
    }
    assert!(speech > 400 && reports > 0);
    let mut report = Vec::new();
    rtcp::write_report(&mut report, 77, None, &[]);
    rtcp::write_cname(&mut report, 77, "phone");
    let refused = a.statistics().packets_refused;
    a.receive(ms(10_000), Socket::Rtcp, address("192.0.2.1:4001"), &mut report.clone());
    assert_eq!(a.statistics().packets_refused, refused + 1);
    let length = report.len();
    report.resize(200, 0);
    let range = phone.protect_rtcp(&mut report, 0..length).unwrap();
    a.receive(ms(10_000), Socket::Rtcp, address("192.0.2.1:4001"), &mut report[range]);
    assert_eq!(a.statistics().packets_refused, refused + 1);
}

#[test]
fn test_a_fax_between_leaves_the_numbers_of_srtp_as_they_were() {
    let secure = Configuration {
        keys: keys(1, 2),
        ..plan("192.0.2.1:4000", 96)
    };
    let mut a = leg(1, &secure);
    let mut b = leg(2, &plan("192.0.2.2:5000", 101));
    let mut phone = protection(2, 1);
    let sent = enciphered(&mut phone, &packet(0, 10, b"speech"));
    assert!(pass(&mut a, &mut b, ms(0), "192.0.2.1:4000", &sent).is_some());
    a.configure(
        ms(1),
        &Configuration {
            udptl: true,
            keys: None,
            ..secure.clone()
        },
    );
    a.configure(ms(2), &secure);
    assert_eq!(pass(&mut a, &mut b, ms(3), "192.0.2.1:4000", &sent), None);
}

#[test]
fn test_a_digit_is_told_at_its_end_or_when_its_ends_are_lost() {
    let mut leg = leg(1, &plan("192.0.2.1:4000", 96));
    let mut hear = |at: u64, sequence: u16, payload: &[u8]| {
        let mut data = packet(96, sequence, payload);
        // One event: its packets share a timestamp.
        data[4..8].copy_from_slice(&800u32.to_be_bytes());
        leg.receive(ms(at), Socket::Rtp, address("192.0.2.1:4000"), &mut data);
        std::iter::from_fn(|| leg.take_event())
            .filter(|event| matches!(event, Event::Digit(..)))
            .collect::<Vec<_>>()
    };
    let digit = |digit, duration_ms| Event::Digit(dtmf::Press { digit, duration_ms }, 8000);
    assert_eq!(hear(0, 1, &[5, 10, 0, 160]), []);
    assert_eq!(hear(20, 2, &[5, 0x8a, 3, 32]), [digit('5', 100)]);
    assert_eq!(hear(40, 3, &[5, 0x8a, 3, 32]), []);
    let mut data = packet(96, 9, &[7, 10, 0, 240]);
    leg.receive(ms(100), Socket::Rtp, address("192.0.2.1:4000"), &mut data);
    run(&mut leg, 100, 300);
    assert_eq!(leg.take_event(), None);
    run(&mut leg, 300, 301);
    assert_eq!(leg.take_event(), Some(digit('7', 30)));
}
