//! The SIP thread: one thread that owns every SIP socket and the sans-IO endpoint, and the handle that other threads hold of it.
//!
//! [`Engine::start`] makes the thread. Commands go down and events come up through two queues (`queue`), each batch with one wake-up;
//! opening a socket (`bind`) happens on the caller's thread and is answered at once. On the thread (`thread`) live the listeners (`udp`),
//! the connections (`stream`), the flood guard (`flood`) and the choice of our own address (`route`).
//! The thread waits for nobody: not for Python, and not for a peer that does not read.

mod bind;
mod flood;
mod queue;
mod route;
mod stream;
mod thread;
mod udp;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::Socket;
use trunkline_sip::endpoint::{Command, Config, Counters, Event, ListenerId, Network};
use trunkline_sip::flow::Transport;

pub use bind::random_seed;
use queue::{CommandQueue, EventQueue, Refusal, lock};

/// Commands that wait for the SIP thread at most; whoever sends one more waits until it has taken them.
const COMMANDS: usize = 16_384;

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The endpoint's settings.
    pub config: Config,
    /// Packets a second that one source may send; zero or less lets everything pass.
    pub flood_rate: f64,
    /// Packets that one source may send at once.
    pub flood_burst: f64,
    /// Networks that are never limited.
    pub flood_exempt: Vec<Network>,
    /// Accepted connections at once, and as many that we opened. A further one is closed at once, or fails.
    pub max_connections: usize,
    /// How long an accepted connection may send nothing valid before it is closed.
    pub valid_within: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            config: Config::default(),
            flood_rate: 500.0,
            flood_burst: 2_000.0,
            flood_exempt: Vec::new(),
            max_connections: 4_096,
            valid_within: Duration::from_secs(30),
        }
    }
}

/// What the SIP thread is told.
enum Order {
    Command(Command),
    Listen {
        transport: Transport,
        socket: Socket,
        local: SocketAddr,
        reply: SyncSender<io::Result<ListenerId>>,
    },
    CloseListener {
        listener: ListenerId,
        reply: SyncSender<()>,
    },
    SetExempt(Vec<Network>),
    Counters(SyncSender<Counters>),
    Close,
}

impl fmt::Debug for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Order")
    }
}

/// The two queues, shared by the handle and the thread.
#[derive(Debug)]
struct Queues {
    events: EventQueue<Event>,
    orders: CommandQueue<Order>,
    /// The last counts, for whoever asks when the thread has ended.
    last: Mutex<Counters>,
}

/// The handle of the SIP thread. Dropping it closes every socket and waits for the thread.
#[derive(Debug)]
pub struct Engine {
    queues: Arc<Queues>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// An open listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its number.
    pub id: ListenerId,
    /// Its address, with the port that the system chose where 0 was asked.
    pub local: SocketAddr,
}

impl Engine {
    /// Start the thread. Fails when the system gives no thread, descriptor or random bytes.
    pub fn start(options: Options) -> io::Result<Self> {
        let seed = random_seed()?;
        let queues = Arc::new(Queues {
            events: EventQueue::new()?,
            orders: CommandQueue::new(COMMANDS),
            last: Mutex::new(Counters::default()),
        });
        let (started, answer) = sync_channel(1);
        let thread = {
            let queues = queues.clone();
            std::thread::Builder::new()
                .name("trunkline-sip".into())
                .spawn(move || thread::run(options, seed, &queues, &started))?
        };
        answer.recv().unwrap_or_else(|_| Err(closed()))?;
        Ok(Engine {
            queues,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Open a listener; the error is the system's.
    pub fn listen(&self, transport: Transport, address: SocketAddr) -> io::Result<Bound> {
        let (socket, local) = bind::listener(transport, address)?;
        let (reply, answer) = sync_channel(1);
        self.queues.orders.push_now(Order::Listen {
            transport,
            socket,
            local,
            reply,
        });
        let id = answer.recv().unwrap_or_else(|_| Err(closed()))?;
        Ok(Bound { id, local })
    }

    /// Close a listener; its socket is closed when this returns. Connections that it accepted stay.
    pub fn close_listener(&self, listener: ListenerId) {
        let (reply, answer) = sync_channel(1);
        self.queues.orders.push_now(Order::CloseListener { listener, reply });
        // An error says that the thread has ended, and with it the listener.
        let _ = answer.recv();
    }

    /// Have the endpoint do something, without waiting; gives the command back when too many wait.
    ///
    /// Once the engine is closed, requests fail and all else does nothing.
    pub fn try_command(&self, command: Command) -> Result<(), Box<Command>> {
        let request = request_id(&command);
        match self.queues.orders.try_push(Order::Command(command)) {
            Err(Refusal::Full(Order::Command(command))) => return Err(Box::new(command)),
            Err(_) => self.fail(request),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Have the endpoint do something, waiting while too many commands wait.
    pub fn command(&self, command: Command) {
        let request = request_id(&command);
        if !self.queues.orders.push(Order::Command(command)) {
            self.fail(request);
        }
    }

    /// Let the commands that follow wait until [`Engine::release`], so that all of them wake the SIP thread once.
    pub fn hold(&self) {
        self.queues.orders.hold();
    }

    /// Have what was held done now, and what follows at once again.
    pub fn release(&self) {
        self.queues.orders.release();
    }

    fn fail(&self, request: Option<u64>) {
        if let Some(tx) = request {
            self.queues.events.push(&mut VecDeque::from([Event::TransportFailed {
                tx,
                reason: "the endpoint is closed".into(),
            }]));
        }
    }

    /// Replace the networks that the flood guard never limits.
    pub fn set_flood_exempt(&self, networks: Vec<Network>) {
        self.queues.orders.push_now(Order::SetExempt(networks));
    }

    /// The descriptor that is readable while events wait; it lives as long as the handle.
    #[must_use]
    pub fn event_fd(&self) -> RawFd {
        self.queues.events.fd()
    }

    /// Take at most `limit` events, in order.
    #[must_use]
    pub fn drain(&self, limit: usize) -> Vec<Event> {
        self.queues.events.drain(limit)
    }

    /// Totals and live counts; the last ones when the engine is closed.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let (reply, answer) = sync_channel(1);
        self.queues.orders.push_now(Order::Counters(reply));
        answer.recv().unwrap_or_else(|_| *lock(&self.queues.last))
    }

    /// Close every socket and wait for the thread to end. Idempotent.
    pub fn close(&self) {
        let mut thread = lock(&self.thread);
        if let Some(thread) = thread.take() {
            self.queues.orders.push_now(Order::Close);
            // The thread never unwinds: a panic there has ended the process.
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

/// The id of the request that a command sends.
fn request_id(command: &Command) -> Option<u64> {
    match command {
        Command::SendRequest { tx, .. } => Some(*tx),
        _ => None,
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the endpoint is closed")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    const OPTIONS: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
        To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

    fn connect(to: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    #[test]
    fn test_a_connection_that_sends_nothing_valid_is_closed() {
        let engine = Engine::start(Options {
            valid_within: Duration::from_millis(200),
            ..Options::default()
        })
        .unwrap();
        let bound = engine.listen(Transport::Tcp, "127.0.0.1:0".parse().unwrap()).unwrap();
        let mut valid = connect(bound.local);
        valid.write_all(OPTIONS).unwrap();
        let mut silent = connect(bound.local);
        let mut pinging = connect(bound.local);
        pinging.write_all(b"\r\n\r\n").unwrap();
        assert_eq!(silent.read(&mut [0; 16]).unwrap(), 0);
        let mut pong = Vec::new();
        pinging.read_to_end(&mut pong).unwrap();
        assert_eq!(pong, b"\r\n");
        valid.set_nonblocking(true).unwrap();
        assert_eq!(valid.read(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(engine.counters().connections, 1);
    }

    #[test]
    fn test_commands_of_many_threads_all_arrive() {
        let engine = Engine::start(Options::default()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let engine = &engine;
                scope.spawn(move || {
                    for number in 0..5_000 {
                        let call_id = format!("{thread}-{number}");
                        let (local_tag, remote_tag) = ("a".to_owned(), "b".to_owned());
                        engine.command(Command::AddDialog {
                            call_id,
                            local_tag,
                            remote_tag,
                            remote_cseq: 0,
                            leg: 0,
                        });
                    }
                });
            }
        });
        assert_eq!(engine.counters().dialogs, 40_000);
    }
}
