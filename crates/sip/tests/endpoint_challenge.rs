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

// --- whose challenges are not answered ------------------------------------------------------------------------------------------------

fn invite(number: usize) -> Request {
    Request::new("INVITE")
        .branch(&format!("z9hG4bKinvite{number}"))
        .call_id(&format!("call-{number}"))
}

/// Let time pass in steps, as a thread with timers does, and say what was told.
fn told_within(bench: &mut Bench, seconds: u64) -> Vec<String> {
    (0..seconds)
        .flat_map(|_| {
            bench.pass(ms(1_000));
            bench.told()
        })
        .collect()
}

#[test]
fn test_an_invite_whose_challenge_is_not_answered_is_told_once_its_sender_had_time() {
    let mut bench = guarded();
    bench.receive(&invite(1).text());
    challenge(&bench.sent_one());
    assert_eq!(told_within(&mut bench, 3), [""; 0]);
    assert_eq!(told_within(&mut bench, 1), [format!("ChallengeIgnored {PEER} 1")]);
    assert_eq!(told_within(&mut bench, 60), [""; 0]);
    assert_eq!(bench.counters().timers, 0);
}

#[test]
fn test_a_phone_that_answers_its_challenge_is_not_told() {
    let mut bench = guarded();
    bench.receive(&invite(1).text());
    let asked = challenge(&bench.sent_one());
    bench.pass(ms(3_000));
    bench.receive(&invite(2).cseq(2).more(&authorization(&asked, "INVITE", 1)).text());
    assert_eq!(bench.told(), ["RequestReceived INVITE"]);
    bench.command(Command::SetOverloaded(false));
    let told = told_within(&mut bench, 30);
    assert!(told.iter().all(|told| !told.starts_with("Challenge")), "{told:?}");
}

#[test]
fn test_a_source_is_told_every_thirty_seconds_with_its_count() {
    let mut bench = guarded();
    let (mut seconds, mut counts) = (Vec::new(), Vec::<u64>::new());
    for second in 0..110 {
        if second < 70 {
            bench.receive(&invite(second).text());
        }
        bench.pass(ms(1_000));
        for told in bench.told() {
            seconds.push(second);
            counts.push(told.rsplit(' ').next().unwrap().parse().unwrap());
        }
    }
    assert_eq!(seconds.len(), 4, "{seconds:?}");
    assert!(seconds.windows(2).all(|pair| pair[1] - pair[0] >= 30), "{seconds:?}");
    assert_eq!(counts.iter().sum::<u64>(), 70);
}

#[test]
fn test_other_requests_and_what_a_line_sends_are_not_told() {
    let mut bench = guarded();
    bench.receive(&Request::new("REGISTER").text());
    bench.receive_on(udp("203.0.113.9:5060"), &invite(1).text());
    let told = told_within(&mut bench, 30);
    assert!(told.iter().all(|told| !told.starts_with("Challenge")), "{told:?}");
    assert_eq!(bench.counters().challenged, 0);
}

#[test]
fn test_a_flood_of_one_source_gives_one_event() {
    let mut bench = guarded();
    for number in 0..10_000 {
        bench.receive(&invite(number).text());
    }
    assert_eq!(bench.sent().len(), 10_000, "each is challenged");
    assert_eq!(told_within(&mut bench, 29), [format!("ChallengeIgnored {PEER} 10000")]);
    assert_eq!(bench.counters().challenged, 10_000);
}

#[test]
fn test_a_flood_of_many_sources_gives_few_events() {
    let mut bench = guarded();
    let mut told = Vec::new();
    for number in 0..10_000_u32 {
        let source = std::net::Ipv4Addr::from_bits(0xC633_0000 + number);
        bench.receive_on(udp(&format!("{source}:5060")), &invite(0).call_id(&format!("call-{number}")).text());
        if number % 400 == 0 {
            told.extend(told_within(&mut bench, 1));
        }
    }
    told.extend(told_within(&mut bench, 4));
    assert_eq!(told.len(), 8, "{told:?}");
    assert_eq!(told_within(&mut bench, 60), [""; 0]);
    assert_eq!(bench.counters().timers, 0);
}

#[test]
fn test_the_addresses_of_one_ipv6_subscriber_are_one_source() {
    let mut bench = guarded();
    for number in 1..100 {
        bench.receive_on(udp(&format!("[2001:db8::{number:x}]:5060")), &invite(number).text());
    }
    assert_eq!(told_within(&mut bench, 10), ["ChallengeIgnored [2001:db8::1]:5060 99"]);
}

#[test]
fn test_nobody_is_told_while_python_is_behind() {
    let mut bench = guarded();
    bench.receive(&invite(1).text());
    bench.endpoint.set_backlog(8192);
    assert_eq!(told_within(&mut bench, 10), [""; 0]);
    bench.endpoint.set_backlog(0);
    assert_eq!(told_within(&mut bench, 10), [format!("ChallengeIgnored {PEER} 1")]);
}
