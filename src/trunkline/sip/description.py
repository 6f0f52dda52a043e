"""One leg's offer/answer state with a memory: what it last offered or answered can be offered again, unchanged.

A session that is refreshed by re-INVITE repeats its description, version and all (RFC 4028 §7.4, RFC 3264 §8). Channels,
attempts and the test kit's calls hold one `Description` each; the negotiation is the extension's `SessionDescriber`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from trunkline.sip.capabilities import Dtmf
from trunkline.sip.endpoint import Codec, Direction, MediaPlan, RemoteOffer, SessionDescriber

__all__ = ["Description", "FaxAttributes", "events_beside", "is_companion", "is_event"]

_COMPANIONS = frozenset({"telephone-event", "cn"})


FaxAttributes = tuple[tuple[str, str | None], ...]
"""What T.38 says of a leg (ITU-T T.38 Annex D)."""


def is_event(codec: Codec) -> bool:
    """Whether a codec is that of telephone events (RFC 4733)."""
    return codec.name.lower() == "telephone-event"


def is_companion(codec: Codec) -> bool:
    """Whether a codec only accompanies one for voice: telephone events, comfort noise (RFC 3389)."""
    return codec.name.lower() in _COMPANIONS


def events_beside(codecs: Sequence[Codec]) -> list[Codec]:
    """The telephone-event of each clock that codecs for voice have (RFC 4733 §2.1: it shares theirs), in their order.

    It is relayed between all sides that know it, whatever their codec lists say.
    """
    clocks = dict.fromkeys(codec.clock_rate for codec in codecs if not is_companion(codec))
    return [Codec("telephone-event", clock, 1, None, "0-15") for clock in clocks]


class _Terms(NamedTuple):
    address: str
    port: int
    codecs: tuple[Codec, ...]
    direction: Direction = "sendrecv"
    ptime_ms: int | None = None
    fax: FaxAttributes | None = None
    """T.38 in the place of audio."""


class Description:
    """The offer/answer state of one leg (RFC 3264).

    Args:
        describer: The extension's state.
        rtcp_mux: Offers propose one port for RTP and RTCP (RFC 5761 §5.1.1); theirs are agreed to in any case.
        dtmf: Whether telephone-event is offered and taken: as the codecs that are given say, always, or never.
    """

    def __init__(self, describer: SessionDescriber, *, rtcp_mux: bool = False, dtmf: Dtmf = "auto") -> None:
        self._describer = describer
        self._dtmf = dtmf
        self._rtcp_mux = rtcp_mux
        self._offered: _Terms | None = None
        self._stands: _Terms | None = None

    @property
    def local(self) -> bytes | None:
        """Our description that stands."""
        return self._describer.local

    @property
    def plan(self) -> MediaPlan | None:
        """What stands."""
        return self._describer.plan

    @property
    def offer_pending(self) -> bool:
        """Whether an offer of ours waits for its answer."""
        return self._describer.offer_pending

    def offer(
        self,
        *,
        address: str,
        port: int,
        codecs: Sequence[Codec],
        direction: Direction = "sendrecv",
        ptime_ms: int | None = None,
    ) -> bytes:
        """Our offer, pending until `accept_answer` or `withdraw`. RuntimeError while one is pending."""
        codecs = self._with_way(codecs, events_beside(codecs))
        body = self._describer.offer(
            address=address,
            port=port,
            codecs=codecs,
            direction=direction,
            ptime_ms=ptime_ms,
            rtcp_mux=self._rtcp_mux,
        )
        self._offered = _Terms(address, port, tuple(codecs), direction, ptime_ms)
        return body

    def offer_again(self) -> bytes | None:
        """What stands as an offer, with the version that it has; None where nothing stands."""
        stands = self._stands
        if stands is None:
            return None
        if stands.fax is not None:
            return self.offer_fax(address=stands.address, port=stands.port, attributes=stands.fax)
        return self.offer(
            address=stands.address,
            port=stands.port,
            codecs=stands.codecs,
            direction=stands.direction,
            ptime_ms=stands.ptime_ms,
        )

    def accept_answer(self, body: bytes) -> MediaPlan:
        """Take the answer to the pending offer.

        Raises:
            NegotiationError: It cannot be agreed.
            SipParseError: It is malformed.
        """
        plan = self._describer.accept_answer(body)
        self._stands = self._offered
        return plan

    def withdraw(self) -> None:
        """Forget the pending offer: what stood before stands (RFC 3261 §14.1)."""
        self._describer.withdraw()

    def offer_fax(self, *, address: str, port: int, attributes: FaxAttributes) -> bytes:
        """Our offer of T.38 in the place of audio, pending as any other."""
        body = self._describer.offer_fax(address=address, port=port, attributes=attributes)
        self._offered = _Terms(address, port, (), fax=attributes)
        return body

    def answer_fax(
        self, offer: RemoteOffer, *, address: str, port: int, attributes: FaxAttributes
    ) -> tuple[bytes, MediaPlan]:
        """Our answer to an offer of T.38, which stands from now on. NegotiationError where it can have none."""
        body, plan = self._describer.answer_fax(offer, address=address, port=port, attributes=attributes)
        self._stands = _Terms(address, port, (), fax=attributes)
        return body, plan

    def read_offer(self, body: bytes, *, fax: bool = False) -> RemoteOffer:
        """Parse and check their offer, changing nothing that stands; one of T.38 only where `fax` is welcome.

        Raises:
            NegotiationError: Nothing in it can be used.
            SipParseError: It is malformed.
        """
        return self._describer.read_offer(body, fax=fax)

    def answer(
        self,
        offer: RemoteOffer,
        *,
        address: str,
        port: int,
        codecs: Sequence[Codec],
        direction: Direction = "sendrecv",
        ptime_ms: int | None = None,
    ) -> tuple[bytes, MediaPlan]:
        """Our answer, which stands from now on. NegotiationError where nothing can be agreed."""
        codecs = self._with_way(codecs, [codec for codec in offer.codecs if is_event(codec)])
        body, plan = self._describer.answer(
            offer, address=address, port=port, codecs=codecs, direction=direction, ptime_ms=ptime_ms
        )
        self._stands = _Terms(address, port, plan.receive_codecs, plan.direction, ptime_ms)
        return body, plan

    def _with_way(self, codecs: Sequence[Codec], events: Sequence[Codec]) -> Sequence[Codec]:
        """The codecs with telephone-event as this leg is to have it, those of `events` where it has to be there."""
        if self._dtmf == "auto":
            return codecs
        others = [codec for codec in codecs if not is_event(codec)]
        if self._dtmf != "rfc4733" or all(map(is_companion, others)):
            return others
        clocks = {codec.clock_rate for codec in codecs if is_event(codec)}
        return [*codecs, *(codec for codec in events if codec.clock_rate not in clocks)]

    def renew_keys(self) -> None:
        """Have the next offer bring new SRTP keys (RFC 4568 §7.1.4)."""
        self._describer.renew_keys()

    def fork(self) -> Description:
        """A copy with the pending offer, for another early dialog of the same INVITE."""
        copy = Description(self._describer.fork(), rtcp_mux=self._rtcp_mux, dtmf=self._dtmf)
        copy._offered, copy._stands = self._offered, self._stands
        return copy
