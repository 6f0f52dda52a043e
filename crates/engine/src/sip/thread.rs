//! What runs on the SIP thread: the sans-IO endpoint with its sockets around it, as tasks of one single-threaded runtime.
//!
//! Each socket has a task that waits for it; all of them work on one [`Core`], which they never hold while they wait. Whatever happened,
//! [`Core::settle`] then sends what the endpoint wants sent and hands its events up. A panic in any task ends the process.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use socket2::Socket;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use trunkline_sip::endpoint::{Command, Counters, Endpoint, Event, ListenerId, Transmit};
use trunkline_sip::flow::{ConnectionId, Flow, Transport};
use trunkline_sip::time::Time;

use super::flood::Guard;
use super::queue::lock;
use super::route::Routes;
use super::stream::{Connections, Refused, accept, connect};
use super::udp::{Inbox, UdpListener};
use super::{Options, Order, Queues};
use crate::abort::AbortOnPanic;
use crate::media::stop_leg;

/// Datagrams of one listener before the others get their turn.
const DATAGRAMS: usize = 64;
/// Commands before the sockets get their turn.
const COMMANDS: usize = 256;
/// Bytes of one read of a stream.
const STREAM_BUFFER: usize = 16 << 10;
/// So many times `event_queue` events may wait before no connection is accepted any more.
const FAR_BEHIND: usize = 2;
/// The clock is never asked to sleep longer than this, so that no sum overflows.
const LONGEST_SLEEP: Duration = Duration::from_secs(86_400);

/// The state that the tasks share.
pub(super) type Shared = Rc<RefCell<Core>>;

/// The system's monotonic clock: the one that Python's `time.monotonic` and the event loop read.
fn monotonic() -> Time {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Time::from_micros(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000))
}

/// Sleep until then; for ever without a time.
pub(super) async fn sleep_until(time: Option<Time>) {
    match time {
        Some(time) => tokio::time::sleep(time.since(monotonic()).min(LONGEST_SLEEP)).await,
        None => std::future::pending().await,
    }
}

/// One listener and the task that serves it.
struct Listener {
    id: ListenerId,
    transport: Transport,
    local: SocketAddr,
    udp: Option<Rc<UdpListener>>,
    task: JoinHandle<()>,
}

/// The endpoint with everything around it.
pub(super) struct Core {
    pub(super) endpoint: Endpoint,
    pub(super) connections: Connections,
    pub(super) guard: Guard,
    pub(super) stream_buffer: Vec<u8>,
    inbox: Inbox,
    listeners: Vec<Listener>,
    routes: Routes,
    queues: Arc<Queues>,
    batch: VecDeque<Event>,
    far_behind: usize,
    armed: Option<Time>,
    rearm: Rc<Notify>,
    this: Weak<RefCell<Core>>,
}

/// The thread's whole life.
pub(super) fn run(options: Options, seed: [u8; 32], queues: &Arc<Queues>, started: &SyncSender<io::Result<()>>) {
    let _guard = AbortOnPanic::named("the SIP thread");
    block_signals();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            queues.orders.close();
            // Whoever started the thread waits for this; if not, nobody wants to know.
            let _ = started.send(Err(error));
            return;
        }
    };
    let tasks = LocalSet::new();
    let core = Core::new(options, seed, queues.clone());
    let _ = started.send(Ok(()));
    tasks.block_on(&runtime, serve(core.clone(), queues));
    *lock(&queues.last) = core.borrow().counters();
    queues.orders.close();
    // Ends every task and closes every socket; then the core goes, and with it the last of them.
    drop(tasks);
    drop(core);
}

/// Leave signals to the thread that runs Python's handlers.
fn block_signals() {
    let mut signals = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set before pthread_sigmask reads it; a null third argument asks for no old mask.
    unsafe {
        libc::sigfillset(signals.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_BLOCK, signals.as_ptr(), std::ptr::null_mut());
    }
}

/// Do what the orders say and what the timers ask for, until the order to close.
async fn serve(core: Shared, queues: &Queues) {
    let rearm = core.borrow().rearm.clone();
    let mut orders = Vec::new();
    loop {
        let armed = core.borrow().armed;
        tokio::select! {
            () = queues.orders.filled() => {
                queues.orders.take(&mut orders);
                if obey(&core, &mut orders).await.is_break() {
                    return;
                }
            }
            () = sleep_until(armed), if armed.is_some() => core.borrow_mut().timeout(),
            () = rearm.notified() => {}
        }
    }
}

/// Do a batch of orders, letting the sockets have their turn now and then.
async fn obey(core: &Shared, orders: &mut Vec<Order>) -> std::ops::ControlFlow<()> {
    for (number, order) in orders.drain(..).enumerate() {
        if number % COMMANDS == COMMANDS - 1 {
            core.borrow_mut().settle_now();
            yield_now().await;
        }
        match order {
            Order::Command(command) => core.borrow_mut().command(command),
            Order::Listen {
                transport,
                socket,
                local,
                reply,
            } => {
                let id = core.borrow_mut().listen(transport, socket, local);
                let _ = reply.send(id);
            }
            Order::CloseListener { listener, reply } => {
                let task = core.borrow_mut().close_listener(listener);
                if let Some(task) = task {
                    task.abort();
                    // The socket is closed when its task has let go of it.
                    let _ = task.await;
                }
                let _ = reply.send(());
            }
            Order::SetExempt(networks) => core.borrow_mut().guard.set_exempt(networks),
            Order::Counters(reply) => {
                let _ = reply.send(core.borrow().counters());
            }
            Order::Close => {
                core.borrow_mut().settle_now();
                return std::ops::ControlFlow::Break(());
            }
        }
    }
    core.borrow_mut().settle_now();
    std::ops::ControlFlow::Continue(())
}

/// Read one UDP listener until the task is ended.
async fn receive(core: Shared, listener: Rc<UdpListener>) {
    let _guard = AbortOnPanic::named("the SIP thread");
    loop {
        if listener.readable().await.is_err() {
            // The runtime is being shut down.
            return;
        }
        if core.borrow_mut().datagrams(&listener) {
            yield_now().await;
        }
    }
}

impl Core {
    fn new(options: Options, seed: [u8; 32], queues: Arc<Queues>) -> Shared {
        Rc::new_cyclic(|this| {
            RefCell::new(Core {
                far_behind: options.config.event_queue.saturating_mul(FAR_BEHIND),
                endpoint: Endpoint::new(options.config, seed),
                connections: Connections::new(options.max_connections, options.valid_within),
                guard: Guard::new(options.flood_rate, options.flood_burst, options.flood_exempt),
                stream_buffer: vec![0; STREAM_BUFFER],
                inbox: Inbox::new(),
                listeners: Vec::new(),
                routes: Routes::default(),
                queues,
                batch: VecDeque::new(),
                armed: None,
                rearm: Rc::default(),
                this: this.clone(),
            })
        })
    }

    pub(super) fn now(&self) -> Time {
        monotonic()
    }

    fn counters(&self) -> Counters {
        let connections = u64::try_from(self.connections.len()).unwrap_or(u64::MAX);
        Counters {
            connections,
            ..self.endpoint.counters()
        }
    }

    /// Whether so many events wait that nothing may be begun that makes more of them.
    pub(super) fn is_far_behind(&self) -> bool {
        self.queues.events.len() >= self.far_behind
    }

    /// Tell the endpoint how far Python is behind.
    pub(super) fn note_backlog(&mut self) {
        self.endpoint.set_backlog(self.queues.events.len());
    }

    /// Ask the flood guard, and count what it refuses.
    pub(super) fn admit(&mut self, now: Time, source: IpAddr) -> bool {
        let admitted = self.guard.admit(now, source);
        if !admitted {
            self.endpoint.count_flood(now, 1);
        }
        admitted
    }

    // --- listeners ---

    fn listen(&mut self, transport: Transport, socket: Socket, local: SocketAddr) -> io::Result<ListenerId> {
        let Some(core) = self.this.upgrade() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let (udp, task) = match transport {
            Transport::Udp => {
                let listener = Rc::new(UdpListener::new(socket, local)?);
                (Some(listener.clone()), spawn_local(receive(core, listener)))
            }
            Transport::Tcp => (None, spawn_local(accept(core, Rc::new(TcpListener::from_std(socket.into())?)))),
        };
        let id = self.endpoint.add_listener(transport, local);
        self.listeners.push(Listener {
            id,
            transport,
            local,
            udp,
            task,
        });
        Ok(id)
    }

    fn close_listener(&mut self, id: ListenerId) -> Option<JoinHandle<()>> {
        let at = self.listeners.iter().position(|listener| listener.id == id)?;
        self.endpoint.remove_listener(id);
        Some(self.listeners.remove(at).task)
    }

    /// The UDP listener that a datagram from `local` leaves by.
    fn udp_listener(&self, local: Option<SocketAddr>, remote: SocketAddr) -> Option<Rc<UdpListener>> {
        let listeners = || {
            self.listeners
                .iter()
                .filter(|listener| listener.local.is_ipv4() == remote.is_ipv4())
        };
        let exact = listeners().find(|listener| listener.udp.is_some() && Some(listener.local) == local);
        let wildcard = || {
            listeners().find(|listener| {
                let port = local.is_none_or(|local| local.port() == listener.local.port());
                listener.udp.is_some() && port && listener.local.ip().is_unspecified()
            })
        };
        exact.or_else(wildcard)?.udp.clone()
    }

    // --- what comes in ---

    /// Take what has arrived, so much in one turn; whether there may be more.
    fn datagrams(&mut self, listener: &UdpListener) -> bool {
        let now = self.now();
        self.note_backlog();
        let mut inbox = std::mem::replace(&mut self.inbox, Inbox::empty());
        let mut more = true;
        for _ in 0..DATAGRAMS {
            match listener.receive(&mut inbox) {
                Ok(Some(datagram)) => {
                    if self.admit(now, datagram.remote.ip()) {
                        let flow = Flow {
                            transport: Transport::Udp,
                            remote: datagram.remote,
                            local: Some(datagram.local),
                            connection: 0,
                        };
                        self.endpoint.receive(now, flow, datagram.data);
                    }
                }
                Ok(None) => {
                    more = false;
                    break;
                }
                // An error that some earlier datagram met on its way; the socket itself is sound.
                Err(_) => {}
            }
        }
        self.inbox = inbox;
        self.settle(now);
        more
    }

    /// Hand in bytes of a stream, and note whether there was a valid message among them.
    pub(super) fn take_stream(&mut self, now: Time, flow: Flow, data: &[u8]) {
        let before = self.endpoint.counters();
        self.endpoint.receive(now, flow, data);
        let after = self.endpoint.counters();
        if after.received - before.received > after.malformed - before.malformed {
            self.connections.validate(flow.connection);
        }
    }

    fn timeout(&mut self) {
        let now = self.now();
        self.armed = None;
        self.note_backlog();
        self.endpoint.handle_timeout(now);
        self.settle(now);
    }

    fn command(&mut self, mut command: Command) {
        let now = self.now();
        let located = match &mut command {
            Command::SendRequest { flow, .. } | Command::SendAck { flow, .. } | Command::KeepAlive { flow, .. } => self.locate(now, flow),
            _ => Ok(()),
        };
        if let Err(error) = located {
            // Without a way to the peer the others have no effect.
            if let Command::SendRequest { tx, .. } = command {
                let reason = error.to_string();
                self.batch.push_back(Event::TransportFailed { tx, reason });
            }
            return;
        }
        self.endpoint.command(now, command);
    }

    /// Fill in the concrete local address of a flow that names none, or names a wildcard.
    fn locate(&mut self, now: Time, flow: &mut Flow) -> io::Result<()> {
        if flow.local.is_some_and(|local| !local.ip().is_unspecified()) {
            return Ok(());
        }
        if let Some(connection) = self.connections.get(flow.connection) {
            flow.local = connection.flow.local;
            return Ok(());
        }
        let port = flow.local.map(|local| local.port());
        let fits = |listener: &&Listener| listener.transport == flow.transport && port.is_none_or(|port| port == listener.local.port());
        let bound: Vec<SocketAddr> = self.listeners.iter().filter(fits).map(|listener| listener.local).collect();
        flow.local = self.routes.choose(now, flow.remote, &bound)?;
        Ok(())
    }

    // --- what goes out ---

    pub(super) fn settle_now(&mut self) {
        let now = self.now();
        self.settle(now);
    }

    /// Send what the endpoint wants sent, close what it wants closed, hand its events up, and set the alarm.
    pub(super) fn settle(&mut self, now: Time) {
        loop {
            let mut idle = true;
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.transmit(now, transmit);
                idle = false;
            }
            for connection in self.endpoint.take_closed_connections() {
                self.drop_connection(now, connection, "closed by us");
                idle = false;
            }
            if idle {
                break;
            }
        }
        self.endpoint.take_stopped_legs().into_iter().for_each(stop_leg);
        while let Some(event) = self.endpoint.poll_event() {
            self.batch.push_back(event);
        }
        self.queues.events.push(&mut self.batch);
        self.set_alarm();
    }

    /// Wake the timer when the endpoint wants to be called earlier than it is set for.
    fn set_alarm(&mut self) {
        if let Some(next) = self.endpoint.next_timeout()
            && self.armed.is_none_or(|armed| next < armed)
        {
            self.armed = Some(next);
            self.rearm.notify_one();
        }
    }

    fn transmit(&mut self, now: Time, Transmit { flow, data }: Transmit) {
        let refused = match flow.transport {
            Transport::Udp => self.send_datagram(flow, data),
            Transport::Tcp => self.send_stream(now, flow, data),
        };
        if let Err(Refused(reason)) = refused {
            self.endpoint.send_failed(now, flow, reason);
        }
    }

    fn send_datagram(&self, flow: Flow, data: bytes::Bytes) -> Result<(), Refused> {
        let listener = self
            .udp_listener(flow.local, flow.remote)
            .ok_or_else(|| Refused("no listener".into()))?;
        listener
            .send(flow.remote, flow.local, data)
            .map_err(|error| Refused(error.to_string()))
    }

    /// Send over the connection that the flow names or, when it names none, over one to its remote address or a new one.
    fn send_stream(&mut self, now: Time, flow: Flow, data: bytes::Bytes) -> Result<(), Refused> {
        let id = match flow.connection {
            0 => match self.connections.to(flow.remote) {
                Some(id) => id,
                None => self.open_connection(now, flow)?,
            },
            id => id,
        };
        if flow.connection == 0 {
            self.connections.carry(id, flow);
        }
        match self.connections.send(now, id, data) {
            Some(Ok(())) => Ok(()),
            Some(Err(Refused(reason))) => {
                self.drop_connection(now, id, &reason);
                Err(Refused(reason))
            }
            None => Err(Refused("the connection is closed".into())),
        }
    }

    fn open_connection(&mut self, now: Time, flow: Flow) -> Result<ConnectionId, Refused> {
        let core = self
            .this
            .upgrade()
            .filter(|_| self.connections.opens())
            .ok_or_else(|| Refused("too many connections".into()))?;
        let (flow, wake) = self.connections.enter(now, flow, false, None);
        spawn_local(connect(core, flow, wake));
        Ok(flow.connection)
    }

    // --- connections that go ---

    /// Forget a connection and tell what became of it.
    pub(super) fn close_connection(&mut self, id: ConnectionId, reason: &str) {
        let now = self.now();
        self.drop_connection(now, id, reason);
        self.settle(now);
    }

    fn drop_connection(&mut self, now: Time, id: ConnectionId, reason: &str) {
        let Some((flow, established, carried)) = self.connections.remove(id) else {
            return;
        };
        if established {
            self.endpoint.flow_closed(now, flow, reason.to_owned());
        }
        // Requests that waited for it; those that went over it the endpoint knows.
        for asked in carried {
            self.endpoint.send_failed(now, asked, reason.to_owned());
        }
    }
}
