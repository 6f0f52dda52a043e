"""What a party that is called for a caller is offered: what lets the two be relayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trunkline.calls.codecs import passed_direction, theirs
from trunkline.calls.outgoing import Offering

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["offering_beside"]


def offering_beside(zero: Channel, hops_left: int) -> Offering:
    """What is offered to who is called for the caller on channel ZERO. NoMediaPorts where there is no port."""
    offer, plan = zero.offer, zero.plan
    direction = theirs(plan) if plan is not None else passed_direction(offer) if offer is not None else "sendrecv"
    return Offering(
        codecs_for=zero.codecs_for,
        direction=direction,
        ptime_ms=offer.ptime_ms if offer is not None else None,
        # RFC 3261 §16.6, step 3: what crosses a B2BUA counts as a hop, so that a loop through it ends
        max_forwards=hops_left - 1,
        beside=zero.open_leg(),
    )
