"""Re-INVITEs of either side: hold and resume, other codecs, another address (RFC 3261 §14, RFC 3264 §8).

What changes only where media goes is answered here. What changes direction or codecs is carried across by the link:
the other side is offered the same, and what it answers goes back. Refused there, it is refused here: 491 as 491, all
else as 488.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from trunkline.calls.codecs import codec_keys, common, passed_direction, shared, theirs
from trunkline.calls.failure import warning
from trunkline.calls.link import Happening, News
from trunkline.calls.renewal import Renewal
from trunkline.sip.endpoint import Direction, MediaPlan, NegotiationError, RemoteOffer, SipParseError
from trunkline.sip.invite_session import Reoffer
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["Crossing", "take_reoffer"]

_REFUSED_AS = {491: 491}
"""How a refusal of the other side is told to the one that asked; all else is 488."""


def take_reoffer(channel: Channel, reoffer: Reoffer) -> None:
    """Answer a re-INVITE, here or by way of the other side."""
    body = reoffer.message.sdp
    if not body:
        refuse(reoffer, "a re-INVITE without session description is not supported")
        return
    if channel.describer is None or channel.describer.offer_pending:
        reoffer.reject(491)
        return
    try:
        offer = channel.describer.read_offer(body)
    except NegotiationError as error:
        refuse(reoffer, error.reason)
    except SipParseError as error:
        reoffer.reject(error.status or 400)
    else:
        if moves_only(channel.plan, offer) or not _carried(channel, reoffer, offer):
            answer_here(channel, reoffer, offer)


def _carried(channel: Channel, reoffer: Reoffer, offer: RemoteOffer) -> bool:
    link = channel.link
    return link is not None and link.tell(channel, Happening.REOFFERED, News(reoffer=reoffer, offer=offer))


def refuse(reoffer: Reoffer, words: str) -> None:
    """488, with the reason in words."""
    reoffer.reject(488, [warning(words)])


def moves_only(plan: MediaPlan | None, offer: RemoteOffer) -> bool:
    """Whether an offer changes at most where media goes: the direction and the agreed codecs stay."""
    if plan is None:
        return False
    if offer.unchanged:
        return True
    kept = codec_keys(plan.receive_codecs) <= codec_keys(offer.codecs)
    return kept and passed_direction(offer) == theirs(plan)


def answer_here(channel: Channel, reoffer: Reoffer, offer: RemoteOffer) -> None:
    """Answer without asking the other side: in the direction that stands, or as they like where there is none."""
    plan, describer, leg = channel.plan, channel.describer, channel.leg
    if plan is None or describer is None or leg is None:
        reoffer.reject(491)
        return
    willing: Direction = plan.direction if channel.link is not None else "sendrecv"
    codecs = shared(offer.codecs, plan.receive_codecs) or common(offer.codecs, channel.usable)
    try:
        body, _ = describer.answer(
            offer, address=channel.address, port=leg.port, codecs=codecs, direction=willing, ptime_ms=plan.ptime_ms
        )
    except NegotiationError as error:
        refuse(reoffer, error.reason)
        return
    reoffer.accept(body)
    channel.apply()


class Crossing:
    """A re-INVITE on its way across and back.

    Args:
        asking: The channel on which it arrived.
        other: The channel that is offered the same.
        reoffer: The re-INVITE.
        offer: What it offers.
    """

    def __init__(self, asking: Channel, other: Channel, reoffer: Reoffer, offer: RemoteOffer) -> None:
        self._asking = asking
        self._other = other
        self._reoffer = reoffer
        self._offer = offer
        self._renewal: Renewal | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Offer the other side what this side offers."""
        plan = self._other.plan
        usable = self._asking.party.codecs if self._asking.party is not None else ()
        offered = common(self._offer.codecs, usable)
        # what stands on the other side first: a hold must not change its codecs
        codecs = (plan and shared(offered, plan.receive_codecs)) or common(offered, self._other.usable)
        if not codecs:
            refuse(self._reoffer, "the two parties have no codec in common")
            return
        options = self._asking.env.options
        self._timer = self._asking.env.call_later(options.reoffer_timeout_s, self._timeout)
        self._reoffer.on_withdrawn = self._on_withdrawn
        self._renewal = Renewal(self._other, codecs, passed_direction(self._offer), self, patient=False)
        self._renewal.start()

    def stop(self) -> None:
        """The two are tied no more, or the asking side is over."""
        if self._finish():
            self._reoffer.reject(487)
        if self._renewal is not None:
            self._renewal.stop()

    def on_renewed(self, plan: MediaPlan) -> None:
        """From the re-INVITE: the other side's answer goes back."""
        asking = self._asking
        if not self._finish():
            self._restore()
            return
        describer, leg = asking.describer, asking.leg
        if describer is None or leg is None:
            return
        try:
            body, _ = describer.answer(
                self._offer,
                address=asking.address,
                port=leg.port,
                codecs=shared(self._offer.codecs, plan.receive_codecs),
                direction=theirs(plan),
                ptime_ms=plan.ptime_ms,
            )
        except NegotiationError as error:
            refuse(self._reoffer, error.reason)
            self._restore()
            return
        self._reoffer.accept(body)
        asking.apply()

    def on_not_renewed(self, failure: Failure) -> None:
        """From the re-INVITE: the other side refused."""
        if not self._finish():
            return
        status = _REFUSED_AS.get(failure.status, 488)
        words = "the other side refuses it"
        self._reoffer.reject(status, [warning(words)] if status == 488 else ())

    def _on_withdrawn(self) -> None:
        """They cancelled it, or hung up."""
        if self._finish() and self._renewal is not None:
            self._renewal.cancel()

    def _timeout(self) -> None:
        if self._finish():
            refuse(self._reoffer, "the other side does not answer")
            if self._renewal is not None:
                self._renewal.cancel()

    def _restore(self) -> None:
        """The other side took what this side has withdrawn: offer it what stands here."""
        plan = self._asking.plan
        if plan is not None and self._asking.link is not None:
            Renewal(
                self._other, shared(plan.receive_codecs, plan.receive_codecs), theirs(plan), None, patient=True
            ).start()

    def _finish(self) -> bool:
        """Whether the re-INVITE still waits for its answer; from now on it does not."""
        if self._timer is None:
            return False
        self._timer.cancel()
        self._timer = None
        return True
