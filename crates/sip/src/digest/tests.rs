use proptest::prelude::*;

use super::*;

/// RFC 7616 §3.9.1.
const URI: &str = "/dir/index.html";
const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

fn rfc7616_challenge(algorithm: &str) -> Challenge {
    let text = format!(
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, nonce=\"{NONCE}\", \
         opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
    );
    Challenge::parse(&text).unwrap()
}

fn rfc7616_answer<'a>() -> Answer<'a> {
    let password = Some("Circle of Life");
    Answer {
        username: "Mufasa",
        password,
        ha1: None,
        method: "GET",
        uri: URI,
        cnonce: CNONCE,
        nonce_count: 1,
    }
}

fn param(value: &str, name: &str) -> Option<String> {
    Params::parse(value).unwrap().take(name)
}

#[test]
fn test_rfc7616_section_3_9_1() {
    let expected = [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ];
    for (algorithm, response) in expected {
        let value = rfc7616_challenge(algorithm).authorize(&rfc7616_answer()).unwrap();
        assert_eq!(param(&value, "response").as_deref(), Some(response));
        assert_eq!(param(&value, "algorithm").as_deref(), Some(algorithm));
        assert_eq!(param(&value, "qop").as_deref(), Some("auth"));
        assert_eq!(param(&value, "nc").as_deref(), Some("00000001"));
        assert_eq!(
            param(&value, "opaque").as_deref(),
            Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")
        );
    }
}

#[test]
fn test_rfc2617_section_3_5() {
    let challenge = Challenge::parse(
        "Digest realm=\"testrealm@host.com\",\r\n qop=\"auth,auth-int\",\r\n nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",\r\n \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    )
    .unwrap();
    let password = Some("Circle Of Life");
    let answer = Answer {
        username: "Mufasa",
        password,
        ha1: None,
        method: "GET",
        uri: URI,
        cnonce: "0a4f113b",
        nonce_count: 1,
    };
    let value = challenge.authorize(&answer).unwrap();
    assert_eq!(param(&value, "response").as_deref(), Some("6629fae49393a05397450978507c4ef1"));
    assert_eq!(param(&value, "algorithm"), None);
}

#[test]
fn test_a_challenge_without_qop_is_answered_as_rfc2069() {
    let challenge = Challenge::parse("Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"").unwrap();
    let password = Some("CircleOfLife");
    let answer = Answer {
        username: "Mufasa",
        password,
        ha1: None,
        method: "GET",
        uri: URI,
        cnonce: "x",
        nonce_count: 7,
    };
    let value = challenge.authorize(&answer).unwrap();
    // RFC 2069 §2.4 with its erratum.
    assert_eq!(param(&value, "response").as_deref(), Some("1949323746fe6a43ef61f9606e7febea"));
    for absent in ["qop", "nc", "cnonce", "opaque"] {
        assert_eq!(param(&value, absent), None);
    }
    let credentials = Credentials::parse(&value).unwrap();
    assert_eq!((credentials.qop(), credentials.nonce_count()), (None, None));
    assert!(credentials.verify(&ha1("Mufasa", "testrealm@host.com", "CircleOfLife", Algorithm::Md5), "GET"));
}

#[test]
fn test_the_short_response_printed_in_rfc3665_is_refused() {
    // RFC 3665 §2.1, F3: Bob's password is "zanzibar".
    let credentials = Credentials::parse(
        "Digest username=\"bob\", realm=\"atlanta.example.com\", nonce=\"ea9c8e88df84f1cec4341ae6cbe5a359\", opaque=\"\", \
         uri=\"sips:ss2.biloxi.example.com\", response=\"dfe56131d1958046689d83306477ecc\"",
    )
    .unwrap();
    // The RFC prints 31 digits: a response of that length is refused, not padded.
    assert!(!credentials.verify(&ha1("bob", "atlanta.example.com", "zanzibar", Algorithm::Md5), "REGISTER"));
}

#[test]
fn test_ha1_serves_instead_of_the_password() {
    let challenge = rfc7616_challenge("MD5");
    let hash = ha1("Mufasa", "http-auth@example.org", "Circle of Life", Algorithm::Md5);
    let upper = hash.to_ascii_uppercase();
    let by_hash = challenge.authorize(&Answer {
        password: None,
        ha1: Some(&upper),
        ..rfc7616_answer()
    });
    assert_eq!(by_hash, challenge.authorize(&rfc7616_answer()));
    let short = challenge.authorize(&Answer {
        ha1: Some("abc"),
        ..rfc7616_answer()
    });
    assert!(matches!(short, Err(DigestError::Argument(_))));
    let neither = challenge.authorize(&Answer {
        password: None,
        ..rfc7616_answer()
    });
    assert!(matches!(neither, Err(DigestError::Argument(_))));
}

#[test]
fn test_unknown_algorithms_and_qop_are_not_supported() {
    let supported = |rest: &str| {
        Challenge::parse(&format!("Digest realm=\"r\", nonce=\"n\"{rest}"))
            .unwrap()
            .supported()
    };
    assert!(supported(""));
    assert!(supported(", algorithm=md5"));
    assert!(supported(", algorithm=\"SHA-256\", qop=auth"));
    assert!(supported(", qop=\"auth-int,AUTH\""));
    assert!(supported(", qop=\"\""));
    assert!(!supported(", qop=\"auth-int\""));
    for unknown in ["MD5-sess", "SHA-512-256", "AKAv1-MD5"] {
        let challenge = Challenge::parse(&format!("Digest realm=\"r\", nonce=\"n\", algorithm={unknown}")).unwrap();
        assert!(!challenge.supported());
        assert_eq!(challenge.algorithm(), unknown);
        assert_eq!(challenge.authorize(&rfc7616_answer()), Err(DigestError::Unsupported));
    }
}

#[test]
fn test_stale_is_read_in_any_case() {
    let stale = |text: &str| Challenge::parse(&format!("Digest realm=\"r\", nonce=\"n\"{text}")).unwrap().stale();
    assert!(stale(", stale=TRUE"));
    assert!(stale(", Stale=\"true\""));
    assert!(!stale(", stale=false"));
    assert!(!stale(""));
}

#[test]
fn test_the_algorithm_token_goes_back_as_written() {
    let value = rfc7616_challenge("sha-256").authorize(&rfc7616_answer()).unwrap();
    assert_eq!(param(&value, "algorithm").as_deref(), Some("sha-256"));
    assert_eq!(Credentials::parse(&value).unwrap().algorithm(), "SHA-256");
}

#[test]
fn test_our_challenge_is_read_back() {
    let challenge = Challenge::parse(&challenge_value("a \"b\" \\c", "0011", Algorithm::Sha256, true)).unwrap();
    assert_eq!(
        (challenge.realm(), challenge.nonce(), challenge.algorithm()),
        ("a \"b\" \\c", "0011", "SHA-256")
    );
    assert_eq!(
        (challenge.qop(), challenge.stale(), challenge.opaque()),
        (&["auth".to_owned()][..], true, None)
    );
    assert!(!Challenge::parse(&challenge_value("r", "n", Algorithm::Md5, false)).unwrap().stale());
}

#[test]
fn test_malformed_values_are_refused() {
    let cases = [
        ("", DigestError::Scheme),
        ("Basic realm=\"x\"", DigestError::Scheme),
        ("Digestive realm=\"x\"", DigestError::Scheme),
        ("Digest", DigestError::Scheme),
        ("Digest nonce=\"n\"", DigestError::Missing("realm")),
        ("Digest realm=\"r\"", DigestError::Missing("nonce")),
        ("Digest realm=\"r, nonce=n", DigestError::Syntax("a quoted string is not closed")),
        ("Digest realm=\"r\\", DigestError::Syntax("a quoted string is not closed")),
        (
            "Digest realm=\"r\" nonce=n",
            DigestError::Syntax("a comma is missing between two parameters"),
        ),
        ("Digest realm=, nonce=n", DigestError::Syntax("a value is empty")),
        ("Digest realm", DigestError::Syntax("a parameter is not name=value")),
        ("Digest realm=r, REALM=s, nonce=n", DigestError::Syntax("a parameter stands twice")),
        (
            "Digest realm=\"a\r\nb\", nonce=n",
            DigestError::Syntax("a control character stands in a quoted string"),
        ),
    ];
    for (text, error) in cases {
        assert_eq!(Challenge::parse(text), Err(error), "{text:?}");
    }
    let many: String = (0..65).map(|number| format!("p{number}=x,")).collect();
    assert_eq!(Challenge::parse(&format!("Digest {many}")), Err(DigestError::TooLong));
    assert_eq!(
        Challenge::parse(&format!("Digest realm=\"{}\"", "r".repeat(5000))),
        Err(DigestError::TooLong)
    );
}

#[test]
fn test_credentials_with_qop_need_count_and_cnonce() {
    let read = |rest: &str| Credentials::parse(&format!("Digest username=u,realm=r,nonce=n,uri=\"sip:x\",response=a{rest}"));
    assert_eq!(read(", qop=auth, cnonce=c"), Err(DigestError::Missing("nc")));
    assert_eq!(read(", qop=auth, nc=00000001"), Err(DigestError::Missing("cnonce")));
    for count in ["1", "0000000g", "000000001", "+0000001", "\"\""] {
        assert_eq!(
            read(&format!(", qop=auth, cnonce=c, nc={count}")),
            Err(DigestError::Syntax("nc is not eight hex digits"))
        );
    }
    assert_eq!(read(", qop=auth, cnonce=c, nc=0000002A").unwrap().nonce_count(), Some(42));
    assert_eq!(read(", qop=auth, cnonce=c, nc=ffffffff").unwrap().nonce_count(), Some(u32::MAX));
}

#[test]
fn test_verify_refuses_what_it_cannot_check() {
    let value = rfc7616_challenge("MD5").authorize(&rfc7616_answer()).unwrap();
    let hash = ha1("Mufasa", "http-auth@example.org", "Circle of Life", Algorithm::Md5);
    let verify = |text: &str, hash: &str, method: &str| Credentials::parse(text).unwrap().verify(hash, method);
    assert!(verify(&value, &hash, "GET"));
    assert!(verify(&value, &hash.to_ascii_uppercase(), "GET"));
    assert!(!verify(&value, &hash, "PUT"));
    assert!(!verify(&value, &hash[1..], "GET"));
    assert!(!verify(&value, "", "GET"));
    assert!(!verify(&value, &"g".repeat(32), "GET"));
    assert!(!verify(&value.replace("8ca523f5", "8ca523f6"), &hash, "GET"));
    assert!(!verify(&value.replace("8ca523f5", "ca523f5"), &hash, "GET"));
    assert!(!verify(&value.replace("algorithm=MD5", "algorithm=MD5-sess"), &hash, "GET"));
    assert!(!verify(&value.replace("algorithm=MD5", "algorithm=SHA-256"), &hash, "GET"));
    assert!(!verify(&value.replace("qop=auth", "qop=auth-int"), &hash, "GET"));
    assert!(!verify(&value.replace("nc=00000001", "nc=00000002"), &hash, "GET"));
}

#[test]
fn test_debug_shows_no_digest_and_no_password() {
    let answer = rfc7616_answer();
    assert!(!format!("{answer:?}").contains("Circle"));
    let value = rfc7616_challenge("MD5").authorize(&answer).unwrap();
    let shown = format!("{:?}", Credentials::parse(&value).unwrap());
    assert!(shown.contains("Mufasa"));
    assert!(!shown.contains("8ca523f5") && !shown.contains(CNONCE));
}

#[test]
fn test_control_characters_do_not_reach_the_header() {
    let result = rfc7616_challenge("MD5").authorize(&Answer {
        username: "a\r\nEvil: yes",
        ..rfc7616_answer()
    });
    assert!(matches!(result, Err(DigestError::Argument(_))));
}

proptest! {
    #[test]
    fn test_what_authorize_writes_verifies(
        username in "[^\\p{Cc}]{0,30}", realm in "[^\\p{Cc}]{0,30}", password in ".{0,30}", nonce in "[ -~]{1,40}",
        count in any::<u32>(), sha in any::<bool>(), qop in any::<bool>(),
    ) {
        let algorithm = if sha { Algorithm::Sha256 } else { Algorithm::Md5 };
        let mut text = challenge_value(&realm, &nonce, algorithm, false);
        if !qop {
            text = text.replace(", qop=\"auth\"", "");
        }
        let challenge = Challenge::parse(&text).unwrap();
        prop_assert_eq!(challenge.realm(), &realm);
        let answer = Answer { username: &username, password: Some(&password), ha1: None, method: "INVITE", uri: "sip:x", cnonce: "c", nonce_count: count };
        let credentials = Credentials::parse(&challenge.authorize(&answer).unwrap()).unwrap();
        prop_assert_eq!(credentials.username(), &username);
        prop_assert_eq!(credentials.nonce(), &nonce);
        prop_assert_eq!(credentials.nonce_count(), qop.then_some(count));
        let hash = ha1(&username, &realm, &password, algorithm);
        prop_assert!(credentials.verify(&hash, "INVITE"));
        prop_assert!(!credentials.verify(&hash, "BYE"));
    }

    #[test]
    fn test_no_input_panics(text in "\\PC*") {
        let _ = Challenge::parse(&text);
        let _ = Credentials::parse(&format!("Digest {text}"));
    }
}
