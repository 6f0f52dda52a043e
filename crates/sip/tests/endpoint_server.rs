//! Requests of theirs: the server machines through the endpoint, and what it answers without Python (RFC 3261 §8.2, §9.2, §13.3.1, §17.2;
//! RFC 3581; RFC 6026).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use endpoint_bench::*;
use trunkline_sip::endpoint::{Command, Event};

fn ack_to_2xx(tag: &str) -> Request {
    Request::new("ACK").branch("z9hG4bKack").tagged(tag)
}

/// An INVITE that Python has answered 200; the tag of the answer.
fn answered(bench: &mut Bench) -> (u64, String) {
    bench.receive(&Request::new("INVITE").text());
    let tx = bench.request();
    assert!(bench.respond(&tx, 200, None));
    (tx.id, bench.sent_one().message.to_tag().to_owned())
}

// --- INVITE: provisionals -------------------------------------------------------------------------------------------------------------

#[test]
fn test_an_invite_that_nobody_answers_gets_100_after_200_ms() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    assert_eq!(bench.told(), ["RequestReceived INVITE"]);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.pass(ms(60_000)), [(200, "100".to_owned())]);
}

#[test]
fn test_an_invite_that_is_answered_in_time_gets_no_100() {
    for status in [180, 200, 486] {
        let mut bench = Bench::new();
        bench.receive(&Request::new("INVITE").text());
        let tx = bench.request();
        bench.pass(ms(199));
        bench.respond(&tx, status, None);
        assert_eq!(bench.sent_lines(), [status.to_string()]);
        assert!(bench.pass(ms(300)).is_empty());
    }
}

#[test]
fn test_an_invite_that_comes_again_before_any_answer_gets_100_at_once_and_comes_up_once() {
    let mut bench = Bench::new();
    let invite = Request::new("INVITE").text();
    bench.receive(&invite);
    bench.pass(ms(50));
    bench.receive(&invite);
    assert_eq!(bench.sent_lines(), ["100"]);
    assert!(bench.pass(ms(1000)).is_empty());
    assert_eq!(bench.told(), ["RequestReceived INVITE"]);
}

#[test]
fn test_an_invite_that_comes_again_gets_the_last_provisional() {
    let mut bench = Bench::new();
    let invite = Request::new("INVITE").text();
    bench.receive(&invite);
    let tx = bench.request();
    bench.respond(&tx, 180, Some("us"));
    bench.respond(&tx, 183, Some("us"));
    bench.sent();
    bench.receive(&invite);
    assert_eq!(bench.sent_lines(), ["183"]);
}

#[test]
fn test_the_last_provisional_is_repeated_every_minute_while_the_invite_waits() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    let tx = bench.request();
    bench.respond(&tx, 180, None);
    let first = bench.sent_one();
    let log = bench.pass(ms(150_000));
    assert_eq!(log, [(60_000, "180".to_owned()), (120_000, "180".to_owned())]);
    bench.respond(&tx, 486, None);
    assert_eq!(bench.sent_one().message.to_tag(), first.message.to_tag());
}

#[test]
fn test_a_tag_is_minted_once_and_never_for_100() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    let tx = bench.request();
    for status in [100, 180, 183, 486] {
        bench.respond(&tx, status, None);
    }
    let tags: Vec<String> = bench.sent().iter().map(|sent| sent.message.to_tag().to_owned()).collect();
    assert_eq!(tags[0], "");
    assert!(tags[1].starts_with("00000000") && tags[1].len() == 24, "{tags:?}");
    assert!(tags[1] == tags[2] && tags[2] == tags[3], "{tags:?}");
}

// --- INVITE: failures -----------------------------------------------------------------------------------------------------------------

#[test]
fn test_a_failure_to_invite_is_repeated_until_its_ack() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    let tx = bench.request();
    bench.respond(&tx, 486, None);
    bench.sent();
    let at: Vec<u128> = bench.pass(ms(8000)).iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [500, 1500, 3500, 7500]);
    bench.receive(&Request::new("ACK").text());
    assert!(bench.pass(ms(60_000)).is_empty());
    assert!(bench.told().is_empty(), "an ACK to a failure does not come up");
    assert_eq!(bench.counters().server_transactions, 0);
}

#[test]
fn test_a_failure_that_is_never_acknowledged_is_given_up_after_64_t1() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    let tx = bench.request();
    bench.respond(&tx, 486, None);
    bench.pass(ms(31_999));
    assert_eq!(bench.counters().server_transactions, 1);
    bench.pass(ms(1));
    assert_eq!(bench.counters().server_transactions, 0);
    assert_eq!(bench.endpoint.next_timeout(), None);
}

// --- INVITE: success ------------------------------------------------------------------------------------------------------------------

#[test]
fn test_a_2xx_is_repeated_until_its_ack_which_is_matched_by_the_dialog() {
    let mut bench = Bench::new();
    let (id, tag) = answered(&mut bench);
    let at: Vec<u128> = bench.pass(ms(13_000)).iter().map(|(at, _)| *at).collect();
    assert_eq!(at, [500, 1500, 3500, 7500, 11_500]);
    bench.receive(&ack_to_2xx("another").text());
    bench.receive(&ack_to_2xx(&tag).cseq(2).text());
    bench.receive(&ack_to_2xx(&tag).call_id("another").text());
    assert!(bench.told().is_empty());
    bench.receive(&ack_to_2xx(&tag).text());
    let events = bench.events();
    assert!(
        matches!(events.as_slice(), [Event::AckReceived { tx, .. }] if *tx == id),
        "{events:?}"
    );
    assert!(bench.pass(ms(60_000)).is_empty());
}

#[test]
fn test_an_ack_to_a_2xx_that_comes_again_is_absorbed() {
    let mut bench = Bench::new();
    let (_, tag) = answered(&mut bench);
    for _ in 0..3 {
        bench.receive(&ack_to_2xx(&tag).text());
    }
    assert_eq!(bench.told(), ["AckReceived"]);
}

#[test]
fn test_an_ack_to_a_2xx_that_wrongly_has_the_branch_of_the_invite_counts() {
    let mut bench = Bench::new();
    let (_, tag) = answered(&mut bench);
    bench.receive(&Request::new("ACK").tagged(&tag).text());
    assert_eq!(bench.told(), ["AckReceived"]);
}

#[test]
fn test_a_2xx_without_ack_for_64_t1_is_told() {
    let mut bench = Bench::new();
    let (id, _) = answered(&mut bench);
    bench.pass(ms(31_999));
    assert!(bench.told().is_empty());
    bench.pass(ms(1));
    let events = bench.events();
    assert!(matches!(events.as_slice(), [Event::AckTimedOut { tx }] if *tx == id), "{events:?}");
    assert_eq!(bench.counters().server_transactions, 0);
}

#[test]
fn test_an_invite_that_comes_again_after_its_2xx_is_absorbed() {
    let mut bench = Bench::new();
    let (_, tag) = answered(&mut bench);
    bench.receive(&Request::new("INVITE").text());
    bench.receive(&ack_to_2xx(&tag).text());
    bench.receive(&Request::new("INVITE").text());
    assert!(bench.sent().is_empty());
    assert_eq!(bench.told(), ["AckReceived"]);
}

#[test]
fn test_a_2xx_is_repeated_over_tcp_too() {
    let mut bench = Bench::new();
    bench.receive_on(tcp(PEER, 2), &Request::new("INVITE").via("SIP/2.0/TCP 198.51.100.7:5062").text());
    bench.events().iter().for_each(|event| {
        if let Event::RequestReceived { tx, .. } = event {
            bench.respond(tx, 200, None);
        }
    });
    bench.sent();
    assert_eq!(bench.pass(ms(1500)).len(), 2);
}

// --- CANCEL ---------------------------------------------------------------------------------------------------------------------------

#[test]
fn test_a_cancel_gets_200_and_its_invite_487_under_one_tag() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    let tx = bench.request();
    bench.respond(&tx, 180, None);
    let ringing = bench.sent_one();
    bench.receive(&Request::new("CANCEL").more("Reason: SIP;cause=200").text());
    let sent = bench.sent();
    let lines: Vec<_> = sent.iter().map(|sent| (sent.line(), sent.header("CSeq"))).collect();
    assert_eq!(
        lines,
        [("200".to_owned(), "1 CANCEL".to_owned()), ("487".to_owned(), "1 INVITE".to_owned())]
    );
    assert!(sent.iter().all(|sent| sent.message.to_tag() == ringing.message.to_tag()));
    match bench.events().as_slice() {
        [Event::Cancelled { tx: id, message }] => {
            assert_eq!((*id, message.header("Reason").as_deref()), (tx.id, Some("SIP;cause=200")));
        }
        other => panic!("{other:?}"),
    }
    assert!(!bench.respond(&tx, 200, None), "gone");
}

#[test]
fn test_a_cancel_that_comes_again_gets_200_again_and_is_told_once() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    bench.receive(&Request::new("CANCEL").text());
    bench.receive(&Request::new("CANCEL").text());
    assert_eq!(bench.sent_lines(), ["200", "487", "200"]);
    assert_eq!(bench.told(), ["RequestReceived INVITE", "Cancelled"]);
}

#[test]
fn test_a_cancel_after_the_final_answer_gets_200_and_changes_nothing() {
    let mut bench = Bench::new();
    let (_, tag) = answered(&mut bench);
    bench.receive(&Request::new("CANCEL").text());
    let sent = bench.sent_one();
    assert_eq!((sent.header("CSeq").as_str(), sent.message.to_tag()), ("1 CANCEL", tag.as_str()));
    assert!(bench.told().is_empty());
}

#[test]
fn test_a_cancel_leaves_the_invite_to_python_when_python_has_claimed_the_answer() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    let tx = bench.request();
    assert!(tx.claim());
    bench.receive(&Request::new("CANCEL").text());
    assert_eq!(bench.sent_lines(), ["200"]);
    assert!(bench.told().is_empty());
}

#[test]
fn test_a_cancel_of_nothing_gets_481() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("CANCEL").text());
    bench.receive(&Request::new("OPTIONS").text());
    bench.receive(&Request::new("CANCEL").text());
    assert_eq!(bench.sent_lines(), ["481", "481"]);
    assert_eq!(bench.told(), ["RequestReceived OPTIONS"]);
}

// --- other methods --------------------------------------------------------------------------------------------------------------------

#[test]
fn test_a_request_that_comes_again_is_silent_until_answered_and_then_gets_the_answer() {
    let mut bench = Bench::new();
    let options = Request::new("OPTIONS").text();
    bench.receive(&options);
    let tx = bench.request();
    bench.receive(&options);
    assert!(bench.sent().is_empty());
    bench.respond(&tx, 200, None);
    let first = bench.sent_one();
    bench.pass(ms(31_000));
    bench.receive(&options);
    assert_eq!(bench.sent_one().message.raw(), first.message.raw());
    bench.pass(ms(1000));
    assert_eq!(bench.counters().server_transactions, 0);
    assert!(bench.told().is_empty());
}

#[test]
fn test_a_request_that_python_never_answers_is_given_up_with_the_clients_timer_f() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("OPTIONS").text());
    let tx = bench.request();
    bench.pass(ms(32_000));
    assert_eq!(bench.counters().server_transactions, 0);
    assert!(!bench.respond(&tx, 200, None), "gone");
    assert!(bench.sent().is_empty());
}

#[test]
fn test_only_the_first_final_answer_goes_out() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("OPTIONS").text());
    let tx = bench.request();
    assert!(bench.respond(&tx, 200, None));
    assert!(!bench.respond(&tx, 500, None));
    bench.respond(&tx, 180, None);
    assert_eq!(bench.sent_lines(), ["200"]);
}

#[test]
fn test_an_answer_that_cannot_be_built_becomes_500() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("OPTIONS").text());
    let tx = bench.request();
    assert!(tx.claim());
    let headers = vec![("X".to_owned(), "a\r\nVia: evil".to_owned())];
    let (status, reason, body, to_tag) = (200, None, bytes::Bytes::new(), None);
    bench.command(Command::Respond {
        reliable: false,
        tx,
        status,
        reason,
        headers,
        body,
        to_tag,
    });
    assert_eq!(bench.sent_lines(), ["500"]);
}

#[test]
fn test_a_merged_request_gets_482() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").text());
    bench.receive(&Request::new("INVITE").branch("z9hG4bKother").text());
    bench.receive(&Request::new("INVITE").branch("z9hG4bKnext").cseq(2).text());
    assert_eq!(bench.sent_lines(), ["482"]);
    assert_eq!(bench.told(), ["RequestReceived INVITE", "RequestReceived INVITE"]);
}

#[test]
fn test_stateless_answers_to_a_repeat_have_the_same_tag() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("CANCEL").text());
    bench.receive(&Request::new("CANCEL").text());
    bench.receive(&Request::new("CANCEL").branch("z9hG4bKother").text());
    let tags: Vec<_> = bench.sent().iter().map(|sent| sent.message.to_tag().to_owned()).collect();
    assert!(!tags[0].is_empty() && tags[0] == tags[1] && tags[0] != tags[2], "{tags:?}");
}

// --- matching -------------------------------------------------------------------------------------------------------------------------

#[test]
fn test_sent_by_and_method_tell_transactions_of_one_branch_apart() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("OPTIONS").text());
    bench.receive(
        &Request::new("OPTIONS")
            .call_id("2")
            .via("SIP/2.0/UDP 198.51.100.8:5062;rport")
            .text(),
    );
    bench.receive(
        &Request::new("OPTIONS")
            .call_id("3")
            .via("SIP/2.0/UDP 198.51.100.7:5063;rport")
            .text(),
    );
    bench.receive(&Request::new("MESSAGE").call_id("4").text());
    bench.receive(&Request::new("OPTIONS").call_id("5").text());
    assert_eq!(bench.told().len(), 4);
}

#[test]
fn test_without_the_cookie_rfc_2543_matching_applies() {
    let mut bench = Bench::new();
    for branch in ["", "1"] {
        let call = format!("old{branch}");
        let invite = Request::new("INVITE").branch(branch).call_id(&call);
        bench.receive(&invite.text());
        bench.receive(&invite.text());
        assert_eq!(bench.sent_lines(), ["100"], "the repeat is matched");
        let tx = bench.request();
        bench.respond(&tx, 486, Some("us"));
        bench.sent();
        let ack = Request::new("ACK").branch(branch).call_id(&call);
        bench.receive(&ack.clone().tagged("another").text());
        assert_eq!(bench.pass(ms(600)).len(), 1, "an ACK with another tag is not its ACK");
        bench.receive(&ack.tagged("us").text());
        assert!(bench.pass(ms(10_000)).is_empty());
    }
}

#[test]
fn test_without_the_cookie_a_cancel_finds_its_invite() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("INVITE").branch("").text());
    bench.receive(&Request::new("CANCEL").branch("").text());
    assert_eq!(bench.sent_lines(), ["200", "487"]);
}
