"""What a caller is answered: the early answer, the answer in the 200, and our own offer where the INVITE brings none.

`Channel` asks while it waits for its answer. It names what the other side agreed to, so that audio is relayed; where
they have nothing in common, what we can transcode. An INVITE without description gets our offer in the 200, and its ACK
brings the answer (RFC 3261 §13.2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trunkline.calls.codecs import answerable, shared, theirs
from trunkline.calls.failure import NO_MEDIA_PORT
from trunkline.calls.link import Happening, News, Stage
from trunkline.errors import CallStateError, NoMediaPorts
from trunkline.sip.endpoint import Codec, Direction, Headers, MediaPlan, Message, NegotiationError, SipParseError
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel
    from trunkline.sip.invite_session import InviteSession

__all__ = ["acked", "acknowledged", "answer", "answer_alone", "confirmed", "early_offer", "preview"]


def preview(channel: Channel, source: Channel, news: News) -> None:
    """Give the caller the other side's early media.

    One who offers nothing gets our offer in a reliable provisional, whose PRACK brings the answer (RFC 3262 §5); without
    those there is nothing to give him before the 200.
    """
    incoming = channel.incoming
    if incoming is None or news.plan is None:
        return
    describer = channel.describer
    if channel.offer is None and (not incoming.reliable or describer is None or describer.offer_pending):
        channel.ring(news)
        return
    try:
        body = _like(channel, news.plan)
    except (NegotiationError, NoMediaPorts) as error:
        channel.log.info("no early media: %s", error)
        channel.ring(news)
        return
    channel.stage = Stage.EARLY
    incoming.provisional(183, None, body)
    channel.join(source)


def answer(channel: Channel, source: Channel, news: News) -> None:
    """Answer the caller with what the other side agreed, and relay."""
    link = channel.link
    if news.plan is None or link is None:
        return
    # one who was answered early may be brought to what the other side has agreed to since
    fresh = channel.describer is None or channel.describer.local is None
    try:
        body = _final(channel, news.plan)
    except NegotiationError as error:
        link.owner.on_link_failed(Failure(488, error.reason))
        return
    except NoMediaPorts as error:
        channel.log.error("%s", error)
        link.owner.on_link_failed(NO_MEDIA_PORT)
        return
    if channel.send_answer(body):
        channel.align(source, fresh=fresh)


def answer_alone(channel: Channel, headers: Headers = ()) -> bool:
    """Answer the caller with nobody behind: silence is sent. False when he has given up.

    Args:
        channel: Where he waits.
        headers: Further header fields of the 200.

    Raises:
        NegotiationError: There is no common codec.
        NoMediaPorts: There is no port.
    """
    if channel.incoming is None or channel.describer is None:
        return False
    if channel.describer.local or channel.describer.offer_pending:
        body = _again(channel)
    else:
        body = _describe(channel, channel.usable, "sendrecv", None)
    if not channel.send_answer(body, headers):
        return False
    channel.silence()
    return True


def answer_instead(
    channel: Channel, codecs: Sequence[Codec], direction: Direction, ptime_ms: int | None = None
) -> bool:
    """Answer who takes somebody's place in a call with what the other side can. False when he has given up.

    Raises:
        NegotiationError: There is no common codec.
        NoMediaPorts: There is no port.
    """
    if channel.offer is None or channel.incoming is None:
        raise NegotiationError("an INVITE that replaces another is to bring an offer")
    chosen = answerable(channel.offer.codecs, codecs, channel.usable)
    return channel.send_answer(_describe(channel, chosen, direction, ptime_ms))


def acked(channel: Channel, session: InviteSession, ack: Message) -> None:
    """The ACK to the 200: with the answer where the 200 brought our offer."""
    session.confirm()
    link = channel.link
    if not channel.awaits_answer:
        follow_early(channel)
        return
    channel.awaits_answer = False
    if not confirmed(channel, ack):
        session.lose("the ACK brought no usable answer to our offer")
    elif link is not None:
        link.tell(channel, Happening.ANSWERED, News(plan=channel.plan))


def follow_early(channel: Channel) -> None:
    """Tell a side of what the other one agreed to before the answer, where it could not be told then."""
    other = channel.link.other(channel) if channel.link is not None else None
    if other is None or other.stage is not Stage.UP:
        return
    for late, ahead in ((channel, other), (other, channel)):
        if late.behind:
            late.behind = False
            late.follow(ahead)


def confirmed(channel: Channel, ack: Message) -> bool:
    """The ACK to the 200 that brought our offer: its answer stands. False when there is none that can be used."""
    describer = channel.describer
    if describer is None:
        return False
    try:
        plan = describer.accept_answer(ack.sdp)
    except (NegotiationError, SipParseError) as error:
        channel.log.info("the ACK brings no usable answer: %s", error.reason)
        return False
    channel.apply(plan)
    return True


def acknowledged(channel: Channel, prack: Message) -> tuple[int, bytes]:
    """A PRACK: it brings the answer to our offer, or a further offer, or nothing (RFC 3262 §5). What it is answered."""
    describer = channel.describer
    if describer is None or channel.stage is Stage.OVER:
        return 200, b""
    if not describer.offer_pending:
        answered = early_offer(channel, prack.sdp) if prack.sdp else b""
        return (200, answered) if answered is not None else (488, b"")
    if not confirmed(channel, prack):
        # the 200 will offer anew
        describer.withdraw()
        return (488 if prack.sdp else 200), b""
    # the ACK of a 200 that waited for this PRACK brings none
    channel.awaits_answer = False
    if channel.link is not None:
        happened = Happening.ANSWERED if channel.stage is Stage.UP else Happening.PROGRESSED
        channel.link.tell(channel, happened, News(plan=channel.plan))
        channel.join(channel.link.other(channel))
    return 200, b""


def early_offer(channel: Channel, body: bytes) -> bytes | None:
    """Our answer to a further offer of a caller who waits; None where his first one has none that he has for sure."""
    describer, incoming = channel.describer, channel.incoming
    if describer is None or incoming is None or not incoming.reliable:
        return None
    plan = describer.plan
    if plan is None or describer.offer_pending or channel.leg is None:
        return None
    try:
        offer = describer.read_offer(body)
        answer, plan = describer.answer(
            offer,
            address=channel.address,
            port=channel.leg.port,
            codecs=shared(offer.codecs, plan.receive_codecs),
            ptime_ms=plan.ptime_ms,
        )
    except (NegotiationError, SipParseError):
        return None
    channel.apply(plan)
    return answer


def _again(channel: Channel) -> bytes:
    """The early answer in the 200, which is no news; nothing where it arrived for sure (RFC 3262 §5, RFC 3261 §13.2.1)."""
    sure = channel.incoming is not None and channel.incoming.reliable
    return b"" if sure or channel.describer is None else channel.describer.local or b""


def _final(channel: Channel, plan: MediaPlan) -> bytes:
    """The description of the 200."""
    describer = channel.describer
    if describer is not None and (describer.local is not None or describer.offer_pending):
        return _again(channel)
    return _like(channel, plan)


def _like(channel: Channel, plan: MediaPlan) -> bytes:
    """The answer with which relaying needs no transcoding; one given early stands (RFC 3261 §13.2.1)."""
    if channel.describer is not None and channel.describer.local is not None:
        return channel.describer.local
    offered = plan.receive_codecs if channel.offer is None else channel.offer.codecs
    codecs = answerable(offered, plan.receive_codecs, channel.usable)
    return _describe(channel, codecs, theirs(plan), plan.ptime_ms)


def _describe(channel: Channel, codecs: Sequence[Codec], direction: Direction, ptime_ms: int | None) -> bytes:
    """Our answer to what the caller offered, or our offer where he made none; the leg does what it says."""
    describer = channel.describer
    if describer is None:
        raise CallStateError("there is no offer to answer")
    leg = channel.open_leg()
    if channel.offer is None:
        return describer.offer(
            address=channel.address, port=leg.port, codecs=codecs, direction=direction, ptime_ms=ptime_ms
        )
    body, plan = describer.answer(
        channel.offer, address=channel.address, port=leg.port, codecs=codecs, direction=direction, ptime_ms=ptime_ms
    )
    channel.apply(plan)
    return body
