//! What calls as audio cost, beside a relayed packet of the same run; and the load of `bench/echo.py`.
//!
//! `audio-bench [PARTIES] [SECONDS]` (200, 5): transcoding one stream from each codec to each, one packet of 20 ms, in and out, without sockets;
//! mixing alone, a party's 20 ms in rooms of 3 to 200; and legs in rooms, sockets included, with the ticks that were late. `audio-bench echo SECONDS PORT...`:
//! phones send to legs that say again what they hear, silence and a burst now and then; printed is how long a burst took.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use relay_bench::{Failure, HERE, open, phone, run_engine, start, talk};
use rustix::event::epoll;
use trunkline_media::audio::Pcm;
use trunkline_media::audio::ear::Ear;
use trunkline_media::audio::mouth::Mouth;
use trunkline_media::audio::room::{Part, Room};
use trunkline_media::codec::Codec;
use trunkline_media::random::Random;
use trunkline_media::rtp;
use trunkline_media::time::Time;

/// Frames that are transcoded and mixed: 40 s.
const FRAMES: usize = 2_000;
/// Parties in a room.
const ROOMS: [usize; 4] = [3, 10, 50, 200];
/// A phone's burst comes every so many packets.
const BURST_EVERY: usize = 25;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("echo", rest)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        let numbers = rest.iter().map(|text| text.parse()).collect::<Result<Vec<u64>, _>>()?;
        let (seconds, ports) = numbers.split_first().ok_or("echo SECONDS PORT...")?;
        return echo(*seconds, ports);
    }
    let numbers = arguments.iter().map(|text| text.parse()).collect::<Result<Vec<u64>, _>>()?;
    let parties = usize::try_from(*numbers.first().unwrap_or(&200))?;
    let length = Duration::from_secs(*numbers.get(1).unwrap_or(&5));
    let relayed = run_engine(parties / 2, length)?.micros_per_packet();
    println!("relayed: {relayed:.2} us a packet");
    transcode()?;
    for size in ROOMS {
        mix(size);
    }
    for size in ROOMS {
        rooms(size, parties, length, relayed)?;
    }
    println!("audio: done");
    Ok(())
}

// --- transcoding ---------------------------------------------------------------------------------------------------------------

fn codecs() -> Vec<(&'static str, Codec)> {
    let known = [
        ("PCMU", 8000, 1, 0),
        ("PCMA", 8000, 1, 8),
        ("G722", 8000, 1, 9),
        ("Opus", 48_000, 2, 96),
    ];
    known
        .into_iter()
        .filter_map(|(name, rate, channels, payload_type)| Codec::new(name, rate, channels, payload_type).map(|codec| (name, codec)))
        .collect()
}

/// Something like speech: a few harmonics that swell and fade, and a little noise.
fn speech(rate: u32, frames: usize) -> Vec<Pcm> {
    let mut random = Random::new(1);
    let mut at = 0.0f64;
    (0..frames)
        .map(|_| {
            let mut frame = Pcm::silence(rate);
            for sample in frame.samples_mut() {
                let swell = (std::f64::consts::TAU * 3.0 * at).sin().max(0.0);
                let voice: f64 = (1..6)
                    .map(|n| (std::f64::consts::TAU * 140.0 * f64::from(n) * at).sin() / f64::from(n))
                    .sum();
                let noise = random.below(200) as f64 - 100.0;
                *sample = (swell * voice * 6000.0 + noise) as i16;
                at += 1.0 / f64::from(rate);
            }
            frame
        })
        .collect()
}

/// Packets of 20 ms in a codec.
fn packets(codec: Codec) -> Vec<Vec<u8>> {
    let mut mouth = Mouth::default();
    mouth.configure(&[codec], 20);
    let mut buffer = [0; 1500];
    speech(mouth.rate(), FRAMES)
        .iter()
        .map(|frame| {
            mouth.take(frame);
            let length = mouth.packet(&mut buffer).map_or(0, |said| said.length);
            buffer[..length].to_vec()
        })
        .collect()
}

fn transcode() -> Result<(), Failure> {
    for (from_name, from) in codecs() {
        let packets = packets(from);
        for (to_name, to) in codecs() {
            let (mut ear, mut mouth) = (Ear::default(), Mouth::default());
            ear.configure(&[from]);
            mouth.configure(&[to], 20);
            let mut buffer = [0; 1500];
            let mut frame = Pcm::silence(8000);
            let begun = Instant::now();
            for (n, payload) in packets.iter().enumerate() {
                let now = Time::from_micros(n as u64 * 20_000);
                let header = rtp::Header {
                    marker: false,
                    payload_type: from.payload_type,
                    sequence: n as u16,
                    timestamp: n as u32 * (from.clock_rate / 50),
                    ssrc: 1,
                };
                ear.push(now, &header, &from, payload);
                frame.fill(|samples| ear.frame(now, samples).samples);
                mouth.take(&frame);
                black_box(mouth.packet(&mut buffer));
            }
            let micros = begun.elapsed().as_secs_f64() * 1e6 / FRAMES as f64;
            println!("transcode: {from_name} {to_name} {micros:.2} us {:.0} streams", 20_000.0 / micros);
        }
    }
    Ok(())
}

// --- rooms ---------------------------------------------------------------------------------------------------------------------

/// Mixing alone, at 8 and at 48 kHz; everybody speaks.
fn mix(size: usize) {
    let each = [8000, 48_000].map(|rate| {
        let speech = speech(rate, 50);
        let mut room = Room::default();
        let mut members: Vec<_> = (1u64..).take(size).map(|number| Room::member(number, Part::default())).collect();
        let mut out = Pcm::silence(rate);
        let rounds = 40_000 / size;
        let begun = Instant::now();
        for round in 0..rounds {
            room.begin();
            for (n, member) in members.iter_mut().enumerate() {
                room.say(member, speech.get((round + n) % 50));
            }
            for member in &members {
                room.hear(member, std::iter::empty(), &mut out);
                black_box(&out);
            }
        }
        begun.elapsed().as_secs_f64() * 1e6 / (rounds * size) as f64
    });
    println!("mix: {size} {:.2} us {:.2} us at 48 kHz", each[0], each[1]);
}

/// As many parties as in other turns, in rooms of this size on one worker.
fn rooms(size: usize, parties: usize, length: Duration, relayed: f64) -> Result<(), Failure> {
    let engine = start()?;
    let (mut phones, mut room) = (Vec::new(), 0);
    for n in 0..parties.max(size) / size * size {
        let leg = open(&engine, &mut phones)?;
        if n % size == 0 {
            room = engine.open_room(leg)?;
        }
        engine.join_room(room, leg, Part::default())?;
        // Answers when all of it stands.
        engine.statistics(leg)?;
    }
    let before = engine.counters().late_ticks;
    let turn = talk(&phones, "media-0", length)?;
    let late = engine.counters().late_ticks - before;
    let micros = turn.cpu.as_secs_f64() * 1e6 / turn.sent.max(1) as f64;
    let ticks = length.as_millis() / 20;
    println!(
        "room: {size} {micros:.2} us {:.2} late {late} of {ticks}, {} parties",
        micros / relayed,
        phones.len()
    );
    Ok(())
}

// --- the round trip ------------------------------------------------------------------------------------------------------------

const SILENCE: u8 = 0xff;
const LOUD: [u8; 2] = [0x80, 0x00];

const fn is_loud(code: u8) -> bool {
    !code & 0x70 >= 0x60
}

fn echo(seconds: u64, ports: &[u64]) -> Result<(), Failure> {
    let mut phones = Vec::new();
    for port in ports {
        phones.push((phone()?, SocketAddr::new(HERE, u16::try_from(*port)?)));
    }
    let sent_at: Vec<AtomicU64> = phones.iter().map(|_| AtomicU64::new(0)).collect();
    let (begun, over) = (Instant::now(), AtomicBool::new(false));
    let mut taken = std::thread::scope(|scope| -> Result<Vec<u64>, Failure> {
        let hearing = scope.spawn(|| hear(&phones, &sent_at, begun, &over).map_err(|error| error.to_string()));
        for n in 0..usize::try_from(seconds)? * 50 {
            for (index, (socket, leg)) in phones.iter().enumerate() {
                let due = begun + Duration::from_micros(n as u64 * 20_000 + index as u64 * 20_000 / phones.len() as u64);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let bursts = n > 50 && (n + index) % BURST_EVERY == 0;
                let header = rtp::Header {
                    marker: false,
                    payload_type: 0,
                    sequence: n as u16,
                    timestamp: n as u32 * 160,
                    ssrc: index as u32 + 1,
                };
                let mut packet = [SILENCE; 172];
                packet[..12].copy_from_slice(&header.bytes());
                if bursts {
                    for (at, code) in packet[12..].iter_mut().enumerate() {
                        *code = LOUD[at / 8 % 2];
                    }
                    sent_at[index].store(begun.elapsed().as_micros() as u64 + 1, Ordering::Relaxed);
                }
                let _ = socket.send_to(&packet, leg);
            }
        }
        std::thread::sleep(Duration::from_millis(300));
        over.store(true, Ordering::Relaxed);
        Ok(hearing.join().map_err(|_| "the hearing thread panicked")??)
    })?;
    taken.sort_unstable();
    let at = |share: f64| {
        taken
            .get((taken.len() as f64 * share) as usize)
            .map_or(f64::NAN, |micros| *micros as f64 / 1000.0)
    };
    println!(
        "echo: p50 {:.1} ms p99 {:.1} ms of {} bursts, {} streams",
        at(0.5),
        at(0.99),
        taken.len(),
        phones.len()
    );
    Ok(())
}

/// How long each burst took until its first sample was back, in microseconds.
fn hear(
    phones: &[(std::net::UdpSocket, SocketAddr)],
    sent_at: &[AtomicU64],
    begun: Instant,
    over: &AtomicBool,
) -> Result<Vec<u64>, Failure> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut taken = Vec::new();
    let by_number: HashMap<u64, usize> = (0..phones.len()).map(|n| (n as u64, n)).collect();
    for (n, (socket, _)) in (0u64..).zip(phones) {
        epoll::add(&epoll, socket, epoll::EventData::new_u64(n), epoll::EventFlags::IN)?;
    }
    let timeout = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let mut ready = Vec::with_capacity(256);
    let mut buffer = [0; 2048];
    while !over.load(Ordering::Relaxed) {
        ready.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), Some(&timeout))?;
        let now = begun.elapsed().as_micros() as u64 + 1;
        for event in &ready {
            let Some(index) = by_number.get(&event.data.u64()).copied() else {
                continue;
            };
            while let Ok(length) = phones[index].0.recv(&mut buffer) {
                let first = buffer[12..length.max(12)].iter().position(|code| is_loud(*code));
                // The burst goes on in the packet after it.
                if let Some(first) = first
                    && let sent @ 1.. = sent_at[index].swap(0, Ordering::Relaxed)
                {
                    taken.push(now + first as u64 * 125 - sent);
                }
            }
        }
    }
    Ok(taken)
}
