//! What the media engine is measured beside: epoll, one `recvfrom` and one `sendto` a packet, two sockets a call, and nothing else.
//!
//! `relay CALLS FIRST_PORT`: opens two sockets for each call on ports that the system chooses and prints them, one line a call. What arrives on
//! one goes out of the other, to FIRST_PORT + 4 n for the first side of call n and two above it for the second. Ends when its input does.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};

/// Events of one wake-up, as many as the media engine takes.
const EVENTS: usize = 256;
/// The largest packet.
const LARGEST: usize = 2048;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let calls: u16 = arguments.next().ok_or("how many calls?")?.parse()?;
    let first: u16 = arguments.next().ok_or("which first port?")?.parse()?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut sides = Vec::new();
    for side in 0..calls * 2 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        epoll::add(&poll, &socket, epoll::EventData::new_u64(side.into()), epoll::EventFlags::IN)?;
        sides.push((socket, SocketAddr::from((Ipv4Addr::LOCALHOST, first + 2 * side))));
    }
    let mut out = std::io::stdout().lock();
    for call in sides.chunks(2) {
        let ports: Result<Vec<String>, std::io::Error> =
            call.iter().map(|(socket, _)| Ok(socket.local_addr()?.port().to_string())).collect();
        writeln!(out, "{}", ports?.join(" "))?;
    }
    out.flush()?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let mut buffer = [0u8; LARGEST];
    let mut ready = Vec::with_capacity(EVENTS);
    loop {
        ready.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut ready), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &ready {
            let side = usize::try_from(event.data.u64())?;
            let (from, _) = &sides[side];
            let (to, target) = &sides[side ^ 1];
            if let Ok((length, _, _)) = recvfrom(from, &mut buffer[..], RecvFlags::DONTWAIT) {
                let _ = sendto(to, &buffer[..length], SendFlags::DONTWAIT, target);
            }
        }
    }
}
