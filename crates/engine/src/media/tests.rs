//! The engine over real sockets on loopback: relay on one worker and across two, failures, what is left after closing.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use trunkline_media::audio::circle::Circle;
use trunkline_media::audio::room::Part;
use trunkline_media::codec::Codec;
use trunkline_media::rtp;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn engine(workers: usize, first_port: u16) -> Engine {
    engine_of(workers, first_port, first_port + 199)
}

fn engine_of(workers: usize, first_port: u16, last_port: u16) -> Engine {
    Engine::start(&Options {
        workers,
        first_port,
        last_port,
        event_queue: 64,
    })
    .unwrap()
}

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind((HERE, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn plan(remote: SocketAddr, payload_type: u8) -> Configuration {
    let codecs = vec![Codec::new("PCMU", 8000, 1, payload_type).unwrap()];
    Configuration {
        remote_rtp: Some(remote),
        sends: true,
        receives: true,
        receive_codecs: codecs.clone(),
        send_codecs: codecs,
        ..Configuration::default()
    }
}

/// A leg whose peer is `socket`, who calls PCMU by `payload_type`; its number and address.
fn open(engine: &Engine, socket: &UdpSocket, beside: u64, payload_type: u8) -> (u64, SocketAddr) {
    let (leg, port) = engine.open_leg(HERE, beside).unwrap();
    engine.configure(leg, plan(socket.local_addr().unwrap(), payload_type)).unwrap();
    (leg, SocketAddr::new(HERE, port))
}

fn packet(payload_type: u8, sequence: u16) -> Vec<u8> {
    let header = rtp::Header {
        marker: false,
        payload_type,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 7,
    };
    [&header.bytes()[..], &[0x55; 160]].concat()
}

fn receive(socket: &UdpSocket) -> rtp::Header {
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).unwrap();
    rtp::Packet::parse(&buffer[..length]).unwrap().header
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn relays_both_ways(engine: &Engine, beside: bool) {
    let (x, y) = (peer(), peer());
    let (a, to_a) = open(engine, &x, 0, 96);
    let (b, to_b) = open(engine, &y, if beside { a } else { 0 }, 0);
    engine.link(a, b, false).unwrap();
    engine.statistics(b).unwrap();
    let mut last: [Option<u16>; 2] = [None, None];
    for n in 0..500u16 {
        x.send_to(&packet(96, n), to_a).unwrap();
        y.send_to(&packet(0, n), to_b).unwrap();
        for (index, (socket, payload_type)) in [(&y, 0), (&x, 96)].into_iter().enumerate() {
            let header = receive(socket);
            assert_eq!(header.payload_type, payload_type);
            assert!(
                last[index]
                    .replace(header.sequence)
                    .is_none_or(|last| header.sequence == last.wrapping_add(1))
            );
        }
    }
    for leg in [a, b] {
        let last = engine.close_leg(leg).unwrap().unwrap();
        assert_eq!(
            (last.packets_received, last.packets_sent, last.packets_lost, last.packets_refused),
            (500, 500, 0, 0)
        );
    }
}

#[test]
fn test_legs_on_one_worker_relay_both_ways() {
    relays_both_ways(&engine(2, 22_000), true);
}

#[test]
fn test_legs_on_two_workers_relay_both_ways() {
    relays_both_ways(&engine(2, 22_200), false);
}

#[test]
fn test_a_panic_in_a_leg_closes_that_leg_and_no_other() {
    let engine = engine(1, 22_400);
    let (x, y) = (peer(), peer());
    let (a, to_a) = open(&engine, &x, 0, 0);
    let (b, to_b) = open(&engine, &y, a, 0);
    engine.link(a, b, false).unwrap();
    engine.0.tell(a, Command::Fault { leg: a }).unwrap();
    engine.statistics(a).unwrap();
    x.send_to(&packet(0, 1), to_a).unwrap();
    let mut events = Vec::new();
    until("no LegFailed", || {
        events.extend(engine.drain(10));
        events
            .iter()
            .any(|event| matches!(event, Event::Failed { leg, reason } if *leg == a && reason == "panicked: told to fail"))
    });
    assert_eq!(engine.close_leg(a).unwrap(), None);
    assert_eq!(engine.counters().ports_used, 2);
    y.send_to(&packet(0, 1), to_b).unwrap();
    until("the other leg is deaf", || {
        engine.statistics(b).unwrap().unwrap().packets_received == 1
    });
}

#[test]
fn test_a_flood_of_rubbish_ends_no_worker_and_no_call() {
    let engine = engine(1, 23_200);
    let (x, y, stranger) = (peer(), peer(), peer());
    let (a, to_a) = open(&engine, &x, 0, 0);
    let (b, _) = open(&engine, &y, a, 0);
    engine.link(a, b, false).unwrap();
    engine.statistics(b).unwrap();
    let rubbish = |n: u16| -> Vec<u8> {
        let whole = packet(0, n);
        match n % 5 {
            // Cut off; an extension longer than the packet; a payload type that nobody agreed to; more padding than packet; no RTP at all.
            0 => whole[..usize::from(n) % 12].to_vec(),
            1 => [&[0x90, 0], &whole[2..12], &[0xbe, 0xde, 0xff, 0xff]].concat(),
            2 => packet(77, n),
            3 => [&[0xa0, 0], &whole[2..20], &[255]].concat(),
            _ => vec![(n % 64) as u8; 40],
        }
    };
    for n in 0..2000u16 {
        let _ = x.send_to(&rubbish(n), to_a);
        let _ = stranger.send_to(&packet(0, n), to_a);
        if n % 100 == 0 {
            x.send_to(&packet(0, n / 100), to_a).unwrap();
            assert_eq!(receive(&y).payload_type, 0);
        }
    }
    let counts = engine.statistics(a).unwrap().unwrap();
    assert_eq!(counts.packets_received, 20);
    assert!(counts.packets_refused > 1000, "{counts:?}");
    assert!(engine.drain(10).iter().all(|event| !matches!(event, Event::Failed { .. })));
}

#[test]
fn test_commands_to_unknown_legs_do_nothing_and_a_closed_engine_says_so() {
    let engine = engine(1, 22_600);
    engine.play_tone(u64::MAX, 440.0, -10.0).unwrap();
    engine.link(u64::MAX, u64::MAX - 1, false).unwrap();
    assert_eq!(engine.statistics(u64::MAX).unwrap(), None);
    assert_eq!(engine.close_leg(u64::MAX).unwrap(), None);
    engine.close();
    engine.close();
    assert_eq!(
        engine.open_leg(HERE, 0).err().map(|error| error.kind()),
        Some(io::ErrorKind::NotConnected)
    );
    assert_eq!((engine.event_fd(), engine.counters()), (-1, Counters::default()));
}

#[test]
fn test_a_leg_is_stopped_by_its_number_alone() {
    let engine = engine(1, 22_800);
    let x = peer();
    let (a, _) = open(&engine, &x, 0, 0);
    engine.play_tone(a, 440.0, -10.0).unwrap();
    receive(&x);
    stop_leg(a);
    engine.statistics(a).unwrap();
    x.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 2048];
    // What was on its way, then nothing more for five packet times.
    until("the tone goes on", || x.recv(&mut buffer).is_err());
}

#[test]
fn test_relinking_goes_on_with_the_same_stream() {
    let engine = engine(2, 23_000);
    let (x, y, z) = (peer(), peer(), peer());
    let ((a, to_a), (b, _), (c, to_c)) = (open(&engine, &x, 0, 0), open(&engine, &y, 0, 0), open(&engine, &z, 0, 0));
    engine.link(a, b, false).unwrap();
    engine.statistics(b).unwrap();
    x.send_to(&packet(0, 100), to_a).unwrap();
    let first = receive(&y);
    engine.link(c, b, false).unwrap();
    engine.statistics(c).unwrap();
    engine.statistics(b).unwrap();
    z.send_to(&packet(0, 9000), to_c).unwrap();
    let next = receive(&y);
    assert_eq!((next.ssrc, next.sequence), (first.ssrc, first.sequence.wrapping_add(1)));
    assert!(next.marker && next.timestamp.wrapping_sub(first.timestamp) < 80_000);
    x.send_to(&packet(0, 101), to_a).unwrap();
    z.send_to(&packet(0, 9001), to_c).unwrap();
    assert_eq!(receive(&y).sequence, first.sequence.wrapping_add(2));
}

#[test]
fn test_a_leg_that_ends_tells_its_last_counts_whenever_it_is_asked() {
    let engine = engine(1, 23_200);
    let (x, y) = (peer(), peer());
    let (a, to_a) = open(&engine, &x, 0, 0);
    let (b, _) = open(&engine, &y, a, 0);
    engine.link(a, b, false).unwrap();
    engine.statistics(b).unwrap();
    x.send_to(&packet(0, 1), to_a).unwrap();
    receive(&y);
    engine.hold();
    let end = engine.end_leg(b).unwrap();
    for _ in 0..2 {
        assert_eq!(end.statistics().unwrap().unwrap().packets_sent, 1);
    }
    engine.release();
    assert_eq!(engine.counters().legs, 1);
    assert_eq!(engine.end_leg(b).unwrap().statistics().unwrap(), None);
}

#[test]
fn test_the_ports_of_a_leg_that_ends_serve_the_next_one() {
    let engine = engine_of(1, 23_400, 23_401);
    let mut last = engine.open_leg(HERE, 0).unwrap();
    for _ in 0..100 {
        engine.end_leg(last.0).unwrap();
        let next = engine.open_leg(HERE, 0).unwrap();
        assert_eq!(next.1, last.1);
        last = next;
    }
    assert_eq!(
        engine.open_leg(HERE, 0).err().map(|error| error.kind()),
        Some(io::ErrorKind::AddrInUse)
    );
}

/// A phone of ours that knows one codec, and the leg that faces it: `phone` sends to `leg` and back.
fn phone(engine: &Engine, beside: u64, codec: &Codec) -> (u64, u64) {
    let ((leg, to_leg), (phone, to_phone)) = (engine.open_leg(HERE, beside).unwrap(), engine.open_leg(HERE, 0).unwrap());
    for (number, port) in [(leg, to_phone), (phone, to_leg)] {
        let events = Codec::new("telephone-event", 8000, 1, 101).unwrap();
        let codecs = vec![*codec, events];
        engine
            .configure(
                number,
                Configuration {
                    send_codecs: codecs.clone(),
                    receive_codecs: codecs,
                    ..plan(SocketAddr::new(HERE, port), 0)
                },
            )
            .unwrap();
    }
    engine.listen(phone).unwrap();
    (phone, leg)
}

fn law(name: &str) -> Codec {
    Codec::new(name, 8000, 1, if name == "PCMU" { 0 } else { 8 }).unwrap()
}

/// What a phone hears of a tone, once it is pure.
fn hears(engine: &Engine, phone: u64, frequency_hz: f64, level_dbm0: f64) {
    until("the tone is not heard", || {
        std::thread::sleep(Duration::from_millis(200));
        let heard = engine.heard(phone).unwrap().unwrap();
        heard.tone.purity > 0.9 && (heard.tone.frequency_hz - frequency_hz).abs() < 4.0 && (heard.tone.level_dbm0 - level_dbm0).abs() < 0.5
    });
}

fn hears_nothing(engine: &Engine, phone: u64) {
    until("something is heard", || {
        std::thread::sleep(Duration::from_millis(60));
        let heard = engine.heard(phone).unwrap().unwrap();
        !heard.duration.is_zero() && heard.tone.level_dbm0 < -60.0
    });
}

fn transcodes(engine: &Engine, beside: bool) {
    let (x, a) = phone(engine, 0, &law("PCMU"));
    let (y, b) = phone(engine, if beside { a } else { 0 }, &law("PCMA"));
    engine.link(a, b, true).unwrap();
    engine.play_tone(x, 1000.0, -10.0).unwrap();
    engine.play_tone(y, 600.0, -20.0).unwrap();
    hears(engine, y, 1000.0, -10.0);
    hears(engine, x, 600.0, -20.0);
    engine.send_digits(x, "42#".into(), Duration::from_millis(60)).unwrap();
    let mut digits = String::new();
    until("the digits do not cross", || {
        std::thread::sleep(Duration::from_millis(60));
        digits.push_str(&engine.heard(y).unwrap().unwrap().digits);
        digits.len() >= 3
    });
    assert_eq!(digits, "42#");
    assert_eq!(engine.counters().rooms, 1);
    engine.link(a, b, false).unwrap();
    assert_eq!(engine.counters().rooms, 0);
    engine.link(a, b, true).unwrap();
    engine.unlink(b).unwrap();
    assert_eq!(engine.counters().rooms, 0);
}

#[test]
fn test_legs_without_a_common_codec_are_transcoded_on_one_worker() {
    transcodes(&engine(1, 24_000), true);
}

#[test]
fn test_legs_without_a_common_codec_are_transcoded_across_workers() {
    transcodes(&engine(2, 24_200), false);
}

#[test]
fn test_three_in_a_room_hear_the_others() {
    let engine = engine(2, 24_400);
    let phones = [law("PCMU"), law("PCMA"), law("PCMU")].map(|codec| phone(&engine, 0, &codec));
    let [(x, a), (y, b), (z, c)] = phones;
    let room = engine.open_room(0).unwrap();
    for leg in [a, b, c] {
        engine.join_room(room, leg, Part::default()).unwrap();
    }
    engine.play_tone(x, 1000.0, -10.0).unwrap();
    // Phones that say nothing send silence.
    engine.play_tone(y, 0.0, -10.0).unwrap();
    hears(&engine, y, 1000.0, -10.0);
    hears(&engine, z, 1000.0, -10.0);
    hears_nothing(&engine, x);
    let muted = Part {
        muted: true,
        ..Part::default()
    };
    engine.join_room(room, a, muted).unwrap();
    hears_nothing(&engine, y);
    engine.join_room(room, a, Part::default()).unwrap();
    hears(&engine, y, 1000.0, -10.0);
    engine.leave_room(a).unwrap();
    hears_nothing(&engine, y);
    engine.close_room(room).unwrap();
    assert_eq!(engine.counters().rooms, 0);
    assert_eq!(
        engine.join_room(room, a, Part::default()).err().map(|error| error.kind()),
        Some(io::ErrorKind::NotFound)
    );
}

fn tone(frequency_hz: f64, level_dbm0: f64, samples: usize) -> Vec<i16> {
    let mut tone_samples = vec![0; samples];
    trunkline_media::tone::Tone::new(frequency_hz, level_dbm0).fill(&mut tone_samples);
    tone_samples
}

fn ended(engine: &Engine) -> Event {
    let mut last = None;
    until("no source ended", || {
        last = engine
            .drain(10)
            .into_iter()
            .find(|event| matches!(event, Event::SourceEnded { .. }));
        last.is_some()
    });
    last.unwrap()
}

#[test]
fn test_a_source_is_played_to_its_end_and_a_sink_takes_what_was_heard() {
    let engine = engine(1, 24_600);
    let (x, a) = phone(&engine, 0, &law("PCMA"));
    engine.play_tone(a, 0.0, -10.0).unwrap();
    engine.play_tone(x, 500.0, -12.0).unwrap();
    let sink = engine.open_sink(a, 8000, 100, streams::Side::Heard, true).unwrap();
    let source = engine.open_source(a, 8000, 100, false).unwrap();
    assert_eq!(source.write(&tone(700.0, -8.0, 10_000)), 10_000);
    source.finish();
    hears(&engine, x, 700.0, -8.0);
    let number = source.number();
    assert_eq!(
        ended(&engine),
        Event::SourceEnded {
            source: number,
            complete: true
        }
    );
    assert_eq!((source.played(), source.underruns()), (10_000, 0));
    until("the source stays", || !source.is_open());
    until("nothing is recorded", || sink.waiting() >= 8000);
    until("nobody is woken", || engine.drain(10).contains(&Event::Frames));
    let mut heard = vec![0; 8000];
    assert_eq!(sink.read(&mut heard), 8000);
    let power = heard[4000..].iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 4000.0;
    let expected = trunkline_media::tone::peak(-12.0).powi(2) / 2.0;
    assert!((power / expected - 1.0).abs() < 0.1, "{power} {expected}");
    assert!(sink.first_tick().is_some());
    engine.end_stream(a, sink.number()).unwrap();
    until("the sink stays", || !sink.is_open());
    // Silence goes on as before.
    hears_nothing(&engine, x);
}

#[test]
fn test_a_sink_that_nobody_reads_loses_its_own_frames() {
    let engine = engine(1, 24_800);
    let (x, a) = phone(&engine, 0, &law("PCMU"));
    let sink = engine.open_sink(a, 8000, 1, streams::Side::Said, false).unwrap();
    let source = engine.open_source(a, 16_000, 3000, true).unwrap();
    source.write(&tone(350.0, -8.0, 64_000));
    until("nothing is lost", || sink.lost() > 3);
    assert_eq!(sink.waiting(), 160);
    // 350 Hz at 8 kHz, played as 16 kHz.
    hears(&engine, x, 700.0, -8.0);
    source.pause(true);
    until("the pause is not heard", || {
        let before = source.played();
        std::thread::sleep(Duration::from_millis(60));
        source.played() == before
    });
    source.clear();
    source.pause(false);
    until("what waits is not forgotten", || source.played() == 64_000);
    engine.close_leg(a).unwrap();
    let number = source.number();
    assert_eq!(
        ended(&engine),
        Event::SourceEnded {
            source: number,
            complete: false
        }
    );
    assert_eq!(
        engine.open_source(a, 8000, 1, false).err().map(|error| error.kind()),
        Some(io::ErrorKind::NotFound)
    );
}

#[test]
fn test_a_guest_hears_both_parties_is_heard_by_whom_it_names_and_comes_back_with_the_room() {
    let engine = engine(2, 25_000);
    let phones = [law("PCMU"), law("PCMA"), law("PCMU")].map(|codec| phone(&engine, 0, &codec));
    let [(x, a), (y, b), (z, c)] = phones;
    let heard_by = |legs: &[u64]| Part {
        heard_by: Circle::Only(legs.to_vec()),
        ..Part::default()
    };
    engine.link(a, b, true).unwrap();
    engine.visit(c, a, heard_by(&[])).unwrap();
    engine.play_tone(x, 1000.0, -10.0).unwrap();
    engine.play_tone(y, 0.0, -10.0).unwrap();
    engine.play_tone(z, 600.0, -10.0).unwrap();
    hears(&engine, z, 1000.0, -10.0);
    hears(&engine, y, 1000.0, -10.0);
    hears_nothing(&engine, x);
    engine.play_tone(x, 0.0, -10.0).unwrap();
    engine.play_tone(y, 800.0, -10.0).unwrap();
    hears(&engine, z, 800.0, -10.0);
    hears(&engine, x, 800.0, -10.0);
    hears_nothing(&engine, y);
    engine.visit(c, a, heard_by(&[b])).unwrap();
    hears(&engine, y, 600.0, -10.0);
    hears(&engine, x, 800.0, -10.0);
    // They have no codec in common: nobody is heard until the link's room is back, and the guest with it.
    engine.link(a, b, false).unwrap();
    assert_eq!(engine.counters().rooms, 0);
    engine.link(a, b, true).unwrap();
    hears(&engine, y, 600.0, -10.0);
    hears(&engine, z, 800.0, -10.0);
    // The link's room stays when the guest goes, and the guest does not when the host does.
    engine.leave_room(c).unwrap();
    hears_nothing(&engine, y);
    hears(&engine, x, 800.0, -10.0);
    engine.visit(c, a, heard_by(&[b])).unwrap();
    hears(&engine, y, 600.0, -10.0);
    engine.close_leg(a).unwrap();
    assert_eq!(engine.counters().rooms, 0);
    // The visit is over: who was a guest may be a host.
    engine.visit(b, c, Part::default()).unwrap();
}

#[test]
fn test_a_guest_is_no_host_and_ends_its_visit_where_it_is_linked() {
    let engine = engine(1, 25_200);
    let [(_, a), (_, b), (_, c)] = [(); 3].map(|()| phone(&engine, 0, &law("PCMU")));
    engine.visit(b, a, Part::default()).unwrap();
    let refused = |guest, host| engine.visit(guest, host, Part::default()).err().map(|error| error.kind());
    assert_eq!(refused(c, b), Some(io::ErrorKind::InvalidInput));
    assert_eq!(refused(a, c), Some(io::ErrorKind::InvalidInput));
    assert_eq!(refused(c, c), Some(io::ErrorKind::InvalidInput));
    assert_eq!(refused(c, u64::MAX), Some(io::ErrorKind::NotFound));
    engine.link(b, c, false).unwrap();
    assert_eq!(refused(a, c), None);
    engine.close_leg(c).unwrap();
    assert_eq!(refused(b, a), None);
}

#[test]
fn test_a_room_tells_who_speaks_and_how_loud_each_is() {
    let engine = engine(1, 25_400);
    let phones = [(); 3].map(|()| phone(&engine, 0, &law("PCMU")));
    let room = engine.open_room(0).unwrap();
    for (phone, leg) in phones {
        engine.join_room(room, leg, Part::default()).unwrap();
        engine.play_tone(phone, 0.0, 0.0).unwrap();
    }
    let [(x, a), (y, b), (z, c)] = phones;
    let speaks = |leg| {
        let mut last = None;
        until("another speaks", || {
            let events = engine.drain(10).into_iter();
            let mut speakers = events.filter_map(|event| match event {
                Event::Speaker { room: at, leg } if at == room => Some(leg),
                _ => None,
            });
            last = speakers.next_back().or(last);
            last == Some(leg)
        });
    };
    engine.play_tone(x, 400.0, -20.0).unwrap();
    speaks(Some(a));
    engine.play_tone(y, 400.0, -10.0).unwrap();
    speaks(Some(b));
    let muted = Part {
        muted: true,
        ..Part::default()
    };
    engine.join_room(room, b, muted).unwrap();
    speaks(Some(a));
    let few = Part {
        heard_by: Circle::Only(vec![a]),
        ..Part::default()
    };
    engine.join_room(room, c, few).unwrap();
    engine.play_tone(z, 400.0, 0.0).unwrap();
    engine.play_tone(x, 0.0, 0.0).unwrap();
    speaks(None);
    until("the levels are not right", || {
        let levels = engine.levels(room).unwrap();
        let level = |leg| levels.iter().find(|(of, _)| *of == leg).map_or(1e9, |(_, level)| *level);
        level(a) < -60.0 && (level(b) + 10.0).abs() < 0.5 && level(c).abs() < 0.5
    });
    assert!(engine.levels(u64::MAX).unwrap().is_empty());
}
