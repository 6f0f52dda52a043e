//! Any datagram on a media port: told apart, read as RTP, written again byte for byte, its payload read as a telephone event.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_media::demux::classify;
use trunkline_media::dtmf::Event;
use trunkline_media::rtp::Packet;

fuzz_target!(|data: &[u8]| {
    let _ = classify(data);
    let Ok(packet) = Packet::parse(data) else { return };
    assert_eq!(data.get(packet.payload_range()), Some(packet.payload));
    let mut written = Vec::new();
    packet.build(&mut written);
    // The bytes of padding before its count mean nothing.
    assert_eq!(Packet::parse(&written), Ok(packet));
    assert_eq!(written.len(), data.len());
    if let Some(event) = Event::parse(packet.payload) {
        let _ = event.digit();
    }
});
