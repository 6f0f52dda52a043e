//! Two endpoints over a link that loses, doubles and reorders, in virtual time: whatever happens on the way, each request comes up once,
//! each has one outcome, and nothing is left (RFC 3261 §17).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use trunkline_sip::endpoint::{Command, Config, Endpoint, Event, ServerTransaction};
use trunkline_sip::flow::{Flow, Transport};
use trunkline_sip::time::Time;

const CALLER: usize = 0;
const CALLEE: usize = 1;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn address(node: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(node).unwrap() + 1], 5060))
}

fn flow(from: usize, to: usize) -> Flow {
    Flow {
        transport: Transport::Udp,
        remote: address(to),
        local: Some(address(from)),
        connection: 0,
    }
}

/// What a side decides, as Python would.
#[derive(Clone, Debug)]
enum Todo {
    Arrive(Flow, Bytes),
    Respond(ServerTransaction, u16),
    Bye { call_id: String, to_tag: String },
    Cancel(u64),
    Hang,
}

/// How the call goes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Script {
    /// The callee's final answer and when, after the INVITE has come up; none at all for status 0.
    answer: (u16, u64),
    /// When the caller gives up.
    cancel: Option<u64>,
    /// Who hangs up an answered call.
    hangs_up: usize,
    /// Percent of datagrams that are lost, and that come twice.
    loss: u64,
    duplicate: u64,
    /// Each takes 10 ms and up to this many more.
    jitter: u64,
}

const CALM: Script = Script {
    answer: (200, 1000),
    cancel: None,
    hangs_up: CALLER,
    loss: 0,
    duplicate: 0,
    jitter: 1,
};
const STORM: Script = Script {
    loss: 20,
    duplicate: 20,
    jitter: 300,
    ..CALM
};

struct Net {
    now: Time,
    script: Script,
    nodes: [Endpoint; 2],
    todo: BTreeMap<(Time, u64), (usize, Todo)>,
    serial: u64,
    random: u64,
    /// What each side was told, in order.
    told: [Vec<String>; 2],
    next_tx: u64,
    /// The callee's early tag.
    invite: Option<ServerTransaction>,
    sent: [Vec<String>; 2],
}

impl Net {
    fn new(script: Script, seed: u64) -> Self {
        let nodes = [CALLER, CALLEE].map(|node| {
            let mut endpoint = Endpoint::new(Config::default(), [u8::try_from(node).unwrap(); 32]);
            endpoint.add_listener(Transport::Udp, address(node));
            endpoint
        });
        let (told, sent) = Default::default();
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Net {
            now: Time::ZERO,
            script,
            nodes,
            todo: BTreeMap::new(),
            serial: 0,
            random,
            told,
            next_tx: 1,
            invite: None,
            sent,
        }
    }

    /// xorshift64.
    fn roll(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn later(&mut self, node: usize, delay: Duration, todo: Todo) {
        self.serial += 1;
        self.todo.insert((self.now + delay, self.serial), (node, todo));
    }

    fn send_request(&mut self, from: usize, method: &str, call_id: &str, tags: (&str, &str), cseq: u32) -> u64 {
        let tx = self.next_tx;
        self.next_tx += 1;
        let to_tag = if tags.1.is_empty() {
            String::new()
        } else {
            format!(";tag={}", tags.1)
        };
        let headers = [
            ("From", format!("<sip:{from}@example.com>;tag={}", tags.0)),
            ("To", format!("<sip:{}@example.com>{to_tag}", 1 - from)),
            ("Call-ID", call_id.to_owned()),
            ("CSeq", format!("{cseq} {method}")),
        ];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (uri, flow) = (format!("sip:{}@{}", 1 - from, address(1 - from)), flow(from, 1 - from));
        let method = method.to_owned();
        self.command(
            from,
            Command::SendRequest {
                tx,
                method,
                uri,
                headers,
                body: Bytes::new(),
                flow,
                timeout: None,
                large_over_tcp: true,
            },
        );
        tx
    }

    fn command(&mut self, node: usize, command: Command) {
        let now = self.now;
        self.nodes[node].command(now, command);
    }

    fn dialog(&mut self, node: usize, call_id: &str, local: &str, remote: &str, cseq: u32) {
        let (call_id, local_tag, remote_tag) = (call_id.to_owned(), local.to_owned(), remote.to_owned());
        self.command(
            node,
            Command::AddDialog {
                call_id,
                local_tag,
                remote_tag,
                remote_cseq: cseq,
                leg: 0,
            },
        );
    }

    fn end_dialog(&mut self, node: usize, call_id: &str, local: &str, remote: &str) {
        let (call_id, local_tag, remote_tag) = (call_id.to_owned(), local.to_owned(), remote.to_owned());
        self.command(
            node,
            Command::RemoveDialog {
                call_id,
                local_tag,
                remote_tag,
            },
        );
    }

    /// The caller's and the callee's Python.
    fn react(&mut self, node: usize, event: Event) {
        match event {
            Event::RequestReceived { tx, message, .. } if message.method() == "INVITE" => {
                self.invite = Some(tx.clone());
                self.later(node, ms(1), Todo::Respond(tx.clone(), 180));
                if self.script.answer.0 != 0 {
                    self.later(node, ms(self.script.answer.1), Todo::Respond(tx, self.script.answer.0));
                }
                self.dialog(node, message.call_id(), "callee", message.from_tag(), 1);
            }
            Event::RequestReceived { tx, message, .. } => {
                let (call_id, local, remote) = (
                    message.call_id().to_owned(),
                    message.to_tag().to_owned(),
                    message.from_tag().to_owned(),
                );
                self.later(node, ms(5), Todo::Respond(tx, 200));
                self.end_dialog(node, &call_id, &local, &remote);
            }
            Event::ResponseReceived { tx, message, .. } if message.method() == "INVITE" && (200..300).contains(&message.status()) => {
                let (call_id, to_tag) = (message.call_id().to_owned(), message.to_tag().to_owned());
                self.dialog(node, &call_id, "caller", &to_tag, 0);
                let headers = [
                    ("From", "<sip:0@example.com>;tag=caller".to_owned()),
                    ("To", format!("<sip:1@example.com>;tag={to_tag}")),
                    ("Call-ID", call_id.clone()),
                    ("CSeq", "1 ACK".to_owned()),
                ];
                let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                let (uri, flow) = ("sip:1@192.0.2.2".to_owned(), flow(CALLER, CALLEE));
                self.command(
                    node,
                    Command::SendAck {
                        tx,
                        to_tag: to_tag.clone(),
                        uri,
                        headers,
                        body: Bytes::new(),
                        flow,
                    },
                );
                if self.script.hangs_up == CALLER {
                    self.later(node, ms(2000), Todo::Bye { call_id, to_tag });
                }
            }
            Event::AckReceived { .. } if self.script.hangs_up == CALLEE => self.later(node, ms(2000), Todo::Hang),
            // §13.3.1.4: no ACK came; the call is ended like any other.
            Event::AckTimedOut { .. } => self.later(node, ms(1), Todo::Hang),
            _ => {}
        }
    }

    fn act(&mut self, node: usize, todo: Todo) {
        let now = self.now;
        match todo {
            Todo::Arrive(flow, data) => self.nodes[node].receive(now, flow, &data),
            Todo::Respond(tx, status) => {
                if status < 200 || tx.claim() {
                    let (reason, headers, body) = (None, Vec::new(), Bytes::new());
                    self.command(
                        node,
                        Command::Respond {
                            reliable: false,
                            tx,
                            status,
                            reason,
                            headers,
                            body,
                            to_tag: Some("callee".to_owned()),
                        },
                    );
                    if status >= 300 {
                        self.end_dialog(node, "call", "callee", "caller");
                    }
                }
            }
            Todo::Bye { call_id, to_tag } => {
                self.send_request(node, "BYE", &call_id, ("caller", &to_tag), 2);
                self.end_dialog(node, &call_id, "caller", &to_tag);
            }
            Todo::Hang => {
                self.send_request(node, "BYE", "call", ("callee", "caller"), 1);
                self.end_dialog(node, "call", "callee", "caller");
            }
            Todo::Cancel(tx) => self.command(node, Command::Cancel { tx, headers: Vec::new() }),
        }
    }

    /// Put what the endpoints have sent on the link, and hand their events to their Python.
    fn settle(&mut self) {
        for node in [CALLER, CALLEE] {
            while let Some(event) = self.nodes[node].poll_event() {
                self.told[node].push(describe(&event));
                if matches!(event, Event::Cancelled { .. }) {
                    self.end_dialog(node, "call", "callee", "caller");
                }
                self.react(node, event);
            }
            while let Some(transmit) = self.nodes[node].poll_transmit() {
                assert_eq!(
                    (transmit.flow.remote, transmit.flow.local),
                    (address(1 - node), Some(address(node)))
                );
                self.sent[node].push(String::from_utf8_lossy(transmit.data.split(|byte| *byte == b'\r').next().unwrap()).into_owned());
                let copies = if self.roll(100) < self.script.loss {
                    0
                } else {
                    1 + u64::from(self.roll(100) < self.script.duplicate)
                };
                for _ in 0..copies {
                    let delay = 10 + self.roll(self.script.jitter);
                    self.later(1 - node, ms(delay), Todo::Arrive(flow(1 - node, node), transmit.data.clone()));
                }
            }
        }
    }

    /// Run until nothing more will happen.
    fn run(&mut self) {
        for _ in 0..100_000 {
            self.settle();
            let timeouts = self.nodes.iter().filter_map(Endpoint::next_timeout).min();
            let next = self.todo.keys().next().map(|(at, _)| *at).into_iter().chain(timeouts).min();
            let Some(next) = next else { return };
            self.now = self.now.max(next);
            for node in [CALLER, CALLEE] {
                let now = self.now;
                self.nodes[node].handle_timeout(now);
            }
            self.settle();
            while self.todo.first_key_value().is_some_and(|((at, _), _)| *at <= self.now) {
                let (_, (node, todo)) = self.todo.pop_first().unwrap();
                self.act(node, todo);
                self.settle();
            }
            assert!(self.now < Time::ZERO + ms(600_000), "still busy after ten minutes: {:?}", self.told);
        }
        panic!("too many steps");
    }

    fn count(&self, node: usize, told: &str) -> usize {
        self.told[node].iter().filter(|line| line.starts_with(told)).count()
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::RequestReceived { message, .. } => format!("request {}", message.method()),
        Event::ResponseReceived { message, .. } => format!("response {} {}", message.method(), message.status()),
        Event::AckReceived { .. } => "ack".to_owned(),
        Event::Cancelled { .. } => "cancelled".to_owned(),
        Event::AckTimedOut { .. } => "no ack".to_owned(),
        Event::TransactionTimedOut { tx } => format!("timeout {tx}"),
        other => format!("{other:?}"),
    }
}

fn call(script: Script, seed: u64) -> Net {
    let mut net = Net::new(script, seed);
    let tx = net.send_request(CALLER, "INVITE", "call", ("caller", ""), 1);
    if let Some(after) = script.cancel {
        net.later(CALLER, ms(after), Todo::Cancel(tx));
    }
    net.run();
    net
}

/// What holds whatever the link does.
fn check(net: &Net, script: Script, seed: u64) {
    let context = || format!("seed {seed} {script:?}\n{:#?}", net.told);
    assert!(
        net.count(CALLEE, "request INVITE") <= 1,
        "each request comes up once: {}",
        context()
    );
    assert!(
        net.count(CALLEE, "request BYE") <= 1 && net.count(CALLER, "request BYE") <= 1,
        "{}",
        context()
    );
    let finals = net.told[CALLER]
        .iter()
        .filter(|line| line.starts_with("response INVITE") && !line.starts_with("response INVITE 1"))
        .count();
    let (late, timeouts) = (net.count(CALLER, "response INVITE 2"), net.count(CALLER, "timeout 1"));
    assert!(
        finals + timeouts == 1 || (finals, late, timeouts) == (1, 1, 1),
        "the INVITE has one outcome, or a late 2xx after its timeout: {}",
        context()
    );
    if net.count(CALLER, "response INVITE 2") == 1 {
        assert_eq!(
            net.count(CALLEE, "ack") + net.count(CALLEE, "no ack"),
            1,
            "the 2xx has one outcome: {}",
            context()
        );
    }
    if net.count(CALLEE, "cancelled") == 1 {
        assert_eq!(net.count(CALLER, "response INVITE 2"), 0, "cancelled means no 2xx: {}", context());
    }
    for node in &net.nodes {
        let left = node.counters();
        assert_eq!((left.client_transactions, left.server_transactions), (0, 0), "{}", context());
        assert_eq!(node.next_timeout(), None, "{}", context());
    }
    assert_eq!(net.nodes[CALLER].counters().dialogs, 0, "{}", context());
}

#[test]
fn test_a_call_on_a_calm_link_takes_the_messages_of_the_rfc_and_no_more() {
    let net = call(CALM, 1);
    check(&net, CALM, 1);
    assert_eq!(net.told[CALLER], ["response INVITE 180", "response INVITE 200", "response BYE 200"]);
    assert_eq!(net.told[CALLEE], ["request INVITE", "ack", "request BYE"]);
    let methods: Vec<&str> = net.sent[CALLER].iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["INVITE", "ACK", "BYE"]);
    assert_eq!(net.sent[CALLEE].len(), 3, "{:?}", net.sent[CALLEE]);
}

#[test]
fn test_the_callee_hangs_up() {
    let script = Script { hangs_up: CALLEE, ..CALM };
    let net = call(script, 1);
    check(&net, script, 1);
    assert_eq!(net.told[CALLER], ["response INVITE 180", "response INVITE 200", "request BYE"]);
    assert_eq!(net.told[CALLEE], ["request INVITE", "ack", "response BYE 200"]);
}

#[test]
fn test_a_rejected_call_on_a_calm_link() {
    let script = Script {
        answer: (486, 500),
        ..CALM
    };
    let net = call(script, 1);
    check(&net, script, 1);
    assert_eq!(net.told[CALLER], ["response INVITE 180", "response INVITE 486"]);
    assert_eq!(net.sent[CALLER].len(), 2, "INVITE and ACK");
}

#[test]
fn test_a_cancelled_call_on_a_calm_link() {
    let script = Script { cancel: Some(400), ..CALM };
    let net = call(script, 1);
    check(&net, script, 1);
    assert_eq!(net.told[CALLER], ["response INVITE 180", "response INVITE 487"]);
    assert_eq!(net.told[CALLEE], ["request INVITE", "cancelled"]);
}

#[test]
fn test_a_dead_link_times_out() {
    let script = Script { loss: 100, ..CALM };
    let net = call(script, 1);
    check(&net, script, 1);
    assert_eq!(net.told[CALLER], ["timeout 1"]);
    assert_eq!(net.sent[CALLER].len(), 7);
}

#[test]
fn test_equal_seeds_give_equal_histories() {
    let (a, b, c) = (call(STORM, 5), call(STORM, 5), call(STORM, 6));
    assert_eq!((&a.told, &a.sent), (&b.told, &b.sent));
    assert_ne!(a.sent, c.sent);
}

#[test]
fn test_every_kind_of_call_survives_loss_duplicates_and_reordering() {
    let mut answered = 0;
    for seed in 0..150 {
        for (answer, cancel, hangs_up) in [
            ((200, 1000), None, CALLER),
            ((200, 1000), None, CALLEE),
            ((486, 1000), None, CALLER),
            ((200, 700), Some(700), CALLER),
            ((486, 700), Some(650), CALLER),
            ((0, 0), Some(1500), CALLER),
            ((200, 0), Some(0), CALLER),
        ] {
            let script = Script {
                answer,
                cancel,
                hangs_up,
                ..STORM
            };
            let net = call(script, seed);
            check(&net, script, seed);
            answered += net.count(CALLEE, "ack");
        }
    }
    assert!(answered > 300, "the storm is no dead link: {answered}");
}

#[test]
fn test_a_heavier_storm_still_leaves_nothing() {
    for seed in 0..150 {
        for cancel in [None, Some(900)] {
            let script = Script {
                loss: 50,
                duplicate: 50,
                jitter: 1500,
                cancel,
                ..CALM
            };
            check(&call(script, seed), script, seed);
        }
    }
}
