//! Three legs in a room, each of another codec: after the first second no packet and no tick allocates. A test of its own: it replaces
//! the allocator of its process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use trunkline_media::audio::Pcm;
use trunkline_media::audio::circle::Circle;
use trunkline_media::audio::room::{Part, Room};
use trunkline_media::codec::Codec;
use trunkline_media::leg::{BUFFER_LENGTH, Configuration, Leg, Socket};
use trunkline_media::rtp::Header;
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

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 4000);

fn leg(seed: u64, codec: Codec) -> Leg {
    let mut leg = Leg::new(seed, WallClock::default());
    leg.configure(
        Time::ZERO,
        &Configuration {
            remote_rtp: Some(PEER),
            sends: true,
            receives: true,
            receive_codecs: vec![codec],
            // silence would be told as noise
            send_codecs: [Some(codec), Codec::new("CN", 8000, 1, 13)].into_iter().flatten().collect(),
            ..Configuration::default()
        },
    );
    leg.set_ear(true);
    leg.set_mouth(Time::ZERO, true);
    leg
}

#[test]
fn test_a_room_of_three_codecs_allocates_nothing() {
    let codecs =
        [("PCMU", 8000, 0), ("PCMA", 8000, 8), ("L16", 16_000, 97)].map(|(name, rate, number)| Codec::new(name, rate, 1, number).unwrap());
    let mut legs = codecs.map(|codec| leg(u64::from(codec.payload_type), codec));
    let mut members = [1, 2, 3].map(|number| {
        // One speaks to the first alone.
        let heard_by = if number == 3 { Circle::Only(vec![1]) } else { Circle::Everybody };
        Room::member(
            number,
            Part {
                heard_by,
                ..Part::default()
            },
        )
    });
    let (mut room, mut buffer, mut frame) = (Room::default(), [0; BUFFER_LENGTH], Pcm::silence(8000));
    let (mut before, mut sent) = (0, 0);
    for n in 0..500u64 {
        if n == 50 {
            // The room has found its rate by then.
            before = ALLOCATIONS.get();
        }
        let now = Time::from_micros(n * 20_000);
        for (leg, codec) in legs.iter_mut().zip(codecs) {
            let units = codec.clock_rate / 50;
            let header = Header {
                marker: false,
                payload_type: codec.payload_type,
                sequence: n as u16,
                timestamp: n as u32 * units,
                ssrc: 7,
            };
            let length = 12 + if codec.clock_rate == 8000 { 160 } else { 640 };
            buffer[..12].copy_from_slice(&header.bytes());
            buffer[12..length].fill(0x35);
            let _ = leg.receive(now, Socket::Rtp, PEER, &mut buffer[..length]);
        }
        room.begin();
        for (leg, member) in legs.iter_mut().zip(&mut members) {
            leg.hear(now, &mut frame);
            room.say(member, Some(&frame));
        }
        for (leg, member) in legs.iter_mut().zip(&members) {
            let unheard = members
                .iter()
                .filter(|other| other.number() != member.number() && !member.hears(other));
            room.hear(member, unheard, &mut frame);
            leg.speak(now, &frame);
            while leg.utter(now, &mut buffer).is_some() {
                sent += 1;
            }
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!((sent, room.rate()), (1500, 16_000));
}

#[test]
fn test_silence_that_is_told_as_noise_allocates_nothing() {
    let mut leg = leg(1, Codec::new("PCMU", 8000, 1, 0).unwrap());
    let (mut buffer, frame, mut sent) = ([0; BUFFER_LENGTH], Pcm::silence(8000), 0);
    let before = ALLOCATIONS.get();
    for n in 0..500u64 {
        let now = Time::from_micros(n * 20_000);
        leg.speak(now, &frame);
        while leg.utter(now, &mut buffer).is_some() {
            sent += 1;
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    // 200 ms of silence, and noise once a second
    assert_eq!(sent, 10 + 10);
}
