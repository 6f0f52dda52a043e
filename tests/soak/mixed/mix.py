"""The mix: each kind of errand, how often it comes, how it may go, and how the server's sessions of it may close."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.soak.mixed import calls, presences, transfers
from tests.soak.mixed.errand import Errand
from trunkline.constants import ClosedReason

__all__ = ["KINDS", "Kind"]

_Reason = ClosedReason
ANYHOW = frozenset(ClosedReason) - {_Reason.MOVED, _Reason.REDIRECT_SENT}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of errand."""

    script: Callable[[Errand], Awaitable[str]]
    weight: int
    goes: frozenset[str]
    """What its script may return."""
    closes: frozenset[ClosedReason] = frozenset()
    """How sessions whose dialled number begins with its name may close."""


def _kind(
    script: Callable[[Errand], Awaitable[str]], weight: int, goes: str | tuple[str, ...], *closes: ClosedReason
) -> Kind:
    return Kind(script, weight, frozenset((goes,) if isinstance(goes, str) else goes), frozenset(closes))


KINDS = {
    "talk": _kind(calls.talk, 20, "hung up", _Reason.HANGUP),
    "held": _kind(calls.held, 10, "hung up", _Reason.HANGUP),
    "glare": _kind(calls.both_hold, 3, "hung up", _Reason.HANGUP),
    "forked": _kind(calls.forked, 3, "other phone: cancel", _Reason.HANGUP),
    "cancelled": _kind(calls.cancelled, 6, "callee: cancel", _Reason.CANCELLED),
    "rejected": _kind(calls.rejected, 5, "caller: 486", _Reason.FAILED),
    "unanswered": _kind(calls.unanswered, 3, "caller: 480", _Reason.TIMEOUT),
    "nobody": _kind(calls.nobody_there, 2, "caller: 480", _Reason.FAILED),
    "deadringing": _kind(calls.caller_vanishes_ringing, 2, "callee: bye", _Reason.SESSION_LOST),
    "deadcaller": _kind(calls.caller_vanishes_talking, 2, "hung up", _Reason.HANGUP),
    "deadcallee": _kind(calls.callee_vanishes, 2, "hung up", _Reason.HANGUP),
    "raises": _kind(calls.handler_raises, 2, "caller: 500", _Reason.FAILURE_SENT),
    "raiseslater": _kind(calls.handler_raises_later, 2, "caller: bye, callee: bye", _Reason.CLOSED),
    "bad": _kind(calls.bad_network, 15, ("bye", "cancel", "refused", "lost", "its provider is gone"), *ANYHOW),
    "blind": _kind(transfers.blind, 5, "told 200", _Reason.HANGUP),
    "blindrefused": _kind(transfers.blind_refused, 3, "told 486", _Reason.HANGUP),
    "blindgone": _kind(transfers.blind_and_hangs_up, 3, "hung up", _Reason.HANGUP),
    "blindraises": _kind(transfers.blind_raises, 1, "told 500", _Reason.HANGUP),
    "attended": _kind(transfers.attended, 5, "told 200", _Reason.HANGUP, _Reason.TRANSFERRED),
    "attendeddead": _kind(transfers.attended_to_a_dead_call, 2, "told 481", _Reason.HANGUP),
    "refreshed": _kind(presences.registration_refreshed, 4, "then: 480", _Reason.HANGUP, _Reason.FAILED),
    "lapses": _kind(presences.registration_lapses, 3, "then: 480", _Reason.FAILED),
    "guesses": _kind(presences.wrong_password, 3, ("refused: 401", "refused: 403")),
    "watches": _kind(presences.subscription_refreshed, 5, "failure: none"),
    "watcherdies": _kind(presences.subscription_lapses, 3, "gone"),
    "watchesnobody": _kind(presences.subscription_refused, 1, "refused: 404"),
    "watchedgoes": _kind(presences.subscription_terminated, 2, "told: noresource"),
    "mailbox": _kind(presences.mailbox_lamp, 3, "failure: none"),
    "presence": _kind(presences.presence, 3, "failure: none"),
    "message": _kind(presences.message, 5, "told 200"),
    "waits": _kind(presences.message_waits, 3, "told 202, then it"),
    "overline": _kind(presences.message_over_a_line, 1, "told 405"),
    "stranger": _kind(presences.message_to_nobody, 1, "told 404"),
}
