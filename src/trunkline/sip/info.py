"""INFO inside the dialog of an INVITE (RFC 6086, RFC 2976): what is taken of theirs, and ours.

`InviteSession` hands theirs to its owner where that takes them. Of packages none is taken: what comes is the INFO of RFC
2976, whose meaning its content type says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from trunkline.errors import CallFailed, CallStateError
from trunkline.sip.endpoint import Endpoint, Headers, Message, RequestReceived
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.uas import answer_info

if TYPE_CHECKING:
    from trunkline.sip.invite_session import InviteSession

__all__ = [
    "KEPT_FIELDS",
    "MAX_INFO_BYTES",
    "MAX_OPEN_INFOS",
    "OnInfoAnswered",
    "ask_by_info",
    "refuse_info",
    "send_info",
]

MAX_INFO_BYTES = 8_192
"""Of a body that is taken or sent: what INFO was made for is small (RFC 6086 §6.2)."""

MAX_OPEN_INFOS = 8
"""INFOs of ours in one dialog that wait for an answer."""

KEPT_FIELDS = ("Content-Type", "Content-Disposition", "Content-Encoding", "Content-Language")
"""What says how a body is to be read: it goes with the body."""

OnInfoAnswered = Callable[[int, Message | None], None]
"""Hears of the final status, and the response where one came."""


def refuse_info(endpoint: Endpoint, request: RequestReceived) -> bool:
    """Answer an INFO that nobody is told of; whether it was one.

    A package gets 469, since none is taken, and one without body asks nothing (RFC 6086 §4.2.2).
    """
    message = request.message
    if message.header("Info-Package") is not None or not message.body:
        answer_info(endpoint, request)
    elif len(message.body) > MAX_INFO_BYTES:
        endpoint.respond(request.tx, 413)
    elif message.header("Content-Type") is None:
        # RFC 3261 §20.15: a body has a type
        endpoint.respond(request.tx, 400, "Missing Content-Type")
    else:
        return False
    return True


def send_info(session: InviteSession, fields: Headers, body: bytes, on_answered: OnInfoAnswered) -> bool:
    """Send an INFO in a dialog; False where too many wait for their answers, or the dialog has ended."""
    if session.ended or session.open_infos >= MAX_OPEN_INFOS:
        return False
    session.open_infos += 1

    def build() -> tuple[str, list[tuple[str, str]]]:
        uri, headers = session.dialog.request("INFO")
        return uri, [*headers, *fields]

    def answered(message: Message) -> None:
        if message.status >= 200:
            session.open_infos -= 1
            on_answered(message.status, message)

    def failed(failure: Failure) -> None:
        session.open_infos -= 1
        on_answered(failure.status, failure.message)
        if failure.status == 481 and not session.ended:
            # RFC 6086 §4.2.1, RFC 5057 §5.1: they know nothing of the dialog
            session.lose(f"INFO failed: {failure.status} {failure.reason}")

    ClientRequest(
        session.endpoint,
        "INFO",
        build,
        session.dialog.flow,
        body=body,
        credentials=session.credentials,
        on_response=lambda message, flow: answered(message),
        on_failure=failed,
        large_over_tcp=session.dialog.large_over_tcp,
    ).start()
    return True


async def ask_by_info(session: InviteSession, content_type: str, body: bytes) -> None:
    """Send an INFO in a dialog, and wait until it is answered.

    Raises:
        CallFailed: It was refused, or never answered (408).
        CallStateError: Too many wait for their answers.
    """
    done: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def answered(status: int, message: Message | None) -> None:
        if not done.done():
            done.set_result((status, message.reason if message is not None else "no answer"))

    if not send_info(session, [("Content-Type", content_type)], body, answered):
        raise CallStateError("too many INFOs wait for their answers")
    status, reason = await done
    if status >= 300:
        raise CallFailed.of(status, reason)
