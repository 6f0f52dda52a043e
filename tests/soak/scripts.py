"""What the two parties of a call do, one pair of scripts a kind of call, and how the server's session has to end.

`World` starts both: the caller's with the number that it dials, the callee's when the INVITE arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.soak.party import Call, Heard, digest
from trunkline.constants import ClosedReason

__all__ = ["KINDS", "MIX", "PHONE_PASSWORD", "Kind"]

PHONE_PASSWORD = "phone secret"
LINE_CHALLENGE = 'Proxy-Authenticate: Digest realm="itsp", nonce="n0nce", qop="auth", algorithm=MD5'

Meeting = asyncio.Future[Call]
"""The callee's call, once its part is done: where a caller's script needs it."""


# --- callers ----------------------------------------------------------------------------------------------------------


async def _connect(call: Call) -> None:
    call.invite()
    await call.next("180")
    call.ack(await call.next("200"))


async def _hangs_up(call: Call, meeting: Meeting) -> None:
    await _connect(call)
    call.bye()
    await call.next("200")
    await meeting


async def _is_hung_up_on(call: Call, meeting: Meeting) -> None:
    await _connect(call)
    call.respond(await call.next("BYE"), 200)
    await meeting


async def _cancels(call: Call, meeting: Meeting) -> None:
    call.invite()
    await call.next("180")
    call.cancel()
    # of the CANCEL and of the INVITE, in any order
    assert {(await call.next("200", "487")).method, (await call.next("200", "487")).method} == {"CANCEL", "INVITE"}
    await meeting


def _is_refused(status: str) -> Callable[[Call, Meeting], Awaitable[None]]:
    async def script(call: Call, meeting: Meeting) -> None:
        call.invite()
        await call.next(status)
        await meeting

    return script


async def _vanishes_while_ringing(call: Call, meeting: Meeting) -> None:
    call.invite()
    await call.next("180")
    call.vanished = True
    await meeting


async def _vanishes_talking(call: Call, meeting: Meeting) -> None:
    await _connect(call)
    call.vanished = True
    await meeting


async def _forgets_ack(call: Call, meeting: Meeting) -> None:
    call.invite()
    await call.next("180")
    await call.next("200")
    bye = await call.next("BYE", "200")
    while bye.what != "BYE":
        bye = await call.next("BYE", "200")  # the repeats of the 200 that is not acknowledged
    call.respond(bye, 200)
    await meeting


async def _hangs_up_as_the_callee_does(call: Call, meeting: Meeting) -> None:
    await _connect(call)
    callee = await meeting
    call.answers_bye = callee.answers_bye = True
    call.bye()
    callee.bye()
    for side in (call, callee):
        # 481 where the other BYE was there first (RFC 3261 §15.1.2)
        await side.next("200", "481")


async def _proves_itself(call: Call, meeting: Meeting) -> None:
    call.invite()
    challenge = (await call.next("401")).headers["www-authenticate"]
    number = call.target
    proof = digest(challenge, username="alice", password=PHONE_PASSWORD, method="INVITE", uri=number)
    call.invite(f"Authorization: {proof}")
    await call.next("180")
    call.ack(await call.next("200"))
    call.bye()
    await call.next("200")
    await meeting


# --- callees ----------------------------------------------------------------------------------------------------------


async def _answers(call: Call, invite: Heard) -> None:
    call.respond(invite, 180)
    call.respond(invite, 200, sdp=True)
    await call.next("ACK")


async def _answers_until_bye(call: Call, invite: Heard) -> None:
    await _answers(call, invite)
    call.respond(await call.next("BYE"), 200)


async def _answers_and_hangs_up(call: Call, invite: Heard) -> None:
    await _answers(call, invite)
    call.bye()
    await call.next("200")


async def _rings_until_cancelled(call: Call, invite: Heard) -> None:
    call.respond(invite, 180)
    call.respond(await call.next("CANCEL"), 200)
    call.respond(invite, 487)
    await call.next("ACK")


async def _refuses(call: Call, invite: Heard) -> None:
    call.respond(invite, 486)
    await call.next("ACK")


async def _is_dead(call: Call, invite: Heard) -> None:
    call.vanished = True


async def _answers_and_vanishes(call: Call, invite: Heard) -> None:
    await _answers(call, invite)
    call.vanished = True


async def _challenges(call: Call, invite: Heard) -> None:
    call.respond(invite, 407, LINE_CHALLENGE)
    await call.next("ACK")
    again = await call.next("INVITE")
    assert 'response="' in again.headers["proxy-authorization"]
    await _answers_until_bye(call, again)


# --- kinds ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of call."""

    caller: Callable[[Call, Meeting], Awaitable[None]]
    callee: Callable[[Call, Heard], Awaitable[None]]
    closed: ClosedReason
    from_phone: bool = False
    timeout_s: float = 60.0


KINDS = {
    "answered": Kind(_hangs_up, _answers_until_bye, ClosedReason.HANGUP),
    "hungup": Kind(_is_hung_up_on, _answers_and_hangs_up, ClosedReason.HANGUP),
    "cancelled": Kind(_cancels, _rings_until_cancelled, ClosedReason.CANCELLED),
    "rejected": Kind(_is_refused("486"), _refuses, ClosedReason.FAILED),
    "unanswered": Kind(_is_refused("480"), _rings_until_cancelled, ClosedReason.TIMEOUT, timeout_s=0.5),
    "dead": Kind(_is_refused("504"), _is_dead, ClosedReason.FAILED),
    "vanished": Kind(_vanishes_while_ringing, _answers_until_bye, ClosedReason.SESSION_LOST),
    "gone": Kind(_vanishes_talking, _answers_and_hangs_up, ClosedReason.HANGUP),
    "lost": Kind(_hangs_up, _answers_and_vanishes, ClosedReason.HANGUP),
    "unacknowledged": Kind(_forgets_ack, _answers_until_bye, ClosedReason.SESSION_LOST),
    "crossing": Kind(_hangs_up_as_the_callee_does, _answers, ClosedReason.HANGUP),
    "challenged": Kind(_proves_itself, _challenges, ClosedReason.HANGUP, from_phone=True),
}

MIX = (
    *("answered", "hungup") * 4,  # 40% of the calls are answered and end well
    *("cancelled", "rejected", "unanswered", "dead", "vanished", "gone", "lost", "unacknowledged"),
    *("crossing", "crossing", "challenged", "challenged"),
)
"""Twenty calls."""
