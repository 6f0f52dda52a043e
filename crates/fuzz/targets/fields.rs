//! Any text as the small fields that say why, whose place and when: Reason, Replaces, Retry-After, numbers, a value without its parameters, and
//! as the fragment that tells a transfer's outcome.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_sip::header::{
    Reason, Replaces, capped_integer, date_seconds, leading_integer, parse_integer, qvalue, split_list, without_params,
};
use trunkline_sip::sipfrag;

fuzz_target!(|text: &str| {
    if let Ok(replaces) = Replaces::parse(text) {
        assert!(!replaces.call_id.is_empty() && !replaces.call_id.contains(';'));
        // A tag that was quoted is written without its quotes, and may be no tag then.
        if [&replaces.to_tag, &replaces.from_tag]
            .iter()
            .all(|tag| !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        {
            assert_eq!(Replaces::parse(&replaces.to_string()), Ok(replaces));
        }
    }
    for value in split_list(text) {
        let _ = Reason::read(value);
        assert!(!without_params(value).contains([';', ' ']));
    }
    let _ = leading_integer(text);
    if let Ok(number) = parse_integer(text) {
        assert_eq!(capped_integer(text), Some(number));
    }
    assert!(qvalue(text).is_none_or(|thousandths| thousandths <= 1_000));
    assert!(date_seconds(text).is_none_or(|seconds| seconds < 253_402_300_801));
    if let Some((status, reason)) = sipfrag::status_line(text.as_bytes()) {
        assert!((100..700).contains(&status) && reason.len() <= sipfrag::MAX_BYTES);
    }
});
