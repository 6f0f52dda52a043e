//! Any body under any Content-Type: its parts lie in it, are bounded, and the session description is one of them.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trunkline_sip::message::{Limits, Message};
use trunkline_sip::multipart::MAX_PARTS;

fuzz_target!(|data: &[u8]| {
    // The first line is the Content-Type, so that the fuzzer finds boundaries.
    let (content_type, body) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let head = format!("INVITE sip:a@b SIP/2.0\r\nContent-Length: {}\r\nContent-Type: ", body.len());
    let whole = [head.as_bytes(), content_type, b"\r\n\r\n", body].concat();
    let Ok(message) = Message::parse(Bytes::from(whole), &Limits::default()) else {
        return;
    };
    if let Ok(parts) = message.parts() {
        assert!(parts.len() <= MAX_PARTS);
        let total: usize = parts.iter().map(|part| part.body.len()).sum();
        assert!(total <= message.body().len());
        let sdp = message.sdp();
        assert!(sdp.is_empty() || parts.iter().any(|part| part.body == sdp));
    } else {
        assert!(message.sdp().is_empty());
    }
});
