//! Any text as a URI, and two as a pair: text reads back, equality is symmetric and agrees with the hash.
#![no_main]

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use libfuzzer_sys::fuzz_target;
use trunkline_sip::uri::{Changes, Uri};

fn hash_of(uri: &Uri) -> u64 {
    let mut hasher = DefaultHasher::new();
    uri.hash(&mut hasher);
    hasher.finish()
}

fn check(uri: &Uri) {
    let again = Uri::parse(uri.as_str()).expect("a URI's text is a URI");
    assert_eq!((again.as_str(), &again, hash_of(&again)), (uri.as_str(), uri, hash_of(uri)));
    let _ = (uri.user(), uri.password(), uri.port(), uri.headers().count());
    assert!(uri.params().all(|(name, _)| uri.param(name).is_some()));
    if uri.is_sip() {
        let params: Vec<_> = uri.params().collect();
        let headers: Vec<_> = uri.headers().collect();
        let rebuilt = uri.replace(&Changes {
            params: Some(&params),
            headers: Some(&headers),
            ..Changes::default()
        });
        // Escapes may make it longer than a URI may be; else it is the same.
        if let Ok(rebuilt) = rebuilt {
            assert_eq!(rebuilt.params().collect::<Vec<_>>(), params);
            assert_eq!(rebuilt.headers().collect::<Vec<_>>(), headers);
        }
    }
}

fuzz_target!(|text: &str| {
    let mut uris = text.splitn(2, ' ').filter_map(|part| Uri::parse(part).ok());
    let Some(first) = uris.next() else { return };
    check(&first);
    let Some(second) = uris.next() else { return };
    assert_eq!(first == second, second == first);
    if first == second {
        assert_eq!(hash_of(&first), hash_of(&second));
    }
});
