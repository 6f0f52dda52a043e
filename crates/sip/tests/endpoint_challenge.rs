//! The first digest challenge, which is stateless, and whom it spares (RFC 3261 §22, RFC 7616).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use endpoint_bench::*;
use trunkline_sip::digest::{Algorithm, Answer, Challenge, Credentials, ha1};
use trunkline_sip::endpoint::{ChallengeMode, Command, Event};

fn policy(bench: &mut Bench, modes: &[(&str, ChallengeMode)]) {
    bench.command(Command::SetChallenge {
        realm: "pbx".to_owned(),
        modes: modes.iter().map(|(method, mode)| ((*method).to_owned(), *mode)).collect(),
        trusted_networks: vec!["203.0.113.0/24".parse().unwrap()],
        trusted_tokens: vec!["tok1".to_owned()],
        algorithm: Algorithm::Md5,
        lifetime: ms(300_000),
    });
}

fn guarded() -> Bench {
    let mut bench = Bench::new();
    policy(
        &mut bench,
        &[
            ("INVITE", ChallengeMode::Strangers),
            ("*", ChallengeMode::Everybody),
            ("OPTIONS", ChallengeMode::Nobody),
        ],
    );
    bench
}

fn challenge(sent: &Sent) -> Challenge {
    assert_eq!(sent.line(), "401");
    Challenge::parse(&sent.header("WWW-Authenticate")).unwrap()
}

fn authorization(challenge: &Challenge, method: &str, nonce_count: u32) -> String {
    let answer = Answer {
        username: "alice",
        password: Some("secret"),
        ha1: None,
        method,
        uri: "sip:us@192.0.2.1",
        cnonce: "c",
        nonce_count,
    };
    format!("Authorization: {}", challenge.authorize(&answer).unwrap())
}

/// The credentials that came up with the one request.
fn credentials(bench: &mut Bench) -> Option<Box<Credentials>> {
    match bench.events().pop() {
        Some(Event::RequestReceived { credentials, .. }) => credentials,
        other => panic!("{other:?}"),
    }
}

#[test]
fn test_until_a_policy_is_set_nobody_is_challenged() {
    let mut bench = Bench::new();
    bench.receive(&Request::new("REGISTER").text());
    assert_eq!(bench.told(), ["RequestReceived REGISTER"]);
}

#[test]
fn test_a_challenge_is_stateless_and_python_hears_nothing() {
    let mut bench = guarded();
    bench.receive(&Request::new("REGISTER").text());
    let sent = bench.sent_one();
    let asked = challenge(&sent);
    assert_eq!(
        (asked.realm(), asked.algorithm(), asked.stale(), asked.supported()),
        ("pbx", "MD5", false, true)
    );
    assert!(!sent.message.to_tag().is_empty());
    assert!(bench.told().is_empty());
    assert_eq!((bench.counters().server_transactions, bench.endpoint.next_timeout()), (0, None));
}

#[test]
fn test_credentials_with_our_nonce_come_up_and_can_be_verified() {
    let mut bench = guarded();
    bench.receive(&Request::new("REGISTER").text());
    let asked = challenge(&bench.sent_one());
    bench.receive(
        &Request::new("REGISTER")
            .branch("z9hG4bK2")
            .cseq(2)
            .more(&authorization(&asked, "REGISTER", 1))
            .text(),
    );
    assert!(bench.sent().is_empty());
    let credentials = credentials(&mut bench).unwrap();
    assert_eq!(credentials.username(), "alice");
    assert!(credentials.verify(&ha1("alice", "pbx", "secret", Algorithm::Md5), "REGISTER"));
    assert!(!credentials.verify(&ha1("alice", "pbx", "wrong", Algorithm::Md5), "REGISTER"));
}

#[test]
fn test_an_old_or_replayed_nonce_is_challenged_as_stale() {
    let mut bench = guarded();
    bench.receive(&Request::new("REGISTER").text());
    let asked = challenge(&bench.sent_one());
    let register = |branch: &str| {
        Request::new("REGISTER")
            .branch(branch)
            .more(&authorization(&asked, "REGISTER", 1))
            .text()
    };
    bench.receive(&register("z9hG4bK2"));
    bench.receive(&register("z9hG4bK3").replace("CSeq: 1", "CSeq: 3"));
    assert!(challenge(&bench.sent_one()).stale(), "the same count again");
    bench.pass(ms(301_000));
    bench.receive(&register("z9hG4bK4").replace("CSeq: 1", "CSeq: 4"));
    let last = bench.sent().pop().unwrap();
    assert!(challenge(&last).stale(), "too old");
}

#[test]
fn test_a_foreign_nonce_is_challenged_anew() {
    let mut bench = guarded();
    bench.receive_on(udp("198.51.100.99:5060"), &Request::new("REGISTER").text());
    let theirs = challenge(&bench.sent_one());
    bench.receive(
        &Request::new("REGISTER")
            .branch("z9hG4bK2")
            .more(&authorization(&theirs, "REGISTER", 1))
            .text(),
    );
    assert!(!challenge(&bench.sent_one()).stale(), "a nonce of another source");
    bench.receive(
        &Request::new("REGISTER")
            .branch("z9hG4bK3")
            .more("Authorization: Digest realm=\"pbx\", nonce=\"x\"")
            .text(),
    );
    assert!(!challenge(&bench.sent_one()).stale());
    assert!(bench.told().is_empty());
}

#[test]
fn test_the_right_credentials_are_found_among_several() {
    let mut bench = guarded();
    bench.receive(&Request::new("REGISTER").text());
    let asked = challenge(&bench.sent_one());
    let other = authorization(&asked, "REGISTER", 1).replace("\"pbx\"", "\"elsewhere\"");
    let request = Request::new("REGISTER")
        .branch("z9hG4bK2")
        .more(&other)
        .more("Authorization: Basic eHh4");
    bench.receive(&request.more(&authorization(&asked, "REGISTER", 1)).text());
    assert!(credentials(&mut bench).is_some());
}

#[test]
fn test_strangers_are_challenged_and_trusted_networks_and_tokens_are_not() {
    let mut bench = guarded();
    bench.receive(&Request::new("INVITE").text());
    assert_eq!(bench.sent_lines(), ["401"]);
    let trusted = [
        (udp("203.0.113.8:5060"), "sip:us@192.0.2.1"),
        (udp(PEER), "sip:tok1@192.0.2.1"),
        (udp(PEER), "sip:us@192.0.2.1;tl=tok1"),
    ];
    for (number, (flow, uri)) in trusted.into_iter().enumerate() {
        bench.receive_on(
            flow,
            &Request::new("INVITE")
                .branch(&format!("z9hG4bKt{number}"))
                .call_id(&number.to_string())
                .uri(uri)
                .text(),
        );
        assert!(
            matches!(
                bench.events().as_slice(),
                [Event::RequestReceived {
                    trusted: true,
                    credentials: None,
                    ..
                }]
            ),
            "{uri}"
        );
    }
    bench.receive(&Request::new("INVITE").branch("z9hG4bKx").uri("sip:us@192.0.2.1;tl=tok2").text());
    assert_eq!(bench.sent_lines(), ["401"]);
}

#[test]
fn test_everybody_means_trusted_networks_too() {
    let mut bench = guarded();
    bench.receive_on(udp("203.0.113.8:5060"), &Request::new("REGISTER").text());
    assert_eq!(bench.sent_lines(), ["401"]);
}

#[test]
fn test_nobody_is_let_up_untrusted() {
    let mut bench = guarded();
    bench.receive(&Request::new("OPTIONS").text());
    assert!(matches!(
        bench.events().as_slice(),
        [Event::RequestReceived {
            trusted: false,
            credentials: None,
            ..
        }]
    ));
}

#[test]
fn test_ack_and_cancel_are_never_challenged() {
    let mut bench = guarded();
    bench.receive(&Request::new("ACK").text());
    bench.receive(&Request::new("CANCEL").text());
    assert_eq!(bench.sent_lines(), ["481"]);
}

#[test]
fn test_requests_inside_a_known_dialog_are_never_challenged() {
    let mut bench = guarded();
    bench.add_dialog("their-call", "us", "theirs", 1, 0);
    bench.receive(&Request::new("INVITE").tagged("us").cseq(2).text());
    assert_eq!(bench.told(), ["RequestReceived INVITE"]);
    bench.pass(ms(300));
    bench.receive(&Request::new("INVITE").branch("z9hG4bK2").tagged("other").cseq(3).text());
    assert_eq!(bench.sent_lines(), ["481"], "a To tag alone spares nobody");
}

#[test]
fn test_python_challenges_what_policy_let_up_and_the_answer_comes_up_with_credentials() {
    let mut bench = guarded();
    bench.receive(&Request::new("OPTIONS").text());
    let tx = bench.request();
    assert!(tx.claim());
    bench.command(Command::Challenge { tx, stale: false });
    let asked = challenge(&bench.sent_one());
    bench.receive(
        &Request::new("OPTIONS")
            .branch("z9hG4bK2")
            .cseq(2)
            .more(&authorization(&asked, "OPTIONS", 1))
            .text(),
    );
    assert!(credentials(&mut bench).is_some());
}

#[test]
fn test_an_acknowledged_challenge_to_invite_leaves_nothing() {
    let mut bench = guarded();
    bench.receive(&Request::new("INVITE").text());
    let tag = bench.sent_one().message.to_tag().to_owned();
    bench.receive(&Request::new("ACK").tagged(&tag).text());
    assert!(bench.sent().is_empty() && bench.told().is_empty());
    assert_eq!(bench.counters().server_transactions, 0);
}

#[test]
fn test_a_flood_of_strangers_costs_no_event_and_no_memory() {
    let mut bench = guarded();
    for number in 0..10_000 {
        let flow = udp(&format!("198.51.{}.{}:5060", number / 250 % 250, number % 250));
        bench.receive_on(
            flow,
            &Request::new("REGISTER")
                .branch(&format!("z9hG4bK{number}"))
                .call_id(&number.to_string())
                .text(),
        );
        assert_eq!(bench.sent_lines(), ["401"]);
    }
    assert!(bench.told().is_empty());
    let counters = bench.counters();
    assert_eq!((counters.server_transactions, counters.dialogs), (0, 0));
}
