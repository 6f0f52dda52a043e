//! Packets of two legs that are relayed, digits, strangers and rubbish among them: none allocates. A test of its own: it replaces the
//! allocator of its process.
#![allow(clippy::unwrap_used)] // a test may fail

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use trunkline_media::codec::Codec;
use trunkline_media::leg::{BUFFER_LENGTH, Configuration, Leg, Socket};
use trunkline_media::random::Random;
use trunkline_media::rtp::{HEADER_LENGTH, Header};
use trunkline_media::time::{Time, WallClock};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator unchanged; counting touches a constant-initialized thread-local without drop.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PEERS: [SocketAddr; 2] = [address(1), address(2)];
const STRANGER: SocketAddr = address(9);
const PACKET: usize = HEADER_LENGTH + 160;

const fn address(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 4000)
}

/// A leg that agreed to PCMU and telephone events, by numbers of its own.
fn leg(peer: SocketAddr, seed: u64, event: u8) -> Leg {
    let codecs = vec![
        Codec::new("PCMU", 8000, 1, 0).unwrap(),
        Codec::new("telephone-event", 8000, 1, event).unwrap(),
    ];
    let mut leg = Leg::new(seed, WallClock::default());
    leg.configure(
        Time::ZERO,
        &Configuration {
            remote_rtp: Some(peer),
            sends: true,
            receives: true,
            receive_codecs: codecs.clone(),
            send_codecs: codecs,
            ..Configuration::default()
        },
    );
    leg
}

#[test]
fn test_relaying_allocates_nothing_whatever_arrives() {
    let mut legs = [leg(PEERS[0], 1, 101), leg(PEERS[1], 2, 96)];
    let (mut buffer, mut random) = ([0; BUFFER_LENGTH], Random::new(3));
    let (mut relayed, mut presses) = ([0u64; 2], 0);
    let before = ALLOCATIONS.get();
    for n in 0..20_000u64 {
        let from = usize::from(n % 2 == 0);
        let now = Time::from_micros(n * 10_000);
        let digit = n % 1000 < 10;
        let header = Header {
            marker: false,
            payload_type: if digit { [101, 96][from] } else { 0 },
            sequence: (n / 2) as u16,
            timestamp: (n / 2) as u32 * 160,
            ssrc: 7 + from as u32,
        };
        buffer[..HEADER_LENGTH].copy_from_slice(&header.bytes());
        let mut length = PACKET;
        if digit {
            // The digit 5, at its end (RFC 4733 §2.3).
            buffer[HEADER_LENGTH..HEADER_LENGTH + 4].copy_from_slice(&[5, 0x8a, 3, 0x20]);
            length = HEADER_LENGTH + 4;
        }
        let mut source = PEERS[from];
        match n % 50 {
            11 => source = STRANGER,
            // A payload type that nobody agreed to; an extension longer than the packet; a packet that is cut off.
            12 => buffer[1] = 77,
            13 => buffer[..16].copy_from_slice(&[0x90, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0xbe, 0xde, 0xff, 0xff]),
            14 => length = random.below(HEADER_LENGTH as u64) as usize,
            15 => buffer[..64].iter_mut().for_each(|byte| *byte = random.next_u32() as u8),
            _ => {}
        }
        let Some(frame) = legs[from].receive(now, Socket::Rtp, source, &mut buffer[..length]) else {
            continue;
        };
        if let Some(datagram) = legs[1 - from].relay(now, 1, &frame, &mut buffer) {
            assert_eq!(datagram.to, PEERS[1 - from]);
            relayed[from] += 1;
        }
        while legs[from].take_event().is_some() {
            presses += 1;
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert!(relayed.iter().all(|count| *count > 8700) && presses > 10, "{relayed:?} {presses}");
}
