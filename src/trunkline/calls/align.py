"""Two answered channels that are to talk: brought to the same codecs by re-INVITE where they have others, then relayed.

A caller who was answered before the callee (early, or by `answer()`), and the two sides of a bridge. Where no re-INVITE
helps they are transcoded; a codec that we can only relay is a failure then, explained as 488.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trunkline.calls.codecs import common, relays, same_voices, shared, theirs, with_events_of
from trunkline.calls.link import LinkOwner
from trunkline.calls.renewal import Renewal
from trunkline.media.engine import may_transcode, needs_transcoding
from trunkline.sip.endpoint import Codec, MediaPlan
from trunkline.sip.request import Failure

if TYPE_CHECKING:
    from trunkline.calls.channel import Channel

__all__ = ["Alignment"]

MAX_ROUNDS = 4
"""re-INVITEs after which two sides that narrow each other's answers are given up."""

NO_COMMON_CODEC = Failure(488, "the two parties have no codec in common")


class Alignment:
    """Bring two channels to common codecs.

    Args:
        here: The channel whose answer came first.
        there: The one that joins it.
        owner: Hears when they are linked, or cannot be.
        fresh: Both have just been answered, each knowing what the other can: asking once more would change nothing.
    """

    def __init__(self, here: Channel, there: Channel, owner: LinkOwner, *, fresh: bool = False) -> None:
        self._here = here
        self._there = there
        self._owner: LinkOwner | None = owner
        self._rounds_left = MAX_ROUNDS
        self._fresh = fresh
        self._renewal: Renewal | None = None

    def start(self) -> None:
        """Link them if they agree, else offer one of them what both can."""
        here, there = self._here.plan, self._there.plan
        if here is None or there is None:
            self._fail(NO_COMMON_CODEC)
        elif self._can_talk(here, there):
            self._link()
        elif self._rounds_left == 0:
            self._fail(NO_COMMON_CODEC)
        else:
            self._rounds_left -= 1
            self._offer(here, there)

    def stop(self) -> None:
        """They are tied no more."""
        self._owner = None
        if self._renewal is not None:
            self._renewal.stop()

    def on_renewed(self, plan: MediaPlan) -> None:
        """From the re-INVITE: look again."""
        self._renewal = None
        if self._owner is not None:
            self.start()

    def on_not_renewed(self, failure: Failure) -> None:
        """From the re-INVITE: that side stays as it is; with one codec in common they talk all the same."""
        self._renewal = None
        here, there = self._here.plan, self._there.plan
        if (
            here is not None and there is not None and shared(here.receive_codecs, there.receive_codecs)
        ) or may_transcode(here, there):
            self._link()
        else:
            self._fail(Failure(488, "a party refuses the codec of the other"))

    def _offer(self, here: MediaPlan, there: MediaPlan) -> None:
        """Choose who is offered what: what both have, else what one has and the other may use."""
        agreed = shared(there.receive_codecs, here.receive_codecs)
        if agreed:
            wider = self._there if same_voices(agreed, here.receive_codecs) else self._here
            self._renew(wider, agreed)
        elif common(there.receive_codecs, self._here.usable):
            self._renew(self._here, common(there.receive_codecs, self._here.usable))
        elif common(here.receive_codecs, self._there.usable):
            self._renew(self._there, common(here.receive_codecs, self._there.usable))
        elif may_transcode(here, there):
            self._link()
        else:
            self._fail(NO_COMMON_CODEC)

    def _can_talk(self, here: MediaPlan, there: MediaPlan) -> bool:
        """Whether nothing has to be offered anew."""
        if same_voices(here.receive_codecs, there.receive_codecs):
            return True
        return self._fresh and (relays(here.receive_codecs, there.receive_codecs) or needs_transcoding(here, there))

    def _renew(self, channel: Channel, codecs: Sequence[Codec]) -> None:
        other = self._there if channel is self._here else self._here
        plan = other.plan
        direction = theirs(plan) if plan is not None else "sendrecv"
        stands = channel.plan.receive_codecs if channel.plan is not None else ()
        self._renewal = Renewal(channel, with_events_of(stands, codecs), direction, self, patient=True)
        self._renewal.start()

    def _link(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            self._here.join(self._there)
            owner.on_linked()

    def _fail(self, failure: Failure) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.on_link_failed(failure)
