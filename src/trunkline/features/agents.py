"""The agents of a queue: who may be rung now, and who is next. It knows no calls and takes the time as an argument.

`features.queue` asks it and tells it what became of whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from trunkline import UnknownPeer

__all__ = ["AgentState", "Agents", "Strategy"]

MAX_AGENTS = 1_000


class Strategy(Enum):
    """Whom of the free agents a caller is offered to."""

    LONGEST_IDLE = "longest_idle"
    """Who has talked to nobody for the longest time; who did not answer comes last."""
    ROUND_ROBIN = "round_robin"
    """The one after who was rung last, in the order in which they joined."""
    ALL_AT_ONCE = "all_at_once"
    """All of them; the first who answers has the caller."""


class AgentState(Enum):
    """What an agent does."""

    FREE = "free"
    RINGING = "ringing"
    TALKING = "talking"
    WRAPPING_UP = "wrapping_up"
    """After a call, for `wrap_up_s`."""
    PASSED_OVER = "passed_over"
    """After a call that was not answered, for `rest_s`."""
    PAUSED = "paused"
    """Wants no calls now."""


@dataclass(slots=True)
class Agent:
    """One agent."""

    name: str
    idle_since_s: float
    busy: AgentState | None = None
    """RINGING or TALKING; None where neither."""
    resting: AgentState = AgentState.FREE
    """Why it is not rung before `ready_s`."""
    ready_s: float = 0.0
    paused: bool = False
    joined: bool = True

    def state(self, now_s: float) -> AgentState:
        """What it does."""
        if self.busy is not None:
            return self.busy
        if self.paused:
            return AgentState.PAUSED
        return self.resting if now_s < self.ready_s else AgentState.FREE


class Agents:
    """The agents of one queue.

    Args:
        strategy: Whom a caller is offered to.
        wrap_up_s: How long an agent has after a call.
        rest_s: How long one who did not answer is passed over.

    Example:
        >>> agents = Agents(Strategy.LONGEST_IDLE, wrap_up_s=10, rest_s=5)
        >>> agents.join("alice", 1.0)
        >>> agents.take(2.0)
        ('alice',)
        >>> agents.take(2.0)
        ()
    """

    def __init__(self, strategy: Strategy, *, wrap_up_s: float, rest_s: float) -> None:
        self._strategy = strategy
        self._wrap_up_s = wrap_up_s
        self._rest_s = rest_s
        self._agents: dict[str, Agent] = {}
        self._rung_last: str | None = None

    def __len__(self) -> int:
        return sum(agent.joined for agent in self._agents.values())

    def join(self, name: str, now_s: float) -> None:
        """Have an agent be rung from now on. Idempotent. ValueError where there are too many."""
        agent = self._agents.get(name)
        if agent is not None:
            agent.joined = True
        elif len(self._agents) >= MAX_AGENTS:
            raise ValueError(f"a queue has {MAX_AGENTS} agents at most")
        else:
            self._agents[name] = Agent(name, now_s)

    def leave(self, name: str) -> None:
        """Have an agent be rung no more; his call goes on. Idempotent."""
        agent = self._agents.get(name)
        if agent is not None:
            agent.joined = agent.paused = False
            self._forget(agent)

    def pause(self, name: str, paused: bool) -> None:
        """Have an agent be passed over until he is back. UnknownPeer where he has not joined."""
        agent = self._agents.get(name)
        if agent is None or not agent.joined:
            raise UnknownPeer(f"no agent {name}")
        agent.paused = paused

    def states(self, now_s: float) -> dict[str, AgentState]:
        """What each does, in the order in which they joined."""
        return {agent.name: agent.state(now_s) for agent in self._agents.values() if agent.joined}

    def take(self, now_s: float) -> tuple[str, ...]:
        """Whom the next caller is offered to: they ring now. Nobody where none is free."""
        free = [agent for agent in self._agents.values() if agent.joined and agent.state(now_s) is AgentState.FREE]
        chosen = self._chosen(free)
        for agent in chosen:
            agent.busy = AgentState.RINGING
            self._rung_last = agent.name
        return tuple(agent.name for agent in chosen)

    def next_ready_s(self, now_s: float) -> float | None:
        """When somebody who rests is free again; None where nobody rests."""
        return min(
            (
                agent.ready_s
                for agent in self._agents.values()
                if agent.busy is None and agent.joined and not agent.paused and agent.ready_s > now_s
            ),
            default=None,
        )

    def release(self, name: str) -> None:
        """He rings no more, without having failed to answer."""
        agent = self._agents[name]
        agent.busy = None
        self._forget(agent)

    def missed(self, name: str, now_s: float) -> None:
        """He did not answer."""
        agent = self._agents[name]
        agent.idle_since_s = now_s
        self._rest(agent, AgentState.PASSED_OVER, now_s + self._rest_s)

    def talking(self, name: str) -> None:
        """He has answered."""
        self._agents[name].busy = AgentState.TALKING

    def finished(self, name: str, now_s: float) -> None:
        """His call is over."""
        agent = self._agents[name]
        agent.idle_since_s = now_s
        self._rest(agent, AgentState.WRAPPING_UP, now_s + self._wrap_up_s)

    def _chosen(self, free: list[Agent]) -> list[Agent]:
        if not free or self._strategy is Strategy.ALL_AT_ONCE:
            return free
        if self._strategy is Strategy.LONGEST_IDLE:
            return [min(free, key=lambda agent: agent.idle_since_s)]
        order = list(self._agents)
        behind = order.index(self._rung_last) + 1 if self._rung_last in self._agents else 0
        return [min(free, key=lambda agent: (order.index(agent.name) - behind) % len(order))]

    def _rest(self, agent: Agent, why: AgentState, until_s: float) -> None:
        agent.busy, agent.resting, agent.ready_s = None, why, until_s
        self._forget(agent)

    def _forget(self, agent: Agent) -> None:
        """Keep nothing of who has left, once his call is over."""
        if not agent.joined and agent.busy is None:
            self._agents.pop(agent.name, None)
