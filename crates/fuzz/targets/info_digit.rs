//! Any bytes as the body of an INFO with a digit: what is read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_sip::info_digit::InfoDigit;

fuzz_target!(|body: &[u8]| {
    for kind in ["application/dtmf-relay", "application/dtmf"] {
        let Some(found) = InfoDigit::parse(kind, body) else { continue };
        let written = InfoDigit::body(found.digit, found.duration_ms.unwrap_or(0)).expect("what is read is a digit");
        let again = InfoDigit::parse(kind, written.as_bytes()).expect("what is written reads");
        assert_eq!(again.digit, found.digit);
    }
});
