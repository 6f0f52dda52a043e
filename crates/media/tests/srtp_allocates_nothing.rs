//! SRTP takes no memory for a packet: a counting allocator watches both directions of every suite, RTP and RTCP, refusals included.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use trunkline_media::protect::{Keys, Protection};
use trunkline_media::srtp::{MAX_STREAMS, MasterKey, Suite};

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is done by the system's allocator; only a counter of the thread's own is kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.with(|taken| taken.set(taken.get() + 1));
        // SAFETY: the caller keeps to the contract of `GlobalAlloc`, which is that of the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; what is given back was given by the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn protection(suite: Suite, receive: u8, send: u8) -> Protection {
    let key = |fill| MasterKey::new(suite, &vec![fill; suite.key_length() + suite.salt_length()]).unwrap();
    let mut protection = Protection::Plain;
    protection.configure(Some(&Keys {
        receive: key(receive),
        send: key(send),
    }));
    protection
}

fn packet(buffer: &mut [u8; 200], sequence: u16, ssrc: u8) {
    buffer.fill(0);
    buffer[0] = 0x80;
    buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
    buffer[11] = ssrc;
}

#[test]
fn test_no_packet_takes_memory() {
    for suite in Suite::ALL {
        let (mut near, mut far) = (protection(suite, 1, 2), protection(suite, 2, 1));
        let mut stranger = protection(suite, 2, 9);
        let before = TAKEN.with(Cell::get);
        let mut buffer = [0; 200];
        // As many SSRCs as a sender may have, loss, replays, strangers, reports.
        for (number, ssrc) in (0..400_u16).zip((1..u8::try_from(MAX_STREAMS).unwrap()).cycle()) {
            packet(&mut buffer, number.wrapping_mul(7), ssrc);
            let sent = far.protect(&mut buffer, 0..172).unwrap();
            let mut again = buffer;
            assert!(near.unprotect(&mut buffer[sent.clone()]).is_some());
            assert!(near.unprotect(&mut again[sent]).is_none());
            packet(&mut buffer, number, ssrc);
            if let Some(sent) = stranger.protect(&mut buffer, 0..172) {
                assert!(near.unprotect(&mut buffer[sent]).is_none());
            }
            packet(&mut buffer, number, 0);
            let sent = far.protect_rtcp(&mut buffer, 0..28).unwrap();
            assert!(near.unprotect_rtcp(&mut buffer[sent]).is_some());
        }
        assert_eq!(TAKEN.with(Cell::get), before, "{suite:?}");
    }
}
