//! The parties of the media benchmark: every 20 ms a G.711 packet from each side of each call, spread evenly, and a count of what came through.
//!
//! `load FIRST_PORT SECONDS`: reads the relay's ports from its input, two a line, one line a call. Side one of call n is on FIRST_PORT + 4 n, side
//! two on the port two above; the ports between are for RTCP, which is not looked at. Prints how many packets were sent and how many arrived.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{BufRead, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Packet time.
const PTIME: Duration = Duration::from_millis(20);
/// Samples and bytes of a G.711 packet.
const SAMPLES: u16 = 160;
/// The RTP header.
const HEADER: usize = 12;
/// How long stragglers are waited for.
const PATIENCE: Duration = Duration::from_millis(300);

struct Side {
    rtp: UdpSocket,
    _rtcp: UdpSocket,
    relay: SocketAddr,
    packet: [u8; HEADER + SAMPLES as usize],
    sequence: u16,
    timestamp: u32,
}

impl Side {
    fn new(port: u16, relay: u16, ssrc: u32) -> std::io::Result<Self> {
        let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        rtp.set_nonblocking(true)?;
        let mut packet = [0x55; HEADER + SAMPLES as usize];
        packet[0] = 0x80; // version 2
        packet[1] = 0; // PCMU
        packet[8..HEADER].copy_from_slice(&ssrc.to_be_bytes());
        Ok(Side {
            rtp,
            _rtcp: UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1))?,
            relay: SocketAddr::from((Ipv4Addr::LOCALHOST, relay)),
            packet,
            sequence: 1,
            timestamp: 0,
        })
    }

    fn send(&mut self) -> bool {
        self.packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        self.packet[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(SAMPLES.into());
        self.rtp.send_to(&self.packet, self.relay).is_ok()
    }

    /// Read what has arrived; how many packets.
    fn receive(&self) -> std::io::Result<u64> {
        let mut buffer = [0u8; 2048];
        let mut count = 0;
        loop {
            match self.rtp.recv(&mut buffer) {
                Ok(_) => count += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(count),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let first: u16 = arguments.next().ok_or("which first port?")?.parse()?;
    let seconds: u64 = arguments.next().ok_or("for how many seconds?")?.parse()?;
    let mut sides = Vec::new();
    let mut port = first;
    for line in std::io::stdin().lock().lines() {
        for relay in line?.split_whitespace() {
            sides.push(Side::new(port, relay.parse()?, u32::from(port))?);
            port += 2;
        }
    }
    let count = u32::try_from(sides.len())?;
    let gap = PTIME / count.max(1);
    let (mut sent, mut received) = (0u64, 0u64);
    let began = Instant::now();
    let mut due = began;
    while began.elapsed() < Duration::from_secs(seconds) {
        for side in &mut sides {
            // what came back for the packet before, so that no queue builds up
            received += side.receive()?;
            due += gap;
            // A sleep is late by some 50 µs; packets that are due meanwhile go out at once.
            if let Some(wait) = due.checked_duration_since(Instant::now()) {
                sleep(wait);
            }
            sent += u64::from(side.send());
        }
    }
    sleep(PATIENCE);
    for side in &sides {
        received += side.receive()?;
    }
    println!("{sent} {received} {:.3}", (began.elapsed() - PATIENCE).as_secs_f64());
    Ok(())
}
