//! Any text as a list of Via values: what reads is written and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_sip::header::{Via, split_list};

fuzz_target!(|text: &str| {
    for value in split_list(text) {
        let Ok(via) = Via::parse(value) else { continue };
        let _ = (via.branch(), via.received(), via.rport());
        let again = Via::parse(&via.to_string()).expect("what is written reads");
        if !value.contains(['\r', '\n']) {
            assert_eq!(again, via);
        }
    }
});
