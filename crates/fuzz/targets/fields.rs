//! Any text as the small fields that say why, whose place and when: Reason, Replaces, Retry-After, a value without its parameters.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_sip::header::{Reason, Replaces, leading_integer, split_list, without_params};

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
});
