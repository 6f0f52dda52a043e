use proptest::prelude::*;

use super::*;

const INVITE: &str = "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds, SIP/2.0/TCP second.example\r\n\
    v: SIP/2.0/UDP third.example\r\n\
    Max-Forwards: 70\r\n\
    To: Bob <sip:bob@biloxi.com>\r\n\
    f: \"Alice\r\n Ex\" <sip:alice@atlanta.com>\r\n ;tag=1928301774\r\n\
    Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n\
    CSeq: 314159\r\n\t INVITE\r\n\
    Contact: <sip:alice@pc33.atlanta.com>\r\n\
    Supported: 100rel,timer\r\n\
    k: , path\r\n\
    X-Odd:\r\n\
    x-odd: second\r\n\
    Content-Type: Application / SDP ; charset=x\r\n\
    l: 4\r\n\
    \r\n\
    v=0\ntail";

fn parse(text: &str) -> Message {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The status that `check` (or already `parse`) answers with.
fn verdict(text: &str) -> Option<u16> {
    verdict_within(text.as_bytes(), &Limits::default())
}

fn verdict_within(data: &[u8], limits: &Limits) -> Option<u16> {
    Message::parse(Bytes::copy_from_slice(data), limits)
        .and_then(|message| message.check())
        .err()
        .map(|error| error.status)
}

fn minimal() -> String {
    INVITE.replace("\r\nk: , path", "")
}

#[test]
fn test_a_request_is_read_through_its_index() {
    let invite = parse(INVITE);
    assert_eq!(invite.check(), Ok(()));
    assert!(invite.is_request());
    assert_eq!(
        (invite.method(), invite.uri_text(), invite.status(), invite.reason().as_ref()),
        ("INVITE", "sip:bob@biloxi.com", 0, "")
    );
    assert_eq!(invite.body(), b"v=0\n");
    assert_eq!(
        (invite.call_id(), invite.from_tag(), invite.to_tag()),
        ("a84b4c76e66710@pc33.atlanta.com", "1928301774", "")
    );
    assert_eq!(
        invite.cseq(),
        Ok(CSeq {
            number: 314_159,
            method: "INVITE".into()
        })
    );
    assert_eq!(invite.from().unwrap().display_name.as_deref(), Some("Alice Ex"));
    assert_eq!(invite.to().unwrap().uri.host(), "biloxi.com");
    assert_eq!(invite.via().unwrap().branch(), Some("z9hG4bK776asdhds"));
    assert_eq!(invite.contacts().unwrap().len(), 1);
    assert_eq!(invite.content_type().as_deref(), Some("application/sdp"));
    assert_eq!(invite.integer("max-forwards"), Ok(Some(70)));
    assert_eq!(invite.integer("Expires"), Ok(None));
    assert_eq!(invite.integer("Call-ID").map_err(|error| error.status), Err(400));
}

#[test]
fn test_headers_keep_their_order_and_names_and_match_compact_and_unknown_ones() {
    let invite = parse(INVITE);
    let names: Vec<&str> = invite.headers().map(|(name, _)| name).collect();
    let expected = [
        "Via",
        "v",
        "Max-Forwards",
        "To",
        "f",
        "Call-ID",
        "CSeq",
        "Contact",
        "Supported",
        "k",
        "X-Odd",
        "x-odd",
        "Content-Type",
        "l",
    ];
    assert_eq!(names, expected);
    assert_eq!(invite.values("VIA").len(), 3);
    assert_eq!(invite.values("supported"), ["100rel", "timer", "path"]);
    assert_eq!(invite.lines("x-ODD").collect::<Vec<_>>(), ["", "second"]);
    assert_eq!(
        invite.header("from").as_deref(),
        Some("\"Alice Ex\" <sip:alice@atlanta.com> ;tag=1928301774")
    );
    assert_eq!(invite.header("X-None"), None);
    assert!(invite.has("F") && !invite.has("Route"));
}

#[test]
fn test_a_response_is_read_and_its_faults_are_never_answered() {
    let text = INVITE.replace("INVITE sip:bob@biloxi.com SIP/2.0", "SIP/2.0 486 Busy Here");
    let busy = parse(&text);
    assert_eq!(busy.check(), Ok(()));
    assert_eq!(
        (busy.is_request(), busy.method(), busy.status(), busy.reason().as_ref()),
        (false, "INVITE", 486, "Busy Here")
    );
    assert_eq!(busy.uri_text(), "");
    assert_eq!(verdict(&text.replace("Call-ID", "X-Call-ID")), Some(0));
    for line in [
        "SIP/2.0 99 x",
        "SIP/2.0 1000 x",
        "SIP/2.0 700 x",
        "SIP/2.0 2x0 x",
        "SIP/2.0",
        "SIP/2.0 4294967301 x",
        "SIP/2.0  200 OK",
    ] {
        assert_eq!(verdict(&text.replace("SIP/2.0 486 Busy Here", line)), Some(0), "{line}");
    }
    assert_eq!(parse(&text.replace("486 Busy Here", "486")).reason(), "");
    assert_eq!(parse(&text.replace("486 Busy Here", "486 ")).reason(), "");
}

#[test]
fn test_each_fault_of_a_request_has_its_status() {
    assert_eq!(verdict(&minimal()), None);
    let table: &[(&str, &str, u16)] = &[
        // (what stands, what stands instead, status)
        ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia", 505),
        ("SIP/2.0\r\nVia", "SIP/2.0 \r\nVia", 400),
        ("SIP/2.0\r\nVia", "HTTP/1.1\r\nVia", 400),
        ("INVITE sip:bob@biloxi.com", "INVITE  sip:bob@biloxi.com", 400),
        ("INVITE sip:bob@biloxi.com", "INVITE <sip:bob@biloxi.com>", 400),
        ("INVITE sip:bob@biloxi.com", "INVITE *", 400),
        ("INVITE sip:bob@biloxi.com", "INVITE sip:bob@biloxi.com?a=b", 400),
        ("INVITE sip:bob@biloxi.com", "INVITE http://biloxi.com", 416),
        ("INVITE sip:bob@biloxi.com", "INV(TE sip:bob@biloxi.com", 400),
        ("INVITE sip:bob@biloxi.com", "BYE sip:bob@biloxi.com", 400),
        ("To: Bob", "X-To: Bob", 400),
        ("To: Bob <sip:bob@biloxi.com>", "To: *", 400),
        ("To: Bob <sip:bob@biloxi.com>", "To: Bob <sip:bob@biloxi.com", 400),
        ("To: Bob", "t: <sip:x@y>\r\nTo: Bob", 400),
        ("Call-ID: ", "X-Call-ID: ", 400),
        ("Call-ID: ", "Call-ID: a b", 400),
        ("Call-ID: ", "Call-ID: x\r\nCall-ID: ", 400),
        ("f: ", "X-F: ", 400),
        ("CSeq: 314159", "CSeq: 2147483648", 400),
        ("CSeq: 314159", "X-CSeq: 314159", 400),
        ("Max-Forwards: 70", "Max-Forwards: 256", 400),
        ("Max-Forwards: 70", "Max-Forwards: -1", 400),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\nMax-Forwards: 70", 400),
        ("Via: SIP/2.0/UDP pc33", "Via: SIP/2.0/UDP pc;;33", 400),
        ("branch=z9hG4bK776asdhds", "branch=z9hG4bK", 400),
        ("l: 4", "l: 400", 400),
        ("l: 4", "l: -4", 400),
        ("l: 4", "l: 4\r\nContent-Length: 5", 400),
        ("l: 4", "l: 99999999999999999999", 400),
        ("Max-Forwards: 70", "Max-Forwards 70", 400),
        ("Max-Forwards: 70", ": 70", 400),
        ("Max-Forwards: 70", "Max Forwards: 70", 400),
        ("Max-Forwards: 70\r\n", "Max-Forwards: 70\n", 400),
        ("Max-Forwards: 70\r\n", "Max-Forwards: 7\r0\r\n", 400),
        ("\r\nVia:", "\r\n Via:", 400),
    ];
    for (old, new, status) in table {
        let text = minimal();
        assert!(text.contains(old), "{old}");
        assert_eq!(verdict(&text.replacen(old, new, 1)), Some(*status), "{old} -> {new}");
    }
}

#[test]
fn test_what_old_peers_leave_out_is_let_pass() {
    assert_eq!(verdict(&minimal().replace("Max-Forwards: 70\r\n", "")), None);
    assert_eq!(verdict(&minimal().replace(";branch=z9hG4bK776asdhds", "")), None);
    assert_eq!(verdict(&minimal().replace("\r\n ;tag=1928301774", "")), None);
    assert_eq!(verdict(&minimal().replace("l: 4", "l: 4\r\nContent-Length: 4")), None);
    assert_eq!(verdict(&format!("\r\n\r\n{}", minimal())), None);
}

#[test]
fn test_without_content_length_the_body_is_the_rest_of_the_datagram() {
    assert_eq!(parse(&INVITE.replace("l: 4\r\n", "")).body(), b"v=0\ntail");
}

#[test]
fn test_a_cut_off_message_still_names_its_transaction() {
    let (head, _) = INVITE.split_at(INVITE.find("Content-Type").unwrap() + 9);
    let cut = parse(head);
    assert_eq!(cut.check().map_err(|error| error.status), Err(400));
    assert_eq!(cut.via().unwrap().host, "pc33.atlanta.com");
    assert_eq!(verdict("INVITE sip:bob@biloxi.com SIP/2.0"), Some(400));
}

#[test]
fn test_what_is_no_message_at_all_is_an_error_of_parse() {
    for text in [
        "",
        "\r\n\r\n",
        "\0\0\0\0",
        "hello",
        "hello\r\n\r\n",
        "INVITE sip:x\r\n\r\n",
        " INVITE sip:x SIP/2.0\r\n\r\n",
    ] {
        let outcome = Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default());
        assert!(outcome.is_err(), "{text:?}");
    }
}

#[test]
fn test_limits_hold() {
    let limits = Limits {
        max_bytes: 2_000,
        max_headers: 20,
        max_header_bytes: 200,
    };
    assert_eq!(verdict_within(minimal().as_bytes(), &limits), None);
    let many = minimal().replace("Max-Forwards", &format!("{}Max-Forwards", "a: b\r\n".repeat(20)));
    assert_eq!(verdict_within(many.as_bytes(), &limits), Some(513));
    let long = minimal().replace("Max-Forwards", &format!("a: {}\r\nMax-Forwards", "b".repeat(201)));
    assert_eq!(verdict_within(long.as_bytes(), &limits), Some(513));
    let folded = minimal().replace("Max-Forwards", &format!("a: b{}\r\nMax-Forwards", "\r\n b".repeat(80)));
    assert_eq!(verdict_within(folded.as_bytes(), &limits), Some(513));
    let large = format!("{}{}", minimal(), " ".repeat(2_000));
    assert_eq!(verdict_within(large.as_bytes(), &limits), Some(513));
    let uri = minimal().replacen("bob", &"b".repeat(9_000), 1);
    assert_eq!(verdict(&uri), Some(414));
}

#[test]
fn test_bytes_that_are_no_utf_8_do_no_harm() {
    let mut data = minimal().replace("Bob", "B~b").into_bytes();
    let at = data.windows(3).position(|bytes| bytes == b"B~b").unwrap() + 1;
    data[at] = 0xf6;
    let message = Message::parse(Bytes::from(data), &Limits::default()).unwrap();
    assert_eq!(message.check(), Ok(()));
    assert_eq!(message.to().unwrap().display_name.as_deref(), Some("B\u{fffd}b"));
}

#[test]
fn test_a_star_contact_is_seen() {
    let star = parse(&INVITE.replace("<sip:alice@pc33.atlanta.com>", "*"));
    assert!(star.star_contact());
    assert!(star.contacts().unwrap()[0].uri.is_star());
    assert!(!parse(INVITE).star_contact());
}

#[test]
fn test_an_empty_contact_value_is_malformed() {
    assert!(parse(&INVITE.replace("Contact: <sip", "Contact: , <sip")).contacts().is_err());
}

#[test]
fn test_errors_and_debug_repeat_no_input() {
    let secret = INVITE.replace("To: Bob", "Authorization: Digest response=\"s3cret\"\r\nTo: <s3cret");
    let message = parse(&secret);
    assert!(!message.check().unwrap_err().to_string().contains("s3cret"));
    assert!(!format!("{message:?}").contains("s3cret"));
}

fn read_all(message: &Message) -> usize {
    let _ = (
        message.check(),
        message.method(),
        message.uri_text(),
        message.reason(),
        message.body(),
        message.content_type(),
    );
    let _ = (
        message.call_id(),
        message.from_tag(),
        message.to_tag(),
        message.cseq(),
        message.via(),
        message.from(),
        message.to(),
    );
    let _ = (
        message.contacts(),
        message.star_contact(),
        message.integer("Expires"),
        message.values("Supported"),
        message.tokens("Accept"),
        message.privacy(),
        message.reasons(),
        message.retry_after_s(),
    );
    message.headers().map(|(name, value)| name.len() + value.len()).sum()
}

fn with(fields: &str) -> Message {
    let text = format!("OPTIONS sip:a@b SIP/2.0\r\n{fields}\r\n\r\n");
    Message::parse(Bytes::from(text), &Limits::default()).unwrap()
}

#[test]
fn test_a_list_is_read_without_its_parameters() {
    let message = with("Accept: application/SDP ;level=1, text / html;q=0.7,\r\nAccept: */*");
    assert_eq!(message.tokens("accept"), ["application/sdp", "text/html", "*/*"]);
    assert_eq!(message.tokens("Require"), [""; 0]);
}

#[test]
fn test_privacy_is_a_list_between_semicolons() {
    assert_eq!(with("Privacy: ID; Critical\r\nPrivacy:user").privacy(), ["id", "critical", "user"]);
    assert_eq!(with("Privacy: header;;a b, none").privacy(), ["header", "none"]);
}

#[test]
fn test_reasons_that_cannot_be_read_are_left_out() {
    let reasons = with("Reason: SIP;cause=200, ;cause=1\r\nReason: Q.850;cause=16;text=\"a, b\"").reasons();
    let read: Vec<_> = reasons.iter().map(|reason| (reason.protocol.as_str(), reason.cause)).collect();
    assert_eq!(read, [("SIP", Some(200)), ("Q.850", Some(16))]);
}

#[test]
fn test_retry_after_is_the_number_that_it_begins_with() {
    let cases = [
        ("120", 120),
        ("18000;duration=3600", 18_000),
        ("5 (in a meeting)", 5),
        ("99999999999", u32::MAX),
    ];
    for (text, seconds) in cases {
        assert_eq!(with(&format!("Retry-After: {text}")).retry_after_s(), Some(seconds), "{text}");
    }
    assert_eq!(with("Retry-After: soon").retry_after_s(), None);
    assert_eq!(with("Expires: 5").retry_after_s(), None);
}

proptest! {
    #[test]
    fn test_no_bytes_make_the_parser_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = Message::parse(Bytes::from(data), &Limits::default()) {
            read_all(&message);
        }
    }

    #[test]
    fn test_no_damage_makes_the_readers_panic(cuts in proptest::collection::vec((0..INVITE.len(), any::<u8>(), 0..3_u8), 1..6)) {
        let mut data = INVITE.as_bytes().to_vec();
        for (at, byte, how) in cuts {
            let at = at.min(data.len() - 1);
            match how {
                0 => data[at] = byte,
                1 => data.insert(at, byte),
                _ => { data.remove(at); }
            }
        }
        let length = data.len();
        if let Ok(message) = Message::parse(Bytes::from(data), &Limits::default()) {
            prop_assert!(read_all(&message) <= 3 * length);
        }
    }
}
