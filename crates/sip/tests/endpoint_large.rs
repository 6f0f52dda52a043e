//! Requests too large for a datagram go over TCP, and over UDP where TCP leads nowhere (RFC 3261 §18.1.1, §18.2.2).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use endpoint_bench::*;
use trunkline_sip::endpoint::{Command, Config, Endpoint, Event};
use trunkline_sip::flow::{Flow, Transport};

const LARGE: usize = 1300;

fn send_large(bench: &mut Bench, method: &str) -> u64 {
    bench.send_sized(method, udp(PEER), None, LARGE, true)
}

/// What a request over TCP to the peer asks for before a connection is there.
fn wanted() -> Flow {
    tcp(PEER, 0)
}

fn refuse(bench: &mut Bench) {
    bench.endpoint.send_failed(bench.now, wanted(), "connection refused".to_owned());
}

fn via(sent: &Sent) -> String {
    sent.header("Via").split(' ').next().unwrap().to_owned()
}

#[test]
fn test_1300_bytes_go_over_udp_and_one_more_over_tcp() {
    let mut bench = Bench::new();
    bench.send_sized("OPTIONS", udp(PEER), None, 100, true);
    let head = bench.sent_one().message.raw().len() - 100;
    // The length of the body is written with a digit more.
    let fits = LARGE - head - 1;
    bench.send_sized("OPTIONS", udp(PEER), None, fits, true);
    let sent = bench.sent_one();
    assert_eq!((sent.message.raw().len(), sent.flow), (LARGE, udp(PEER)));
    bench.send_sized("OPTIONS", udp(PEER), None, fits + 1, true);
    let sent = bench.sent_one();
    assert_eq!((sent.flow, via(&sent).as_str()), (wanted(), "SIP/2.0/TCP"));
    assert!(sent.header("Via").contains("192.0.2.1:5060"), "the listener to answer to");
}

#[test]
fn test_over_tcp_it_is_not_repeated_and_its_answer_bears_the_flow_that_was_asked_for() {
    let mut bench = Bench::new();
    let tx = send_large(&mut bench, "INVITE");
    let invite = bench.sent_one().message;
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 9));
    assert!(bench.pass(ms(20_000)).is_empty());
    bench.events();
    bench.receive_on(tcp(PEER, 9), &answer(&invite, 180, "a"));
    let events = bench.events();
    let [Event::ResponseReceived { tx: id, flow, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((*id, *flow), (tx, udp(PEER)));
}

#[test]
fn test_cancel_and_the_ack_to_a_failure_follow_it() {
    let mut bench = Bench::new();
    let tx = send_large(&mut bench, "INVITE");
    let invite = bench.sent_one().message;
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 9));
    bench.receive_on(tcp(PEER, 9), &answer(&invite, 180, "a"));
    bench.command(Command::Cancel { tx, headers: Vec::new() });
    let cancel = bench.sent_one();
    assert_eq!((cancel.line().as_str(), cancel.flow), ("CANCEL", tcp(PEER, 9)));
    bench.receive_on(tcp(PEER, 9), &answer(&invite, 487, "a"));
    let ack = bench.sent_one();
    assert_eq!((ack.line().as_str(), ack.flow), ("ACK", tcp(PEER, 9)));
}

#[test]
fn test_where_tcp_is_refused_it_goes_over_udp_and_is_repeated_there() {
    let mut bench = Bench::new();
    let tx = send_large(&mut bench, "INVITE");
    let stream = bench.sent_one();
    refuse(&mut bench);
    let datagram = bench.sent_one();
    assert_eq!((datagram.flow, via(&datagram).as_str()), (udp(PEER), "SIP/2.0/UDP"));
    assert_ne!(datagram.header("Via"), stream.header("Via"));
    assert_eq!(datagram.message.body(), stream.message.body());
    assert_eq!(bench.pass(ms(1600)), [(500, "INVITE".to_owned()), (1500, "INVITE".to_owned())]);
    bench.receive(&answer(&datagram.message, 200, "a"));
    assert_eq!(bench.told(), ["ResponseReceived 200"]);
    bench.send_ack(tx, "a");
    assert_eq!(bench.sent_one().flow, udp(PEER));
}

#[test]
fn test_another_method_falls_back_too_and_is_answered() {
    let mut bench = Bench::new();
    send_large(&mut bench, "MESSAGE");
    bench.sent();
    refuse(&mut bench);
    let sent = bench.sent_one();
    bench.receive(&answer(&sent.message, 200, "a"));
    assert_eq!(bench.told(), ["ResponseReceived 200"]);
    assert_eq!(bench.pass(ms(100_000)), []);
    assert_eq!(bench.counters().client_transactions, 0);
}

#[test]
fn test_a_connection_that_does_not_open_in_time_counts_as_refused() {
    let mut bench = Bench::new();
    send_large(&mut bench, "INVITE");
    bench.sent();
    assert_eq!(bench.pass(ms(4_100)), [(4_000, "INVITE".to_owned())]);
}

#[test]
fn test_a_cancel_that_was_held_goes_where_the_invite_went_in_the_end() {
    let mut bench = Bench::new();
    let tx = send_large(&mut bench, "INVITE");
    bench.command(Command::Cancel { tx, headers: Vec::new() });
    bench.sent();
    refuse(&mut bench);
    let invite = bench.sent_one();
    bench.receive(&answer(&invite.message, 180, "a"));
    let cancel = bench.sent_one();
    assert_eq!((cancel.line().as_str(), cancel.flow), ("CANCEL", udp(PEER)));
}

#[test]
fn test_who_refused_is_spared_the_attempt_for_a_while() {
    let mut bench = Bench::new();
    send_large(&mut bench, "MESSAGE");
    bench.sent();
    refuse(&mut bench);
    bench.sent();
    send_large(&mut bench, "MESSAGE");
    assert_eq!(bench.sent_one().flow, udp(PEER));
    bench.send_sized("MESSAGE", udp("198.51.100.8:5060"), None, LARGE, true);
    assert_eq!(bench.sent_one().flow.transport, Transport::Tcp, "another peer");
    bench.pass(ms(900_000));
    send_large(&mut bench, "MESSAGE");
    assert_eq!(bench.sent_one().flow, wanted());
}

#[test]
fn test_a_connection_lost_before_any_answer_sends_it_over_udp_but_is_no_refusal() {
    let mut bench = Bench::new();
    send_large(&mut bench, "MESSAGE");
    bench.sent();
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 9));
    bench.endpoint.flow_closed(bench.now, tcp(PEER, 9), "reset".to_owned());
    assert_eq!(bench.sent_one().flow, udp(PEER));
    send_large(&mut bench, "MESSAGE");
    assert_eq!(bench.sent_one().flow, wanted());
}

#[test]
fn test_after_an_answer_a_lost_connection_moves_nothing() {
    let mut bench = Bench::new();
    send_large(&mut bench, "INVITE");
    let invite = bench.sent_one().message;
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 9));
    bench.receive_on(tcp(PEER, 9), &answer(&invite, 180, "a"));
    bench.endpoint.flow_closed(bench.now, tcp(PEER, 9), "reset".to_owned());
    assert!(bench.sent().is_empty());
}

#[test]
fn test_who_does_not_want_it_sends_what_is_large_over_udp() {
    let mut bench = Bench::new();
    bench.send_sized("INVITE", udp(PEER), None, LARGE, false);
    assert_eq!(bench.sent_one().flow, udp(PEER));
}

#[test]
fn test_without_a_tcp_listener_it_goes_over_udp() {
    let mut bench = Bench::new();
    bench.endpoint = Endpoint::new(Config::default(), [7; 32]);
    bench.endpoint.add_listener(Transport::Udp, address(US));
    send_large(&mut bench, "INVITE");
    assert_eq!(bench.sent_one().flow, udp(PEER));
}

#[test]
fn test_the_answer_to_a_request_follows_its_transport_whatever_its_size() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("OPTIONS").text());
    let tx = bench.request();
    const BODY: &str = include_str!("endpoint_large.rs");
    bench.respond_with(&tx, 200, None, BODY, false);
    assert_eq!(bench.sent_one().flow, udp(PEER));
}
