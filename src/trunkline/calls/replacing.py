"""An INVITE with Replaces (RFC 3891): who sends it takes the place of a channel in a call that is up.

`Exchange.incoming` hands it here. The one who is replaced hears a BYE, the other party stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.calls.channel import Channel
from trunkline.calls.environment import Environment
from trunkline.calls.failure import warning
from trunkline.calls.peers import Party
from trunkline.calls.transfers import find_dialog
from trunkline.constants import PeerType
from trunkline.errors import NoMediaPorts
from trunkline.sip.dialog import DialogError
from trunkline.sip.endpoint import Headers, NegotiationError, RequestReceived, SipParseError
from trunkline.sip.refer import ReferRefused, Replaces

if TYPE_CHECKING:
    from trunkline.calls.course import Course

__all__ = ["replace_dialog"]


def replace_dialog(env: Environment, request: RequestReceived, party: Party, replaces: Replaces) -> None:
    """Carry out an INVITE with Replaces, or refuse it (RFC 3891 §3)."""
    try:
        course, leaving, kept = _found(env, party, replaces)
    except ReferRefused as refused:
        env.endpoint.respond(request.tx, refused.status, refused.reason or None)
        return
    course.log.info("%s replaces channel %s", party.name, leaving.id.name)
    newcomer = Channel(env, course, leaving.id, course.log)
    refusal = _arrive(newcomer, request, party, course)
    if refusal is not None:
        status, headers = refusal
        env.endpoint.respond(request.tx, status, None, headers)
        return
    try:
        course.transfers.replaced(leaving, kept, newcomer)
    except NegotiationError as error:
        _refuse(newcomer, 488, [warning(error.reason)])
    except NoMediaPorts:
        _refuse(newcomer, 503)


def _found(env: Environment, party: Party, replaces: Replaces) -> tuple[Course, Channel, Channel]:
    found = find_dialog(env, replaces)
    if found is None:
        raise ReferRefused(481)
    course, channel = found
    if replaces.early_only:
        # it is confirmed
        raise ReferRefused(486)
    replaced = channel.party
    same = replaced is not None and (replaced.peer_type, replaced.name) == (party.peer_type, party.name)
    if party.peer_type is not PeerType.USER and not same:
        # whoever knows a dialog may replace it only where it is a user of ours, or the same line
        raise ReferRefused(403)
    kept = course.transfers.far_end(channel)
    if kept is None:
        raise ReferRefused(603)
    return course, channel, kept


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
