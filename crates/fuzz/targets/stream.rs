//! Any stream of bytes, in two ways of splitting it: the frames are the same, and what waits is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_sip::message::Limits;
use trunkline_sip::stream::{Frame, Framer};

const MAX_BYTES: usize = 2_000;

fn frames(data: &[u8], size: usize) -> (Vec<Frame>, bool) {
    let mut framer = Framer::new(Limits {
        max_bytes: MAX_BYTES,
        ..Limits::default()
    });
    let mut frames = Vec::new();
    for chunk in data.chunks(size) {
        framer.push(chunk);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
        assert!(framer.waiting() <= MAX_BYTES);
    }
    (frames, false)
}

fuzz_target!(|data: &[u8]| {
    let Some((size, stream)) = data.split_first() else { return };
    let (whole, failed) = frames(stream, stream.len().max(1));
    assert_eq!((whole, failed), frames(stream, usize::from(*size).max(1)));
});
