//! The transaction machines of RFC 3261 §17 with RFC 6026, as tables of data.
//!
//! A row says: in this state, on this input, go to that state and do these actions. [`Machine`] only looks rows up; what has no row is
//! absorbed. The endpoint feeds inputs and carries the actions out; [`timing`] knows how long each timer runs.

mod client;
mod server;
pub mod timing;

#[cfg(test)]
mod tests;

pub use timing::{Timer, TimerSet, Timing};

/// The four machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Our INVITE (RFC 3261 §17.1.1, RFC 6026 §7.2).
    InviteClient,
    /// Our request of another method (§17.1.2).
    Client,
    /// Their INVITE (§17.2.1, RFC 6026 §7.1).
    InviteServer,
    /// Their request of another method (§17.2.2).
    Server,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not started.
    Initial,
    /// Our INVITE is out, nothing came back.
    Calling,
    /// A request of another method has no answer yet.
    Trying,
    /// Provisional answers may have passed.
    Proceeding,
    /// A 2xx to INVITE passed (RFC 6026).
    Accepted,
    /// Our 2xx to INVITE was acknowledged; repeats of the INVITE are still absorbed.
    Acknowledged,
    /// A final answer passed (to INVITE: not a 2xx).
    Completed,
    /// Our INVITE was given up without final answer; one may come late.
    Lost,
    /// Our failure answer to INVITE was acknowledged.
    Confirmed,
    /// Over.
    Terminated,
}

/// What happens to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// It begins: we send, or the first copy of the request came.
    Start,
    /// The request came again.
    Request,
    /// The ACK came.
    Ack,
    /// 1xx: from the peer to a client, from Python to a server.
    Provisional,
    /// 2xx.
    Success,
    /// 300 to 699.
    Failure,
    /// Python wants the INVITE cancelled.
    Cancel,
    /// The transport cannot send.
    TransportError,
    /// A timer ran out.
    Fired(Timer),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send the request, or the answer that Python gave.
    Send,
    /// Send the last message of ours once more.
    Repeat,
    /// Send 100 (Trying).
    SendTrying,
    /// Send the ACK to a failure (§17.1.1.3).
    SendAck,
    /// Keep the CANCEL until a provisional comes (§9.1).
    HoldCancel,
    /// Send the CANCEL that was kept, if any.
    ReleaseCancel,
    /// Send the CANCEL.
    SendCancel,
    /// Start, or start again, a timer.
    Start(Timer),
    /// Stop a timer.
    Stop(Timer),
    /// Hand the message up.
    Deliver,
    /// Tell that no final answer came.
    ReportTimeout,
    /// Tell that the request could not be sent.
    ReportTransport,
    /// Tell that the 2xx was acknowledged.
    ReportAck,
    /// Tell that the 2xx was not acknowledged.
    ReportAckTimeout,
    /// Take the right to answer away from Python: the peer has given up.
    Abandon,
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The state it applies in.
    pub state: State,
    /// The input it applies to.
    pub input: Input,
    /// The state that follows.
    pub next: State,
    /// What to do, in order.
    pub actions: &'static [Action],
}

const fn row(state: State, input: Input, next: State, actions: &'static [Action]) -> Row {
    Row {
        state,
        input,
        next,
        actions,
    }
}

impl Kind {
    /// The machine's table.
    #[must_use]
    pub const fn table(self) -> &'static [Row] {
        match self {
            Kind::InviteClient => client::INVITE,
            Kind::Client => client::OTHER,
            Kind::InviteServer => server::INVITE,
            Kind::Server => server::OTHER,
        }
    }

    /// Whether the transaction is of INVITE.
    #[must_use]
    pub const fn is_invite(self) -> bool {
        matches!(self, Kind::InviteClient | Kind::InviteServer)
    }
}

/// One running machine.
#[derive(Clone, Debug)]
pub struct Machine {
    kind: Kind,
    state: State,
    /// How often the retransmission timer has started in this transaction, for its doubling.
    repeats: u32,
}

impl Machine {
    /// A machine that has not started.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Machine {
            kind,
            state: State::Initial,
            repeats: 0,
        }
    }

    /// Which of the four it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Take an input: move, and return what is to be done. Nothing where the table has no row.
    pub fn input(&mut self, input: Input) -> &'static [Action] {
        let found = self.kind.table().iter().find(|row| row.state == self.state && row.input == input);
        let Some(row) = found else { return &[] };
        self.state = row.next;
        row.actions
    }

    /// How long a timer that starts now runs; `None` where the transport makes it needless. Repeats of the same timer grow.
    pub fn start_timer(&mut self, timer: Timer, timing: &Timing, reliable: bool) -> Option<std::time::Duration> {
        let duration = timing.duration(timer, self.state, self.repeats, reliable);
        if timer.doubles() {
            self.repeats = self.repeats.saturating_add(1);
        }
        duration
    }
}
