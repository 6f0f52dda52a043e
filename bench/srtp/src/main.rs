//! Prints what SRTP costs a packet of 20 ms of G.711, suite by suite: protecting one, and unprotecting it, on one core.

use std::hint::black_box;
use std::time::Instant;

use trunkline_media::srtp::{MasterKey, Receiver, Sender, Suite};

const PACKETS: u32 = 200_000;
const LENGTH: usize = 12 + 160;

fn main() {
    println!("{:<26}{:>12}{:>12}", "SRTP, ns a packet", "protect", "unprotect");
    for suite in Suite::ALL {
        let key = vec![7; suite.key_length() + suite.salt_length()];
        let Some(master) = MasterKey::new(suite, &key) else { continue };
        let (Some(mut sender), Some(mut receiver)) = (Sender::new(&master), Receiver::new(&master)) else {
            continue;
        };
        let mut packets: Vec<[u8; 200]> = (0..PACKETS).map(packet).collect();
        let length = LENGTH + suite.tag_length();
        let begun = Instant::now();
        for packet in &mut packets {
            black_box(sender.protect_rtp(packet, LENGTH));
        }
        let protected = begun.elapsed() / PACKETS;
        let begun = Instant::now();
        let mut heard = 0;
        for packet in &mut packets {
            heard += u32::from(receiver.unprotect_rtp(&mut packet[..length]).is_some());
        }
        let unprotected = begun.elapsed() / PACKETS;
        assert_eq!(heard, PACKETS);
        println!("{:<26}{:>12}{:>12}", suite.name(), protected.as_nanos(), unprotected.as_nanos());
    }
}

fn packet(number: u32) -> [u8; 200] {
    let mut packet = [0; 200];
    packet[0] = 0x80;
    packet[2..4].copy_from_slice(&number.to_be_bytes()[2..]);
    packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
    packet
}
