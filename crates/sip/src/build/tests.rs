use proptest::prelude::*;

use super::*;
use crate::message::Limits;

fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn parsed(data: Bytes) -> Message {
    Message::parse(data, &Limits::default()).unwrap()
}

fn text(data: &Bytes) -> &str {
    std::str::from_utf8(data).unwrap()
}

fn defaults() -> Defaults {
    Defaults {
        user_agent: Some("trunkline/test".into()),
    }
}

fn usual_headers() -> Vec<(String, String)> {
    pairs(&[
        ("Route", "<sip:proxy.example;lr>"),
        ("From", "<sip:alice@a.example>;tag=1"),
        ("To", "<sip:bob@b.example>"),
        ("Call-ID", "c1"),
        ("CSeq", "7 INVITE"),
        ("Record-Route", "<sip:rr.example;lr>"),
        ("Timestamp", "54"),
    ])
}

fn invite(via: &str) -> Message {
    let message = parsed(request("INVITE", "sip:bob@b.example", via, &usual_headers(), b"v=0", &defaults()).unwrap());
    assert_eq!(message.check(), Ok(()));
    message
}

fn answer(request: &Message, status: u16, source: Option<&str>) -> Message {
    let stamp = ViaStamp {
        source: source.map(|source| source.parse().unwrap()),
    };
    let message = parsed(response(request, status, None, Some("t2"), &[], &[], &stamp).unwrap());
    assert_eq!(message.check(), Ok(()));
    message
}

#[test]
fn test_a_request_gets_what_its_headers_leave_out() {
    let built = request(
        "OPTIONS",
        "sip:b",
        "SIP/2.0/UDP h;branch=z9hG4bKx",
        &pairs(&[("From", "<sip:a>")]),
        b"hi",
        &defaults(),
    )
    .unwrap();
    assert_eq!(
        text(&built),
        "OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nMax-Forwards: 70\r\nFrom: <sip:a>\r\n\
         User-Agent: trunkline/test\r\nContent-Length: 2\r\n\r\nhi"
    );
    let own = pairs(&[("max-forwards", "5"), ("User-Agent", "x"), ("l", "99")]);
    let built = parsed(request("OPTIONS", "sip:b", "SIP/2.0/UDP h", &own, b"", &defaults()).unwrap());
    let headers: Vec<_> = built.headers().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        headers,
        ["Via: SIP/2.0/UDP h", "max-forwards: 5", "User-Agent: x", "Content-Length: 0"]
    );
}

#[test]
fn test_an_empty_user_agent_is_none() {
    let own = pairs(&[("user-agent", "")]);
    let built = parsed(request("OPTIONS", "sip:b", "SIP/2.0/UDP h", &own, b"", &defaults()).unwrap());
    let names: Vec<_> = built.headers().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names, ["Via", "Max-Forwards", "Content-Length"]);
}

#[test]
fn test_a_response_copies_what_rfc_3261_8_2_6_names() {
    let request = invite("SIP/2.0/UDP h;branch=z9hG4bKx");
    let ringing = answer(&request, 180, None);
    assert_eq!(ringing.reason(), "Ringing");
    assert_eq!(ringing.to_tag(), "t2");
    for name in ["Via", "From", "Call-ID", "CSeq", "Record-Route"] {
        assert_eq!(ringing.values(name), request.values(name), "{name}");
    }
    assert!(!ringing.has("Timestamp") && !ringing.has("Route"));
    assert!(answer(&request, 100, None).has("Timestamp"));
    assert!(!answer(&request, 100, None).has("Record-Route"));
    assert!(!answer(&request, 404, None).has("Record-Route"));
}

#[test]
fn test_a_to_tag_that_is_there_stays() {
    let headers = pairs(&[
        ("From", "<sip:a>;tag=1"),
        ("To", "sip:b;tag=old"),
        ("Call-ID", "c"),
        ("CSeq", "1 BYE"),
    ]);
    let bye = parsed(request("BYE", "sip:b", "SIP/2.0/UDP h", &headers, b"", &defaults()).unwrap());
    assert_eq!(answer(&bye, 200, None).to_tag(), "old");
}

#[test]
fn test_the_topmost_via_is_stamped_by_rfc_3261_18_2_1_and_rfc_3581() {
    let stamped = |via: &str, source: &str| answer(&invite(via), 200, Some(source)).header("Via").unwrap().into_owned();
    assert_eq!(
        stamped("SIP/2.0/UDP 192.0.2.1;branch=x", "192.0.2.1:5060"),
        "SIP/2.0/UDP 192.0.2.1;branch=x"
    );
    assert_eq!(
        stamped("SIP/2.0/UDP 192.0.2.1;branch=x", "192.0.2.9:5062"),
        "SIP/2.0/UDP 192.0.2.1;branch=x;received=192.0.2.9"
    );
    assert_eq!(
        stamped("SIP/2.0/UDP host.example;branch=x", "192.0.2.9:5062"),
        "SIP/2.0/UDP host.example;branch=x;received=192.0.2.9"
    );
    assert_eq!(
        stamped("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=x", "192.0.2.1:6000"),
        "SIP/2.0/UDP 192.0.2.1:5060;branch=x;received=192.0.2.1;rport=6000"
    );
    assert_eq!(
        stamped("SIP/2.0/UDP [2001:db8::1];rport;branch=x", "[2001:db8::1]:5060"),
        "SIP/2.0/UDP [2001:db8::1];branch=x;received=2001:db8::1;rport=5060"
    );
    // What the sender claims about itself is dropped; a list and odd parameters survive.
    assert_eq!(
        stamped(
            "SIP/2.0/UDP 192.0.2.1 ; received=1.2.3.4;branch=x;q=\"a,b;c\", SIP/2.0/TCP second;rport",
            "192.0.2.1:5060"
        ),
        "SIP/2.0/UDP 192.0.2.1;branch=x;q=\"a,b;c\", SIP/2.0/TCP second;rport"
    );
}

#[test]
fn test_ack_to_a_failure_reuses_branch_and_route_and_takes_the_to_of_the_response() {
    let invite = invite("SIP/2.0/UDP h;branch=z9hG4bKx");
    let ack = parsed(ack_to_failure(&invite, &answer(&invite, 486, None)));
    assert_eq!(ack.check(), Ok(()));
    assert_eq!((ack.method(), ack.uri_text(), ack.to_tag()), ("ACK", "sip:bob@b.example", "t2"));
    assert_eq!(ack.cseq().map(|cseq| cseq.to_string()), Ok("7 ACK".into()));
    assert_eq!(ack.values("Via"), ["SIP/2.0/UDP h;branch=z9hG4bKx"]);
    assert_eq!(ack.values("Route"), ["<sip:proxy.example;lr>"]);
    assert_eq!(ack.values("Max-Forwards"), ["70"]);
}

#[test]
fn test_cancel_matches_its_invite_and_carries_a_reason() {
    let invite = invite("SIP/2.0/UDP h;branch=z9hG4bKx");
    let reason = pairs(&[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")]);
    let cancel = parsed(super::cancel(&invite, &reason).unwrap());
    assert_eq!(cancel.check(), Ok(()));
    assert_eq!(
        (cancel.method(), cancel.uri_text(), cancel.to_tag()),
        ("CANCEL", "sip:bob@b.example", "")
    );
    assert_eq!(cancel.cseq().map(|cseq| cseq.to_string()), Ok("7 CANCEL".into()));
    for name in ["Via", "Route", "From", "To", "Call-ID"] {
        assert_eq!(cancel.values(name), invite.values(name), "{name}");
    }
    assert_eq!(
        cancel.header("Reason").as_deref(),
        Some("SIP;cause=200;text=\"Call completed elsewhere\"")
    );
    assert_eq!(super::cancel(&invite, &pairs(&[("Via", "x")])), Err(BuildError::Reserved("Via")));
}

#[test]
fn test_nothing_that_would_break_a_message_gets_into_one() {
    let via = "SIP/2.0/UDP h";
    let build =
        |method: &str, uri: &str, via: &str, header: (&str, &str)| request(method, uri, via, &pairs(&[header]), b"", &defaults()).err();
    let fine = ("X", "y");
    assert_eq!(build("INV ITE", "sip:b", via, fine), Some(BuildError::Method));
    assert_eq!(build("", "sip:b", via, fine), Some(BuildError::Method));
    assert_eq!(build("BYE", "sip:b x", via, fine), Some(BuildError::Uri));
    assert_eq!(build("BYE", "", via, fine), Some(BuildError::Uri));
    assert_eq!(build("BYE", "sip:b", "x\r\ny", fine), Some(BuildError::HeaderValue("Via".into())));
    assert_eq!(build("BYE", "sip:b", via, ("X Y", "z")), Some(BuildError::HeaderName));
    assert_eq!(build("BYE", "sip:b", via, ("X:", "z")), Some(BuildError::HeaderName));
    assert_eq!(build("BYE", "sip:b", via, ("v", "z")), Some(BuildError::Reserved("Via")));
    for value in ["a\rb", "a\nb", "a\0b", "a\r\nVia: x"] {
        assert_eq!(
            build("BYE", "sip:b", via, ("X", value)),
            Some(BuildError::HeaderValue("X".into())),
            "{value:?}"
        );
    }
    let request = invite(via);
    let respond = |status, reason, tag, headers: &[(&str, &str)]| {
        response(&request, status, reason, tag, &pairs(headers), b"", &ViaStamp::default()).err()
    };
    assert_eq!(respond(99, None, None, &[]), Some(BuildError::Status(99)));
    assert_eq!(respond(700, None, None, &[]), Some(BuildError::Status(700)));
    assert_eq!(respond(200, Some("O\r\nK"), None, &[]), Some(BuildError::Reason));
    assert_eq!(respond(200, None, Some("a b"), &[]), Some(BuildError::Tag));
    assert_eq!(respond(200, None, None, &[("t", "x")]), Some(BuildError::Reserved("To")));
}

#[test]
fn test_a_malformed_request_is_still_answered() {
    let broken = "INVITE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP ;;\r\nFrom: \"x <y>\r\nCall-ID: c\r\n\r\n";
    let request = parsed(Bytes::from_static(broken.as_bytes()));
    let built = response(
        &request,
        400,
        None,
        Some("t"),
        &[],
        b"",
        &ViaStamp {
            source: Some("192.0.2.1:1".parse().unwrap()),
        },
    )
    .unwrap();
    assert_eq!(
        text(&built),
        "SIP/2.0 400 Bad Request\r\nVia: SIP/2.0/UDP ;;\r\nFrom: \"x <y>\r\nCall-ID: c\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn test_reason_phrases_are_found_and_the_table_is_sorted() {
    assert!(REASONS.windows(2).all(|two| two[0].0 < two[1].0));
    assert_eq!(
        (reason_phrase(487), reason_phrase(299), reason_phrase(499)),
        ("Request Terminated", "OK", "Request Failure")
    );
}

proptest! {
    #[test]
    fn test_parse_after_build_gives_back_what_was_built(
        method in "[A-Z]{1,10}",
        headers in proptest::collection::vec(("X-[A-Za-z0-9-]{1,10}", "([!-~äß]([ -~]{0,20}[!-~])?)?"), 0..10),
        body in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        let built = parsed(request(&method, "sip:b", "SIP/2.0/UDP h", &headers, &body, &Defaults::default()).unwrap());
        prop_assert_eq!(built.method(), method);
        prop_assert_eq!(built.body(), body);
        let read: Vec<_> = built.headers().map(|(name, value)| (name.to_owned(), value.into_owned())).skip(2).collect();
        prop_assert_eq!(&read[..read.len() - 1], headers);
    }

    #[test]
    fn test_no_request_makes_the_builder_panic_or_add_a_line(damage in proptest::collection::vec((0..400_usize, any::<u8>()), 1..8)) {
        let mut data = invite("SIP/2.0/UDP h;branch=z9hG4bKx, SIP/2.0/UDP i;rport").raw().to_vec();
        for (at, byte) in damage {
            let at = at % data.len();
            data[at] = byte;
        }
        let Ok(request) = Message::parse(Bytes::from(data), &Limits::default()) else { return Ok(()) };
        let stamp = ViaStamp { source: Some("192.0.2.1:1".parse().unwrap()) };
        let built = response(&request, 200, None, Some("t"), &[], b"", &stamp).unwrap();
        let head = built.strip_suffix(b"\r\n").unwrap();
        let lines = head.windows(2).filter(|two| *two == b"\r\n").count();
        let copied = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"].map(|name| request.lines(name).count().min(if name == "Via" || name == "Record-Route" { 99 } else { 1 }));
        prop_assert_eq!(lines, copied.iter().sum::<usize>() + 2);
        prop_assert_eq!(head.iter().filter(|byte| **byte == b'\r').count(), lines);
        prop_assert_eq!(head.iter().filter(|byte| **byte == b'\n').count(), lines);
    }
}
