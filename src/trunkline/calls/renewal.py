"""One re-INVITE of ours on an answered channel: a new offer, its answer, and the wait after 491 (RFC 3261 §14.1).

`hold.Crossing` carries a re-INVITE of the other side across with it, `align.Alignment` brings two sides to common
codecs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from trunkline.sip.endpoint import Codec, Direction, MediaPlan, Message, NegotiationError, SipParseError
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["Renewal", "RenewalOwner"]

MAX_GLARES = 5
"""Times that 491 is waited out; a side that offers at the same moment more often never stops."""


class RenewalOwner(Protocol):
    """Waits for the outcome."""

    def on_renewed(self, plan: MediaPlan) -> None:
        """They answered; the leg does what was agreed."""

    def on_not_renewed(self, failure: Failure) -> None:
        """They refused; what stood before stands."""


class Renewal:
    """A re-INVITE of ours.

    Args:
        channel: An answered channel.
        codecs: What is offered.
        direction: In which direction.
        owner: Hears how it ends; None for nobody.
        patient: Whether it is tried again after a 491; a re-INVITE that is carried across leaves that to who asked
        for it.
    """

    def __init__(
        self,
        channel: Channel,
        codecs: Sequence[Codec],
        direction: Direction,
        owner: RenewalOwner | None,
        *,
        patient: bool,
    ) -> None:
        self._channel = channel
        self._codecs = codecs
        self._direction = direction
        self._owner = owner
        self._glares_left = MAX_GLARES if patient else 0
        self._timer: asyncio.TimerHandle | None = None
        self._sent = False

    def start(self) -> None:
        """Send it, or wait until the dialog has no other INVITE open."""
        self._timer = None
        channel = self._channel
        invite, describer, leg = channel.invite, channel.describer, channel.leg
        if invite is None or describer is None or leg is None or invite.ended:
            self._fail(Failure(481, "the channel is over"))
        elif invite.busy or describer.offer_pending:
            self._glare(Failure(491, "Request Pending"))
        else:
            body = describer.offer(
                address=channel.address, port=leg.port, codecs=self._codecs, direction=self._direction
            )
            self._sent = True
            invite.reinvite(body, self)

    def stop(self) -> None:
        """Nobody wants it any more: it is cancelled, and its outcome heard by nobody."""
        self._owner = None
        self._glares_left = 0
        self.cancel()

    def cancel(self) -> None:
        """CANCEL it; the owner still hears how it ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._fail(Failure(487, "Request Terminated"))
        elif self._sent and self._channel.invite is not None:
            self._channel.invite.cancel_reinvite()

    def on_reoffer_accepted(self, message: Message) -> None:
        """From the INVITE session."""
        self._sent = False
        describer = self._channel.describer
        if describer is None:
            return
        try:
            plan = describer.accept_answer(message.sdp)
        except (NegotiationError, SipParseError) as error:
            describer.withdraw()
            self._fail(Failure(488, error.reason))
            return
        self._channel.apply()
        if self._owner is not None:
            self._owner.on_renewed(plan)

    def on_reoffer_refused(self, failure: Failure) -> None:
        """From the INVITE session."""
        self._sent = False
        if self._channel.describer is not None:
            self._channel.describer.withdraw()
        if failure.status == 491:
            self._glare(failure)
        else:
            self._fail(failure)

    def _glare(self, failure: Failure) -> None:
        invite = self._channel.invite
        if self._glares_left == 0 or invite is None:
            self._fail(failure)
            return
        self._glares_left -= 1
        self._timer = self._channel.env.call_later(invite.glare_wait_s, self.start)

    def _fail(self, failure: Failure) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.on_not_renewed(failure)
