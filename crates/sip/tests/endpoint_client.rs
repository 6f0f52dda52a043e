//! Requests of ours: the client machines through the endpoint (RFC 3261 §17.1, §9.1, §13.2.2.4; RFC 6026).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use endpoint_bench::*;
use trunkline_sip::endpoint::{Command, Config, Event};
use trunkline_sip::flow::{Flow, Transport};

fn times(log: &[(u128, String)], line: &str) -> Vec<u128> {
    log.iter().filter(|(_, sent)| sent == line).map(|(at, _)| *at).collect()
}

fn cancel(bench: &mut Bench, tx: u64) {
    bench.command(Command::Cancel {
        tx,
        headers: vec![("Reason".to_owned(), "SIP;cause=200".to_owned())],
    });
}

#[test]
fn test_an_unanswered_invite_is_sent_seven_times_and_times_out_after_64_t1() {
    let mut bench = Bench::new();
    let tx = bench.send("INVITE");
    assert_eq!(bench.sent_lines(), ["INVITE"]);
    let log = bench.pass(ms(31_999));
    assert_eq!(times(&log, "INVITE"), [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert!(bench.told().is_empty());
    bench.pass(ms(1));
    assert_eq!(bench.told(), [format!("TransactionTimedOut {tx}")]);
    // As long again it waits for a 2xx that comes late.
    bench.pass(ms(32_000));
    assert_eq!(bench.counters().client_transactions, 0);
    assert_eq!(bench.endpoint.next_timeout(), None);
}

#[test]
fn test_an_unanswered_request_is_sent_eleven_times() {
    let mut bench = Bench::new();
    bench.send("OPTIONS");
    bench.sent();
    let log = bench.pass(ms(32_000));
    assert_eq!(
        times(&log, "OPTIONS"),
        [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
    );
    assert_eq!(bench.counters().retransmitted, 10);
}

#[test]
fn test_t1_is_configurable() {
    let mut bench = Bench::with(Config {
        t1: ms(100),
        ..Config::default()
    });
    let tx = bench.send("INVITE");
    bench.sent();
    let log = bench.pass(ms(6400));
    assert_eq!(times(&log, "INVITE"), [100, 300, 700, 1500, 3100, 6300]);
    assert_eq!(bench.told(), [format!("TransactionTimedOut {tx}")]);
}

#[test]
fn test_a_timeout_of_its_own_replaces_timer_b_and_f() {
    for method in ["INVITE", "OPTIONS"] {
        let mut bench = Bench::new();
        let tx = bench.send_over(method, udp(PEER), Some(ms(3000)));
        bench.pass(ms(2999));
        assert!(bench.told().is_empty());
        bench.pass(ms(1));
        assert_eq!(bench.told(), [format!("TransactionTimedOut {tx}")]);
    }
}

#[test]
fn test_over_tcp_nothing_is_repeated_and_the_limit_stays() {
    let mut bench = Bench::new();
    let tx = bench.send_over("OPTIONS", tcp(PEER, 0), None);
    assert_eq!(bench.sent_one().header("Via").split(';').next(), Some("SIP/2.0/TCP 192.0.2.1:5060"));
    assert!(bench.pass(ms(31_999)).is_empty());
    bench.pass(ms(1));
    assert_eq!(bench.told(), [format!("TransactionTimedOut {tx}")]);
}

#[test]
fn test_a_provisional_stops_the_repeats_of_an_invite_and_its_limit() {
    let mut bench = Bench::new();
    bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.receive(&answer(&invite, 100, ""));
    assert_eq!(bench.told(), ["ResponseReceived 100"]);
    assert!(bench.pass(ms(600_000)).is_empty());
    bench.receive(&answer(&invite, 180, "a"));
    assert_eq!(bench.told(), ["ResponseReceived 180"]);
}

#[test]
fn test_a_provisional_slows_another_request_to_t2() {
    let mut bench = Bench::new();
    let tx = bench.send("OPTIONS");
    let request = bench.sent_one().message;
    bench.receive(&answer(&request, 100, ""));
    let log = bench.pass(ms(32_000));
    assert_eq!(times(&log, "OPTIONS"), [500, 4500, 8500, 12_500, 16_500, 20_500, 24_500, 28_500]);
    assert_eq!(
        bench.told(),
        ["ResponseReceived 100".to_owned(), format!("TransactionTimedOut {tx}")]
    );
}

#[test]
fn test_a_repeated_provisional_comes_up_once_and_a_changed_one_again() {
    let mut bench = Bench::new();
    bench.send("INVITE");
    let invite = bench.sent_one().message;
    for (status, tag) in [(180, "a"), (180, "a"), (183, "a"), (180, "a"), (180, "b")] {
        bench.receive(&answer(&invite, status, tag));
    }
    let told = bench.told();
    assert_eq!(
        told,
        [
            "ResponseReceived 180",
            "ResponseReceived 183",
            "ResponseReceived 180",
            "ResponseReceived 180"
        ]
    );
}

#[test]
fn test_a_failure_is_acknowledged_each_time_with_the_branch_of_the_invite() {
    let mut bench = Bench::new();
    bench.send("INVITE");
    let invite = bench.sent_one();
    bench.receive(&answer(&invite.message, 486, "a"));
    let ack = bench.sent_one();
    assert_eq!((ack.line().as_str(), ack.header("Via")), ("ACK", invite.header("Via")));
    assert_eq!(ack.header("To"), "<sip:peer@example.com>;tag=a");
    assert_eq!(ack.flow, invite.flow);
    bench.receive(&answer(&invite.message, 486, "a"));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    assert_eq!(bench.told(), ["ResponseReceived 486"]);
    bench.pass(ms(32_000));
    assert_eq!(bench.counters().client_transactions, 0);
}

#[test]
fn test_over_tcp_a_final_answer_ends_the_transaction_at_once() {
    for (method, status) in [("INVITE", 486), ("OPTIONS", 200)] {
        let mut bench = Bench::new();
        bench.endpoint.flow_opened(bench.now, tcp(PEER, 3));
        bench.send_over(method, tcp(PEER, 3), None);
        let request = bench.sent_one().message;
        bench.receive_on(tcp(PEER, 3), &answer(&request, status, "a"));
        assert_eq!(
            bench.told().last().map(String::as_str),
            Some(format!("ResponseReceived {status}").as_str())
        );
        assert_eq!(bench.counters().client_transactions, 0);
    }
}

#[test]
fn test_our_ack_is_replayed_to_each_repeat_of_its_2xx() {
    let mut bench = Bench::new();
    let tx = bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.receive(&answer(&invite, 200, "a"));
    bench.receive(&answer(&invite, 200, "a"));
    assert!(bench.sent().is_empty(), "no ACK before Python has given it");
    bench.send_ack(tx, "a");
    let ack = bench.sent_one();
    assert_ne!(
        ack.message.via().unwrap().branch(),
        invite.via().unwrap().branch(),
        "§13.2.2.4: an ACK to a 2xx has a branch of its own"
    );
    bench.receive(&answer(&invite, 200, "a"));
    assert_eq!(bench.sent_one().message.raw(), ack.message.raw());
    assert_eq!(bench.told(), ["ResponseReceived 200"]);
}

#[test]
fn test_a_forked_2xx_comes_up_and_gets_an_ack_of_its_own() {
    let mut bench = Bench::new();
    let tx = bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.receive(&answer(&invite, 200, "a"));
    bench.send_ack(tx, "a");
    bench.sent();
    bench.receive(&answer(&invite, 200, "b"));
    assert!(bench.sent().is_empty());
    bench.send_ack(tx, "b");
    bench.sent();
    bench.receive(&answer(&invite, 200, "b"));
    assert_eq!(bench.sent_one().message.to_tag(), "b");
    assert_eq!(bench.told(), ["ResponseReceived 200", "ResponseReceived 200"]);
    bench.pass(ms(32_000));
    bench.receive(&answer(&invite, 200, "b"));
    assert!(bench.sent().is_empty(), "Timer M has run out");
}

#[test]
fn test_a_failure_after_a_2xx_has_no_effect() {
    let mut bench = Bench::new();
    bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.receive(&answer(&invite, 200, "a"));
    bench.receive(&answer(&invite, 486, "b"));
    bench.receive(&answer(&invite, 180, "c"));
    assert!(bench.sent().is_empty());
    assert_eq!(bench.told(), ["ResponseReceived 200"]);
}

#[test]
fn test_forks_beyond_the_bound_are_dropped() {
    let mut bench = Bench::new();
    bench.send("INVITE");
    let invite = bench.sent_one().message;
    for fork in 0..1000 {
        bench.receive(&answer(&invite, 180, &format!("fork{fork}")));
    }
    assert_eq!(bench.told().len(), trunkline_sip::endpoint::config::MAX_FORKS);
    assert_eq!(bench.counters().dialogs, trunkline_sip::endpoint::config::MAX_FORKS as u64);
}

#[test]
fn test_a_cancel_is_held_until_a_provisional() {
    let mut bench = Bench::new();
    let tx = bench.send("INVITE");
    let invite = bench.sent_one();
    cancel(&mut bench, tx);
    assert!(bench.sent().is_empty());
    bench.receive(&answer(&invite.message, 100, ""));
    let sent = bench.sent_one();
    assert_eq!(
        (sent.line().as_str(), sent.header("Via"), sent.header("CSeq").as_str()),
        ("CANCEL", invite.header("Via"), "1 CANCEL")
    );
    assert_eq!(sent.header("Reason"), "SIP;cause=200");
    assert_eq!(sent.flow, invite.flow);
}

#[test]
fn test_a_cancel_is_repeated_until_answered_and_its_answer_does_not_come_up() {
    let mut bench = Bench::new();
    let tx = bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.receive(&answer(&invite, 180, "a"));
    cancel(&mut bench, tx);
    cancel(&mut bench, tx);
    let sent = bench.sent_one().message;
    assert_eq!(times(&bench.pass(ms(1500)), "CANCEL"), [500, 1500]);
    bench.receive(&answer(&sent, 200, "a"));
    bench.receive(&answer(&invite, 487, "a"));
    assert_eq!(bench.sent_lines(), ["ACK"]);
    assert_eq!(bench.told(), ["ResponseReceived 180", "ResponseReceived 487"]);
    assert!(bench.pass(ms(60_000)).is_empty());
}

#[test]
fn test_64_t1_after_the_cancel_the_invite_counts_as_cancelled() {
    let mut bench = Bench::new();
    let tx = bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.receive(&answer(&invite, 180, "a"));
    bench.pass(ms(20_000));
    cancel(&mut bench, tx);
    bench.pass(ms(31_999));
    assert_eq!(bench.told(), ["ResponseReceived 180"]);
    bench.pass(ms(1));
    assert_eq!(bench.told(), [format!("TransactionTimedOut {tx}")]);
    bench.pass(ms(32_000));
    assert_eq!(bench.counters().client_transactions, 0);
}

#[test]
fn test_a_cancel_after_the_final_answer_has_no_effect() {
    for status in [200, 486] {
        let mut bench = Bench::new();
        let tx = bench.send("INVITE");
        let invite = bench.sent_one().message;
        bench.receive(&answer(&invite, 180, "a"));
        bench.receive(&answer(&invite, status, "a"));
        bench.sent();
        cancel(&mut bench, tx);
        assert!(bench.sent().is_empty());
    }
}

#[test]
fn test_a_2xx_that_crosses_the_held_cancel_comes_up() {
    let mut bench = Bench::new();
    let tx = bench.send("INVITE");
    let invite = bench.sent_one().message;
    cancel(&mut bench, tx);
    bench.receive(&answer(&invite, 200, "a"));
    assert!(bench.sent().is_empty());
    assert_eq!(bench.told(), ["ResponseReceived 200"]);
}

#[test]
fn test_a_response_whose_topmost_via_is_not_ours_is_dropped() {
    let mut bench = Bench::new();
    bench.send("OPTIONS");
    let request = bench.sent_one().message;
    let good = answer(&request, 200, "a");
    let via = request.header("Via").unwrap().into_owned();
    bench.receive(&good.replace("192.0.2.1:5060", "192.0.2.99:5060"));
    bench.receive(&good.replace("192.0.2.1:5060", "192.0.2.1:5061"));
    bench.receive(&good.replace("branch=z9hG4bK", "branch=z9hG4bKx"));
    bench.receive(&good.replace("1 OPTIONS", "1 INVITE"));
    bench.receive(&good.replace(
        &format!("Via: {via}"),
        &format!("Via: {via}, SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKq"),
    ));
    assert!(bench.told().is_empty());
    bench.receive(&good);
    assert_eq!(bench.told(), ["ResponseReceived 200"]);
}

#[test]
fn test_a_transport_failure_ends_the_requests_of_that_way_alone() {
    let mut bench = Bench::new();
    let (a, b) = (bench.send("INVITE"), bench.send("OPTIONS"));
    let other = bench.send_over("OPTIONS", udp("203.0.113.9:5060"), None);
    let sent = bench.sent();
    bench.endpoint.send_failed(bench.now, sent[0].flow, "connection refused".to_owned());
    let events = bench.events();
    let failed: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::TransportFailed { tx, reason } => (*tx, reason.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(failed, [(a, "connection refused"), (b, "connection refused")]);
    bench.receive_on(udp("203.0.113.9:5060"), &answer(&sent[2].message, 200, "a"));
    assert!(matches!(bench.events().as_slice(), [Event::ResponseReceived { tx, .. }] if *tx == other));
}

#[test]
fn test_without_a_listener_of_transport_and_family_a_request_fails_at_once() {
    let mut bench = Bench::new();
    let flow = Flow {
        transport: Transport::Udp,
        remote: address("[2001:db8::1]:5060"),
        local: None,
        connection: 0,
    };
    bench.send_over("OPTIONS", flow, None);
    let events = bench.events();
    assert!(
        matches!(events.as_slice(), [Event::TransportFailed { reason, .. }] if reason == "no UDP listener for IPv6"),
        "{events:?}"
    );
}

#[test]
fn test_what_cannot_be_built_fails_at_once() {
    let mut bench = Bench::new();
    for method in ["ACK", "CANCEL", "BAD METHOD"] {
        let tx = bench.send(method);
        assert_eq!(bench.told(), [format!("TransportFailed {tx}")]);
    }
    assert!(bench.sent().is_empty());
    assert_eq!(bench.counters().client_transactions, 0);
}

#[test]
fn test_a_request_over_any_connection_uses_an_open_one() {
    let mut bench = Bench::new();
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 9));
    bench.send_over("OPTIONS", tcp(PEER, 0), None);
    assert_eq!(bench.sent_one().flow.connection, 9);
}

#[test]
fn test_a_connection_that_closes_fails_the_requests_that_waited_for_it() {
    let mut bench = Bench::new();
    let tx = bench.send_over("OPTIONS", tcp(PEER, 0), None);
    assert_eq!(bench.sent_one().flow.connection, 0);
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 4));
    bench.endpoint.flow_closed(bench.now, tcp(PEER, 4), "reset".to_owned());
    assert_eq!(
        bench.told(),
        ["FlowOpened".to_owned(), format!("TransportFailed {tx}"), "FlowClosed".to_owned()]
    );
}

#[test]
fn test_a_request_over_a_closed_connection_fails() {
    let mut bench = Bench::new();
    let tx = bench.send_over("OPTIONS", tcp(PEER, 5), None);
    assert_eq!(bench.told(), [format!("TransportFailed {tx}")]);
}

#[test]
fn test_via_names_the_advertised_address_and_a_branch_of_our_node() {
    let advertise = vec![("192.0.2.1".parse().unwrap(), "203.0.113.200".parse().unwrap())];
    let mut bench = Bench::with(Config {
        node: 0xab,
        worker: 2,
        advertise,
        ..Config::default()
    });
    bench.send("OPTIONS");
    let sent = bench.sent_one();
    let via = sent.message.via().unwrap();
    assert_eq!((via.host.as_str(), via.port), ("203.0.113.200", Some(5060)));
    assert!(via.branch().unwrap().starts_with("z9hG4bK00ab0002"));
    assert!(via.wants_rport());
    bench.receive(&answer(&sent.message, 200, "a"));
    assert_eq!(bench.told(), ["ResponseReceived 200"]);
}

#[test]
fn test_a_dialog_of_our_invite_is_known_before_python_has_registered_it() {
    let mut bench = Bench::new();
    let tx = bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.receive(&answer(&invite, 200, "theirs"));
    bench.receive(&Request::new("BYE").call_id(&format!("call-{tx}")).tagged("ours").text());
    assert_eq!(bench.told(), ["ResponseReceived 200", "RequestReceived BYE"]);
}

#[test]
fn test_a_2xx_after_the_time_ran_out_comes_up_and_a_failure_is_acknowledged_alone() {
    for (status, told, sent) in [(200, vec!["ResponseReceived 200"], vec![]), (486, vec![], vec!["ACK"])] {
        let mut bench = Bench::new();
        let tx = bench.send("INVITE");
        let invite = bench.sent_one().message;
        bench.pass(ms(32_000));
        assert_eq!(bench.told(), [format!("TransactionTimedOut {tx}")]);
        assert!(bench.pass(ms(10_000)).is_empty(), "it is repeated no more");
        bench.receive(&answer(&invite, status, "a"));
        assert_eq!(
            (bench.told(), bench.sent_lines()),
            (
                told.into_iter().map(str::to_owned).collect(),
                sent.into_iter().map(str::to_owned).collect()
            )
        );
        bench.pass(ms(100_000));
        assert_eq!(bench.counters().client_transactions, 0);
    }
}
