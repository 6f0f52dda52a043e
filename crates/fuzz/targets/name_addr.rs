//! Any text as an address, a list of them, a CSeq, a number: what reads is written and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_sip::header::{CSeq, NameAddr, parse_integer, split_list};

fuzz_target!(|text: &str| {
    let _ = parse_integer(text);
    if let Ok(cseq) = CSeq::parse(text) {
        assert_eq!(CSeq::parse(&cseq.to_string()), Ok(cseq));
    }
    for value in split_list(text) {
        let Ok(address) = NameAddr::parse(value) else { continue };
        let written = address.to_string();
        assert!(!written.contains(['\r', '\n']) || value.contains(['\r', '\n']));
        let again = NameAddr::parse(&written).expect("what is written reads");
        // Line breaks come out as spaces.
        if !value.contains(['\r', '\n']) {
            assert_eq!(again, address);
            assert_eq!(split_list(&written).collect::<Vec<_>>(), [written.as_str()]);
        }
    }
});
