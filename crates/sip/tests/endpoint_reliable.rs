//! Reliable provisionals (RFC 3262): those of ours repeated until their PRACK, those of theirs told once and in order.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use endpoint_bench::*;
use trunkline_sip::endpoint::{Config, Event, ServerTransaction};
use trunkline_sip::message::Message;

const OFFERED: &str = "Supported: timer, 100rel";

/// An INVITE that allows reliable provisionals has come up.
fn invited(bench: &mut Bench) -> ServerTransaction {
    bench.receive(&Request::new("INVITE").more(OFFERED).text());
    bench.request()
}

/// A reliable 183 went out; with `body` it describes a session.
fn ringing(bench: &mut Bench, tx: &ServerTransaction, body: &'static str) -> Sent {
    assert!(bench.respond_with(tx, 183, Some("us"), body, true));
    bench.sent_one()
}

fn rseq(sent: &Sent) -> u32 {
    sent.message.rseq().unwrap()
}

fn prack(sent: &Sent, branch: &str) -> Request {
    Request::new("PRACK")
        .branch(branch)
        .tagged(sent.message.to_tag())
        .cseq(2)
        .more(&format!("RAck: {} 1 INVITE", rseq(sent)))
}

/// The peer acknowledges, and Python answers the PRACK.
fn acknowledge(bench: &mut Bench, sent: &Sent, branch: &str) -> Vec<String> {
    bench.receive(&prack(sent, branch).text());
    let events = bench.events();
    let [Event::PrackReceived { tx, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    bench.respond(tx, 200, None);
    bench.sent_lines()
}

// --- ours -----------------------------------------------------------------------------------------------------------------------------

#[test]
fn test_a_reliable_provisional_says_so_and_bears_a_number() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "");
    assert_eq!((sent.line().as_str(), sent.header("Require").as_str()), ("183", "100rel"));
    assert!((1..1 << 31).contains(&rseq(&sent)));
}

#[test]
fn test_it_is_repeated_with_doubling_pauses_until_64_t1_and_then_told() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    ringing(&mut bench, &tx, "v=0");
    let log = bench.pass(ms(40_000));
    let times: Vec<_> = log.iter().map(|(at, line)| (*at, line.as_str())).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 15_500, 31_500].map(|at| (at, "183")));
    assert_eq!(bench.told(), [format!("ReliableTimedOut {} false", tx.id)]);
    assert!(bench.respond(&tx, 504, None));
    assert_eq!(bench.sent_lines(), ["504"]);
}

#[test]
fn test_the_repeats_are_the_same_bytes() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "v=0");
    bench.now = bench.endpoint.next_timeout().unwrap();
    bench.endpoint.handle_timeout(bench.now);
    assert_eq!(bench.sent_one().message.raw(), sent.message.raw());
}

#[test]
fn test_it_is_repeated_over_tcp_too() {
    let mut bench = Bench::new();
    bench.endpoint.flow_opened(bench.now, tcp(PEER, 4));
    bench.events();
    let invite = Request::new("INVITE").via("SIP/2.0/TCP 198.51.100.7:5062").more(OFFERED);
    bench.receive_on(tcp(PEER, 4), &invite.text());
    let tx = bench.request();
    ringing(&mut bench, &tx, "");
    assert_eq!(bench.pass(ms(2000)).len(), 2);
}

#[test]
fn test_a_prack_stops_the_repeats_and_comes_up_with_its_own_transaction() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "v=0");
    bench.pass(ms(600));
    bench.receive(&prack(&sent, "z9hG4bKp1").text());
    let events = bench.events();
    let [
        Event::PrackReceived {
            tx: own,
            invite,
            message,
            flow,
        },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!((*invite, message.method(), flow.remote), (tx.id, "PRACK", address(PEER)));
    assert_ne!(own.id, tx.id);
    assert!(bench.pass(ms(31_000)).is_empty());
    bench.respond(own, 200, None);
    assert_eq!(bench.sent_one().message.method(), "PRACK");
}

#[test]
fn test_a_prack_that_comes_again_is_answered_by_its_transaction() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "");
    let text = prack(&sent, "z9hG4bKp1").text();
    assert_eq!(acknowledge(&mut bench, &sent, "z9hG4bKp1"), ["200"]);
    bench.receive(&text);
    assert_eq!(bench.sent_lines(), ["200"]);
    assert!(bench.told().is_empty());
}

#[test]
fn test_a_prack_that_matches_nothing_gets_481() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "");
    let number = rseq(&sent);
    let strange = |branch: &str| Request::new("PRACK").branch(branch).cseq(2).tagged("us");
    let requests = [
        strange("z9hG4bKa").more(&format!("RAck: {} 1 INVITE", number + 1)),
        strange("z9hG4bKb").more(&format!("RAck: {number} 2 INVITE")),
        strange("z9hG4bKc").more(&format!("RAck: {number} 1 UPDATE")),
        strange("z9hG4bKd").more(&format!("RAck: {number} 1 INVITE")).tagged("other"),
        strange("z9hG4bKe").more(&format!("RAck: {number} 1 INVITE")).tagged(""),
        strange("z9hG4bKf").more(&format!("RAck: {number} 1 INVITE")).call_id("other"),
    ];
    for request in requests {
        bench.receive(&request.text());
        assert_eq!(bench.sent_lines(), ["481"], "{}", request.branch);
    }
    assert!(bench.told().is_empty());
    assert_eq!(bench.pass(ms(500)).len(), 1, "nothing was acknowledged");
    // Acknowledged already, by another PRACK.
    acknowledge(&mut bench, &sent, "z9hG4bKg");
    bench.receive(&prack(&sent, "z9hG4bKh").text());
    assert_eq!(bench.sent_lines(), ["481"]);
}

#[test]
fn test_a_prack_without_readable_rack_gets_481() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    ringing(&mut bench, &tx, "");
    let bare = Request::new("PRACK").cseq(2).tagged("us");
    for (branch, request) in [("z9hG4bKa", bare.clone()), ("z9hG4bKb", bare.more("RAck: one two INVITE"))] {
        bench.receive(&request.branch(branch).text());
        assert_eq!(bench.sent_lines(), ["481"]);
    }
}

#[test]
fn test_one_is_outstanding_and_a_further_one_waits_for_its_prack() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let first = ringing(&mut bench, &tx, "v=0");
    assert!(bench.respond_with(&tx, 180, Some("us"), "", true));
    assert!(bench.respond_with(&tx, 181, Some("us"), "", false), "in order behind it");
    assert!(bench.sent().is_empty());
    bench.receive(&prack(&first, "z9hG4bKp1").text());
    let second = bench.sent_one();
    assert_eq!((second.line().as_str(), rseq(&second)), ("180", rseq(&first) + 1));
    bench.events();
    assert_eq!(acknowledge(&mut bench, &second, "z9hG4bKp2"), ["181", "200"]);
}

#[test]
fn test_an_ordinary_provisional_need_not_wait() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    ringing(&mut bench, &tx, "v=0");
    bench.respond(&tx, 180, Some("us"));
    assert_eq!(bench.sent_lines(), ["180"]);
    assert_eq!(bench.pass(ms(500)), [(500, "183".to_owned())]);
}

#[test]
fn test_a_2xx_waits_while_a_described_session_is_unacknowledged() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "v=0");
    assert!(bench.respond(&tx, 200, Some("us")));
    assert_eq!(bench.pass(ms(1000)), [(500, "183".to_owned())]);
    assert_eq!(acknowledge(&mut bench, &sent, "z9hG4bKp1"), ["200", "200"]);
    assert_eq!(bench.pass(ms(500)), [(500, "200".to_owned())]);
    bench.receive(&Request::new("ACK").branch("z9hG4bKack").tagged("us").text());
    assert_eq!(bench.told(), ["AckReceived"]);
}

#[test]
fn test_a_2xx_waits_for_a_described_session_that_itself_waits_and_skips_what_is_bare() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let first = ringing(&mut bench, &tx, "");
    bench.respond_with(&tx, 183, Some("us"), "v=0", true);
    bench.respond_with(&tx, 180, Some("us"), "", true);
    bench.respond(&tx, 200, Some("us"));
    assert!(bench.sent().is_empty());
    bench.receive(&prack(&first, "z9hG4bKp1").text());
    let second = bench.sent_one();
    assert_eq!(second.message.body(), b"v=0");
    bench.events();
    bench.receive(&prack(&second, "z9hG4bKp2").text());
    assert_eq!(bench.sent_lines(), ["200"]);
}

#[test]
fn test_a_2xx_does_not_wait_for_what_describes_no_session_and_its_late_prack_is_known() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "");
    bench.respond(&tx, 200, Some("us"));
    assert_eq!(bench.sent_lines(), ["200"]);
    assert_eq!(bench.pass(ms(500)), [(500, "200".to_owned())], "the 183 is repeated no more");
    assert_eq!(acknowledge(&mut bench, &sent, "z9hG4bKp1"), ["200"]);
}

#[test]
fn test_a_2xx_that_waits_in_vain_becomes_504() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    ringing(&mut bench, &tx, "v=0");
    bench.respond(&tx, 200, Some("us"));
    let log = bench.pass(ms(32_000));
    assert_eq!(log.last().unwrap(), &(32_000, "504".to_owned()));
    assert_eq!(bench.told(), [format!("ReliableTimedOut {} true", tx.id)]);
    assert!(!bench.respond(&tx, 500, None));
}

#[test]
fn test_a_failure_goes_at_once_and_ends_the_repeats() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    ringing(&mut bench, &tx, "v=0");
    bench.respond_with(&tx, 180, Some("us"), "", true);
    bench.respond(&tx, 486, Some("us"));
    assert_eq!(bench.sent_lines(), ["486"]);
    bench.receive(&Request::new("ACK").tagged("us").text());
    assert!(bench.pass(ms(40_000)).is_empty());
    assert!(bench.told().is_empty());
}

#[test]
fn test_a_cancel_ends_the_repeats() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    ringing(&mut bench, &tx, "v=0");
    bench.receive(&Request::new("CANCEL").text());
    assert_eq!(bench.sent_lines(), ["200", "487"]);
    bench.receive(&Request::new("ACK").tagged("us").text());
    assert!(bench.pass(ms(40_000)).is_empty());
    assert_eq!(bench.told(), ["Cancelled"]);
}

#[test]
fn test_a_cancel_counts_while_the_2xx_waits() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "v=0");
    bench.respond(&tx, 200, Some("us"));
    bench.receive(&Request::new("CANCEL").text());
    assert_eq!(bench.sent_lines(), ["200", "487"]);
    assert_eq!(bench.told(), ["Cancelled"]);
    assert_eq!(
        acknowledge(&mut bench, &sent, "z9hG4bKp1"),
        ["200"],
        "to the PRACK; no 2xx to the INVITE"
    );
}

#[test]
fn test_without_100rel_in_the_invite_it_is_an_ordinary_one() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").more("Supported: timer").text());
    let tx = bench.request();
    bench.respond_with(&tx, 183, Some("us"), "v=0", true);
    let sent = bench.sent_one();
    assert_eq!((sent.header("Require"), sent.header("RSeq")), (String::new(), String::new()));
    assert!(bench.pass(ms(40_000)).is_empty());
}

#[test]
fn test_nothing_is_left_of_it() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let sent = ringing(&mut bench, &tx, "v=0");
    acknowledge(&mut bench, &sent, "z9hG4bKp1");
    bench.respond(&tx, 486, None);
    bench.receive(&Request::new("ACK").tagged("us").text());
    bench.pass(ms(100_000));
    let counters = bench.counters();
    assert_eq!((counters.server_transactions, counters.dialogs), (0, 0));
    assert_eq!(bench.endpoint.next_timeout(), None);
}

#[test]
fn test_provisionals_that_wait_are_bounded() {
    let mut bench = Bench::new();
    let tx = invited(&mut bench);
    let mut sent = ringing(&mut bench, &tx, "");
    for _ in 0..1000 {
        bench.respond_with(&tx, 180, Some("us"), "", true);
    }
    let mut count = 0;
    loop {
        bench.receive(&prack(&sent, &format!("z9hG4bKp{count}")).text());
        match bench.sent().pop() {
            Some(next) => sent = next,
            None => break,
        }
        count += 1;
    }
    assert_eq!(count, 16);
}

#[test]
fn test_a_stalled_python_costs_no_repeat_and_a_prack_ends_them() {
    let mut bench = Bench::with(Config {
        event_queue: 4,
        ..Config::default()
    });
    let tx = invited(&mut bench);
    let first = ringing(&mut bench, &tx, "v=0");
    bench.respond_with(&tx, 180, Some("us"), "", true);
    // From here nobody takes an event, and more of them wait than Python is given.
    for number in 0..100 {
        bench.receive(
            &Request::new("OPTIONS")
                .branch(&format!("z9hG4bKo{number}"))
                .call_id(&format!("o{number}"))
                .text(),
        );
    }
    bench.sent();
    assert_eq!(bench.pass(ms(600)), [(500, "183".to_owned())]);
    bench.receive(&prack(&first, "z9hG4bKp1").text());
    assert_eq!(bench.sent_lines(), ["180"]);
    assert_eq!(bench.pass(ms(2000)), [(500, "180".to_owned()), (1500, "180".to_owned())]);
    let told = bench.told();
    assert_eq!(told.iter().filter(|name| name.starts_with("PrackReceived")).count(), 1, "{told:?}");
}

// --- theirs ---------------------------------------------------------------------------------------------------------------------------

fn reliable_answer(invite: &Message, status: u16, tag: &str, rseq: u32) -> String {
    let text = answer(invite, status, tag);
    let (head, _) = text.split_once("Content-Length").unwrap();
    format!("{head}Require: 100rel\r\nRSeq: {rseq}\r\nContent-Length: 0\r\n\r\n")
}

/// The RSeq of each provisional that came up.
fn heard(bench: &mut Bench) -> Vec<Option<u32>> {
    let events = bench.events();
    let numbers = events.iter().map(|event| match event {
        Event::ResponseReceived { message, .. } => message.rseq(),
        _ => panic!("{event:?}"),
    });
    numbers.collect()
}

fn inviting() -> (Bench, Message) {
    let mut bench = Bench::new();
    bench.send("INVITE");
    let invite = bench.sent_one().message;
    (bench, invite)
}

#[test]
fn test_each_of_theirs_comes_up_once_and_in_order() {
    let (mut bench, invite) = inviting();
    for number in [70, 70, 72, 71, 70, 72, 71, 72, 74] {
        bench.receive(&reliable_answer(&invite, 183, "a", number));
    }
    assert_eq!(heard(&mut bench), [Some(70), Some(71), Some(72)]);
}

#[test]
fn test_each_early_dialog_counts_for_itself() {
    let (mut bench, invite) = inviting();
    for (tag, number) in [("a", 5), ("b", 900), ("a", 6), ("b", 6), ("b", 901), ("a", 901)] {
        bench.receive(&reliable_answer(&invite, 183, tag, number));
    }
    assert_eq!(heard(&mut bench), [Some(5), Some(900), Some(6), Some(901)]);
}

#[test]
fn test_ordinary_ones_between_come_up_as_ever() {
    let (mut bench, invite) = inviting();
    bench.receive(&reliable_answer(&invite, 183, "a", 1));
    bench.receive(&answer(&invite, 180, "a"));
    bench.receive(&reliable_answer(&invite, 183, "a", 1));
    bench.receive(&reliable_answer(&invite, 183, "a", 2));
    assert_eq!(heard(&mut bench), [Some(1), None, Some(2)]);
}

#[test]
fn test_none_comes_up_after_the_2xx() {
    let (mut bench, invite) = inviting();
    bench.receive(&reliable_answer(&invite, 183, "a", 1));
    bench.receive(&answer(&invite, 200, "a"));
    bench.receive(&reliable_answer(&invite, 183, "a", 2));
    assert_eq!(heard(&mut bench), [Some(1), None]);
}

#[test]
fn test_one_that_a_stalled_python_could_not_be_told_is_told_when_it_comes_again() {
    let mut bench = Bench::with(Config {
        event_queue: 1,
        ..Config::default()
    });
    bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.endpoint.set_backlog(1000);
    bench.receive(&reliable_answer(&invite, 183, "a", 1));
    assert!(bench.told().is_empty());
    bench.endpoint.set_backlog(0);
    bench.receive(&reliable_answer(&invite, 183, "a", 1));
    assert_eq!(heard(&mut bench), [Some(1)]);
}

#[test]
fn test_a_number_without_requirement_makes_none_reliable() {
    let (mut bench, invite) = inviting();
    let text = reliable_answer(&invite, 183, "a", 9).replace("Require: 100rel\r\n", "");
    bench.receive(&text);
    bench.receive(&reliable_answer(&invite, 100, "", 9));
    assert_eq!(heard(&mut bench), [None, None]);
}
