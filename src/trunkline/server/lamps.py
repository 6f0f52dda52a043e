"""From the events of calls to busy lamps: what each user's dialogs are after an event of a call.

`running` puts it between the calls and the dispatcher. `calls` knows nothing of lamps, `messaging` nothing of calls.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator

from trunkline.calls.channel import Channel
from trunkline.calls.link import Stage
from trunkline.calls.peers import Sink
from trunkline.calls.session import CallSession
from trunkline.constants import ChannelId, PeerType
from trunkline.events import (
    CallEvent,
    CallSessionClosed,
    CallSessionConnecting,
    CallSessionHangUp,
    IncomingCall,
    RecordingEvent,
)
from trunkline.messaging.dialog_info import DialogState, Lamps, LampState

__all__ = ["CallLamps"]

log = logging.getLogger("trunkline.messaging")

STATES: dict[Stage, LampState] = {
    Stage.RINGING: "proceeding",
    Stage.EARLY: "early",
    Stage.PLACING: "trying",
    Stage.UP: "confirmed",
    Stage.OVER: "terminated",
}
"""How far a channel is → what RFC 4235 §3.7.1 calls that, before anything rings."""

SHOWN_BY_ANOTHER = (IncomingCall, CallSessionHangUp, RecordingEvent)
"""What changes no lamp of its own: `created` came before the first, `closed` comes after the second; the last is no news of the call."""


class CallLamps:
    """A sink of call events that lights lamps on the way to another sink.

    Args:
        sink: Gets every event first.
        lamps: Shows the dialogs.
    """

    def __init__(self, sink: Sink, lamps: Lamps) -> None:
        self._sink = sink
        self._lamps = lamps
        self._ringing: set[CallSession] = set()

    def emit(self, event: CallEvent | RecordingEvent) -> None:
        """Pass the event on, and show what has become of the call. Never raises."""
        self._sink.emit(event)
        if isinstance(event, SHOWN_BY_ANOTHER):
            return
        try:
            self._show(event)
        except Exception:
            log.exception("call %d: its lamps cannot be shown", event.call.id)

    def decision_pending(self, call: CallSession) -> bool:
        """As the sink says."""
        return self._sink.decision_pending(call)

    def _show(self, event: CallEvent) -> None:
        call = event.call
        if isinstance(event, CallSessionClosed):
            self._ringing.discard(call)
            self._lamps.show(call.id, ())
            return
        channels = call.course.channels
        if isinstance(event, CallSessionConnecting):
            self._ringing.add(call)
        elif len(channels) == 1:
            self._ringing.discard(call)
        shown = [(channel, users) for channel in channels if (users := _users_of(channel))]
        # most calls over a trunk are no user's
        self._lamps.show(call.id, tuple(self._dialogs(call, shown)) if shown else ())

    def _dialogs(
        self, call: CallSession, shown: Iterable[tuple[Channel, Collection[str]]]
    ) -> Iterator[tuple[str, DialogState]]:
        ringing = call in self._ringing
        for channel, users in shown:
            state = STATES[channel.stage]
            if ringing and state in ("trying", "proceeding"):
                state = "early"
            called = channel.id is ChannelId.ONE or not call.from_ip
            # whoever was dialled first talks to whom the call then shows as its caller
            other = (call.caller_id, call.caller_name) if called else (call.dial_number, "")
            dialog = DialogState(
                f"{call.token}-{int(channel.id)}", state, "recipient" if called else "initiator", *other
            )
            for user in users:
                yield user, dialog


def _users_of(channel: Channel) -> Collection[str]:
    """Whose phone a channel is; while several are called, all of them."""
    party = channel.party
    if party is not None:
        return (party.name,) if party.peer_type is PeerType.USER else ()
    return {called.name for called in channel.called if called.peer_type is PeerType.USER}
