"""An INVITE with Replaces (RFC 3891): who sends it takes the place of who talks in a call, or of who is being called.

`Exchange.incoming` hands it here. Who talked and is replaced hears a BYE, who rings a CANCEL; the other party stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.calls.answering import answer_instead
from trunkline.calls.channel import Channel
from trunkline.calls.dialogs import find_answered, find_called
from trunkline.calls.environment import Environment
from trunkline.calls.failure import COMPLETED_ELSEWHERE, warning
from trunkline.calls.link import SESSION, Link
from trunkline.calls.peers import Party
from trunkline.calls.transfer import put
from trunkline.constants import PeerType
from trunkline.errors import NoMediaPorts
from trunkline.sip.dialog import DialogError
from trunkline.sip.endpoint import Headers, NegotiationError, RequestReceived, SipParseError
from trunkline.sip.refer import ReferRefused, Replaces
from trunkline.sip.shown import shown_flow

if TYPE_CHECKING:
    from trunkline.calls.course import Course

__all__ = ["replace_dialog"]


@dataclass(frozen=True, slots=True)
class _Place:
    """What an INVITE takes."""

    course: Course
    replaced: Channel
    kept: Channel | None
    """Who talks to who is replaced; None where he is still being called."""


def replace_dialog(env: Environment, request: RequestReceived, party: Party, replaces: Replaces) -> None:
    """Carry out an INVITE with Replaces, or refuse it (RFC 3891 §3)."""
    try:
        place = _found(env, party, replaces)
    except ReferRefused as refused:
        env.endpoint.respond(request.tx, refused.status, refused.reason or None)
        return
    course, replaced = place.course, place.replaced
    course.log.info("%s replaces channel %s", party.name, replaced.id.name)
    newcomer = Channel(env, course, replaced.id, course.log)
    refusal = _arrive(newcomer, request, party, course)
    if refusal is not None:
        status, headers = refusal
        env.endpoint.respond(request.tx, status, None, headers)
        return
    try:
        if place.kept is not None:
            course.transfers.replaced(replaced, place.kept, newcomer)
        else:
            _pick_up(course, replaced, newcomer, party)
    except NegotiationError as error:
        _refuse(newcomer, 488, [warning(error.reason)])
    except NoMediaPorts:
        _refuse(newcomer, 503)


def _found(env: Environment, party: Party, replaces: Replaces) -> _Place:
    answered = find_answered(env, replaces)
    # an early dialog that somebody else has begun cannot be replaced: 481
    found = answered or find_called(env, replaces)
    if found is None:
        raise ReferRefused(481)
    course, channel = found
    if answered is not None and replaces.early_only:
        raise ReferRefused(486)
    theirs = channel.called if answered is None else [channel.party] if channel.party is not None else []
    same = any((each.peer_type, each.name) == (party.peer_type, party.name) for each in theirs)
    if party.peer_type is not PeerType.USER and not same:
        # whoever knows a dialog may replace it only where it is a user of ours, or the same line
        raise ReferRefused(403)
    if answered is None:
        return _Place(course, channel, None)
    kept = course.transfers.far_end(channel)
    if kept is None:
        raise ReferRefused(603)
    return _Place(course, channel, kept)


def _pick_up(course: Course, called: Channel, newcomer: Channel, party: Party) -> None:
    """Let who calls answer in the place of who is called.

    Raises:
        NegotiationError: He cannot talk to who waits; it rings on.
        NoMediaPorts: There is no port.
    """
    assert called.outgoing is not None
    offering = called.outgoing.offering
    if not answer_instead(newcomer, offering.codecs_for(party), offering.direction, offering.ptime_ms):
        return
    env, waiting = course.env, called.link.other(called) if called.link is not None else None
    if called in course.channels:
        put(course, newcomer)
    else:
        course.transfers.picked_up(newcomer)
    if waiting is not None:
        waiting.unlink()
        waiting.link = newcomer.link = Link(SESSION, waiting, newcomer, course)
    else:
        newcomer.silence()
    called.give_up([COMPLETED_ELSEWHERE])
    assert newcomer.invite is not None
    dialog = newcomer.invite.dialog
    course.ledger.joined(newcomer.id, party, dialog.remote_target, shown_flow(dialog.flow), env.endpoint.now_s)
    newcomer.owner.on_placed(newcomer)


def _arrive(newcomer: Channel, request: RequestReceived, party: Party, course: Course) -> tuple[int, Headers] | None:
    """Give the INVITE to its channel; or the status and headers to refuse it with."""
    try:
        token = party.accept_token or course.call.token
        newcomer.arrive(request, party, token, newcomer.env.session_timer(party))
    except DialogError as error:
        return error.status, ()
    except NegotiationError as error:
        return 488, [warning(error.reason)]
    except SipParseError as error:
        return error.status or 400, ()
    return None


def _refuse(newcomer: Channel, status: int, headers: Headers = ()) -> None:
    if newcomer.incoming is not None:
        newcomer.incoming.reject(status, None, headers)
    newcomer.finish()
