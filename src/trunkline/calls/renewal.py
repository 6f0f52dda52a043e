"""One re-INVITE or UPDATE of ours on an answered channel: a new offer, its answer, and the wait after 491 (RFC 3261 §14.1).

`hold.Crossing` carries a re-INVITE of the other side across with it, `align.Alignment` brings two sides to common
codecs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from trunkline.calls.deadlines import Deadline
from trunkline.media.engine import Leg
from trunkline.sip.description import Description, FaxAttributes
from trunkline.sip.endpoint import Codec, Direction, MediaPlan, Message, NegotiationError, SipParseError
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["Renewal", "RenewalOwner"]

MAX_GLARES = 5
"""Times that 491 is waited out; a side that offers at the same moment more often never stops."""


LONGEST_RETRY_S = 10
"""Retry-After that is waited for (RFC 3261 §14.2 has them between 0 and 10 s)."""


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
        codecs: What is offered; None for exactly what stands.
        direction: In which direction.
        owner: Hears how it ends; None for nobody.
        patient: Whether it is tried again after a 491; a re-INVITE that is carried across leaves that to who asked
        for it.
        fax: T.38 is offered in the place of audio, with what the other side says of itself.
        update: Whether it goes out as UPDATE where they take it (RFC 3311 §5.1).
    """

    def __init__(
        self,
        channel: Channel,
        codecs: Sequence[Codec] | None,
        direction: Direction,
        owner: RenewalOwner | None,
        *,
        patient: bool,
        update: bool = False,
        fax: FaxAttributes | None = None,
    ) -> None:
        self._channel = channel
        self._codecs = codecs
        self._direction = direction
        self._owner = owner
        self._glares_left = MAX_GLARES if patient else 0
        self._timer: Deadline | None = None
        self._update = update
        self._fax = fax
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
            body = self._body(describer, leg)
            self._sent = True
            if self._update and invite.takes_updates:
                invite.update(body, self)
            else:
                invite.reinvite(body, self)

    def _body(self, describer: Description, leg: Leg) -> bytes:
        if self._fax is not None:
            return describer.offer_fax(address=self._channel.address, port=leg.port, attributes=self._fax)
        again = describer.offer_again() if self._codecs is None else None
        if again is not None:
            return again
        codecs = self._codecs or (describer.plan.receive_codecs if describer.plan is not None else ())
        return describer.offer(address=self._channel.address, port=leg.port, codecs=codecs, direction=self._direction)

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
        if failure.status == 491 or _asks_for_patience(failure):
            self._glare(failure)
        else:
            self._fail(failure)

    def _glare(self, failure: Failure) -> None:
        invite = self._channel.invite
        if self._glares_left == 0 or invite is None:
            self._fail(failure)
            return
        self._glares_left -= 1
        # RFC 3261 §14.2: a 500 says itself how long to wait
        wait_s = _retry_after_s(failure) or invite.glare_wait_s
        self._timer = self._channel.env.call_later(wait_s, self.start)

    def _fail(self, failure: Failure) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.on_not_renewed(failure)


def _asks_for_patience(failure: Failure) -> bool:
    """Whether they say 500 because a request of theirs or ours is open, and when to try again (RFC 3261 §14.2)."""
    return failure.status == 500 and _retry_after_s(failure) is not None


def _retry_after_s(failure: Failure) -> float | None:
    message = failure.message
    if message is None or failure.status != 500:
        return None
    seconds = message.retry_after_s
    return max(seconds, 0.5) if seconds is not None and seconds <= LONGEST_RETRY_S else None
