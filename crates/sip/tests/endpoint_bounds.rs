//! The bounds on live transactions, and what is done at each.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use endpoint_bench::*;
use trunkline_sip::endpoint::config::{MAX_CLIENT_TRANSACTIONS, MAX_KEEP_ALIVES, MAX_SERVER_TRANSACTIONS};
use trunkline_sip::endpoint::{Command, Event};

/// So many requests of theirs under way; each is drained, none answered.
fn fill(bench: &mut Bench, from: usize, to: usize, request: &Request) {
    for number in from..to {
        bench.receive(
            &request
                .clone()
                .branch(&format!("z9hG4bK{number}"))
                .cseq(u32::try_from(number).unwrap() + 2)
                .text(),
        );
        bench.events();
    }
}

#[test]
fn test_at_three_quarters_new_requests_are_shed_and_at_the_bound_those_inside_dialogs_are_dropped() {
    let mut bench = Bench::new();
    bench.add_dialog("inside", "us", "theirs", 1, 0);
    let three_quarters = MAX_SERVER_TRANSACTIONS / 4 * 3;
    fill(&mut bench, 0, three_quarters, &Request::new("OPTIONS"));
    assert_eq!(bench.counters().server_transactions, three_quarters as u64);
    bench.receive(&Request::new("OPTIONS").branch("z9hG4bKmore").text());
    assert_eq!(bench.sent_lines(), ["503"]);
    let info = Request::new("INFO").call_id("inside").tagged("us");
    fill(&mut bench, three_quarters, MAX_SERVER_TRANSACTIONS, &info);
    assert_eq!(bench.counters().server_transactions, MAX_SERVER_TRANSACTIONS as u64);
    bench.receive(&info.clone().branch("z9hG4bKmore").text());
    assert!(bench.sent().is_empty() && bench.told().is_empty());
    // Nobody answered: with the clients' Timer F all are gone.
    bench.pass(ms(33_000));
    assert_eq!(bench.counters().server_transactions, 0);
    bench.events();
    bench.receive(&info.branch("z9hG4bKmore").cseq(1_000_000).text());
    assert_eq!(bench.told(), ["RequestReceived INFO"]);
}

#[test]
fn test_at_the_bound_a_request_of_ours_fails_at_once() {
    let mut bench = Bench::new();
    for _ in 0..MAX_CLIENT_TRANSACTIONS {
        bench.send("OPTIONS");
        while bench.endpoint.poll_transmit().is_some() {}
    }
    assert!(bench.told().is_empty());
    let last = bench.send("OPTIONS");
    let events = bench.events();
    assert!(
        matches!(events.as_slice(), [Event::TransportFailed { tx, .. }] if *tx == last),
        "{events:?}"
    );
}

#[test]
fn test_at_the_bound_a_further_keep_alive_is_not_started() {
    let mut bench = Bench::new();
    for number in 0..=MAX_KEEP_ALIVES {
        let flow = udp(&format!(
            "10.0.{}.1:{}",
            number / 256 % 256,
            5000 + number / 65_536 * 1000 + number % 256
        ));
        bench.command(Command::KeepAlive {
            flow,
            interval: ms(25_000),
        });
    }
    bench.endpoint.handle_timeout(bench.now + ms(25_000));
    assert_eq!(bench.transmits().len(), MAX_KEEP_ALIVES);
}
