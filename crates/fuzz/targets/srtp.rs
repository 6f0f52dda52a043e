//! Any datagram under each suite of SRTP: bytes that nobody sealed are never taken, and what is sealed comes out as it was, once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_media::srtp::{MasterKey, Receiver, Sender, Suite};

fuzz_target!(|data: &[u8]| {
    for suite in Suite::ALL {
        let key = vec![7; suite.key_length() + suite.salt_length()];
        let master = MasterKey::new(suite, &key).expect("the suite's own length");
        let mut receiver = Receiver::new(&master).expect("a key of that length");
        let mut sender = Sender::new(&master).expect("a key of that length");
        let mut foreign = data.to_vec();
        assert!(receiver.unprotect_rtp(&mut foreign).is_none());
        assert!(receiver.unprotect_rtcp(&mut foreign).is_none());
        assert_eq!(foreign, data);
        let mut buffer = data.to_vec();
        buffer.resize(data.len() + 20, 0);
        if let Some(length) = sender.protect_rtp(&mut buffer, data.len()) {
            let sealed = buffer[..length].to_vec();
            assert_eq!(receiver.unprotect_rtp(&mut buffer[..length]), Some(data.len()));
            assert_eq!(&buffer[..data.len()], data);
            assert!(receiver.unprotect_rtp(&mut sealed.clone()).is_none());
        }
        buffer[..data.len()].copy_from_slice(data);
        if let Some(length) = sender.protect_rtcp(&mut buffer, data.len()) {
            assert_eq!(receiver.unprotect_rtcp(&mut buffer[..length]), Some(data.len()));
            assert_eq!(&buffer[..data.len()], data);
        }
    }
});
