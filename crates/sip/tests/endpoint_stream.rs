//! Streams: framing, connections that open and close, keep-alives (RFC 3261 §18.3, RFC 5626 §4.4.1).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use endpoint_bench::*;
use trunkline_sip::endpoint::Command;
use trunkline_sip::flow::Transport;

fn options() -> String {
    Request::new("OPTIONS").via("SIP/2.0/TCP 198.51.100.7:5062").text()
}

#[test]
fn test_a_stream_is_cut_into_messages_wherever_it_breaks() {
    let mut bench = Bench::new();
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 1));
    let both = options()
        + &Request::new("MESSAGE")
            .via("SIP/2.0/TCP 198.51.100.7:5062")
            .branch("z9hG4bK2")
            .text();
    for byte in both.chars() {
        bench.receive_on(tcp(PEER, 1), &byte.to_string());
    }
    assert_eq!(bench.told(), ["FlowOpened", "RequestReceived OPTIONS", "RequestReceived MESSAGE"]);
}

#[test]
fn test_a_ping_gets_a_pong_and_is_no_message() {
    let mut bench = Bench::new();
    bench.receive_on(tcp(PEER, 1), "\r\n\r\n");
    let sent = bench.transmits();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].flow, sent[0].data.as_ref()), (tcp(PEER, 1), b"\r\n".as_slice()));
    assert_eq!(bench.counters().received, 0);
}

#[test]
fn test_a_stream_that_is_no_sip_is_closed_and_told() {
    let mut bench = Bench::new();
    bench.receive_on(tcp(PEER, 1), &options().replace("Content-Length: 0", "Content-Length: x"));
    assert_eq!(bench.told(), ["FlowOpened", "FlowClosed"]);
    assert_eq!(bench.endpoint.take_closed_connections(), [1]);
    assert_eq!((bench.counters().malformed, bench.counters().connections), (1, 0));
}

#[test]
fn test_a_stream_without_end_of_head_is_closed_at_the_bound() {
    let mut bench = Bench::new();
    let piece = "X: ".to_owned() + &"a".repeat(4000) + "\r\n";
    bench.receive_on(tcp(PEER, 1), "OPTIONS sip:us@192.0.2.1 SIP/2.0\r\n");
    for _ in 0..100 {
        if bench.counters().connections == 1 {
            bench.receive_on(tcp(PEER, 1), &piece);
        }
    }
    assert_eq!(bench.endpoint.take_closed_connections(), [1]);
}

#[test]
fn test_closing_by_command_is_told_and_fails_its_requests() {
    let mut bench = Bench::new();
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 1));
    let tx = bench.send_over("OPTIONS", tcp(PEER, 1), None);
    bench.command(Command::CloseFlow { connection: 1 });
    bench.command(Command::CloseFlow { connection: 1 });
    assert_eq!(bench.endpoint.take_closed_connections(), [1]);
    assert_eq!(
        bench.told(),
        ["FlowOpened".to_owned(), format!("TransportFailed {tx}"), "FlowClosed".to_owned()]
    );
    bench.endpoint.flow_closed(bench.now, tcp(PEER, 1), "as asked".to_owned());
    assert!(bench.told().is_empty(), "told once");
}

#[test]
fn test_connections_beyond_the_bound_are_asked_to_close() {
    let mut bench = Bench::new();
    let most = trunkline_sip::endpoint::config::MAX_CONNECTIONS as u64;
    for connection in 1..=most + 1 {
        bench.endpoint.flow_opened(bench.now, tcp(PEER, connection));
        bench.events();
    }
    assert_eq!(bench.endpoint.take_closed_connections(), [most + 1]);
    assert_eq!(bench.counters().connections, most);
}

fn keep_alive(bench: &mut Bench, connection: u64, seconds: u64) {
    let flow = if connection == 0 { udp(PEER) } else { tcp(PEER, connection) };
    bench.command(Command::KeepAlive {
        flow,
        interval: ms(seconds * 1000),
    });
}

/// Let time pass; how many keep-alives went out, and that nothing else did.
fn pings(bench: &mut Bench, seconds: u64) -> usize {
    let end = bench.now + ms(seconds * 1000);
    let mut count = 0;
    while let Some(at) = bench.endpoint.next_timeout().filter(|at| *at <= end) {
        bench.now = at;
        bench.endpoint.handle_timeout(at);
        let sent = bench.transmits();
        assert!(sent.iter().all(|sent| sent.data.as_ref() == b"\r\n\r\n"));
        count += sent.len();
    }
    bench.now = end;
    count
}

#[test]
fn test_keep_alives_run_until_they_are_stopped() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::new();
        let connection = u64::from(transport == Transport::Tcp);
        bench.endpoint.flow_opened(bench.now, tcp(PEER, 1));
        keep_alive(&mut bench, connection, 25);
        assert_eq!(pings(&mut bench, 100), 4);
        keep_alive(&mut bench, connection, 10);
        assert_eq!(pings(&mut bench, 100), 10);
        keep_alive(&mut bench, connection, 0);
        assert_eq!(pings(&mut bench, 100), 0);
        assert_eq!(bench.endpoint.next_timeout(), None);
        assert_eq!(bench.counters().sent, 0, "a keep-alive is no message");
    }
}

#[test]
fn test_keep_alives_end_with_their_connection() {
    let mut bench = Bench::new();
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 1));
    keep_alive(&mut bench, 1, 25);
    bench.endpoint.flow_closed(bench.now, tcp(PEER, 1), "gone".to_owned());
    assert_eq!(pings(&mut bench, 100), 0);
    keep_alive(&mut bench, 7, 25);
    assert_eq!(pings(&mut bench, 100), 0, "a connection that is not open");
    assert_eq!(bench.endpoint.next_timeout(), None);
}
