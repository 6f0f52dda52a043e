"""Offers by UPDATE before the answer (RFC 3311): answered here, or carried across where both sides can be asked.

What changes only where media goes is answered here. Another direction or codec is offered to the other side too, where
it is early with descriptions that arrive for sure (RFC 3262) and takes UPDATE; what it answers goes back. Where it
cannot be asked, it is told of a direction after the answer, and codecs that it may send stay possible: else 488.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trunkline.calls.codecs import answerable, carried, codec_keys, common, passed_direction, shared, theirs
from trunkline.calls.deadlines import Deadline
from trunkline.calls.failure import warning
from trunkline.calls.hold import UPDATE_PATIENCE_S, moves_only
from trunkline.calls.link import Happening, Stage
from trunkline.media.engine import Leg
from trunkline.sip.description import Description
from trunkline.sip.early_update import EarlyUpdate, EarlyUpdates
from trunkline.sip.endpoint import Codec, MediaPlan, Message, NegotiationError, RemoteOffer, SipParseError
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["EarlySide", "answer_here", "refuse_or_answer", "take_early_offer", "take_from_caller"]


@dataclass(frozen=True, slots=True)
class EarlySide:
    """One side before its answer, whose description it has for sure."""

    describer: Description
    updates: EarlyUpdates
    leg: Leg
    address: str
    usable: Sequence[Codec]
    """All that it may ever use."""
    apply: Callable[[MediaPlan], None]
    """Makes the leg do what is agreed."""


def side_of(channel: Channel) -> EarlySide | None:
    """An early side that may be offered something; None where RFC 3311 §5.1 does not let us."""
    side = channel.early.side if channel.early is not None else _waiting(channel)
    return side if side is not None and side.updates.taken else None


def _waiting(channel: Channel) -> EarlySide | None:
    incoming, describer, leg = channel.incoming, channel.describer, channel.leg
    if incoming is None or not incoming.sure or describer is None or leg is None or channel.stage is not Stage.EARLY:
        return None
    return EarlySide(describer, incoming.updates, leg, channel.address, channel.usable, channel.apply)


def take_from_caller(channel: Channel, update: EarlyUpdate) -> None:
    """The caller offers something else; 500 where his first offer has no answer that he has for sure (RFC 3311 §5.2)."""
    incoming, describer, leg = channel.incoming, channel.describer, channel.leg
    if (
        incoming is None
        or describer is None
        or leg is None
        or not incoming.reliable
        or describer.plan is None
        or describer.offer_pending
    ):
        update.reject(500, [("Retry-After", "1")])
    else:
        side = EarlySide(describer, incoming.updates, leg, channel.address, channel.usable, channel.apply)
        take_early_offer(channel, side, update)


def take_early_offer(channel: Channel, asking: EarlySide, update: EarlyUpdate) -> None:
    """Answer an offer, here or by way of the other side.

    Args:
        channel: Where it came.
        asking: Its early side.
        update: The offer.
    """
    refuse_or_answer(asking, update, lambda offer: _decide(channel, asking, update, offer))


def refuse_or_answer(asking: EarlySide, update: EarlyUpdate, answer: Callable[[RemoteOffer], None]) -> None:
    """Hand on an offer that can be read; refuse one that cannot."""
    try:
        offer = asking.describer.read_offer(update.message.sdp)
    except NegotiationError as error:
        update.reject(488, [warning(error.reason)])
    except SipParseError as error:
        update.reject(error.status or 400)
    else:
        answer(offer)


def _decide(channel: Channel, asking: EarlySide, update: EarlyUpdate, offer: RemoteOffer) -> None:
    other = channel.link.other(channel) if channel.link is not None else None
    across = side_of(other) if other is not None else None
    if other is None or moves_only(asking.describer.plan, offer):
        answer_here(asking, update, offer)
    elif across is not None and (across.updates.busy or across.describer.offer_pending):
        update.reject(491)
    elif across is not None:
        EarlyCrossing(channel, asking, across, update, offer).start()
    elif _keeps(_agreed(other), offer):
        other.behind = True
        answer_here(asking, update, offer)
    else:
        update.reject(488, [warning("the other side cannot be asked for another codec before it answers")])


def _agreed(channel: Channel) -> MediaPlan | None:
    if channel.stage is Stage.PLACING:
        return channel.early.plan if channel.early is not None else None
    return channel.plan


def _keeps(agreed: MediaPlan | None, offer: RemoteOffer) -> bool:
    """Whether what the other side may send can still be relayed."""
    return agreed is None or codec_keys(agreed.send_codecs) <= codec_keys(offer.codecs)


def answer_here(asking: EarlySide, update: EarlyUpdate, offer: RemoteOffer) -> None:
    """Answer without asking the other side, in the direction that they like."""
    plan = asking.describer.plan
    try:
        body, plan = asking.describer.answer(
            offer,
            address=asking.address,
            port=asking.leg.port,
            codecs=shared(offer.codecs, plan.receive_codecs) if plan is not None else (),
            ptime_ms=plan.ptime_ms if plan is not None else None,
        )
    except NegotiationError as error:
        update.reject(488, [warning(error.reason)])
        return
    asking.apply(plan)
    update.accept(body)


class EarlyCrossing:
    """An early offer on its way across and back.

    Args:
        channel: The channel on which it arrived.
        asking: Its early side.
        across: The side that is offered the same.
        update: The offer.
        offer: What it says.
    """

    def __init__(
        self, channel: Channel, asking: EarlySide, across: EarlySide, update: EarlyUpdate, offer: RemoteOffer
    ) -> None:
        self._channel = channel
        self._asking = asking
        self._across = across
        self._update = update
        self._offer = offer
        self._timer: Deadline | None = None

    def start(self) -> None:
        """Offer the other side what this side offers."""
        across, offer = self._across, self._offer
        party = self._channel.party
        offered = common(offer.codecs, party.codecs) if party is not None else common(offer.codecs, self._asking.usable)
        plan = across.describer.plan
        codecs = (plan and carried(offered, plan.receive_codecs)) or common(offered, across.usable)
        if not codecs:
            self._update.reject(488, [warning("the two parties have no codec in common")])
            return
        # RFC 3311 §5.2: it is answered at once, or before its Timer F at least
        self._timer = self._channel.env.call_later(UPDATE_PATIENCE_S, self._late)
        self._update.on_withdrawn = self._on_withdrawn
        body = across.describer.offer(
            address=across.address, port=across.leg.port, codecs=codecs, direction=passed_direction(offer)
        )
        across.updates.send(body, self)

    def on_update_accepted(self, message: Message) -> None:
        """From the other side: its answer goes back."""
        across, asking = self._across, self._asking
        try:
            plan = across.describer.accept_answer(message.sdp)
        except (NegotiationError, SipParseError) as error:
            across.describer.withdraw()
            self._refuse(488, error.reason)
            return
        across.apply(plan)
        if not self._finish():
            self._restore()
            return
        try:
            body, plan = asking.describer.answer(
                self._offer,
                address=asking.address,
                port=asking.leg.port,
                codecs=answerable(self._offer.codecs, plan.receive_codecs, asking.usable),
                direction=theirs(plan),
                ptime_ms=plan.ptime_ms,
            )
        except NegotiationError as error:
            self._update.reject(488, [warning(error.reason)])
            self._restore()
            return
        asking.apply(plan)
        self._update.accept(body)

    def on_update_refused(self, failure: Failure) -> None:
        """From the other side: it refused."""
        self._across.describer.withdraw()
        if failure.status == 491:
            self._refuse(491, "")
        else:
            self._refuse(488, "the other side refuses it")

    def _on_withdrawn(self) -> None:
        self._finish()

    def _late(self) -> None:
        self._refuse(488, "the other side does not answer")

    def _refuse(self, status: int, words: str) -> None:
        if self._finish():
            self._update.reject(status, [warning(words)] if words else ())

    def _restore(self) -> None:
        """The other side took what this side was refused: once it is up, it is offered what stands here."""
        if self._channel.link is not None:
            self._channel.link.tell(self._channel, Happening.AGREED)

    def _finish(self) -> bool:
        """Whether the offer still waits for its answer; from now on it does not."""
        if self._timer is None:
            return False
        self._timer.cancel()
        self._timer = None
        return True
