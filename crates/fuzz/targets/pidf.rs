//! Any bytes as a presence document: what is read is within its bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_sip::header::Parameterized;
use trunkline_sip::pidf::parse;

fuzz_target!(|body: &[u8]| {
    if let Ok(presence) = parse(body) {
        assert!(presence.tuples.len() <= 16 && presence.notes.len() <= 8 && presence.activities.len() <= 16);
        assert!(presence.tuples.iter().all(|tuple| tuple.notes.len() <= 8));
    }
    if let Some(value) = std::str::from_utf8(body).ok().and_then(|text| Parameterized::parse(text).ok()) {
        let again = Parameterized::parse(&value.to_string()).expect("what is written reads");
        assert_eq!(again.token, value.token);
    }
});
