"""INFO in calls: told to the application, passed on to the other party, and sent by the application.

`Channel` hands over what comes in its dialog, `CallSession` has `send_info`. A body goes on as it is, with what says how
to read it, and the answer of the other party comes back; a call with one party alone keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.calls.link import Stage
from trunkline.constants import ChannelId
from trunkline.errors import CallStateError
from trunkline.sip.endpoint import InfoDigit, Message, RequestReceived
from trunkline.sip.info import KEPT_FIELDS, MAX_INFO_BYTES, ask_by_info, refuse_info, send_info

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel
    from trunkline.calls.course import Course

__all__ = ["Informing", "take_info"]

_REFUSED_AS = {405: 415, 408: 504, 415: 415, 501: 415}
"""How a refusal of the other party is told to the one that sent it; all else is 500."""


def take_info(channel: Channel, request: RequestReceived) -> None:
    """An INFO came: tell the application, and pass it on."""
    endpoint, message = channel.env.endpoint, request.message
    if refuse_info(endpoint, request):
        return
    channel.owner.on_info(channel, message)
    digit = InfoDigit.parse(message.header("Content-Type") or "", message.body)
    if digit is not None and not channel.digits.on_info(digit):
        # it goes to the other party in its own way, or has come another way before
        endpoint.respond(request.tx, 200)
        return
    other = channel.link.other(channel) if channel.link is not None else None
    if other is None or other.stage is not Stage.UP or other.invite is None:
        endpoint.respond(request.tx, 200)
        return
    fields = [(name, value) for name in KEPT_FIELDS for value in message.lines(name)[:1]]

    def answered(status: int, response: Message | None) -> None:
        if status < 300:
            endpoint.respond(request.tx, 200)
            return
        accepted = response.lines("Accept") if response is not None and status == 415 else []
        headers = [("Accept", value) for value in accepted] or [("Accept", "")]
        told = _REFUSED_AS.get(status, 500)
        endpoint.respond(request.tx, told, None, headers if told == 415 else ())

    if not send_info(other.invite, fields, message.body, answered):
        endpoint.respond(request.tx, 500, None, [("Retry-After", "1")])


class Informing:
    """What an application tells a party of a call by INFO; a part of `CallSession`."""

    _course: Course

    async def send_info(self, body: str | bytes, *, content_type: str, channel: ChannelId = ChannelId.ZERO) -> None:
        """Send an INFO to the party on a channel (RFC 2976), and wait until it is answered.

        Args:
            body: What it says, at most 8,192 bytes; text goes as UTF-8.
            content_type: What it is, as `application/json`.
            channel: To whom.

        Raises:
            CallFailed: It was refused (415 for a type that they do not know), or never answered (408).
            CallStateError: Nobody is up on that channel, or too many wait for their answers.
            CallEnded: The call is over.
            ValueError: The type cannot stand in a message, or the body is empty or too long.
        """
        data = body.encode() if isinstance(body, str) else body
        if not 0 < len(data) <= MAX_INFO_BYTES:
            raise ValueError(f"body: 1 to {MAX_INFO_BYTES} bytes")
        if not content_type.isprintable() or not content_type.isascii() or "/" not in content_type:
            raise ValueError(f"content_type: {content_type!r} is none")
        course = self._course
        course.check_open()
        told = course.zero if channel is ChannelId.ZERO else course.one
        if told is None or told.stage is not Stage.UP or told.invite is None:
            raise CallStateError(f"nobody is up on channel {channel.name}")
        await ask_by_info(told.invite, content_type, data)
