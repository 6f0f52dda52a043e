//! The stream connections: a bounded table with a bounded write queue each, and the tasks that accept, connect and serve them.
//!
//! A connection whose peer does not read is closed when its queue is full, or when nothing has moved for a while; no other one waits for it.
//! An accepted connection that has not sent one valid message within `valid_within` is closed. RFC 3261 §18.

use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{Interest, Ready};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use trunkline_sip::flow::{ConnectionId, Flow};
use trunkline_sip::time::Time;

use super::bind::tune_stream;
use super::thread::{Shared, sleep_until};
use crate::abort::AbortOnPanic;

/// Bytes that may wait for one peer.
const WRITE_QUEUE: usize = 512 << 10;
/// How long nothing may move while bytes wait.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// How long a connection may take to be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a flooding peer is not read.
const FLOOD_PAUSE: Duration = Duration::from_millis(50);
/// How long accepting rests when the system has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Reads of one connection before the others get their turn.
const READS: usize = 4;
/// Messages written with one system call.
const SLICES: usize = 16;
/// Flows without connection number that one connection remembers to be waited for by.
const CARRIED: usize = 16;

/// One connection, being established or open.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) flow: Flow,
    accepted: bool,
    stream: Option<Rc<TcpStream>>,
    queue: VecDeque<Bytes>,
    queued: usize,
    moved: Time,
    /// When it is closed unless something valid came before.
    valid_by: Option<Time>,
    wake: Rc<Notify>,
    /// The flows, without connection number, of what waits for this connection to be established.
    carried: Vec<Flow>,
}

/// Why bytes were not taken.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

/// What a connection waits for: readiness, until a time, with the reason to close it then.
struct Wait {
    interest: Interest,
    until: Option<(Time, &'static str)>,
}

impl Connection {
    fn new(now: Time, flow: Flow, valid_by: Option<Time>, stream: Option<Rc<TcpStream>>) -> Self {
        let (queue, carried) = (VecDeque::new(), Vec::new());
        Connection {
            flow,
            accepted: valid_by.is_some(),
            stream,
            queue,
            queued: 0,
            moved: now,
            valid_by,
            wake: Rc::default(),
            carried,
        }
    }

    /// Take bytes to send: at once what the kernel takes, the rest waits.
    fn send(&mut self, now: Time, data: Bytes) -> Result<(), Refused> {
        if self.queued + data.len() > WRITE_QUEUE {
            return Err(Refused("the peer does not read".into()));
        }
        if self.queue.is_empty() {
            self.moved = now;
        }
        self.queued += data.len();
        self.queue.push_back(data);
        self.write(now)?;
        if !self.queue.is_empty() {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Write what waits as far as the kernel takes it.
    fn write(&mut self, now: Time) -> Result<(), Refused> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        while !self.queue.is_empty() {
            let slices: Vec<IoSlice<'_>> = self.queue.iter().take(SLICES).map(|data| IoSlice::new(data)).collect();
            let mut written = match stream.try_write_vectored(&slices) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(Refused(error.to_string())),
            };
            self.moved = now;
            self.queued -= written;
            while let Some(first) = self.queue.front_mut() {
                let part = written.min(first.len());
                first.advance(part);
                written -= part;
                if first.has_remaining() {
                    break;
                }
                self.queue.pop_front();
            }
        }
        Ok(())
    }

    fn wait(&self) -> Wait {
        if !self.queue.is_empty() {
            let until = Some((self.moved + STALLED_AFTER, "the peer does not read"));
            return Wait {
                interest: Interest::READABLE | Interest::WRITABLE,
                until,
            };
        }
        Wait {
            interest: Interest::READABLE,
            until: self.valid_by.map(|time| (time, "nothing valid was sent")),
        }
    }
}

/// All connections.
#[derive(Debug)]
pub(super) struct Connections {
    open: HashMap<ConnectionId, Connection>,
    by_remote: HashMap<SocketAddr, ConnectionId>,
    last: ConnectionId,
    accepted: usize,
    bound: usize,
    valid_within: Duration,
}

impl Connections {
    /// An empty table for `bound` accepted connections and as many of ours.
    pub(super) fn new(bound: usize, valid_within: Duration) -> Self {
        Connections {
            open: HashMap::new(),
            by_remote: HashMap::new(),
            last: 0,
            accepted: 0,
            bound,
            valid_within,
        }
    }

    /// How many are open or being established.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether one more may be accepted.
    pub(super) fn accepts(&self) -> bool {
        self.accepted < self.bound
    }

    /// Whether one more may be opened by us.
    pub(super) fn opens(&self) -> bool {
        self.open.len() - self.accepted < self.bound
    }

    /// The connection to use for `remote`.
    pub(super) fn to(&self, remote: SocketAddr) -> Option<ConnectionId> {
        self.by_remote.get(&remote).copied()
    }

    /// The connection of that number.
    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.open.get(&id)
    }

    /// Enter a connection and number it; `stream` is None while it is being established.
    pub(super) fn enter(&mut self, now: Time, flow: Flow, accepted: bool, stream: Option<Rc<TcpStream>>) -> (Flow, Rc<Notify>) {
        self.last += 1;
        let flow = Flow {
            connection: self.last,
            ..flow
        };
        let connection = Connection::new(now, flow, accepted.then(|| now + self.valid_within), stream);
        let wake = connection.wake.clone();
        self.accepted += usize::from(accepted);
        self.open.insert(self.last, connection);
        self.by_remote.insert(flow.remote, self.last);
        (flow, wake)
    }

    /// Note that a connection of ours is established, and send what waited for that.
    fn establish(&mut self, now: Time, id: ConnectionId, stream: Rc<TcpStream>) -> Option<(Flow, Result<(), Refused>)> {
        let connection = self.open.get_mut(&id)?;
        connection.stream = Some(stream);
        connection.moved = now;
        connection.carried.clear();
        Some((connection.flow, connection.write(now)))
    }

    /// Send over a connection; None when there is none of that number.
    pub(super) fn send(&mut self, now: Time, id: ConnectionId, data: Bytes) -> Option<Result<(), Refused>> {
        Some(self.open.get_mut(&id)?.send(now, data))
    }

    /// Note that `asked`, a flow that names no connection, waits for this one.
    pub(super) fn carry(&mut self, id: ConnectionId, asked: Flow) {
        if let Some(connection) = self.open.get_mut(&id)
            && connection.stream.is_none()
            && !connection.carried.contains(&asked)
            && connection.carried.len() < CARRIED
        {
            connection.carried.push(asked);
        }
    }

    /// Note that a valid message came over this connection.
    pub(super) fn validate(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.valid_by = None;
        }
    }

    /// Forget a connection; its task ends when it next runs. Returns its flow, whether it was established, and the flows it carried.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<(Flow, bool, Vec<Flow>)> {
        let connection = self.open.remove(&id)?;
        self.accepted -= usize::from(connection.accepted);
        if self.by_remote.get(&connection.flow.remote) == Some(&id) {
            self.by_remote.remove(&connection.flow.remote);
        }
        connection.wake.notify_one();
        Some((connection.flow, connection.stream.is_some(), connection.carried))
    }
}

/// Accept connections until the task is ended.
pub(super) async fn accept(core: Shared, listener: Rc<TcpListener>) {
    let _guard = AbortOnPanic::named("the SIP thread");
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let accepted = core.borrow_mut().accept(stream, remote);
                if let Some((id, stream, wake)) = accepted {
                    tokio::task::spawn_local(serve(core.clone(), id, stream, wake));
                }
            }
            // Out of descriptors, most likely; a connection that went away by itself costs no more than the pause.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Establish the connection that was entered as `flow`, then serve it.
pub(super) async fn connect(core: Shared, flow: Flow, wake: Rc<Notify>) {
    let _guard = AbortOnPanic::named("the SIP thread");
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, establish(flow)).await;
    let stream = match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Rc::new(stream),
        Err(error) => return core.borrow_mut().close_connection(flow.connection, &error.to_string()),
    };
    core.borrow_mut().established(flow.connection, stream.clone());
    serve(core, flow.connection, stream, wake).await;
}

async fn establish(flow: Flow) -> io::Result<TcpStream> {
    let socket = Socket::new(
        Domain::for_address(flow.remote),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if let Some(local) = flow.local.filter(|local| !local.ip().is_unspecified()) {
        socket.bind(&SocketAddr::new(local.ip(), 0).into())?;
    }
    let stream = TcpSocket::from_std_stream(socket.into()).connect(flow.remote).await?;
    tune_stream(&stream);
    Ok(stream)
}

/// Read and write one connection until it is gone.
async fn serve(core: Shared, id: ConnectionId, stream: Rc<TcpStream>, wake: Rc<Notify>) {
    let _guard = AbortOnPanic::named("the SIP thread");
    let mut read_after: Option<Time> = None;
    loop {
        let Some(wait) = core.borrow().connections.get(id).map(Connection::wait) else {
            return;
        };
        let interest = match read_after {
            // Errors alone: a flooding peer is not read for a while.
            Some(_) if !wait.interest.is_writable() => None,
            Some(_) => Some(Interest::WRITABLE),
            None => Some(wait.interest),
        };
        let ready = tokio::select! {
            ready = ready(&stream, interest) => ready,
            () = wake.notified() => Ok(Ready::EMPTY),
            () = sleep_until(read_after), if read_after.is_some() => {
                read_after = None;
                Ok(Ready::EMPTY)
            }
            () = sleep_until(wait.until.map(|(time, _)| time)), if wait.until.is_some() => {
                let reason = wait.until.map_or("", |(_, reason)| reason);
                return core.borrow_mut().close_connection(id, reason);
            }
        };
        let turn = ready
            .map_err(|error| Refused(error.to_string()))
            .and_then(|ready| core.borrow_mut().turn(id, &stream, ready));
        match turn {
            Ok(Turn::Go) => {}
            Ok(Turn::Pause) => read_after = Some(core.borrow().now() + FLOOD_PAUSE),
            Err(Refused(reason)) => return core.borrow_mut().close_connection(id, &reason),
        }
        tokio::task::yield_now().await;
    }
}

async fn ready(stream: &TcpStream, interest: Option<Interest>) -> io::Result<Ready> {
    match interest {
        Some(interest) => stream.ready(interest).await,
        None => std::future::pending().await,
    }
}

/// How a connection goes on.
enum Turn {
    Go,
    Pause,
}

impl super::thread::Core {
    /// Enter an accepted connection, or drop it: too many, its source floods, or Python is far behind.
    fn accept(&mut self, stream: TcpStream, remote: SocketAddr) -> Option<(ConnectionId, Rc<TcpStream>, Rc<Notify>)> {
        let now = self.now();
        if !self.admit(now, remote.ip()) || !self.connections.accepts() || self.is_far_behind() {
            return None;
        }
        let local = stream.local_addr().ok()?;
        tune_stream(&stream);
        let stream = Rc::new(stream);
        let flow = Flow {
            transport: trunkline_sip::flow::Transport::Tcp,
            remote,
            local: Some(local),
            connection: 0,
        };
        let (flow, wake) = self.connections.enter(now, flow, true, Some(stream.clone()));
        self.endpoint.flow_opened(now, flow);
        self.settle(now);
        Some((flow.connection, stream, wake))
    }

    /// A connection of ours is there: tell it, and send what waited for it.
    fn established(&mut self, id: ConnectionId, stream: Rc<TcpStream>) {
        let now = self.now();
        if let Some((flow, written)) = self.connections.establish(now, id, stream) {
            self.endpoint.flow_opened(now, flow);
            self.settle(now);
            if let Err(Refused(reason)) = written {
                self.close_connection(id, &reason);
            }
        }
    }

    /// Write what waits and read what has come.
    fn turn(&mut self, id: ConnectionId, stream: &TcpStream, ready: Ready) -> Result<Turn, Refused> {
        let now = self.now();
        let Some(connection) = self.connections.open.get_mut(&id) else {
            return Ok(Turn::Go);
        };
        let flow = connection.flow;
        if ready.is_writable() {
            connection.write(now)?;
        }
        if !ready.is_readable() && !ready.is_read_closed() {
            return Ok(Turn::Go);
        }
        self.note_backlog();
        let turn = self.read(now, flow, stream);
        self.settle(now);
        turn
    }

    fn read(&mut self, now: Time, flow: Flow, stream: &TcpStream) -> Result<Turn, Refused> {
        let mut buffer = std::mem::take(&mut self.stream_buffer);
        let mut turn = Ok(Turn::Go);
        for _ in 0..READS {
            if !self.guard.admit(now, flow.remote.ip()) {
                turn = Ok(Turn::Pause);
                break;
            }
            match stream.try_read(&mut buffer) {
                Ok(0) => {
                    turn = Err(Refused("closed by the peer".into()));
                    break;
                }
                Ok(length) => self.take_stream(now, flow, buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    turn = Err(Refused(error.to_string()));
                    break;
                }
            }
        }
        self.stream_buffer = buffer;
        turn
    }
}
