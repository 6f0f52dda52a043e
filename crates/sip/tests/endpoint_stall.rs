//! Python stands still: nobody takes an event for ten seconds while peers go on, and none of them has to repeat what the endpoint itself
//! could answer. Then it wakes and everything is there, in bounds.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use std::collections::BTreeMap;

use endpoint_bench::*;
use trunkline_sip::endpoint::{Command, Config, Event};
use trunkline_sip::time::Time;

const QUEUE: usize = 50;

/// A peer that sends a request every 10 ms and repeats each by its T1 until anything comes back.
struct Peer {
    /// By branch: the text, when to repeat it, and the pause before that.
    waiting: BTreeMap<String, (String, Time, u64)>,
    repeats: BTreeMap<String, usize>,
    answers: BTreeMap<String, Vec<u16>>,
}

impl Peer {
    fn send(&mut self, bench: &mut Bench, request: &Request) {
        let text = request.text();
        bench.receive(&text);
        self.waiting.insert(request.branch.clone(), (text, bench.now + ms(500), 500));
    }

    /// Take what the endpoint sent.
    fn take(&mut self, bench: &mut Bench) {
        for sent in bench.sent() {
            let branch = sent.message.via().unwrap().branch().unwrap().to_owned();
            self.waiting.remove(&branch);
            self.answers.entry(branch).or_default().push(sent.message.status());
        }
    }

    fn repeat(&mut self, bench: &mut Bench) {
        for (branch, (text, at, pause)) in &mut self.waiting {
            if *at <= bench.now {
                *pause = (*pause * 2).min(4000);
                *at = bench.now + ms(*pause);
                *self.repeats.entry(branch.clone()).or_default() += 1;
                bench.receive(text);
            }
        }
    }
}

fn stall() -> (Bench, Peer) {
    let mut bench = Bench::with(Config {
        event_queue: QUEUE,
        ..Config::default()
    });
    let mut peer = Peer {
        waiting: BTreeMap::new(),
        repeats: BTreeMap::new(),
        answers: BTreeMap::new(),
    };
    for call in 0..1000 {
        bench.add_dialog(&format!("bye{call}"), "us", "theirs", 1, call + 1);
    }
    for step in 0..1000 {
        let method = ["INVITE", "REGISTER", "OPTIONS", "BYE"][step % 4];
        let request = Request::new(method)
            .branch(&format!("z9hG4bK{method}{step}"))
            .call_id(&format!("c{step}"));
        let request = if method == "BYE" {
            request.call_id(&format!("bye{step}")).tagged("us").cseq(2)
        } else {
            request
        };
        peer.send(&mut bench, &request);
        // Ten milliseconds, every timer at its time.
        let end = bench.now + ms(10);
        while let Some(at) = bench.endpoint.next_timeout().filter(|at| *at <= end) {
            bench.now = bench.now.max(at);
            bench.endpoint.handle_timeout(bench.now);
        }
        bench.now = end;
        peer.take(&mut bench);
        peer.repeat(&mut bench);
        peer.take(&mut bench);
    }
    (bench, peer)
}

#[test]
fn test_while_python_stalls_no_peer_repeats_what_the_endpoint_could_answer() {
    let (_, peer) = stall();
    // Only OPTIONS and REGISTER that came up before the queue was full wait for Python; a non-INVITE request has no 100.
    let repeated: Vec<&String> = peer.repeats.keys().collect();
    assert!(
        repeated
            .iter()
            .all(|branch| branch.contains("OPTIONS") || branch.contains("REGISTER")),
        "{repeated:?}"
    );
    assert!(repeated.len() <= QUEUE, "{repeated:?}");
    for (branch, answers) in &peer.answers {
        let expected: &[u16] = match branch {
            branch if branch.contains("BYE") => &[200],
            branch if branch.contains("INVITE") && answers.first() == Some(&100) => &[100],
            _ => &[503],
        };
        assert_eq!(answers, expected, "{branch}");
    }
    let invites = peer.answers.keys().filter(|branch| branch.contains("INVITE")).count();
    assert_eq!(invites, 250, "every INVITE is answered");
}

#[test]
fn test_when_python_wakes_all_that_came_up_is_there_and_one_event_counts_what_was_shed() {
    let (mut bench, peer) = stall();
    let shed = peer.answers.values().filter(|answers| answers.contains(&503)).count();
    assert!(shed > 600, "{shed}");
    let events = bench.events();
    let byes = events.iter().filter(|event| matches!(event, Event::ByeAnswered { .. })).count();
    assert!(byes >= 240, "{byes}");
    assert_eq!(bench.endpoint.take_stopped_legs().len(), byes);
    assert!(
        !events.iter().any(|event| matches!(event, Event::Shed { .. })),
        "while behind the counts go on"
    );
    bench.pass(ms(1000));
    assert_eq!(
        bench.told().iter().filter(|told| told.starts_with("Shed")).collect::<Vec<_>>(),
        [&format!("Shed {shed} 0 0")]
    );
    assert_eq!(bench.counters().shed, shed as u64);
    bench.receive(&Request::new("INVITE").text());
    assert_eq!(bench.told(), ["RequestReceived INVITE"], "awake, it takes new calls");
}

#[test]
fn test_a_backlog_outside_counts_as_waiting() {
    let mut bench = Bench::with(Config {
        event_queue: QUEUE,
        ..Config::default()
    });
    bench.endpoint.set_backlog(QUEUE);
    bench.receive(&Request::new("REGISTER").text());
    let sent = bench.sent_one();
    assert_eq!(sent.line(), "503");
    let seconds: u64 = sent.header("Retry-After").parse().unwrap();
    assert!((5..15).contains(&seconds));
    bench.endpoint.set_backlog(QUEUE - 1);
    bench.receive(&Request::new("REGISTER").branch("z9hG4bK2").text());
    assert_eq!(bench.told(), ["RequestReceived REGISTER"]);
}

#[test]
fn test_overloaded_sheds_new_requests_and_spares_dialogs_and_transactions_under_way() {
    let mut bench = Bench::new();
    bench.add_dialog("their-call", "us", "theirs", 1, 0);
    bench.receive(&Request::new("INVITE").call_id("before").text());
    let tx = bench.request();
    bench.command(Command::SetOverloaded(true));
    bench.receive(&Request::new("INVITE").branch("z9hG4bK2").call_id("after").text());
    assert_eq!(bench.sent_lines(), ["503"]);
    bench.receive(&Request::new("INVITE").branch("z9hG4bK3").tagged("us").cseq(2).text());
    assert_eq!(bench.told(), ["RequestReceived INVITE"]);
    bench.respond(&tx, 486, None);
    bench.receive(&Request::new("INVITE").call_id("before").text());
    assert_eq!(bench.sent_lines(), ["486", "486"]);
    bench.command(Command::SetOverloaded(false));
    bench.receive(&Request::new("INVITE").branch("z9hG4bK4").call_id("later").text());
    assert_eq!(bench.told(), ["RequestReceived INVITE"]);
}

#[test]
fn test_what_can_be_spared_is_not_told_to_a_stalled_python() {
    let mut bench = Bench::with(Config {
        event_queue: QUEUE,
        ..Config::default()
    });
    let tx = bench.send("INVITE");
    let invite = bench.sent_one().message;
    bench.command(Command::SetTrace(true));
    for number in 0..10_000 {
        bench.receive(&answer(&invite, 180 + number % 4, "a"));
        bench.endpoint.flow_opened(bench.now, tcp(PEER, u64::from(number) + 1));
        bench
            .endpoint
            .flow_closed(bench.now, tcp(PEER, u64::from(number) + 1), "gone".to_owned());
    }
    bench.receive(&answer(&invite, 200, "a"));
    let events = bench.events();
    assert!(events.len() <= 2 * QUEUE + 2, "{}", events.len());
    let last = events.last().unwrap();
    assert!(
        matches!(last, Event::ResponseReceived { tx: id, message, .. } if *id == tx && message.status() == 200),
        "{last:?}"
    );
    let count = |wanted: &str| events.iter().filter(|event| name(event) == wanted).count();
    assert_eq!(count("FlowOpened"), count("FlowClosed"));
}
