//! One endpoint on a bench: the test plays the peers with bytes of its own, and owns the clock.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test may fail
#![allow(dead_code)] // each test file uses its part

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use trunkline_sip::endpoint::{Command, Config, Counters, Endpoint, Event, ServerTransaction, Transmit};
use trunkline_sip::flow::{Flow, Transport};
use trunkline_sip::message::{Limits, Message};
use trunkline_sip::time::Time;

/// Where the endpoint under test listens.
pub const US: &str = "192.0.2.1:5060";
/// Where the peer sends from.
pub const PEER: &str = "198.51.100.7:5062";

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn udp(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        remote: address(remote),
        local: Some(address(US)),
        connection: 0,
    }
}

pub fn tcp(remote: &str, connection: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        remote: address(remote),
        local: Some(address(US)),
        connection,
    }
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The endpoint, its clock, and what it has put out so far.
pub struct Bench {
    pub endpoint: Endpoint,
    pub now: Time,
    next_tx: u64,
}

/// A message that the endpoint sent, with the way it took.
#[derive(Clone, Debug)]
pub struct Sent {
    pub flow: Flow,
    pub message: Message,
}

impl Sent {
    pub fn line(&self) -> String {
        if self.message.is_request() {
            self.message.method().to_owned()
        } else {
            self.message.status().to_string()
        }
    }

    pub fn header(&self, name: &str) -> String {
        self.message.header(name).map(|value| value.into_owned()).unwrap_or_default()
    }
}

pub fn parse(data: impl Into<Bytes>) -> Message {
    Message::parse(data.into(), &Limits::default()).unwrap()
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let mut endpoint = Endpoint::new(config, [7; 32]);
        endpoint.add_listener(Transport::Udp, address(US));
        endpoint.add_listener(Transport::Tcp, address(US));
        Bench {
            endpoint,
            now: Time::from_micros(1_000_000),
            next_tx: 1,
        }
    }

    pub fn receive(&mut self, text: &str) {
        self.receive_on(udp(PEER), text);
    }

    pub fn receive_on(&mut self, flow: Flow, text: &str) {
        self.endpoint.receive(self.now, flow, text.as_bytes());
    }

    pub fn command(&mut self, command: Command) {
        self.endpoint.command(self.now, command);
    }

    pub fn transmits(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.endpoint.poll_transmit()).collect()
    }

    pub fn sent(&mut self) -> Vec<Sent> {
        self.transmits()
            .into_iter()
            .map(|transmit| Sent {
                flow: transmit.flow,
                message: parse(transmit.data),
            })
            .collect()
    }

    /// The one message sent since last asked.
    pub fn sent_one(&mut self) -> Sent {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.into_iter().next().unwrap()
    }

    /// Methods and statuses sent since last asked.
    pub fn sent_lines(&mut self) -> Vec<String> {
        self.sent().iter().map(Sent::line).collect()
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    /// The names of the events since last asked, with what tells them apart.
    pub fn told(&mut self) -> Vec<String> {
        self.events().iter().map(name).collect()
    }

    /// The request that has come up.
    pub fn request(&mut self) -> ServerTransaction {
        let events = self.events();
        match events.as_slice() {
            [Event::RequestReceived { tx, .. }] => tx.clone(),
            _ => panic!("{events:?}"),
        }
    }

    /// Let time pass, with every timeout at its time; returns when each message went out, in milliseconds from the start.
    pub fn pass(&mut self, duration: Duration) -> Vec<(u128, String)> {
        let (start, end) = (self.now, self.now + duration);
        let mut log = Vec::new();
        while let Some(at) = self.endpoint.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            let elapsed = self.now.since(start).as_millis();
            log.extend(self.sent_lines().into_iter().map(|line| (elapsed, line)));
        }
        self.now = end;
        log
    }

    pub fn counters(&self) -> Counters {
        self.endpoint.counters()
    }

    /// Answer as Python does: claim first where the answer is final.
    pub fn respond(&mut self, tx: &ServerTransaction, status: u16, to_tag: Option<&str>) -> bool {
        self.respond_with(tx, status, to_tag, "", false)
    }

    /// The same with a body, or as a reliable provisional.
    pub fn respond_with(&mut self, tx: &ServerTransaction, status: u16, to_tag: Option<&str>, body: &'static str, reliable: bool) -> bool {
        if status >= 200 && !tx.claim() {
            return false;
        }
        self.command(Command::Respond {
            tx: tx.clone(),
            status,
            reason: None,
            headers: vec![("Contact".to_owned(), "<sip:us@192.0.2.1>".to_owned())],
            body: Bytes::from_static(body.as_bytes()),
            to_tag: to_tag.map(str::to_owned),
            reliable,
        });
        true
    }

    /// Send a request to the peer over UDP.
    pub fn send(&mut self, method: &str) -> u64 {
        self.send_over(method, udp(PEER), None)
    }

    pub fn send_over(&mut self, method: &str, flow: Flow, timeout: Option<Duration>) -> u64 {
        self.send_sized(method, flow, timeout, 0, true)
    }

    /// With a body of so many bytes, which may take it over TCP or not.
    pub fn send_sized(&mut self, method: &str, flow: Flow, timeout: Option<Duration>, size: usize, large_over_tcp: bool) -> u64 {
        let tx = self.next_tx;
        self.next_tx += 1;
        let headers = [
            ("From", "<sip:us@example.com>;tag=ours".to_owned()),
            ("To", "<sip:peer@example.com>".to_owned()),
            ("Call-ID", format!("call-{tx}")),
            ("CSeq", format!("1 {method}")),
            ("Contact", "<sip:us@192.0.2.1>".to_owned()),
        ];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let uri = "sip:peer@198.51.100.7".to_owned();
        self.command(Command::SendRequest {
            tx,
            method: method.to_owned(),
            uri,
            headers,
            body: Bytes::from(vec![b'x'; size]),
            flow,
            timeout,
            large_over_tcp,
        });
        tx
    }

    pub fn send_ack(&mut self, tx: u64, to_tag: &str) {
        let headers = [
            ("From", "<sip:us@example.com>;tag=ours".to_owned()),
            ("To", format!("<sip:peer@example.com>;tag={to_tag}")),
            ("Call-ID", format!("call-{tx}")),
            ("CSeq", "1 ACK".to_owned()),
        ];
        let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (uri, flow) = ("sip:peer@198.51.100.7".to_owned(), udp(PEER));
        self.command(Command::SendAck {
            tx,
            to_tag: to_tag.to_owned(),
            uri,
            headers,
            body: Bytes::new(),
            flow,
        });
    }

    pub fn add_dialog(&mut self, call_id: &str, local: &str, remote: &str, remote_cseq: u32, leg: u64) {
        let (call_id, local_tag, remote_tag) = (call_id.to_owned(), local.to_owned(), remote.to_owned());
        self.command(Command::AddDialog {
            call_id,
            local_tag,
            remote_tag,
            remote_cseq,
            leg,
        });
    }
}

/// An event's class, with its status or method where it has one.
pub fn name(event: &Event) -> String {
    match event {
        Event::RequestReceived { message, .. } => format!("RequestReceived {}", message.method()),
        Event::ResponseReceived { message, .. } => format!("ResponseReceived {}", message.status()),
        Event::AckReceived { .. } => "AckReceived".to_owned(),
        Event::Cancelled { .. } => "Cancelled".to_owned(),
        Event::AckTimedOut { .. } => "AckTimedOut".to_owned(),
        Event::ByeAnswered { .. } => "ByeAnswered".to_owned(),
        Event::PrackReceived { invite, .. } => format!("PrackReceived {invite}"),
        Event::ReliableTimedOut { tx, refused } => format!("ReliableTimedOut {tx} {refused}"),
        Event::TransactionTimedOut { tx } => format!("TransactionTimedOut {tx}"),
        Event::TransportFailed { tx, .. } => format!("TransportFailed {tx}"),
        Event::FlowOpened { .. } => "FlowOpened".to_owned(),
        Event::FlowClosed { .. } => "FlowClosed".to_owned(),
        Event::Shed {
            overload,
            flood,
            malformed,
        } => format!("Shed {overload} {flood} {malformed}"),
        Event::ChallengeIgnored { flow, count, .. } => format!("ChallengeIgnored {} {count}", flow.remote),
        Event::Traced { sent, .. } => format!("Traced {}", if *sent { "out" } else { "in" }),
    }
}

/// A request of the peer. Each field can be set; the rest is that of an ordinary one.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub uri: String,
    pub via: String,
    pub branch: String,
    pub from_tag: String,
    pub to_tag: String,
    pub call_id: String,
    pub cseq: u32,
    pub more: Vec<String>,
}

impl Request {
    pub fn new(method: &str) -> Self {
        Request {
            method: method.to_owned(),
            uri: "sip:us@192.0.2.1".to_owned(),
            via: "SIP/2.0/UDP 198.51.100.7:5062;rport".to_owned(),
            branch: "z9hG4bKpeer1".to_owned(),
            from_tag: "theirs".to_owned(),
            to_tag: String::new(),
            call_id: "their-call".to_owned(),
            cseq: 1,
            more: Vec::new(),
        }
    }

    pub fn branch(mut self, branch: &str) -> Self {
        self.branch = branch.to_owned();
        self
    }

    pub fn via(mut self, via: &str) -> Self {
        self.via = via.to_owned();
        self
    }

    pub fn tagged(mut self, tag: &str) -> Self {
        self.to_tag = tag.to_owned();
        self
    }

    pub fn call_id(mut self, call_id: &str) -> Self {
        self.call_id = call_id.to_owned();
        self
    }

    pub fn cseq(mut self, cseq: u32) -> Self {
        self.cseq = cseq;
        self
    }

    pub fn uri(mut self, uri: &str) -> Self {
        self.uri = uri.to_owned();
        self
    }

    pub fn more(mut self, line: &str) -> Self {
        self.more.push(line.to_owned());
        self
    }

    pub fn text(&self) -> String {
        let branch = if self.branch.is_empty() {
            String::new()
        } else {
            format!(";branch={}", self.branch)
        };
        let tag = if self.to_tag.is_empty() {
            String::new()
        } else {
            format!(";tag={}", self.to_tag)
        };
        let mut lines = vec![
            format!("{} {} SIP/2.0", self.method, self.uri),
            format!("Via: {}{branch}", self.via),
            "Max-Forwards: 70".to_owned(),
            format!("From: <sip:peer@example.com>;tag={}", self.from_tag),
            format!("To: <sip:us@example.com>{tag}"),
            format!("Call-ID: {}", self.call_id),
            format!("CSeq: {} {}", self.cseq, self.method),
            "Contact: <sip:peer@198.51.100.7:5062>".to_owned(),
        ];
        lines.extend(self.more.iter().cloned());
        lines.push("Content-Length: 0\r\n\r\n".to_owned());
        lines.join("\r\n")
    }
}

/// The peer's answer to a request of ours.
pub fn answer(request: &Message, status: u16, to_tag: &str) -> String {
    let header = |name: &str| request.header(name).unwrap().into_owned();
    let tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    let lines = [
        format!("SIP/2.0 {status} Whatever"),
        format!("Via: {}", header("Via")),
        format!("From: {}", header("From")),
        format!("To: {}{tag}", header("To")),
        format!("Call-ID: {}", header("Call-ID")),
        format!("CSeq: {}", header("CSeq")),
        "Contact: <sip:peer@198.51.100.7:5062>".to_owned(),
        "Content-Length: 0\r\n\r\n".to_owned(),
    ];
    lines.join("\r\n")
}
