"""The location service of RFC 3261 §10: which contacts reach a user, for how long, over which flow.

A plain object: no socket, no clock, no store. `registrar` reads a REGISTER into `Wanted` values and applies them here,
all or none, then acts on the `Outcome`; `routing` asks where a user is.
"""

from __future__ import annotations

import heapq
import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from trunkline.sip.endpoint import Flow, NameAddr, Uri

__all__ = ["Binding", "BindingTable", "OutOfOrder", "Outcome", "Wanted"]

SIP_PORT = 5060

FIRST_DYNAMIC_PORT = 32_768
"""Ports from here on are what systems give to a connection by themselves (Linux; IANA's range begins at 49152)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One Contact of a REGISTER: what its phone wants."""

    uri: Uri
    expires_s: float
    """Granted seconds; 0 removes the contact."""
    q: float = 1.0
    instance: str = ""
    """The +sip.instance without quotes (RFC 5626 §4.1); "" where none is given."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A contact that reaches a user."""

    user: str
    uri: Uri
    instance: str
    q: float
    call_id: str
    cseq: int
    expires_at: float
    """On the loop's clock."""
    updated_at: float
    flow: Flow
    """What its last REGISTER came over."""
    path: tuple[str, ...] = ()
    """Proxies between us and the phone (RFC 3327), the first one next to us."""
    nat: bool = False
    """It is reached over `flow` alone, whatever its address says."""
    user_agent: str = ""

    @property
    def contact(self) -> str:
        """Its address as the phone wrote it."""
        return str(self.uri)


class OutOfOrder(Exception):
    """A REGISTER of the same Call-ID with a higher CSeq has been processed (RFC 3261 §10.3 step 7)."""


@dataclass(slots=True)
class Outcome:
    """What applying a REGISTER changed."""

    added: list[Binding] = field(default_factory=list)
    refreshed: list[Binding] = field(default_factory=list)
    superseded: list[Binding] = field(default_factory=list)
    """What the refreshed ones were before."""
    removed: list[Binding] = field(default_factory=list)
    """Gone as asked."""
    replaced: list[Binding] = field(default_factory=list)
    """Gone since the same phone has another address now."""
    evicted: list[Binding] = field(default_factory=list)
    """The oldest, gone at the user's maximum."""

    @property
    def gone(self) -> list[Binding]:
        """All that are bound no more."""
        return [*self.removed, *self.replaced, *self.evicted]


class BindingTable:
    """All bindings, by user and by connection."""

    def __init__(self) -> None:
        self._by_user: dict[str, list[Binding]] = {}
        self._by_connection: dict[int, set[str]] = {}
        self._nat_flows: Counter[Flow] = Counter()
        self._lapses: list[tuple[float, str]] = []

    def of(self, user: str, now: float) -> list[Binding]:
        """The live bindings of a user, the most preferred first, the newest first among equals."""
        live = [binding for binding in self._by_user.get(user, ()) if binding.expires_at > now]
        live.reverse()
        return sorted(live, key=lambda binding: -binding.q)

    def __iter__(self) -> Iterator[Binding]:
        return (binding for bindings in list(self._by_user.values()) for binding in bindings)

    def __len__(self) -> int:
        return sum(len(bindings) for bindings in self._by_user.values())

    def apply(self, user: str, wanted: Sequence[Wanted], origin: Binding, *, maximum: int) -> Outcome:
        """Bind, refresh and remove contacts of one REGISTER, all or none (§10.3 steps 7 and 8).

        Args:
            user: Whose.
            wanted: Its contacts.
            origin: What the bindings have in common: Call-ID, CSeq, flow, path, and `updated_at`, which is now. Its own
            contact,
                q and expiry are not looked at.
            maximum: Bindings that the user may have; the oldest go.

        Raises:
            OutOfOrder: A newer REGISTER was there before. Nothing has changed.
        """
        now = origin.updated_at
        standing = [binding for binding in self._by_user.get(user, ()) if binding.expires_at > now]
        outcome = Outcome()
        for contact in _distinct(wanted):
            binding = _bound(user, contact, origin)
            same = [old for old in standing if _same(old, binding)]
            for old in same:
                _check_order(old, origin.call_id, origin.cseq)
                standing.remove(old)
            _note(outcome, same, binding, wanted=contact.expires_s > 0)
            if contact.expires_s > 0:
                standing.append(binding)
        outcome.evicted = _evict(standing, maximum, outcome)
        self._set(user, standing)
        return outcome

    def clear(self, user: str, call_id: str, cseq: int, now: float) -> Outcome:
        """Remove all contacts of a user (`Contact: *`, §10.3 step 6). OutOfOrder as in `apply`."""
        standing = [binding for binding in self._by_user.get(user, ()) if binding.expires_at > now]
        for binding in standing:
            _check_order(binding, call_id, cseq)
        self._set(user, [])
        return Outcome(removed=standing)

    def restore(self, binding: Binding) -> bool:
        """Take back a binding from before a restart. False where the phone has one that is as new."""
        standing = self._by_user.get(binding.user, [])
        same = [old for old in standing if _same(old, binding)]
        if any(old.updated_at >= binding.updated_at for old in same):
            return False
        self._set(binding.user, [*(old for old in standing if old not in same), binding])
        return True

    def drop_user(self, user: str) -> list[Binding]:
        """Remove what a user has, for the user is gone."""
        gone = self._by_user.get(user, [])
        self._set(user, [])
        return gone

    def drop_connection(self, connection: int) -> list[Binding]:
        """Remove what is reached over a connection alone, for the connection is gone; what can be connected to stays."""
        gone: list[Binding] = []
        for user in self._by_connection.get(connection, set()).copy():
            kept: list[Binding] = []
            for binding in self._by_user[user]:
                if binding.flow.connection != connection:
                    kept.append(binding)
                elif _needs_its_connection(binding):
                    gone.append(binding)
                else:
                    kept.append(replace(binding, flow=_new_connection(binding)))
            self._set(user, kept)
        return gone

    def drop_lapsed(self, now: float) -> list[Binding]:
        """Remove what has expired."""
        gone: list[Binding] = []
        while self._lapses and self._lapses[0][0] <= now:
            _, user = heapq.heappop(self._lapses)
            standing = self._by_user.get(user, [])
            lapsed = [binding for binding in standing if binding.expires_at <= now]
            if lapsed:
                gone += lapsed
                self._set(user, [binding for binding in standing if binding.expires_at > now])
        return gone

    @property
    def next_lapse(self) -> float | None:
        """When `drop_lapsed` is to be called next at the earliest; None while nothing is bound."""
        return self._lapses[0][0] if self._lapses else None

    def reached_over(self, flow: Flow) -> bool:
        """Whether any NAT'd binding is reached over this flow."""
        return self._nat_flows[flow] > 0

    def _set(self, user: str, bindings: list[Binding]) -> None:
        old = self._by_user.pop(user, [])
        if bindings:
            self._by_user[user] = bindings
        known = {(binding.expires_at, binding.user) for binding in old}
        for binding in bindings:
            if (binding.expires_at, user) not in known:
                heapq.heappush(self._lapses, (binding.expires_at, user))
        self._index(user, old, bindings)

    def _index(self, user: str, old: Sequence[Binding], new: Sequence[Binding]) -> None:
        self._nat_flows.update(binding.flow for binding in new if binding.nat)
        for binding in old:
            if binding.nat:
                self._nat_flows[binding.flow] -= 1
                if not self._nat_flows[binding.flow]:
                    del self._nat_flows[binding.flow]
        kept = {binding.flow.connection for binding in new}
        for connection in {binding.flow.connection for binding in old} - kept:
            users = self._by_connection.get(connection, set())
            users.discard(user)
            if not users:
                self._by_connection.pop(connection, None)
        for connection in kept - {0}:
            self._by_connection.setdefault(connection, set()).add(user)


def _bound(user: str, contact: Wanted, origin: Binding) -> Binding:
    return Binding(
        user=user,
        uri=contact.uri,
        instance=contact.instance,
        q=contact.q,
        call_id=origin.call_id,
        cseq=origin.cseq,
        expires_at=origin.updated_at + contact.expires_s,
        updated_at=origin.updated_at,
        flow=origin.flow,
        path=origin.path,
        nat=origin.nat,
        user_agent=origin.user_agent,
    )


def _same(old: Binding, new: Binding) -> bool:
    """Whether two bindings are of one phone: the same instance, or else the same address (§10.3 step 7, §19.1.4)."""
    if old.instance and old.instance == new.instance:
        return True
    if old.uri != new.uri:
        return False
    # Two phones behind different NATs may both call themselves 192.168.1.2.
    other_phone = old.instance and new.instance and old.nat and new.nat and old.flow.remote[0] != new.flow.remote[0]
    return not other_phone


def _needs_its_connection(binding: Binding) -> bool:
    """Whether nothing but the connection that it registered over reaches it: its Contact names nothing that listens."""
    if binding.nat or binding.path:
        return binding.nat
    port, own_port = binding.uri.port or SIP_PORT, binding.flow.remote[1]
    return not _is_address(binding.uri.host) or (port == own_port and own_port >= FIRST_DYNAMIC_PORT)


def _new_connection(binding: Binding) -> Flow:
    """To the port that its phone, or the proxy before it, listens on."""
    hop = NameAddr.parse(binding.path[0]).uri if binding.path else binding.uri
    return Flow(binding.flow.transport, (binding.flow.remote[0], hop.port or SIP_PORT))


def _distinct(wanted: Sequence[Wanted]) -> list[Wanted]:
    """The contacts of one REGISTER; of those that are one phone's, the last."""
    distinct: list[Wanted] = []
    for contact in wanted:
        distinct = [
            other
            for other in distinct
            if other.uri != contact.uri and not (contact.instance and other.instance == contact.instance)
        ]
        distinct.append(contact)
    return distinct


def _check_order(old: Binding, call_id: str, cseq: int) -> None:
    # §10.3 step 7: of one Call-ID only a higher CSeq is newer; another Call-ID is a phone that restarted.
    if old.call_id == call_id and cseq <= old.cseq:
        raise OutOfOrder


def _note(outcome: Outcome, same: Sequence[Binding], new: Binding, *, wanted: bool) -> None:
    if not wanted:
        outcome.removed += same
        return
    outcome.replaced += [old for old in same if old.uri != new.uri]
    before = [old for old in same if old.uri == new.uri]
    outcome.superseded += before
    (outcome.refreshed if before else outcome.added).append(new)


def _evict(standing: list[Binding], maximum: int, outcome: Outcome) -> list[Binding]:
    """Take the oldest out of `standing` until the maximum holds; those of this REGISTER count as newest."""
    evicted = standing[: max(0, len(standing) - maximum)]
    del standing[: len(evicted)]
    for binding in evicted:
        for fresh in (outcome.added, outcome.refreshed):
            if binding in fresh:
                fresh.remove(binding)
    return evicted


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
