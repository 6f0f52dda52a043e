"""Whom a channel tells what happens on it: the course of its session.

`channel` calls it, `course` implements it. Everything is told with the channel that it happened on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trunkline.calls.link import Happening
from trunkline.calls.outgoing import NotPlaced
from trunkline.calls.record import Ledger
from trunkline.constants import DtmfWay
from trunkline.events import FailedAttempt
from trunkline.sip.endpoint import Message, RequestReceived
from trunkline.sip.refer import Refer

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["ChannelOwner"]


class ChannelOwner(Protocol):
    """The course of the session."""

    ledger: Ledger
    """Notes each attempt."""

    def on_connecting(self, channel: Channel, message: Message) -> None:
        """A provisional."""

    def on_attempt_failed(self, channel: Channel, attempt: FailedAttempt) -> None:
        """One attempt failed, or a line was passed over."""

    def on_placed(self, channel: Channel) -> None:
        """It was answered; its media is agreed."""

    def on_not_placed(self, channel: Channel, why: NotPlaced) -> None:
        """No attempt is left."""

    def on_placing_timeout(self, channel: Channel, attempts: tuple[FailedAttempt, ...]) -> None:
        """Nobody answered in time."""

    def on_caller_gave_up(self, channel: Channel, message: Message) -> None:
        """CANCEL before the answer."""

    def on_hangup(self, channel: Channel, message: Message) -> None:
        """BYE."""

    def on_lost(self, channel: Channel, reason: str) -> None:
        """Silence, or a dead dialog."""

    def on_released(self, channel: Channel, happening: Happening) -> None:
        """The other side of the bridge is gone."""

    def on_refer(self, channel: Channel, request: RequestReceived, refer: Refer) -> None:
        """Its party asks for a transfer; the REFER is to be answered."""

    def on_info(self, channel: Channel, message: Message) -> None:
        """Its party sent an INFO."""

    def on_digit(self, channel: Channel, digit: str, duration_ms: int, way: DtmfWay) -> None:
        """Its party pressed a key."""
