"""Re-INVITEs and UPDATEs of either side: hold and resume, other codecs, another address (RFC 3261 §14, RFC 3264 §8).

What changes only where media goes is answered here. What changes direction or codecs is carried across by the link:
the other side is offered the same, and what it answers goes back. Refused there, it is refused here: 491 as 491, all
else as 488. A re-INVITE that offers nothing is offered all that we can, and the other side follows the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.calls.codecs import (
    answerable,
    carried,
    codec_keys,
    common,
    passed_direction,
    same_voices,
    shared,
    theirs,
)
from trunkline.calls.deadlines import Deadline
from trunkline.calls.failure import warning
from trunkline.calls.link import Happening, News
from trunkline.calls.music import passed_hold
from trunkline.calls.renewal import Renewal
from trunkline.media.engine import needs_transcoding
from trunkline.sip.endpoint import Direction, MediaPlan, NegotiationError, RemoteOffer, SipParseError
from trunkline.sip.reoffer import Reoffer
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["Crossing", "follow", "refresh", "take_reoffer"]

UPDATE_PATIENCE_S = 16.0
"""How long an UPDATE that crosses waits for the other side."""

_REFUSED_AS = {491: 491}
"""How a refusal of the other side is told to the one that asked; all else is 488."""


def take_reoffer(channel: Channel, reoffer: Reoffer) -> None:
    """Answer a re-INVITE or UPDATE, here or by way of the other side."""
    if channel.describer is None or channel.describer.offer_pending:
        reoffer.reject(491)
        return
    if not reoffer.message.sdp:
        offer_here(channel, reoffer)
        return
    try:
        offer = channel.describer.read_offer(reoffer.message.sdp, fax=channel.link is not None)
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
    if offer.fax is not None or plan.fax is not None:
        return False
    kept = codec_keys(plan.receive_codecs) <= codec_keys(offer.codecs)
    return kept and passed_direction(offer) == theirs(plan)


def answer_here(channel: Channel, reoffer: Reoffer, offer: RemoteOffer) -> None:
    """Answer without asking the other side: in the direction that stands, or as they like where there is none."""
    plan, describer, leg = channel.plan, channel.describer, channel.leg
    if plan is None or describer is None or leg is None:
        reoffer.reject(491)
        return
    if offer.fax is not None:
        answer_fax(channel, reoffer, offer)
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


_WILLING: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "recvonly": "sendrecv",
    "sendonly": "sendonly",
    "inactive": "sendrecv",
}
"""What we offer a side that asks what we can, by the direction that stands: a hold of its own is not repeated to it, one
of the other side is (RFC 6337 §5.3)."""


def offer_here(channel: Channel, reoffer: Reoffer) -> None:
    """Answer a re-INVITE that offers nothing with all that we can (RFC 3261 §14.2); its ACK brings the answer."""
    plan, describer, leg = channel.plan, channel.describer, channel.leg
    if plan is None or describer is None or leg is None:
        reoffer.reject(491)
        return
    if plan.fax is not None:
        body = describer.offer_again() or b""
        if not reoffer.offer(body, lambda answer: _answered(channel, answer)):
            describer.withdraw()
        reoffer.on_withdrawn = describer.withdraw
        return
    other = channel.link.other(channel) if channel.link is not None else None
    usable = channel.usable if other is None else common(channel.usable, other.usable)
    stands = shared(plan.receive_codecs, plan.receive_codecs)
    known = codec_keys(stands)
    codecs = [*stands, *(codec for codec in usable if not codec_keys([codec]) <= known)]
    body = describer.offer(address=channel.address, port=leg.port, codecs=codecs, direction=_WILLING[plan.direction])
    if not reoffer.offer(body, lambda answer: _answered(channel, answer)):
        describer.withdraw()
    reoffer.on_withdrawn = describer.withdraw


def _answered(channel: Channel, answer: bytes) -> bool:
    """The ACK brings the answer to our offer: it stands, and the other side is brought to the same."""
    if channel.describer is None:
        return False
    try:
        channel.describer.accept_answer(answer)
    except (NegotiationError, SipParseError) as error:
        channel.log.info("the ACK brings no usable answer: %s", error.reason)
        return False
    channel.apply()
    if channel.link is not None:
        channel.link.tell(channel, Happening.AGREED)
    return True


def follow(channel: Channel, source: Channel) -> None:
    """Bring this side to what the other one has agreed to meanwhile, where that is not what stands here."""
    Following(channel, source).start()


class Following:
    """One side that follows the other: its direction first, then codecs that both can be relayed in.

    Args:
        channel: The side that follows.
        source: The side that has agreed to something else.
    """

    def __init__(self, channel: Channel, source: Channel) -> None:
        self._channel = channel
        self._source = source

    def start(self) -> None:
        """Offer this side what the other one does, if it is news to it."""
        here, there = self._channel.plan, self._source.plan
        if here is None or there is None:
            return
        wanted = passed_hold(self._source, self._channel, theirs(there))
        codecs = carried(there.receive_codecs, here.receive_codecs) or common(
            there.receive_codecs, self._channel.usable
        )
        if wanted == here.direction or not codecs:
            self._align()
        else:
            Renewal(self._channel, codecs, wanted, self, patient=True).start()

    def on_renewed(self, plan: MediaPlan) -> None:
        """From the re-INVITE."""
        self._align()

    def on_not_renewed(self, failure: Failure) -> None:
        """From the re-INVITE: this side stays as it is."""
        self._channel.log.info("channel %s does not follow: %s", self._channel.id.name, failure.reason)

    def on_linked(self) -> None:
        """From the alignment: they were before, and are again."""

    def on_link_failed(self, failure: Failure) -> None:
        """From the alignment: what cannot be relayed is not heard, and the call goes on."""
        self._channel.log.warning("the two parties are left without a common codec: %s", failure.reason)

    def _align(self) -> None:
        here, there = self._channel.plan, self._source.plan
        if here is None or there is None or self._channel.link is None:
            return
        if not same_voices(here.receive_codecs, there.receive_codecs) and not needs_transcoding(here, there):
            self._channel.align(self._source, self)


def refresh(channel: Channel) -> None:
    """Offer what stands once more, so that the session lives on (RFC 4028 §7.4)."""
    Refreshing(channel).start()


def _gist(plan: MediaPlan | None) -> object:
    """What of a plan concerns the other side."""
    return None if plan is None else (plan.direction, codec_keys(plan.receive_codecs))


class Refreshing:
    """The re-INVITE that refreshes a session.

    Args:
        channel: The session's channel.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def start(self) -> None:
        """Send it."""
        self._stood = _gist(self._channel.plan)
        Renewal(self._channel, None, "sendrecv", self, patient=True).start()

    def on_renewed(self, plan: MediaPlan) -> None:
        """From the re-INVITE: what the answer changes takes its effect on the other side."""
        if self._channel.link is not None and _gist(plan) != self._stood:
            self._channel.link.tell(self._channel, Happening.AGREED)

    def on_not_renewed(self, failure: Failure) -> None:
        """From the re-INVITE."""
        if self._channel.invite is not None:
            self._channel.invite.not_refreshed()


def answer_fax(channel: Channel, reoffer: Reoffer, offer: RemoteOffer) -> None:
    """Answer T.38 that is offered again as it stands: with what the other side says of itself."""
    other = channel.link.other(channel) if channel.link is not None else None
    plan = other.plan if other is not None else None
    if channel.describer is None or channel.leg is None or plan is None or plan.fax is None:
        refuse(reoffer, "there is nobody to send a fax to")
        return
    try:
        body, _ = channel.describer.answer_fax(
            offer, address=channel.address, port=channel.leg.port, attributes=plan.fax.attributes
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
        self._timer: Deadline | None = None

    def start(self) -> None:
        """Offer the other side what this side offers."""
        fax = self._offer.fax
        plan = self._other.plan
        usable = self._asking.party.codecs if self._asking.party is not None else ()
        offered = common(self._offer.codecs, usable)
        # what stands on the other side first: a hold must not change its codecs
        codecs = (plan and carried(offered, plan.receive_codecs)) or common(offered, self._other.usable)
        if not codecs and fax is None:
            refuse(self._reoffer, "the two parties have no codec in common")
            return
        update = self._reoffer.is_update
        patience_s = self._asking.env.options.reoffer_timeout_s
        # RFC 3311 §5.2: an UPDATE is answered at once, or before its Timer F at least
        patience_s = min(patience_s, UPDATE_PATIENCE_S) if update else patience_s
        self._timer = self._asking.env.call_later(patience_s, self._timeout)
        self._reoffer.on_withdrawn = self._on_withdrawn
        self._renewal = Renewal(
            self._other,
            codecs,
            passed_hold(self._asking, self._other, passed_direction(self._offer)),
            self,
            patient=False,
            update=update,
            fax=fax.attributes if fax is not None else None,
        )
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
        if self._offer.fax is not None:
            answer_fax(asking, self._reoffer, self._offer)
            return
        try:
            body, _ = describer.answer(
                self._offer,
                address=asking.address,
                port=leg.port,
                codecs=answerable(self._offer.codecs, plan.receive_codecs, asking.usable),
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
            wanted = passed_hold(self._asking, self._other, theirs(plan))
            codecs = shared(plan.receive_codecs, plan.receive_codecs)
            Renewal(self._other, codecs, wanted, None, patient=True).start()

    def _finish(self) -> bool:
        """Whether the re-INVITE still waits for its answer; from now on it does not."""
        if self._timer is None:
            return False
        self._timer.cancel()
        self._timer = None
        return True
