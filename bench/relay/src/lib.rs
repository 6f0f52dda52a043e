//! Phones that talk, and what the thread that carries them costs: shared by `relay-bench` and `audio-bench`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use trunkline_engine::media::{Engine, Options};
use trunkline_media::codec::Codec;
use trunkline_media::leg::Configuration;
use trunkline_media::rtp;

/// Loopback.
pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A phone sends in one of so many slots of a packet time, a millisecond each.
const SLOTS: usize = 20;

/// Whatever went wrong.
pub type Failure = Box<dyn std::error::Error>;

/// What one turn came to.
pub struct Turn {
    /// Packets that the phones sent.
    pub sent: u64,
    /// Packets that came back to them.
    pub arrived: u64,
    /// Processor time of the thread.
    pub cpu: Duration,
}

impl Turn {
    /// By what came back.
    pub fn micros_per_packet(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.arrived.max(1) as f64
    }
}

/// Print each turn and return the least of them: other work on the machine only adds.
pub fn report(name: &str, turns: &[Turn]) -> f64 {
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
pub fn phone() -> Result<UdpSocket, Failure> {
    let socket = UdpSocket::bind((HERE, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Let every phone send to its leg for a while.
pub fn talk(phones: &[(UdpSocket, SocketAddr)], thread: &str, length: Duration) -> Result<Turn, Failure> {
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
pub fn cpu_of(name: &str) -> Result<Duration, Failure> {
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

/// An engine with one worker.
pub fn start() -> Result<Engine, Failure> {
    Ok(Engine::start(&Options {
        workers: 1,
        first_port: 30_000,
        last_port: 39_999,
        event_queue: 8192,
    })?)
}

/// Calls that the engine relays.
pub fn run_engine(calls: usize, length: Duration) -> Result<Turn, Failure> {
    let engine = start()?;
    let mut phones = Vec::new();
    for _ in 0..calls {
        let (a, b) = (open(&engine, &mut phones)?, open(&engine, &mut phones)?);
        engine.link(a, b, false)?;
        // Answers when all of it stands.
        engine.statistics(b)?;
    }
    talk(&phones, "media-0", length)
}

/// A leg, whose phone is the last of these from now on.
pub fn open(engine: &Engine, phones: &mut Vec<(UdpSocket, SocketAddr)>) -> Result<u64, Failure> {
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
