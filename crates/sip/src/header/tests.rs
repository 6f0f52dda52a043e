use proptest::prelude::*;

use super::*;
use crate::uri::Uri;

#[test]
fn test_names_match_long_and_compact_in_any_case() {
    assert_eq!(Name::parse("VIA"), Some(Name::Via));
    assert_eq!(Name::parse("v"), Some(Name::Via));
    assert_eq!(Name::parse("V"), Some(Name::Via));
    assert_eq!(Name::parse("call-id"), Some(Name::CallId));
    assert_eq!(Name::parse(""), None);
    assert_eq!(Name::parse("X-Unknown"), None);
    assert_eq!(Name::parse(&"x".repeat(10_000)), None);
}

#[test]
fn test_every_name_is_found_by_both_of_its_forms() {
    for name in Name::all() {
        assert_eq!(Name::parse(name.as_str()), Some(name));
        assert_eq!(Name::parse(&name.as_str().to_uppercase()), Some(name));
        if let Some(compact) = name.compact() {
            assert_eq!(Name::parse(&compact.to_string()), Some(name));
        }
    }
    assert_eq!(Name::all().filter(|name| name.compact().is_some()).count(), 19);
}

#[test]
fn test_lists_are_cut_at_top_level_commas_only() {
    let cut = |text| split_list(text).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cut("a, b ,c"), ["a", "b", "c"]);
    assert_eq!(
        cut(r#""a, \", b" <sip:x@y;p=1,2>, <sip:z>"#),
        [r#""a, \", b" <sip:x@y;p=1,2>"#, "<sip:z>"]
    );
    assert_eq!(cut(r"a (one, (two, \) three), four), b"), [r"a (one, (two, \) three), four)", "b"]);
    assert_eq!(cut(""), [""]);
    assert_eq!(cut("a,,b,"), ["a", "", "b", ""]);
    assert_eq!(cut("<sip:\"x,y@z>, b"), ["<sip:\"x,y@z>", "b"]);
}

#[test]
fn test_integers_are_decimal_digits_of_32_bits() {
    assert_eq!(parse_integer(" 0068 "), Ok(68));
    assert_eq!(parse_integer("4294967295"), Ok(u32::MAX));
    for bad in ["", "4294967296", "-1", "+1", "1 2", "0x1", "1.0", "٣"] {
        assert_eq!(parse_integer(bad).map_err(|error| error.status), Err(400), "{bad:?}");
    }
}

#[test]
fn test_addresses_are_read_in_each_of_their_forms() {
    let read = |text: &str| {
        let address = NameAddr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (address.display_name.clone(), address.uri.to_string(), address.params.to_string())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(read("sip:a@b;tag=1"), (None, "sip:a@b".into(), ";tag=1".into()));
    assert_eq!(read("<sip:a@b;lr>;tag=1"), (None, "sip:a@b;lr".into(), ";tag=1".into()));
    assert_eq!(read("caller<sip:a@b>"), (some("caller"), "sip:a@b".into(), String::new()));
    assert_eq!(
        read(" Anna \t von  Berg <sip:a@b> ; tag = 1 ; x"),
        (some("Anna von Berg"), "sip:a@b".into(), ";tag=1;x".into())
    );
    assert_eq!(
        read(r#""A \"B\" \\" <sip:a@b>"#),
        (some(r#"A "B" \"#), "sip:a@b".into(), String::new())
    );
    assert_eq!(read(r#""" <sip:a@b>"#), (some(""), "sip:a@b".into(), String::new()));
    assert_eq!(
        read("Bell, Alexander <sip:a@b>"),
        (some("Bell, Alexander"), "sip:a@b".into(), String::new())
    );
    assert_eq!(read("*"), (None, "*".into(), String::new()));
    assert_eq!(
        read(r#"<tel:+1>;x="a;b";q=0.5"#),
        (None, "tel:+1".into(), r#";x="a;b";q=0.5"#.into())
    );
}

#[test]
fn test_malformed_addresses_are_refused() {
    let bad = [
        "",
        "\"",
        "\"a <sip:a@b>",
        "\"a\" sip:a@b",
        "<sip:a@b",
        "< sip:a@b >",
        "a<sip:a@b>b",
        "<sip:a@b>;",
        "<sip:a@b>;;x",
        "<sip:a@b>;x=",
        "<sip:a@b>;x=\"",
        "<sip:a@b>;x=\"a\"b",
        "<sip:a@b>,<sip:c@d>",
        "sip:a@b?x=y",
        "sip:a@b,c",
        "a\"b\"<sip:a@b>",
        "<>",
        "a",
        "<sip:a@b>;t\u{e9}=1",
        "<sip:a@b> tag=1",
    ];
    for text in bad {
        assert_eq!(NameAddr::parse(text).map_err(|error| error.status).err(), Some(400), "{text:?}");
    }
    assert!(NameAddr::parse(&format!("<sip:a@b>{}", ";x".repeat(65))).is_err());
}

#[test]
fn test_display_names_are_quoted_where_they_need_it() {
    let show = |name: &str| {
        NameAddr {
            display_name: Some(name.to_owned()),
            uri: Uri::parse("sip:a@b").unwrap(),
            params: Params::default(),
        }
        .to_string()
    };
    assert_eq!(show("Anna"), "Anna <sip:a@b>");
    assert_eq!(show("Anna Berg"), "\"Anna Berg\" <sip:a@b>");
    assert_eq!(show(r#"a"\"#), r#""a\"\\" <sip:a@b>"#);
    assert_eq!(show("a\r\nVia: x"), "\"a  Via: x\" <sip:a@b>");
    assert_eq!(show(""), "\"\" <sip:a@b>");
}

#[test]
fn test_parameters_match_without_case_and_say_what_is_there() {
    let params = Params::parse(";Tag=abc;lr ; x = \"q\\\"\"").unwrap();
    assert_eq!(
        (params.get("TAG"), params.get("lr"), params.get("X"), params.get("y")),
        (Some("abc"), Some(""), Some("q\""), None)
    );
    assert_eq!(find_raw(";a=1;TAG=2", "tag"), Some("2"));
    assert!(Params::new(&[("a b", None)]).is_err());
    assert!(Params::new(&[("a", Some("x\r\ny"))]).is_err());
}

#[test]
fn test_via_is_read_with_white_space_wherever_it_may_be() {
    let via = Via::parse("SIP / 2.0\r\n /UDP\r\n    192.0.2.2 : 5070 ; branch = z9hG4bKx ;rport").unwrap();
    assert_eq!(
        (via.transport.as_str(), via.host.as_str(), via.port),
        ("udp", "192.0.2.2", Some(5070))
    );
    assert_eq!(
        (via.branch(), via.received(), via.rport(), via.wants_rport()),
        (Some("z9hG4bKx"), None, None, true)
    );
    let via = Via::parse("SIP/2.0/tls-sctp [2001:DB8::9]:6050;received=[2001:db8::1];rport=9").unwrap();
    assert_eq!(
        (via.transport.as_str(), via.host.as_str(), via.rport()),
        ("tls-sctp", "2001:db8::9", Some(9))
    );
    assert_eq!(
        via.to_string(),
        "SIP/2.0/TLS-SCTP [2001:db8::9]:6050;received=[2001:db8::1];rport=9"
    );
}

#[test]
fn test_malformed_via_is_refused() {
    let bad = [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/3.0/UDP a",
        "SIP/2.0 UDP a",
        "HTTP/2.0/UDP a",
        "SIP/2.0/U(P a",
        "SIP/2.0/UDP a b",
        "SIP/2.0/UDP a;",
        "SIP/2.0/UDP a;;",
        "SIP/2.0/UDP a:",
        "SIP/2.0/UDP a:99999",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP ::1",
        "SIP/2.0/UDP a : b : 1",
        "SIP/2.0/UDP a;branch=",
    ];
    for text in bad {
        assert_eq!(Via::parse(text).map_err(|error| error.status).err(), Some(400), "{text:?}");
    }
    assert!(Via::check("SIP/2.0/UDP a;branch=z9hG4bK").is_err());
    assert!(Via::check("SIP/2.0/UDP a").is_ok());
}

#[test]
fn test_cseq_is_a_number_below_2_31_and_a_method() {
    assert_eq!(
        CSeq::parse(" 0009\r\n  INVITE "),
        Ok(CSeq {
            number: 9,
            method: "INVITE".into()
        })
    );
    assert_eq!(CSeq::parse("2147483647 ACK").map(|cseq| cseq.number), Ok(2_147_483_647));
    for bad in [
        "",
        "1",
        "INVITE",
        "2147483648 ACK",
        "-1 ACK",
        "1 A B",
        "1 A,B",
        "99999999999999999999 ACK",
    ] {
        assert_eq!(CSeq::parse(bad).map_err(|error| error.status).err(), Some(400), "{bad:?}");
    }
}

#[test]
fn test_a_number_beyond_32_bits_is_the_largest() {
    for (text, number) in [
        ("0", 0),
        (" 0060\t", 60),
        ("4294967295", u32::MAX),
        ("4294967296", u32::MAX),
        ("99999999999999999999", u32::MAX),
    ] {
        assert_eq!(capped_integer(text), Some(number), "{text}");
    }
    for text in ["", " ", "-1", "+1", "1 2", "1.0", "0x10", "\u{b2}", "\u{663}", "1_0"] {
        assert_eq!(capped_integer(text), None, "{text}");
    }
}

#[test]
fn test_a_preference_is_between_0_and_1() {
    for (text, thousandths) in [
        ("0", 0),
        ("1", 1_000),
        ("1.000", 1_000),
        ("0.5", 500),
        (".25", 250),
        ("0.1239", 123),
        ("0.", 0),
        (" 0.7 ", 700),
    ] {
        assert_eq!(qvalue(text), Some(thousandths), "{text}");
    }
    for text in [
        "", ".", "1.001", "2", "10", "-0.5", "nan", "inf", "1e-1", "0,5", "0.5.5", "0.\u{b2}", "\u{b2}",
    ] {
        assert_eq!(qvalue(text), None, "{text}");
    }
}

fn params() -> impl Strategy<Value = Params> {
    let pair = ("[!%'*+.0-9A-Z_`a-z~-]{1,8}", proptest::option::of("[^\r\n\0]{0,12}"));
    proptest::collection::vec(pair, 0..6).prop_map(|pairs| {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        Params::new(&pairs).unwrap()
    })
}

proptest! {
    #[test]
    fn test_parse_after_display_of_an_address_is_identity(name in proptest::option::of("[^\r\n]{0,20}"), user in "[a-z]{1,8}", params in params()) {
        let uri = Uri::new("sip", Some(&user), "example.com", None, &[], &[]).unwrap();
        let address = NameAddr { display_name: name, uri, params };
        prop_assert_eq!(NameAddr::parse(&address.to_string()).unwrap(), address.clone());
        let two = format!("{address}, {address}");
        let cut: Vec<_> = split_list(&two).collect();
        prop_assert_eq!(cut, [address.to_string(), address.to_string()]);
    }

    #[test]
    fn test_parse_after_display_of_a_via_is_identity(transport in "(udp|tcp|x-[a-z]{1,4})", port in any::<Option<u16>>(), params in params()) {
        let via = Via { transport, host: "host.example".into(), port, params };
        prop_assert_eq!(Via::parse(&via.to_string()).unwrap(), via);
    }

    #[test]
    fn test_no_text_makes_a_reader_panic(text in "\\PC{0,60}|[ -~\r\n\t\0]{0,60}") {
        let _ = (NameAddr::parse(&text), Via::parse(&text), CSeq::parse(&text), Params::parse(&text), parse_integer(&text));
        prop_assert!(split_list(&text).count() <= text.len() + 1);
    }
}
