use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use proptest::prelude::*;

use super::*;

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn hash_of(value: &Uri) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn assert_same(a: &str, b: &str) {
    assert_eq!(uri(a), uri(b));
    assert_eq!(uri(b), uri(a));
    assert_eq!(hash_of(&uri(a)), hash_of(&uri(b)), "{a} and {b} are equal, their hashes are not");
}

fn assert_differ(a: &str, b: &str) {
    assert_ne!(uri(a), uri(b));
    assert_ne!(uri(b), uri(a));
}

#[test]
fn test_equivalent_uris_of_rfc_3261_19_1_4() {
    assert_same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp");
    assert_same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5");
    assert_same("sip:carol@chicago.com", "sip:carol@chicago.com;security=on");
    assert_same(
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    );
    assert_same(
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    );
}

#[test]
fn test_different_uris_of_rfc_3261_19_1_4() {
    assert_differ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP");
    assert_differ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060");
    assert_differ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp");
    assert_differ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp");
    assert_differ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting");
    assert_differ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4");
    assert_differ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off");
}

#[test]
fn test_the_rules_of_rfc_3261_19_1_4_beyond_its_examples() {
    assert_differ("sip:alice@atlanta.com", "sips:alice@atlanta.com");
    assert_differ("sip:alice@atlanta.com", "sip:alice:secret@atlanta.com");
    assert_differ("sip:alice@atlanta.com", "sip:atlanta.com");
    for deciding in ["user=ip", "ttl=1", "method=INVITE", "maddr=239.255.255.1"] {
        assert_differ("sip:alice@atlanta.com", &format!("sip:alice@atlanta.com;{deciding}"));
    }
    assert_differ("sip:a%40b@atlanta.com", "sip:a%41b@atlanta.com");
    // An escaped reserved character is not the character itself.
    assert_differ("sip:a%2Cb@atlanta.com", "sip:a,b@atlanta.com");
    assert_same("sip:a%2cb@atlanta.com", "sip:a%2Cb@atlanta.com");
    assert_same("sip:alice@[2001:DB8::1]", "sip:alice@[2001:db8:0:0::1]");
    assert_differ("sip:alice@atlanta.com?a=1", "sip:alice@atlanta.com?a=1&a=1");
}

#[test]
fn test_tel_uris_compare_by_rfc_3966_4() {
    assert_same("tel:+1-201-555-0123", "TEL:+1.201.555(0123)");
    assert_same("tel:7042;phone-context=example.com", "tel:70-42;phone-context=EXAMPLE.com");
    assert_same("tel:1;phone-context=+1-201;ext=1.2", "tel:1;ext=12;phone-context=+1201");
    assert_differ("tel:+12015550123", "tel:12015550123");
    assert_differ("tel:+12015550123", "tel:+12015550123;ext=1");
    assert_differ("tel:7042;phone-context=example.com", "tel:7042;phone-context=example.org");
    assert_differ("tel:+12015550123", "sip:+12015550123@example.com");
}

#[test]
fn test_the_parts_of_a_uri_are_read_without_escapes() {
    let full = uri("SIP:%75ser:pa%20ss@[2001:DB8::1]:5070;Transport=tcp;lr;n%61me=v%61lue%25%34%31?Subject=a%20b&x=");
    assert_eq!(
        (full.scheme(), full.user().as_deref(), full.password().as_deref()),
        ("sip", Some("user"), Some("pa ss"))
    );
    assert_eq!((full.host(), full.port()), ("2001:db8::1", Some(5070)));
    assert_eq!(
        full.params().collect::<Vec<_>>(),
        [("Transport", Some("tcp")), ("lr", None), ("name", Some("value%41"))]
    );
    assert_eq!(full.headers().collect::<Vec<_>>(), [("Subject", "a b"), ("x", "")]);
    assert_eq!(
        (full.param("TRANSPORT"), full.param("lr"), full.param("ttl")),
        (Some("tcp"), Some(""), None)
    );
    let tel = uri("tel:+1-201-555-0123;ext=5");
    assert_eq!(
        (tel.user().as_deref(), tel.host(), tel.port(), tel.param("ext")),
        (Some("+1-201-555-0123"), "", None, Some("5"))
    );
    let other = uri("Mailto:someone@example.com");
    assert_eq!(
        (other.scheme(), other.user(), other.host(), other.as_str()),
        ("mailto", None, "", "mailto:someone@example.com")
    );
}

#[test]
fn test_escapes_that_hide_no_utf_8_stay() {
    assert_eq!(uri("sip:%FFx@example.com").user().as_deref(), Some("%FFx"));
    assert_eq!(uri("sip:null-%00-null@example.com").user().as_deref(), Some("null-\0-null"));
    let moved = uri("sip:%FFx@example.com").replace(&Changes {
        host: Some("other.example"),
        ..Changes::default()
    });
    assert_eq!(moved.map(|uri| uri.to_string()), Ok("sip:%FFx@other.example".to_owned()));
}

#[test]
fn test_malformed_uris_are_refused_with_400() {
    let bad = [
        "",
        "sip",
        "sip:",
        ":x",
        "1sip:a@b",
        "sip:@b",
        "sip:a@",
        "sip:a@b:",
        "sip:a@b:0x10",
        "sip:a@b:65536",
        "sip:a@b:-1",
        "sip:a@b:+5",
        "sip:a@[::1",
        "sip:a@[::1]x",
        "sip:a@[1.2.3.4]",
        "sip:a@::1",
        "sip:a@b;",
        "sip:a@b;;lr",
        "sip:a@b;=x",
        "sip:a@b;x=",
        "sip:a@b?x",
        "sip:a@b?=x",
        "sip:a@b?",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a@b c",
        "sip:<a@b>",
        "sip:a@b\r\n",
        "sip:%@b",
        "sip:%4@b",
        "sip:%zz@b",
        "sip:a@b;x=%",
        "sip:a@b?x=%4",
        "sip:ä@b",
        "sip:a\0@b",
        "tel:",
        "tel:+",
        "tel:-",
        "tel:+abc",
        "tel:x",
        "tel:+1;",
        "tel:12?x=y",
    ];
    for text in bad {
        assert_eq!(Uri::parse(text).map_err(|error| error.status).err(), Some(400), "{text:?}");
    }
}

#[test]
fn test_sizes_and_counts_are_bounded() {
    let long = format!("sip:{}@example.com", "a".repeat(MAX_URI_BYTES));
    assert_eq!(Uri::parse(&long).map_err(|error| error.status).err(), Some(414));
    assert!(Uri::parse(&format!("sip:a@b{}", ";x".repeat(64))).is_ok());
    assert!(Uri::parse(&format!("sip:a@b{}", ";x".repeat(65))).is_err());
    assert!(Uri::parse(&format!("sip:a@b?{}", ["x=1"; 65].join("&"))).is_err());
}

#[test]
fn test_what_is_built_is_escaped() {
    let built = Uri::new(
        "sip",
        Some("a b:c@d#"),
        "Example.COM",
        Some(5060),
        &[("p", Some("x;y")), ("lr", None)],
        &[("Subject", "a&b")],
    );
    assert_eq!(
        built.map(|uri| uri.to_string()),
        Ok("sip:a%20b%3Ac%40d%23@example.com:5060;p=x%3By;lr?Subject=a%26b".to_owned())
    );
    assert_eq!(
        Uri::new("sip", None, "::1", None, &[], &[]).map(|uri| uri.to_string()),
        Ok("sip:[::1]".to_owned())
    );
    assert_eq!(
        Uri::new("tel", Some("+1-2"), "", None, &[("ext", Some("1"))], &[]).map(|uri| uri.to_string()),
        Ok("tel:+1-2;ext=1".to_owned())
    );
    assert_eq!(Uri::new("*", None, "", None, &[], &[]), Ok(Uri::star()));
}

#[test]
fn test_what_cannot_stand_in_a_uri_is_refused() {
    assert!(Uri::new("sip", Some(""), "b", None, &[], &[]).is_err());
    assert!(Uri::new("sip", Some("a"), "", None, &[], &[]).is_err());
    assert!(Uri::new("sip", Some("a"), "b;lr", None, &[], &[]).is_err());
    assert!(Uri::new("sip", Some("a"), "b", None, &[("", None)], &[]).is_err());
    assert!(Uri::new("sip", Some("a"), "b", None, &[], &[("", "x")]).is_err());
    assert!(Uri::new("tel", Some("+1"), "b", None, &[], &[]).is_err());
    assert!(Uri::new("tel", Some("one"), "", None, &[], &[]).is_err());
    assert!(Uri::new("http", None, "b", None, &[], &[]).is_err());
    assert!(Uri::new("*", Some("a"), "", None, &[], &[]).is_err());
}

#[test]
fn test_replace_changes_only_what_it_is_given() {
    let old = uri("sip:%61lice:pw@b:5070;lr;x=%3B?h=%26");
    let change = |changes: Changes<'_>| old.replace(&changes).map(|uri| uri.to_string());
    assert_eq!(change(Changes::default()), Ok(old.to_string()));
    assert_eq!(
        change(Changes {
            user: Some(Some("b@b")),
            ..Changes::default()
        }),
        Ok("sip:b%40b:pw@b:5070;lr;x=%3B?h=%26".to_owned())
    );
    assert_eq!(
        change(Changes {
            user: Some(None),
            ..Changes::default()
        }),
        Ok("sip:b:5070;lr;x=%3B?h=%26".to_owned())
    );
    assert_eq!(
        change(Changes {
            port: Some(None),
            headers: Some(&[]),
            ..Changes::default()
        }),
        Ok("sip:%61lice:pw@b;lr;x=%3B".to_owned())
    );
    assert_eq!(
        change(Changes {
            params: Some(&[("ob", None)]),
            ..Changes::default()
        }),
        Ok("sip:%61lice:pw@b:5070;ob?h=%26".to_owned())
    );
    assert!(
        change(Changes {
            host: Some(""),
            ..Changes::default()
        })
        .is_err()
    );
    assert!(uri("mailto:a@b").replace(&Changes::default()).is_err());
    assert!(
        uri("tel:+1")
            .replace(&Changes {
                host: Some("b"),
                ..Changes::default()
            })
            .is_err()
    );
}

#[test]
fn test_debug_shows_no_password() {
    let text = format!("{:?}", uri("sip:alice:secret@b;lr"));
    assert!(text.contains("alice") && !text.contains("secret"), "{text}");
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,8}(\\.[a-z]{2,3})?",
        any::<[u16; 8]>().prop_map(|words| std::net::Ipv6Addr::from(words).to_string())
    ]
}

prop_compose! {
    fn built()(
        scheme in prop_oneof![Just("sip"), Just("sips")],
        user in proptest::option::of("\\PC{1,12}"),
        host in host(),
        port in any::<Option<u16>>(),
        params in proptest::collection::vec(("\\PC{1,6}", proptest::option::of("\\PC{1,8}")), 0..5),
        headers in proptest::collection::vec(("\\PC{1,6}", "\\PC{0,8}"), 0..5),
    ) -> (Uri, Option<String>, Vec<(String, Option<String>)>, Vec<(String, String)>) {
        let given: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let given_headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        (Uri::new(scheme, user.as_deref(), &host, port, &given, &given_headers).unwrap(), user, params, headers)
    }
}

/// Few parts out of few values, so that equal ones come up often.
fn similar() -> impl Strategy<Value = String> {
    let user = prop_oneof![
        Just(""),
        Just("a@"),
        Just("%61@"),
        Just("A@"),
        Just("a:p@"),
        Just("a%2C@"),
        Just("a%2c@"),
        Just("a,@")
    ];
    let host = prop_oneof![Just("h"), Just("H"), Just("[::1]"), Just("[0::1]"), Just("h:5060")];
    let param = prop_oneof![
        Just(";x=1"),
        Just(";x=2"),
        Just(";X=%31"),
        Just(";lr"),
        Just(";transport=tcp"),
        Just(";Transport=TCP"),
        Just(";user=ip")
    ];
    let params = proptest::collection::vec(param, 0..3).prop_map(|params| params.concat());
    let headers = prop_oneof![
        Just(""),
        Just("?a=1"),
        Just("?A=1"),
        Just("?a=1&b=2"),
        Just("?b=2&a=1"),
        Just("?a=1&a=1")
    ];
    let sip = (user, host, params, headers).prop_map(|(user, host, params, headers)| format!("sip:{user}{host}{params}{headers}"));
    let number = prop_oneof![Just("+1"), Just("+1-"), Just("1"), Just("(1)"), Just("a"), Just("A")];
    let tel_param = prop_oneof![
        Just(""),
        Just(";ext=1"),
        Just(";ext=1-"),
        Just(";phone-context=+1"),
        Just(";phone-context=+(1)")
    ];
    let tel = (number, tel_param).prop_map(|(number, param)| format!("tel:{number}{param}"));
    prop_oneof![3 => sip, 1 => tel]
}

proptest! {
    #[test]
    fn test_parse_after_build_is_identity((built, user, params, headers) in built()) {
        let parsed = Uri::parse(&built.to_string()).unwrap();
        prop_assert_eq!(&parsed, &built);
        prop_assert_eq!(parsed.to_string(), built.to_string());
        prop_assert_eq!(parsed.user().map(Cow::into_owned), user);
        let read: Vec<_> = parsed.params().map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).collect();
        prop_assert_eq!(read, params);
        let read: Vec<_> = parsed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(read, headers);
    }

    #[test]
    fn test_equality_is_symmetric_and_agrees_with_the_hash(a in similar(), b in similar()) {
        let (a, b) = (uri(&a), uri(&b));
        prop_assert_eq!(&a, &a.clone());
        prop_assert_eq!(a == b, b == a);
        if a == b {
            prop_assert_eq!(hash_of(&a), hash_of(&b));
        }
    }

    #[test]
    fn test_any_text_parses_or_is_refused_and_reads_back(text in "(sips?|tel|[a-z]{1,3})?:?[ -~]{0,40}") {
        if let Ok(parsed) = Uri::parse(&text) {
            let again = Uri::parse(parsed.as_str()).unwrap();
            prop_assert_eq!(again.as_str(), parsed.as_str());
        }
    }
}
