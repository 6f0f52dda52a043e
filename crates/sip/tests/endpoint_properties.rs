//! Arbitrary datagrams, streams, commands and times: the endpoint never panics, keeps its bounds, and is deterministic.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

mod endpoint_bench;

use bytes::Bytes;
use endpoint_bench::*;
use proptest::prelude::*;
use trunkline_sip::digest::Algorithm;
use trunkline_sip::endpoint::{ChallengeMode, Command, Config, Event, ServerTransaction};

/// One thing that happens to the endpoint.
#[derive(Clone, Debug)]
enum Step {
    Datagram(Vec<u8>),
    Peer {
        method: usize,
        branch: u8,
        tag: u8,
        cseq: u8,
        cut: Option<(u16, u8)>,
    },
    Stream {
        connection: u8,
        method: usize,
        branch: u8,
        cut: Option<(u16, u8)>,
    },
    /// Answer the request that we sent that long ago.
    Answer {
        back: usize,
        status: u16,
        tag: u8,
    },
    Respond {
        back: usize,
        status: u16,
    },
    Challenge {
        back: usize,
    },
    Send {
        method: usize,
        connection: u8,
    },
    Cancel {
        tx: u64,
    },
    Ack {
        tx: u64,
        tag: u8,
    },
    Dialog {
        tag: u8,
        add: bool,
    },
    KeepAlive {
        connection: u8,
        micros: u32,
    },
    Policy(u8),
    Overloaded(bool),
    Trace(bool),
    Opened(u8),
    Closed(u8),
    Failed(u8),
    Close(u8),
    Wait(u32),
    Drain,
}

const METHODS: [&str; 8] = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "X"];

fn step() -> impl Strategy<Value = Step> {
    let cut = || proptest::option::weighted(0.2, (any::<u16>(), any::<u8>()));
    prop_oneof![
        2 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Datagram),
        8 => (0..8_usize, 0..6_u8, 0..4_u8, 0..6_u8, cut())
            .prop_map(|(method, branch, tag, cseq, cut)| Step::Peer { method, branch, tag, cseq, cut }),
        3 => (1..5_u8, 0..8_usize, 0..6_u8, cut()).prop_map(|(connection, method, branch, cut)| Step::Stream { connection, method, branch, cut }),
        6 => (0..6_usize, 100..700_u16, 0..4_u8).prop_map(|(back, status, tag)| Step::Answer { back, status, tag }),
        6 => (0..6_usize, 0..1000_u16).prop_map(|(back, status)| Step::Respond { back, status }),
        1 => (0..6_usize).prop_map(|back| Step::Challenge { back }),
        4 => (0..8_usize, 0..5_u8).prop_map(|(method, connection)| Step::Send { method, connection }),
        2 => (0..8_u64).prop_map(|tx| Step::Cancel { tx }),
        2 => (0..8_u64, 0..4_u8).prop_map(|(tx, tag)| Step::Ack { tx, tag }),
        2 => (0..4_u8, any::<bool>()).prop_map(|(tag, add)| Step::Dialog { tag, add }),
        1 => (0..5_u8, 0..60_000_000_u32).prop_map(|(connection, micros)| Step::KeepAlive { connection, micros }),
        1 => any::<u8>().prop_map(Step::Policy),
        1 => any::<bool>().prop_map(Step::Overloaded),
        1 => any::<bool>().prop_map(Step::Trace),
        1 => (0..5_u8).prop_map(Step::Opened),
        1 => (0..5_u8).prop_map(Step::Closed),
        1 => (0..5_u8).prop_map(Step::Failed),
        1 => (0..5_u8).prop_map(Step::Close),
        4 => (0..40_000_000_u32).prop_map(Step::Wait),
        2 => Just(Step::Drain),
    ]
}

/// The endpoint, and what a Python and peers remember of it.
struct World {
    bench: Bench,
    handles: Vec<ServerTransaction>,
    ours: Vec<Sent>,
    log: Vec<String>,
    /// Server transactions begun, final outcomes of requests of ours by id.
    outcomes: Vec<u64>,
}

fn corrupt(text: String, cut: Option<(u16, u8)>) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    if let Some((at, with)) = cut {
        let at = usize::from(at) % bytes.len();
        bytes[at] = with;
    }
    bytes
}

fn over(connection: u8) -> trunkline_sip::flow::Flow {
    if connection == 0 {
        udp(PEER)
    } else {
        tcp(PEER, u64::from(connection))
    }
}

impl World {
    fn new() -> Self {
        let bench = Bench::with(Config {
            event_queue: 10,
            ..Config::default()
        });
        World {
            bench,
            handles: Vec::new(),
            ours: Vec::new(),
            log: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    fn recent<T: Clone>(list: &[T], back: usize) -> Option<T> {
        list.iter().rev().nth(back).cloned()
    }

    fn take(&mut self, step: Step) {
        let now = self.bench.now;
        match step {
            Step::Datagram(data) => self.bench.endpoint.receive(now, udp(PEER), &data),
            Step::Peer {
                method,
                branch,
                tag,
                cseq,
                cut,
            } => {
                let request = Request::new(METHODS[method])
                    .branch(&format!("z9hG4bK{branch}"))
                    .cseq(u32::from(cseq));
                let request = if tag == 0 { request } else { request.tagged(&format!("t{tag}")) };
                let request = if branch == 5 { request.branch("") } else { request };
                self.bench.endpoint.receive(now, udp(PEER), &corrupt(request.text(), cut));
            }
            Step::Stream {
                connection,
                method,
                branch,
                cut,
            } => {
                let request = Request::new(METHODS[method])
                    .via("SIP/2.0/TCP 198.51.100.7:5062")
                    .branch(&format!("z9hG4bKs{branch}"));
                self.bench.endpoint.receive(now, over(connection), &corrupt(request.text(), cut));
            }
            Step::Answer { back, status, tag } => {
                if let Some(sent) = Self::recent(&self.ours, back) {
                    self.bench.receive(&answer(
                        &sent.message,
                        status,
                        &if tag == 0 { String::new() } else { format!("t{tag}") },
                    ));
                }
            }
            Step::Respond { back, status } => {
                if let Some(tx) = Self::recent(&self.handles, back) {
                    self.bench.respond(&tx, status, Some("t1"));
                }
            }
            Step::Challenge { back } => {
                if let Some(tx) = Self::recent(&self.handles, back).filter(ServerTransaction::claim) {
                    self.bench.command(Command::Challenge { tx, stale: false });
                }
            }
            Step::Send { method, connection } => {
                self.bench.send_over(METHODS[method], over(connection), None);
            }
            Step::Cancel { tx } => self.bench.command(Command::Cancel { tx, headers: Vec::new() }),
            Step::Ack { tx, tag } => self.bench.send_ack(tx, &format!("t{tag}")),
            Step::Dialog { tag, add: true } => self.bench.add_dialog("their-call", &format!("t{tag}"), "theirs", 0, u64::from(tag)),
            Step::Dialog { tag, .. } => {
                let (call_id, local_tag, remote_tag) = ("their-call".to_owned(), format!("t{tag}"), "theirs".to_owned());
                self.bench.command(Command::RemoveDialog {
                    call_id,
                    local_tag,
                    remote_tag,
                });
            }
            Step::KeepAlive { connection, micros } => {
                let interval = std::time::Duration::from_micros(u64::from(micros));
                self.bench.command(Command::KeepAlive {
                    flow: over(connection),
                    interval,
                });
            }
            Step::Policy(kind) => {
                let mode = [ChallengeMode::Everybody, ChallengeMode::Strangers, ChallengeMode::Nobody][usize::from(kind) % 3];
                self.bench.command(Command::SetChallenge {
                    realm: "pbx".to_owned(),
                    modes: vec![("*".to_owned(), mode)],
                    trusted_networks: Vec::new(),
                    trusted_tokens: vec!["us".to_owned()],
                    algorithm: Algorithm::Sha256,
                    lifetime: ms(1000),
                });
            }
            Step::Overloaded(on) => self.bench.command(Command::SetOverloaded(on)),
            Step::Trace(on) => self.bench.command(Command::SetTrace(on)),
            Step::Opened(connection) => self.bench.endpoint.flow_opened(now, over(connection)),
            Step::Closed(connection) => self.bench.endpoint.flow_closed(now, over(connection), "closed".to_owned()),
            Step::Failed(connection) => self.bench.endpoint.send_failed(now, over(connection), "failed".to_owned()),
            Step::Close(connection) => self.bench.command(Command::CloseFlow {
                connection: u64::from(connection),
            }),
            Step::Wait(micros) => self.wait(std::time::Duration::from_micros(u64::from(micros))),
            Step::Drain => self.drain(),
        }
        self.collect();
    }

    fn collect(&mut self) {
        for transmit in self.bench.transmits() {
            self.log.push(format!("{:?}", transmit.data));
            if transmit.data.len() > 4 {
                let message = parse(transmit.data);
                // Only an answer to what is malformed may carry what it copied from there.
                let echoes = matches!(message.status(), 400 | 413 | 414 | 416 | 505 | 513);
                assert!(message.check().is_ok() || echoes, "{:?} {:?}", message.check(), message.raw());
                if message.is_request() && message.method() != "ACK" {
                    self.ours.push(Sent {
                        flow: transmit.flow,
                        message,
                    });
                }
            }
        }
        assert!(self.bench.endpoint.take_closed_connections().len() <= 1000);
    }

    fn wait(&mut self, duration: std::time::Duration) {
        let end = self.bench.now + duration;
        while let Some(at) = self.bench.endpoint.next_timeout().filter(|at| *at <= end) {
            assert!(at >= self.bench.now, "no timeout lies in the past");
            self.bench.now = at;
            self.bench.endpoint.handle_timeout(at);
            assert!(
                self.bench.endpoint.next_timeout() > Some(at) || self.bench.endpoint.next_timeout().is_none(),
                "progress"
            );
            self.collect();
        }
        self.bench.now = end;
    }

    fn drain(&mut self) {
        for event in self.bench.events() {
            self.log.push(format!("{event:?}"));
            match event {
                Event::RequestReceived { tx, .. } => self.handles.push(tx),
                Event::TransactionTimedOut { tx } | Event::TransportFailed { tx, .. } => self.outcomes.push(tx),
                Event::ResponseReceived { tx, message, .. } if message.status() >= 300 => self.outcomes.push(tx),
                _ => {}
            }
        }
    }
}

fn run(steps: &[Step]) -> World {
    let mut world = World::new();
    for step in steps {
        world.take(step.clone());
    }
    // Whatever happened, Python answers what waits, and two minutes later nothing lives but what it holds open.
    world.drain();
    for tx in world.handles.clone() {
        world.bench.respond(&tx, 500, None);
    }
    for connection in 0..5 {
        world.bench.command(Command::KeepAlive {
            flow: over(connection),
            interval: ms(0),
        });
    }
    for tx in 0..200 {
        world.bench.command(Command::Cancel { tx, headers: Vec::new() });
    }
    world.collect();
    world.wait(ms(120_000));
    world.drain();
    // What waited for Python to catch up is told now, and forgotten in its time.
    world.wait(ms(60_000));
    world.drain();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_nothing_panics_and_nothing_is_left(steps in prop::collection::vec(step(), 0..120)) {
        let world = run(&steps);
        let counters = world.bench.counters();
        prop_assert_eq!(counters.server_transactions, 0);
        // An INVITE without provisional has timed out, one with was cancelled: none is left.
        prop_assert_eq!(counters.client_transactions, 0);
        prop_assert!(counters.connections <= 4);
        prop_assert!(counters.dialogs <= 4, "{}", counters.dialogs);
        prop_assert_eq!(world.bench.endpoint.next_timeout(), None);
        let mut outcomes = world.outcomes.clone();
        outcomes.sort_unstable();
        let count = outcomes.len();
        outcomes.dedup();
        prop_assert_eq!(outcomes.len(), count, "a request has one failure at most");
    }

    #[test]
    fn test_equal_steps_give_equal_outputs(steps in prop::collection::vec(step(), 0..80)) {
        prop_assert_eq!(run(&steps).log, run(&steps).log);
    }

    #[test]
    fn test_any_datagram_is_survived(data in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut bench = Bench::new();
        bench.endpoint.receive(bench.now, udp(PEER), &data);
        bench.endpoint.receive(bench.now, tcp(PEER, 1), &data);
        prop_assert!(bench.sent().len() <= 2);
        let _ = Bytes::from(data);
    }
}
