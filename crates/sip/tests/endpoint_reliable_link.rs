//! Reliable provisionals between two endpoints over a link that loses, doubles and reorders, in virtual time: whatever happens on the way,
//! each is heard once and in order, the 2xx comes last, and nothing is left (RFC 3262).
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use trunkline_sip::endpoint::{Command, Config, Endpoint, Event, ServerTransaction};
use trunkline_sip::flow::{Flow, Transport};
use trunkline_sip::message::Message;
use trunkline_sip::time::Time;

const CALLER: usize = 0;
const CALLEE: usize = 1;

fn address(node: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(node).unwrap() + 1], 5060))
}

fn flow(from: usize) -> Flow {
    Flow {
        transport: Transport::Udp,
        remote: address(1 - from),
        local: Some(address(from)),
        connection: 0,
    }
}

fn fields(list: &[(&str, String)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

struct Call {
    now: Time,
    nodes: [Endpoint; 2],
    /// Datagrams under way, by when they arrive.
    air: BTreeMap<(Time, u64), (usize, Bytes)>,
    serial: u64,
    random: u64,
    /// Percent lost and doubled, and the spread of the delay in milliseconds.
    link: (u64, u64, u64),
    next_tx: u64,
    /// What the caller heard: status and RSeq.
    heard: Vec<(u16, Option<u32>)>,
    /// What the callee was told.
    told: Vec<&'static str>,
}

impl Call {
    fn new(link: (u64, u64, u64), seed: u64) -> Self {
        let nodes = [CALLER, CALLEE].map(|node| {
            let mut endpoint = Endpoint::new(Config::default(), [u8::try_from(node).unwrap(); 32]);
            endpoint.add_listener(Transport::Udp, address(node));
            endpoint
        });
        Call {
            now: Time::ZERO,
            nodes,
            air: BTreeMap::new(),
            serial: 0,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            link,
            next_tx: 1,
            heard: Vec::new(),
            told: Vec::new(),
        }
    }

    /// xorshift64.
    fn roll(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn request(&mut self, method: &str, cseq: u32, to_tag: Option<&str>, more: &[(&str, String)]) {
        let to = to_tag.map_or_else(String::new, |tag| format!(";tag={tag}"));
        let mut headers = fields(&[
            ("From", "<sip:a@example.com>;tag=a".to_owned()),
            ("To", format!("<sip:b@example.com>{to}")),
            ("Call-ID", "call".to_owned()),
            ("CSeq", format!("{cseq} {method}")),
            ("Contact", "<sip:a@192.0.2.1>".to_owned()),
        ]);
        headers.extend(fields(more));
        let (tx, uri) = (self.next_tx, "sip:b@192.0.2.2".to_owned());
        self.next_tx += 1;
        let (method, body) = (method.to_owned(), Bytes::new());
        let command = Command::SendRequest {
            tx,
            method,
            uri,
            headers,
            body,
            flow: flow(CALLER),
            timeout: None,
            large_over_tcp: true,
        };
        self.nodes[CALLER].command(self.now, command);
    }

    fn respond(&mut self, tx: &ServerTransaction, status: u16, body: &'static [u8]) {
        assert!(status < 200 || tx.claim());
        let command = Command::Respond {
            tx: tx.clone(),
            status,
            reason: None,
            headers: fields(&[("Contact", "<sip:b@192.0.2.2>".to_owned())]),
            body: Bytes::from_static(body),
            to_tag: None,
            reliable: status < 200,
        };
        self.nodes[CALLEE].command(self.now, command);
    }

    /// The callee, as Python: three reliable provisionals and the 2xx all at once.
    fn answer(&mut self, event: &Event) {
        match event {
            Event::RequestReceived { tx, .. } => {
                self.told.push("INVITE");
                self.respond(tx, 183, b"v=0");
                self.respond(tx, 180, b"");
                self.respond(tx, 183, b"v=1");
                self.respond(tx, 200, b"");
            }
            Event::PrackReceived { tx, .. } => {
                self.told.push("PRACK");
                self.respond(tx, 200, b"");
            }
            Event::AckReceived { .. } => self.told.push("ACK"),
            other => panic!("{other:?}"),
        }
    }

    /// The caller, as Python: PRACK what is reliable, ACK the 2xx.
    fn hear(&mut self, message: &Message) {
        if message.method() != "INVITE" {
            assert_eq!((message.method(), message.status()), ("PRACK", 200));
            return;
        }
        if message.status() == 100 {
            return;
        }
        self.heard.push((message.status(), message.rseq()));
        let tag = message.to_tag().to_owned();
        if let Some(rseq) = message.rseq() {
            let cseq = u32::try_from(self.heard.len()).unwrap() + 1;
            self.request("PRACK", cseq, Some(&tag), &[("RAck", format!("{rseq} 1 INVITE"))]);
        } else {
            let headers = fields(&[
                ("From", "<sip:a@example.com>;tag=a".to_owned()),
                ("To", format!("<sip:b@example.com>;tag={tag}")),
                ("Call-ID", "call".to_owned()),
                ("CSeq", "1 ACK".to_owned()),
            ]);
            let uri = "sip:b@192.0.2.2".to_owned();
            let (to_tag, body) = (tag, Bytes::new());
            let command = Command::SendAck {
                tx: 1,
                to_tag,
                uri,
                headers,
                body,
                flow: flow(CALLER),
            };
            self.nodes[CALLER].command(self.now, command);
        }
    }

    fn carry(&mut self) {
        for node in [CALLER, CALLEE] {
            while let Some(transmit) = self.nodes[node].poll_transmit() {
                let (loss, duplicate, jitter) = self.link;
                let copies = 1 - u64::from(self.roll(100) < loss) + u64::from(self.roll(100) < duplicate);
                for _ in 0..copies {
                    let at = self.now + Duration::from_millis(10 + self.roll(jitter));
                    self.serial += 1;
                    self.air.insert((at, self.serial), (1 - node, transmit.data.clone()));
                }
            }
        }
    }

    /// Until nothing is under way any more.
    fn run(&mut self) {
        self.request("INVITE", 1, None, &[("Supported", "100rel".to_owned())]);
        loop {
            let mut idle = true;
            while let Some(event) = self.nodes[CALLEE].poll_event() {
                self.answer(&event);
                idle = false;
            }
            while let Some(event) = self.nodes[CALLER].poll_event() {
                match &event {
                    Event::ResponseReceived { message, .. } => self.hear(message),
                    other => panic!("{other:?}"),
                }
                idle = false;
            }
            self.carry();
            if !idle {
                continue;
            }
            let alarms = self.nodes.iter().filter_map(Endpoint::next_timeout).min();
            let arrival = self.air.keys().next().map(|(at, _)| *at);
            let Some(next) = alarms.into_iter().chain(arrival).min() else {
                return;
            };
            self.now = self.now.max(next);
            for node in &mut self.nodes {
                node.handle_timeout(self.now);
            }
            while let Some((node, data)) = self
                .air
                .first_entry()
                .filter(|entry| entry.key().0 <= self.now)
                .map(|entry| entry.remove())
            {
                self.nodes[node].receive(self.now, flow(node), &data);
            }
        }
    }

    fn check(&self, seed: u64) {
        let statuses: Vec<_> = self.heard.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [183, 180, 183, 200], "seed {seed}");
        let numbers: Vec<_> = self.heard.iter().filter_map(|(_, rseq)| *rseq).collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "seed {seed}: {numbers:?}");
        let count = |name| self.told.iter().filter(|told| **told == name).count();
        assert_eq!(
            (count("INVITE"), count("PRACK"), count("ACK")),
            (1, 3, 1),
            "seed {seed}: {:?}",
            self.told
        );
        for node in &self.nodes {
            let counters = node.counters();
            assert_eq!(
                (counters.client_transactions, counters.server_transactions, counters.dialogs),
                (0, 0, 0),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn test_over_a_calm_link_each_is_heard_in_order_and_none_is_repeated() {
    let mut call = Call::new((0, 0, 1), 1);
    call.run();
    call.check(1);
    assert!(call.nodes.iter().all(|node| node.counters().retransmitted == 0));
}

#[test]
fn test_over_a_link_that_loses_doubles_and_reorders_each_is_heard_once_and_in_order() {
    for seed in 1..300 {
        let mut call = Call::new((20, 20, 300), seed);
        call.run();
        call.check(seed);
    }
}
