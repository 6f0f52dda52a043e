//! Any text as a digest challenge and as credentials: a challenge that we can answer gets credentials that read and verify.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_sip::digest::{Algorithm, Answer, Challenge, Credentials, ha1};

fn answer(challenge: &Challenge) {
    let answer = Answer {
        username: "alice",
        password: Some("secret"),
        ha1: None,
        method: "INVITE",
        uri: "sip:a@b",
        cnonce: "c0ffee",
        nonce_count: 1,
    };
    let Ok(value) = challenge.authorize(&answer) else { return };
    assert!(!value.contains("secret"));
    // An odd realm or nonce may grow beyond what we read ourselves when it is quoted.
    let Ok(credentials) = Credentials::parse(&value) else { return };
    assert_eq!(
        (credentials.realm(), credentials.nonce(), credentials.uri()),
        (challenge.realm(), challenge.nonce(), "sip:a@b")
    );
    let algorithm = Algorithm::from_token(challenge.algorithm()).expect("we answered it");
    assert!(credentials.verify(&ha1("alice", challenge.realm(), "secret", algorithm), "INVITE"));
    assert!(!credentials.verify(&ha1("alice", challenge.realm(), "wrong", algorithm), "INVITE"));
}

fuzz_target!(|text: &str| {
    if let Ok(challenge) = Challenge::parse(text) {
        let _ = (challenge.stale(), challenge.opaque(), challenge.qop());
        if challenge.supported() {
            answer(&challenge);
        }
    }
    if let Ok(credentials) = Credentials::parse(text) {
        let _ = (
            credentials.username(),
            credentials.qop(),
            credentials.nonce_count(),
            credentials.opaque(),
        );
        let _ = credentials.verify("00112233445566778899aabbccddeeff", "INVITE");
        assert!(!format!("{credentials:?}").is_empty());
    }
});
