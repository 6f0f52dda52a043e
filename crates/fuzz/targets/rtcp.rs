//! Any datagram on an RTCP port: a compound that passes as a whole reads to its end, packet by packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_media::rtcp::{Packet, parse};

fuzz_target!(|data: &[u8]| {
    let Ok(compound) = parse(data) else { return };
    assert!(compound.sender().is_some());
    let mut packets = 0;
    for packet in compound.packets() {
        packets += 1;
        if let Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } = packet {
            assert!(blocks.iter().count() <= 31);
        }
    }
    assert!((1..=data.len() / 4).contains(&packets));
});
