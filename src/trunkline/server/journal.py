"""The dialogs of calls that are up, written down while they are, and made again of what was written.

`Running` gives a `Journal` to the calls, where there is a store; `recovery` reads what a process that was killed left. No secret is kept:
the credentials that a provider may ask for are those of the line that is named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trunkline.calls.peers import Party
from trunkline.constants import PeerType
from trunkline.sip.dialog import Dialog, DialogKeeper, next_hop
from trunkline.sip.endpoint import Flow, NameAddr, Uri
from trunkline.storage.records import DialogRecord

__all__ = ["DialogStore", "Journal", "dialog_of", "record_of"]

CSEQ_GAP = 100_000
"""How much higher than what was written our next number is: requests inside a call (refreshes, holds) are not written (RFC 3261 §12.2.2
lets it be higher by more than one)."""

MAX_CSEQ = 2**31 - 2
"""RFC 3261 §8.1.1.5."""


class DialogStore(Protocol):
    """Where dialogs are written behind."""

    def put(self, record: DialogRecord) -> None:
        """Write it, soon."""

    def delete(self, record: DialogRecord) -> None:
        """Delete it, soon."""


class Journal:
    """Writes the dialogs of calls to the store.

    Args:
        store: It.
        wall_clock: Seconds since the epoch.
    """

    def __init__(self, store: DialogStore, wall_clock: Callable[[], float]) -> None:
        self._store = store
        self._wall_clock = wall_clock

    def of(self, party: Party) -> DialogKeeper:
        """Keeps the dialogs with one peer."""
        return _Keeper(self._store, party, self._wall_clock)


class _Keeper:
    """Keeps the dialogs with one peer."""

    def __init__(self, store: DialogStore, party: Party, wall_clock: Callable[[], float]) -> None:
        self._store = store
        self._party = party
        self._wall_clock = wall_clock

    def keep(self, dialog: Dialog) -> None:
        """Write it, or its new target."""
        self._store.put(record_of(dialog, self._party, self._wall_clock()))

    def forget(self, dialog: Dialog) -> None:
        """Delete it."""
        self._store.delete(record_of(dialog, self._party, 0.0))


def record_of(dialog: Dialog, party: Party, wall_now: float) -> DialogRecord:
    """What the store keeps of a dialog with a peer."""
    flow = dialog.flow
    local_host, local_port = flow.local or (None, None)
    return DialogRecord(
        call_id=dialog.call_id,
        local_tag=dialog.local_tag,
        remote_tag=dialog.remote_tag,
        local=dialog.local,
        remote=dialog.remote,
        remote_target=dialog.remote_target,
        routes=list(dialog.routes),
        local_cseq=dialog.local_cseq,
        remote_cseq=dialog.remote_cseq,
        nat=dialog.nat,
        transport=flow.transport,
        remote_host=flow.remote[0],
        remote_port=flow.remote[1],
        local_host=local_host,
        local_port=local_port,
        peer_type="line" if party.peer_type is PeerType.LINE else "user",
        peer_name=party.name,
        connected_at=wall_now,
    )


def dialog_of(record: DialogRecord, listens: Callable[[Flow], bool]) -> Dialog | None:
    """The dialog that was kept, good for one BYE; None where no listener of ours reaches its peer.

    Args:
        record: What was kept.
        listens: Whether a listener of ours serves a flow.

    Raises:
        ValueError: It cannot be read.
    """
    flow = _flow(record)
    if flow.local is not None and not listens(flow):
        flow = Flow(flow.transport, flow.remote)
    if not listens(flow):
        return None
    return Dialog(
        call_id=record.call_id,
        local_tag=record.local_tag,
        remote_tag=record.remote_tag,
        local=record.local,
        remote=record.remote,
        remote_target=record.remote_target,
        flow=flow,
        routes=list(record.routes),
        local_cseq=min(record.local_cseq + CSEQ_GAP, MAX_CSEQ),
        remote_cseq=record.remote_cseq,
        nat=record.nat,
        # whether the call hid its caller is not kept: its BYE says nothing of us in any case
        discreet=True,
    )


def _flow(record: DialogRecord) -> Flow:
    """Where its requests went; a connection is gone with the process, and its peer is asked anew where it says that it is."""
    remote = record.remote_host, record.remote_port
    first = NameAddr.parse(record.routes[0]).uri if record.routes else Uri.parse(record.remote_target)
    if record.transport != "udp":
        return next_hop(first, Flow(record.transport, remote))
    local = (record.local_host, record.local_port) if record.local_host and record.local_port else None
    return Flow("udp", remote, local)
