//! Where answers go, which dialogs are known, and what bad input gets (RFC 3261 §12.2.2, §18.2.2, §21.4.1; RFC 3581).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use endpoint_bench::*;
use trunkline_sip::endpoint::{Command, Event};

// --- where answers go -----------------------------------------------------------------------------------------------------------------

#[test]
fn test_an_answer_goes_to_the_source_with_rport_and_stamps_it() {
    let mut bench = Bench::new();
    bench.receive_on(udp("203.0.113.50:40000"), &Request::new("CANCEL").text());
    let sent = bench.sent_one();
    assert_eq!(
        (sent.flow.remote, sent.flow.local),
        (address("203.0.113.50:40000"), Some(address(US)))
    );
    let via = sent.message.via().unwrap();
    assert_eq!((via.received(), via.rport()), (Some("203.0.113.50"), Some(40_000)));
}

#[test]
fn test_an_answer_without_rport_goes_to_the_sources_address_and_the_port_in_via() {
    let mut bench = Bench::new();
    for (via, port) in [("SIP/2.0/UDP 10.0.0.1:5099", 5099), ("SIP/2.0/UDP 10.0.0.1", 5060)] {
        bench.receive_on(udp("203.0.113.50:40000"), &Request::new("CANCEL").via(via).text());
        assert_eq!(bench.sent_one().flow.remote, address(&format!("203.0.113.50:{port}")));
    }
}

#[test]
fn test_an_answer_goes_over_the_connection_of_its_request_and_else_to_the_port_in_via() {
    let mut bench = Bench::new();
    let cancel = Request::new("CANCEL").via("SIP/2.0/TCP 198.51.100.7:5062").text();
    bench.receive_on(tcp("198.51.100.7:33000", 8), &cancel);
    assert_eq!(bench.sent_one().flow.connection, 8);
    bench.receive_on(
        tcp("198.51.100.7:33000", 8),
        &Request::new("OPTIONS").via("SIP/2.0/TCP 198.51.100.7:5062").text(),
    );
    let Some(Event::RequestReceived { tx, .. }) = bench.events().pop() else {
        panic!()
    };
    bench
        .endpoint
        .flow_closed(bench.now, tcp("198.51.100.7:33000", 8), "gone".to_owned());
    bench.respond(&tx, 200, None);
    let flow = bench.sent_one().flow;
    assert_eq!((flow.connection, flow.remote), (0, address("198.51.100.7:5062")));
}

// --- dialogs --------------------------------------------------------------------------------------------------------------------------

#[test]
fn test_a_request_inside_an_unknown_dialog_gets_481_and_an_ack_nothing() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("BYE").tagged("us").text());
    bench.receive(&Request::new("INVITE").branch("z9hG4bK2").tagged("us").text());
    bench.receive(&Request::new("ACK").branch("z9hG4bK3").tagged("us").text());
    assert_eq!(bench.sent_lines(), ["481", "481"]);
    assert!(bench.told().is_empty());
}

#[test]
fn test_a_request_inside_a_dialog_is_known_by_its_tags_and_not_by_its_source() {
    let mut bench = Bench::new();
    bench.add_dialog("their-call", "us", "theirs", 1, 0);
    bench.receive_on(udp("203.0.113.77:1234"), &Request::new("INFO").tagged("us").cseq(2).text());
    assert_eq!(bench.told(), ["RequestReceived INFO"]);
    bench.command(Command::RemoveDialog {
        call_id: "their-call".to_owned(),
        local_tag: "us".to_owned(),
        remote_tag: "theirs".to_owned(),
    });
    bench.receive(&Request::new("INFO").branch("z9hG4bK2").tagged("us").cseq(3).text());
    assert_eq!(bench.sent_lines(), ["481"]);
}

#[test]
fn test_a_dialog_without_their_tag_awaits_the_notify_that_makes_it_and_nothing_else() {
    let mut bench = Bench::new();
    bench.add_dialog("their-call", "us", "", 0, 0);
    bench.receive(&Request::new("NOTIFY").tagged("us").text());
    assert_eq!(bench.told(), ["RequestReceived NOTIFY"]);
    bench.receive(&Request::new("INFO").branch("z9hG4bK2").tagged("us").cseq(2).text());
    bench.receive(&Request::new("NOTIFY").branch("z9hG4bK3").tagged("others").cseq(3).text());
    assert_eq!(bench.sent_lines(), ["481", "481"]);
    assert!(bench.told().is_empty());
}

#[test]
fn test_a_dialog_of_their_invite_is_known_before_python_has_registered_it_and_ends_with_it() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    let tx = bench.request();
    bench.respond(&tx, 180, Some("us"));
    bench.receive(&Request::new("BYE").branch("z9hG4bK2").tagged("us").cseq(2).text());
    assert_eq!(bench.told(), ["RequestReceived BYE"]);
    bench.respond(&tx, 486, None);
    bench.receive(&Request::new("ACK").text());
    bench.pass(ms(40_000));
    assert_eq!(bench.counters().dialogs, 0);
}

#[test]
fn test_a_bye_in_order_that_python_leaves_is_answered_after_400_ms_and_its_leg_stopped() {
    let mut bench = Bench::new();
    bench.add_dialog("their-call", "us", "theirs", 1, 42);
    bench.receive(&Request::new("BYE").tagged("us").cseq(2).text());
    let tx = bench.request();
    assert!(bench.pass(ms(399)).is_empty());
    assert_eq!(bench.pass(ms(1)), [(1, "200".to_owned())]);
    let events = bench.events();
    assert!(
        matches!(events.as_slice(), [Event::ByeAnswered { tx: id, .. }] if *id == tx.id),
        "{events:?}"
    );
    assert_eq!(bench.endpoint.take_stopped_legs(), [42]);
    assert!(bench.endpoint.take_stopped_legs().is_empty());
    assert!(!bench.respond(&tx, 200, None), "gone");
    bench.receive(&Request::new("BYE").tagged("us").cseq(2).text());
    assert_eq!(bench.sent_lines(), ["200"], "a repeat gets the answer again");
}

#[test]
fn test_a_bye_that_python_answers_in_time_is_pythons() {
    let mut bench = Bench::new();
    bench.add_dialog("their-call", "us", "theirs", 1, 42);
    bench.receive(&Request::new("BYE").tagged("us").cseq(2).text());
    let tx = bench.request();
    bench.pass(ms(399));
    assert!(bench.respond(&tx, 200, None));
    bench.sent();
    assert!(bench.pass(ms(2000)).is_empty());
    assert!(bench.told().is_empty() && bench.endpoint.take_stopped_legs().is_empty());
}

#[test]
fn test_a_bye_out_of_order_is_left_to_python() {
    let mut bench = Bench::new();
    bench.add_dialog("their-call", "us", "theirs", 5, 42);
    bench.receive(&Request::new("INFO").branch("z9hG4bK2").tagged("us").cseq(8).text());
    bench.receive(&Request::new("BYE").tagged("us").cseq(7).text());
    assert_eq!(bench.told(), ["RequestReceived INFO", "RequestReceived BYE"]);
    assert!(bench.pass(ms(2000)).is_empty());
    assert!(bench.endpoint.take_stopped_legs().is_empty());
}

// --- bad input ------------------------------------------------------------------------------------------------------------------------

#[test]
fn test_a_malformed_request_is_counted_and_answered_where_its_via_says_whom() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("OPTIONS").text().replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"));
    assert_eq!(bench.sent_lines(), ["400"]);
    bench.receive(&Request::new("OPTIONS").text().replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"));
    assert_eq!(bench.sent_lines(), ["505"]);
    assert_eq!(bench.counters().malformed, 2);
    assert!(bench.told().is_empty());
    bench.pass(ms(1000));
    assert_eq!(bench.told(), ["Shed 0 0 2"]);
}

#[test]
fn test_a_malformed_message_without_via_or_an_ack_or_a_response_is_never_answered() {
    let mut bench = Bench::new();
    let bad = |text: String| text.replace("CSeq: 1", "CSeq: x");
    bench.receive(&bad(Request::new("OPTIONS").text()).replace("Via: SIP", "Via: SAP"));
    bench.receive(&bad(Request::new("ACK").text()));
    bench.receive("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n");
    bench.receive("\u{0}\u{1}\u{2}garbage");
    bench.receive("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(bench.sent().is_empty());
    assert_eq!(bench.counters().malformed, 5);
    assert!(bench.told().is_empty());
}

#[test]
fn test_what_would_break_a_line_is_not_copied_into_an_answer() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("OPTIONS").text().replace("Call-ID: their", "Call-ID: a\rb"));
    let answer = bench.sent_one().message;
    let text = String::from_utf8_lossy(answer.raw()).into_owned();
    assert_eq!(answer.status(), 400);
    assert!(text.contains("Call-ID: a b"), "{text}");
    assert!(!text.replace("\r\n", "").contains('\r'), "{text}");
    bench.receive(&Request::new("OPTIONS").text().replace("Call-ID: their", "Call-ID: a\0b"));
    assert!(bench.sent().is_empty());
    assert_eq!(bench.counters().malformed, 2);
}

#[test]
fn test_crlf_and_nul_datagrams_are_no_errors() {
    let mut bench = Bench::new();
    for text in ["", "\r\n", "\r\n\r\n", "\0", "\0\0\0\0"] {
        bench.receive(text);
    }
    assert_eq!((bench.counters().malformed, bench.counters().received), (0, 0));
    assert!(bench.sent().is_empty());
}

#[test]
fn test_flooding_messages_are_told_in_one_event() {
    let mut bench = Bench::new();
    bench.endpoint.count_flood(bench.now, 3);
    bench.endpoint.count_flood(bench.now, 4);
    bench.pass(ms(5000));
    assert_eq!(bench.told(), ["Shed 0 7 0"]);
    assert_eq!(bench.counters().flood_dropped, 7);
}

#[test]
fn test_every_message_is_traced_only_while_tracing_is_on() {
    let mut bench = Bench::new();
    bench.command(Command::SetTrace(true));
    bench.receive(&Request::new("CANCEL").text());
    assert_eq!(bench.told(), ["Traced in", "Traced out"]);
    bench.command(Command::SetTrace(false));
    bench.receive(&Request::new("CANCEL").text());
    assert!(bench.told().is_empty());
}

#[test]
fn test_no_trace_has_a_key_and_what_goes_up_and_out_has() {
    let mut bench = Bench::new();
    bench.command(Command::SetTrace(true));
    let body = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJDREVG|2^20\r\n";
    let text = Request::new("MESSAGE").more("Content-Type: application/sdp").text();
    let whole = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    bench.receive(&text.replace("Content-Length: 0\r\n\r\n", &whole));
    let events = bench.events();
    let traced = events.iter().find_map(|event| match event {
        Event::Traced { data, .. } => Some(String::from_utf8_lossy(data).into_owned()),
        _ => None,
    });
    let received = events.iter().find_map(|event| match event {
        Event::RequestReceived { message, .. } => Some(String::from_utf8_lossy(message.body()).into_owned()),
        _ => None,
    });
    assert_eq!(received.as_deref(), Some(body));
    assert!(traced.unwrap().ends_with("inline:********|2^20\r\n"));
}
