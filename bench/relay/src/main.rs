//! CPU per relayed RTP packet: the media engine beside a bare epoll relay, in one run, in turns.
//!
//! `relay-bench [CALLS] [SECONDS] [ROUNDS]` (200, 4, 3). Phones send G.711 packets of 20 ms over loopback, spread evenly over time; the CPU time of
//! the relaying thread is the kernel's own count (`/proc/self/task/*/schedstat`). The bare relay reads a datagram and sends it on: no parsing,
//! no check of the source, no statistics, no renumbering. The last line is what `bench/run` reads.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};
use trunkline_engine::media::{Engine, Options};
use trunkline_media::codec::Codec;
use trunkline_media::leg::Configuration;
use trunkline_media::rtp;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A phone sends in one of so many slots of a packet time, a millisecond each.
const SLOTS: usize = 20;

type Failure = Box<dyn std::error::Error>;

/// What one turn came to.
struct Turn {
    sent: u64,
    arrived: u64,
    cpu: Duration,
}

impl Turn {
    fn micros_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.arrived.max(1) as f64
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let (calls, seconds, rounds) = (next(200)?, next(4)?, next(3)?);
    let (calls, length) = (usize::try_from(calls)?, Duration::from_secs(seconds));
    let (mut bare, mut engine) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(run_bare(calls, length)?);
        engine.push(run_engine(calls, length)?);
    }
    let (bare, engine) = (report("bare", &bare), report("engine", &engine));
    println!("relay: engine {engine:.2} us, bare {bare:.2} us, ratio {:.2}", engine / bare);
    Ok(())
}

/// Print each turn and return the least of them: other work on the machine only adds.
fn report(name: &str, turns: &[Turn]) -> f64 {
    for turn in turns {
        println!(
            "{name}: {} sent, {} arrived, {:.2} us CPU a packet",
            turn.sent,
            turn.arrived,
            turn.micros_per_packet()
        );
    }
    turns.iter().map(Turn::micros_per_packet).fold(f64::INFINITY, f64::min)
}

/// A phone socket; what it receives is counted and thrown away.
fn phone() -> Result<UdpSocket, Failure> {
    let socket = UdpSocket::bind((HERE, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Let every phone send to its leg for a while.
fn talk(phones: &[(UdpSocket, SocketAddr)], thread: &str, length: Duration) -> Result<Turn, Failure> {
    let packets = u64::try_from(length.as_millis())? / 20;
    let (mut sent, mut arrived) = (0u64, 0u64);
    let mut buffer = [0; 2048];
    let before = cpu_of(thread)?;
    let started = Instant::now();
    for n in 0..packets {
        for slot in 0..SLOTS {
            let due = started + Duration::from_millis(n * 20 + slot as u64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            for (index, (socket, leg)) in phones.iter().enumerate().filter(|(index, _)| index % SLOTS == slot) {
                while socket.recv(&mut buffer).is_ok() {
                    arrived += 1;
                }
                // Numbers modulo their field's size.
                let header = rtp::Header {
                    marker: false,
                    payload_type: 0,
                    sequence: n as u16,
                    timestamp: n as u32 * 160,
                    ssrc: index as u32,
                };
                let mut packet = [0xd5; 172];
                packet[..12].copy_from_slice(&header.bytes());
                sent += u64::from(socket.send_to(&packet, leg).is_ok());
            }
        }
    }
    std::thread::sleep(Duration::from_millis(100));
    for (socket, _) in phones {
        while socket.recv(&mut buffer).is_ok() {
            arrived += 1;
        }
    }
    Ok(Turn {
        sent,
        arrived,
        cpu: cpu_of(thread)?.saturating_sub(before),
    })
}

/// CPU time of the thread of that name, once it has taken the name.
fn cpu_of(name: &str) -> Result<Duration, Failure> {
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match find_cpu_of(name)? {
            Some(time) => return Ok(time),
            None if Instant::now() > deadline => return Err(format!("no thread {name}").into()),
            None => std::thread::yield_now(),
        }
    }
}

/// From the scheduler's count in nanoseconds.
fn find_cpu_of(name: &str) -> Result<Option<Duration>, Failure> {
    for task in std::fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if std::fs::read_to_string(path.join("comm"))?.trim() == name {
            let text = std::fs::read_to_string(path.join("schedstat"))?;
            return Ok(Some(Duration::from_nanos(text.split(' ').next().unwrap_or("").parse()?)));
        }
    }
    Ok(None)
}

fn run_engine(calls: usize, length: Duration) -> Result<Turn, Failure> {
    let engine = Engine::start(&Options {
        workers: 1,
        first_port: 30_000,
        last_port: 39_999,
        event_queue: 8192,
    })?;
    let mut phones = Vec::new();
    for _ in 0..calls {
        let (a, b) = (open(&engine, &mut phones)?, open(&engine, &mut phones)?);
        engine.link(a, b, false)?;
        // Answers when all of it stands.
        engine.statistics(b)?;
    }
    talk(&phones, "media-0", length)
}

fn open(engine: &Engine, phones: &mut Vec<(UdpSocket, SocketAddr)>) -> Result<u64, Failure> {
    let socket = phone()?;
    let (leg, port) = engine.open_leg(HERE, 0)?;
    let codecs: Vec<Codec> = Codec::new("PCMU", 8000, 1, 0).into_iter().collect();
    let plan = Configuration {
        remote_rtp: Some(socket.local_addr()?),
        sends: true,
        receives: true,
        receive_codecs: codecs.clone(),
        send_codecs: codecs,
        silence_timeout: Duration::from_secs(30),
        ..Configuration::default()
    };
    engine.configure(leg, plan)?;
    phones.push((socket, SocketAddr::new(HERE, port)));
    Ok(leg)
}

fn run_bare(calls: usize, length: Duration) -> Result<Turn, Failure> {
    let (mut phones, mut legs) = (Vec::new(), Vec::new());
    for _ in 0..calls * 2 {
        let (socket, leg) = (phone()?, phone()?);
        phones.push((socket, leg.local_addr()?));
        legs.push(leg);
    }
    // Leg n relays to the phone of the other leg of its call.
    let targets: Vec<SocketAddr> = (0..legs.len()).map(|n| phones[n ^ 1].0.local_addr()).collect::<Result<_, _>>()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::Builder::new()
        .name("bare-0".to_owned())
        .spawn(move || relay(&legs, &targets, &stopped))?;
    let turn = talk(&phones, "bare-0", length);
    stop.store(true, Ordering::Relaxed);
    thread.join().map_err(|_| "the bare relay panicked")??;
    turn
}

fn relay(legs: &[UdpSocket], targets: &[SocketAddr], stop: &AtomicBool) -> std::io::Result<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (n, leg) in (0u64..).zip(legs) {
        epoll::add(&epoll, leg, epoll::EventData::new_u64(n), epoll::EventFlags::IN)?;
    }
    let mut ready = Vec::with_capacity(256);
    let mut buffer = [0; 2048];
    let timeout = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    while !stop.load(Ordering::Relaxed) {
        ready.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut ready), Some(&timeout))?;
        for event in &ready {
            let n = event.data.u64() as usize;
            if let Ok((length, ..)) = recvfrom(&legs[n], &mut buffer[..], RecvFlags::DONTWAIT) {
                // Leg n hears its phone; the packet leaves by the socket of the call's other leg.
                let _ = sendto(&legs[n ^ 1], &buffer[..length], SendFlags::DONTWAIT, &targets[n]);
            }
        }
    }
    Ok(())
}
