//! CPU per relayed RTP packet: the media engine beside a bare epoll relay, in one run, in turns.
//!
//! `relay-bench [CALLS] [SECONDS] [ROUNDS]` (200, 4, 3). Phones send G.711 packets of 20 ms over loopback, spread evenly over time; the CPU time of
//! the relaying thread is the kernel's own count (`/proc/self/task/*/schedstat`). The bare relay reads a datagram and sends it on: no parsing,
//! no check of the source, no statistics, no renumbering. The last line is what `bench/run` reads.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relay_bench::{Failure, Turn, phone, report, run_engine, talk};
use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};

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
